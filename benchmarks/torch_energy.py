"""The peer: the same energy, the same losses and Adam in plain PyTorch.

Every loss is written in the ways a PyTorch user would: double backward through ``autograd.grad``
(a loop over columns for the trace), and with ``torch.func`` forward over reverse or reverse over
reverse, the trace vectorised. The last also runs under ``torch.compile``, which cannot compile
the zero tangents of the forward mode. The benchmark measures all and reports the best. Noise is an
argument, so that the losses can be compared with ours number by number.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

Params = dict[str, Tensor]
Loss = Callable[[Params, Tensor, Tensor], Tensor]


def initial_params(d: int, hidden: tuple[int, ...]) -> Params:
    """Return a standard Gaussian and a perceptron whose last layer is zero."""
    params = {
        "location": torch.zeros(d),
        "log_diagonal": torch.zeros(d),
        "lower": torch.zeros(d * (d - 1) // 2),
    }
    sizes = (d, *hidden, 1)
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        weight = torch.randn(n_in, n_out) / n_in**0.5
        params[f"weight_{i}"] = weight if i < len(hidden) else torch.zeros_like(weight)
        params[f"bias_{i}"] = torch.zeros(n_out)
    return params


def log_density(params: Params, X: Tensor) -> Tensor:
    """Return log q of every row, without the constant of the Gaussian."""
    d = X.shape[1]
    rows, columns = torch.tril_indices(d, d, -1)
    L = torch.diag(params["log_diagonal"].exp()).index_put((rows, columns), params["lower"])
    Z = (X - params["location"]) @ L
    h, n_layers = X, sum(name.startswith("weight") for name in params)
    for i in range(n_layers - 1):
        h = torch.nn.functional.silu(h @ params[f"weight_{i}"] + params[f"bias_{i}"])
    correction = (h @ params[f"weight_{n_layers - 1}"] + params[f"bias_{n_layers - 1}"])[:, 0]
    return params["log_diagonal"].sum() - 0.5 * (Z * Z).sum(1) + correction


def attached_score(params: Params, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return leaf rows and their scores, kept in the graph."""
    X = X.detach().requires_grad_()
    return X, torch.autograd.grad(log_density(params, X).sum(), X, create_graph=True)[0]


def score_of(params: Params) -> Callable[[Tensor], Tensor]:
    """Return the score of a batch as a pure function."""
    return torch.func.grad(lambda X: log_density(params, X).sum())


def explicit_double_backward(params: Params, X: Tensor, noise: Tensor) -> Tensor:
    """Return ½‖s‖² + tr ∇s with one backward pass per column."""
    X, s = attached_score(params, X)
    columns = range(X.shape[1])
    second = [torch.autograd.grad(s[:, j].sum(), X, create_graph=True)[0][:, j] for j in columns]
    return (0.5 * (s * s).sum(1) + torch.stack(second).sum(0)).mean()


def explicit_forward(params: Params, X: Tensor, noise: Tensor) -> Tensor:
    """Return ½‖s‖² + tr ∇s with d Jacobian-vector products side by side."""
    score = score_of(params)
    basis = torch.eye(X.shape[1])

    def entry(e: Tensor) -> Tensor:
        return (torch.func.jvp(score, (X,), (e.expand_as(X),))[1] * e).sum(1)

    s = score(X)
    return (0.5 * (s * s).sum(1) + torch.func.vmap(entry)(basis).sum(0)).mean()


def explicit_reverse(params: Params, X: Tensor, noise: Tensor) -> Tensor:
    """Return ½‖s‖² + tr ∇s with d vector-Jacobian products side by side."""
    score = score_of(params)

    def entry(e: Tensor) -> Tensor:
        return torch.func.grad(lambda X: (score(X) * e).sum())(X) @ e

    s = score(X)
    return (0.5 * (s * s).sum(1) + torch.func.vmap(entry)(torch.eye(X.shape[1])).sum(0)).mean()


def sliced_double_backward(params: Params, X: Tensor, noise: Tensor) -> Tensor:
    """Return ½‖s‖² + vᵀ∇s v, the product by a second backward pass."""
    X, s = attached_score(params, X)
    product = torch.autograd.grad((s * noise).sum(), X, create_graph=True)[0]
    return (0.5 * (s * s).sum(1) + (product * noise).sum(1)).mean()


def sliced_forward(params: Params, X: Tensor, noise: Tensor) -> Tensor:
    """Return ½‖s‖² + vᵀ∇s v, the product by a Jacobian-vector product."""
    s, product = torch.func.jvp(score_of(params), (X,), (noise,))
    return (0.5 * (s * s).sum(1) + (product * noise).sum(1)).mean()


def sliced_reverse(params: Params, X: Tensor, noise: Tensor) -> Tensor:
    """Return ½‖s‖² + vᵀ∇s v, the product by a vector-Jacobian product."""
    score = score_of(params)
    s, product = score(X), torch.func.grad(lambda X: (score(X) * noise).sum())(X)
    return (0.5 * (s * s).sum(1) + (product * noise).sum(1)).mean()


def denoising(params: Params, X: Tensor, noise: Tensor, *, attached: bool) -> Tensor:
    """Return ½‖s(x̃)‖² + s(x̃)·ε/σ over the antithetic pair x ± σε, σ = .1."""
    noise = torch.cat([noise, -noise])
    X = torch.cat([X, X]) + 0.1 * noise
    s = attached_score(params, X)[1] if attached else score_of(params)(X)
    return (0.5 * (s * s).sum(1) + (s * noise).sum(1) / 0.1).mean()


LOSSES: dict[str, dict[str, Loss]] = {
    "explicit": {
        "double backward": explicit_double_backward,
        "forward": explicit_forward,
        "reverse": explicit_reverse,
    },
    "sliced": {
        "double backward": sliced_double_backward,
        "forward": sliced_forward,
        "reverse": sliced_reverse,
    },
    "denoising": {
        "double backward": partial(denoising, attached=True),
        "reverse": partial(denoising, attached=False),
    },
}
COMPILED = "reverse, compiled"


def gradients(objective: str, variant: str) -> Callable[[Params, Tensor, Tensor], Params]:
    """Return the gradient of a loss with respect to the parameters."""
    if variant == COMPILED:
        return torch.compile(torch.func.grad(LOSSES[objective]["reverse"]), dynamic=False)
    if variant != "double backward":
        return torch.func.grad(LOSSES[objective][variant])
    loss = LOSSES[objective][variant]

    def backward(params: Params, X: Tensor, noise: Tensor) -> Params:
        leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
        found = torch.autograd.grad(
            loss(leaves, X, noise), list(leaves.values()), materialize_grads=True
        )
        return dict(zip(params, found, strict=True))

    return backward


def variants(objective: str) -> Iterator[str]:
    """Yield the ways a loss can be run."""
    yield from (*LOSSES[objective], COMPILED)


class TorchTraining:
    """Adam on minibatches; no clipping, no moving average, no held-out rows."""

    def __init__(self, objective: str, variant: str, X: Tensor, *, hidden, batch_size: int):
        self.X, self.batch_size, self.rademacher = X, batch_size, objective == "sliced"
        self.gradients = gradients(objective, variant)
        self.params = initial_params(X.shape[1], hidden)
        self.optimiser = torch.optim.Adam(self.params.values(), lr=1e-3, fused=True)

    def run(self, n_steps: int) -> None:
        """Take steps."""
        for _ in range(n_steps):
            X = self.X[torch.randint(len(self.X), (self.batch_size,))]
            noise = torch.randn_like(X)
            found = self.gradients(self.params, X, noise.sign() if self.rademacher else noise)
            for name, p in self.params.items():
                p.grad = found[name]
            self.optimiser.step()
