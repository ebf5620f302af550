"""The peer: the same denoiser, losses and optimiser in plain PyTorch, for tables without holes.

Everything is written for a batch, with what a PyTorch user would reach for: `layer_norm`, fused or
`foreach` Adam and clipping, mirrored rows side by side, no gradient through the Gaussian backbone.
What is random is an argument of the losses, so that they can be compared with ours number by
number.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, silu

from benchmarks.diffusion.torch_posterior import Backbone, Means, ways_of

Weights = dict[str, Tensor]
N_WAVES, SMOOTH, SMALLEST_SHARE, GOLDEN = 16, 0.2, 0.01, 0.6180339887498949


class Draws(NamedTuple):
    """Noise scales (n, 1); roles, noise and directions (n, d)."""

    scale: Tensor
    noised: Tensor
    given: Tensor
    noise: Tensor
    direction: Tensor


class Problem(NamedTuple):
    """The backbone and how its posterior is found; the blocks, and the range of the noise."""

    backbone: Backbone
    posterior: Callable[..., Means]
    n_blocks: int
    first: float
    last: float
    joint: float


def problem_of(backbone: Backbone, way: str, recipe) -> Problem:
    """Return what one of our recipes says, with a way to find the posterior."""
    process, network = recipe.process, recipe.denoiser.network
    posterior = ways_of(backbone)[way]
    scales = float(process.first), float(process.last)
    return Problem(backbone, posterior, network.n_blocks, *scales, float(recipe.joint))


def draw(problem: Problem, n: int, d: int, *, directions: bool) -> Draws:
    """Draw what a batch needs."""
    u = torch.remainder(torch.rand(()) + GOLDEN * torch.arange(n), 1.0)[:, None]
    scale = problem.first * torch.exp(u * math.log(problem.last / problem.first))
    u, chances = torch.rand(n, d + 3).split((d, 3), dim=1)
    joint, give = chances[:, :1] < problem.joint, chances[:, 1:2]
    lose = (3 * chances[:, 2:] - 2).clamp(min=0.0)
    lost = ~joint & (u < lose)
    given = ~joint & ~lost & (u < lose + (1 - lose) * give)
    noised = ~lost & ~given
    wasted = ~noised.any(dim=1, keepdim=True)
    noise = torch.randn(n, d)
    direction = 2.0 * torch.randint(2, (n, d)) - 1.0 if directions else noise
    return Draws(scale, noised | wasted, given & ~wasted, noise, direction)


def network(weights: Weights, problem: Problem, u: Tensor, draws: Draws) -> Tensor:
    """Return the output for rows (..., n, d)."""
    width = weights["in"].shape[1:]
    frequency = torch.exp2(torch.linspace(-3.0, 2.0, N_WAVES))
    phase = draws.scale.log() * frequency
    waves = torch.cat([phase.sin(), phase.cos()], dim=1)
    h = columns(weights["frequencies"], u, draws) @ weights["in"] + weights["bias"]
    for i in range(problem.n_blocks):
        shift = waves @ weights[f"noise{i}"] + weights[f"bias{i}"]
        a = layer_norm(h, width, eps=1e-6) @ weights[f"first{i}"] + shift
        h = h + silu(a) @ weights[f"second{i}"]
    return layer_norm(h, width, eps=1e-6) @ weights["out"] + weights["out_bias"]


def columns(frequencies: Tensor, u: Tensor, draws: Draws) -> Tensor:
    """Return values, flags and waves of the columns."""
    phase = frequencies * u[..., None]
    seen = (draws.noised | draws.given)[..., None]
    sines = torch.where(seen, torch.cat([phase.sin(), phase.cos()], dim=-1), 0.0).flatten(-2)
    flags = [flag.to(u.dtype).expand(u.shape) for flag in (draws.noised, draws.given)]
    return torch.cat([u, *flags, sines], dim=-1)


def look(weights: Weights, problem: Problem, y: Tensor, draws: Draws) -> Means:
    """Return E[z | y], which is y in given columns, and the posterior deviations."""
    noise, seen = torch.where(draws.noised, draws.scale**2, 0.0), draws.noised | draws.given
    m, v = problem.backbone.location, problem.backbone.variance
    mean, variance = problem.posterior(problem.backbone, y, noise, seen)
    least = SMALLEST_SHARE * torch.clamp(draws.scale**2, max=1.0)
    deviation = torch.maximum(variance, least).sqrt()
    u = torch.where(seen, (y - m) / torch.sqrt(v + noise), 0.0)
    unit = deviation * draws.scale / (draws.scale + SMOOTH)
    clean = mean + unit * network(weights, problem, u, draws)
    return torch.where(draws.given, y, clean), deviation


def denoising(weights: Weights, problem: Problem, Z: Tensor, draws: Draws) -> Tensor:
    """Return ½ Σ ((E[z | y] − z) / c)² over the mirrored pair, per column."""
    shift = torch.where(draws.noised, draws.scale * draws.noise, 0.0)
    clean, deviation = look(weights, problem, torch.stack([Z + shift, Z - shift]), draws)
    errors = torch.where(draws.noised, (clean - Z) / deviation, 0.0)
    return 0.5 * (errors * errors).sum() / errors.numel()


def sliced_terms(Z: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Return noisy rows, and directions that are zero where nothing is asked for."""
    y = Z + torch.where(draws.noised, draws.scale * draws.noise, 0.0)
    return y, torch.where(draws.noised, draws.direction, 0.0)


def sliced_of(draws: Draws, score: Tensor, curvature: Tensor) -> Tensor:
    """Return s² (½‖score‖² + vᵀ∇score v) per column."""
    score = torch.where(draws.noised, score, 0.0)
    loss = 0.5 * (score * score).sum(1) + curvature.sum(1)
    return (draws.scale[:, 0] ** 2 * loss).mean() / score.shape[1]


def sliced_forward(weights: Weights, problem: Problem, Z: Tensor, draws: Draws) -> Tensor:
    """Take the product by a Jacobian-vector product."""
    y, v = sliced_terms(Z, draws)

    def score(y: Tensor) -> Tensor:
        return (look(weights, problem, y, draws)[0] - y) / draws.scale**2

    said, product = torch.func.jvp(score, (y,), (v,))
    return sliced_of(draws, said, v * product)


def sliced_double_backward(weights: Weights, problem: Problem, Z: Tensor, draws: Draws) -> Tensor:
    """Take the product by a second backward pass."""
    y, v = sliced_terms(Z, draws)
    y.requires_grad_()
    said = (look(weights, problem, y, draws)[0] - y) / draws.scale**2
    product = torch.autograd.grad((said * v).sum(), y, create_graph=True)[0]
    return sliced_of(draws, said, v * product)


def sliced_reverse(weights: Weights, problem: Problem, Z: Tensor, draws: Draws) -> Tensor:
    """Take the product by a vector-Jacobian product, which can be compiled."""
    y, v = sliced_terms(Z, draws)

    def projected(y: Tensor) -> tuple[Tensor, Tensor]:
        said = (look(weights, problem, y, draws)[0] - y) / draws.scale**2
        return (said * v).sum(), said

    product, said = torch.func.grad(projected, has_aux=True)(y)
    return sliced_of(draws, said, v * product)


LOSSES: dict[str, dict[str, Callable[..., Tensor]]] = {
    "denoising": {"reverse": denoising},
    "sliced": {
        "forward": sliced_forward,
        "double backward": sliced_double_backward,
        "reverse": sliced_reverse,
    },
}
