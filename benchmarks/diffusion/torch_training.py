"""Training in plain PyTorch: Adam with clipping, a cosine and a moving average of the weights."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.diffusion.torch_denoiser import LOSSES, Problem, Weights, draw

WARM_UP, MAX_ITER, LEARNING_RATE, EMA_DECAY = 50, 5000, 2e-3, 0.999
ADAMS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}


class Way(NamedTuple):
    """How the posterior, the derivatives and the updates are computed, and whether compiled."""

    posterior: str
    derivative: str
    adam: str
    compiled: bool = False

    def __str__(self) -> str:
        return ", ".join(self[:3]) + ", compiled" * self.compiled


class TorchTraining:
    """Minibatches in the way of one `Way`."""

    def __init__(self, objective: str, way: Way, problem: Problem, weights: Weights, Z: Tensor):
        self.Z, self.problem, self.n_steps = Z, problem, 0
        self.weights = {name: w.clone().requires_grad_() for name, w in weights.items()}
        self.average = [w.detach().clone() for w in self.weights.values()]
        self.adam = torch.optim.Adam(self.weights.values(), lr=0.0, **ADAMS[way.adam])
        self.foreach = way.adam != "loop"
        loss, directions = LOSSES[objective][way.derivative], objective == "sliced"

        def drawn(weights: Weights, Z: Tensor) -> Tensor:
            return loss(weights, problem, Z, draw(problem, *Z.shape, directions=directions))

        self.loss = torch.compile(drawn, dynamic=False) if way.compiled else drawn

    def run(self, n_steps: int, batch_size: int = 128) -> None:
        """Take steps."""
        for _ in range(n_steps):
            Z = self.Z[torch.randint(len(self.Z), (batch_size,))]
            self.adam.zero_grad(set_to_none=True)
            self.loss(self.weights, Z).backward()
            self.update()

    def update(self) -> None:
        """Clip, take a step of Adam at the rate of now, and average."""
        leaves, i = list(self.weights.values()), self.n_steps
        torch.nn.utils.clip_grad_norm_(leaves, 1.0, foreach=self.foreach)
        rate = LEARNING_RATE * min(1.0, (1 + i) / WARM_UP)
        self.adam.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * i / MAX_ITER))
        self.adam.step()
        share = 1 - min(EMA_DECAY, (1 + i) / (10 + i))
        with torch.no_grad():
            if self.foreach:
                torch._foreach_lerp_(self.average, leaves, share)
            else:
                for average, leaf in zip(self.average, leaves, strict=True):
                    average.lerp_(leaf, share)
        self.n_steps += 1
