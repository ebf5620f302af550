"""The posterior of a Gaussian in plain PyTorch, in the ways a PyTorch user would find it.

Every function takes a backbone, noisy rows (..., n, d), the variances of their noise and which of
the columns are seen (n, d), and returns posterior means (..., n, d) and variances (n, d). Rows may
come in mirrored pairs, (2, n, d), which share their variances.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Means = tuple[Tensor, Tensor]


class Backbone(NamedTuple):
    """Mean, covariance (d, d) or variances (d,), and eigenvalues and eigenvectors."""

    location: Tensor
    covariance: Tensor
    values: Tensor
    vectors: Tensor

    @property
    def variance(self) -> Tensor:
        """Variances of the columns."""
        return torch.diagonal(self.covariance) if self.covariance.ndim == 2 else self.covariance


def backbone_of(covariance: np.ndarray) -> Backbone:
    """Return the backbone with mean zero and this covariance, or these variances."""
    S = torch.as_tensor(covariance, dtype=torch.float32)
    eigen = torch.linalg.eigh(S) if S.ndim == 2 else (S, S)
    return Backbone(torch.zeros(len(S)), S, *eigen)


def diagonal(backbone: Backbone, y: Tensor, noise: Tensor, seen: Tensor) -> Means:
    """Treat columns as independent."""
    m, v = backbone.location, backbone.covariance
    gain = torch.where(seen, v / (v + noise), 0.0)
    return m + gain * (y - m), (1 - gain) * v


def cholesky(backbone: Backbone, y: Tensor, noise: Tensor, seen: Tensor) -> Means:
    """Solve by one batched Cholesky factor."""
    P, mask = backbone.covariance, seen.to(noise.dtype)
    cross = P * mask[:, None, :]
    square = cross * mask[:, :, None] + torch.diag_embed(torch.where(seen, noise, 1.0))
    gain = torch.cholesky_solve(cross.mT, torch.linalg.cholesky_ex(square)[0]).mT
    return applied(gain, backbone, y), backbone.variance - (gain * cross).sum(-1)


def solve(backbone: Backbone, y: Tensor, noise: Tensor, seen: Tensor) -> Means:
    """Solve by one batched LU factorisation."""
    P, mask = backbone.covariance, seen.to(noise.dtype)
    cross = P * mask[:, None, :]
    square = cross * mask[:, :, None] + torch.diag_embed(torch.where(seen, noise, 1.0))
    gain = torch.linalg.solve_ex(square, cross.mT)[0].mT
    return applied(gain, backbone, y), backbone.variance - (gain * cross).sum(-1)


def applied(gain: Tensor, backbone: Backbone, y: Tensor) -> Tensor:
    """Return posterior means from gains (n, d, d)."""
    return backbone.location + (gain @ (y - backbone.location)[..., None])[..., 0]


def one_by_one(backbone: Backbone, y: Tensor, noise: Tensor, seen: Tensor) -> Means:
    """See one column after the other, of all rows at once."""
    m, P = backbone.location.expand(y.shape), backbone.covariance.expand(*noise.shape, y.shape[-1])
    for j in range(y.shape[-1]):
        column = P[:, :, j]
        spread = torch.where(seen[:, j], column[:, j] + noise[:, j], torch.inf)
        share = column / spread[:, None]
        m = m + share * (y[..., j] - m[..., j])[..., None]
        P = P - share[:, :, None] * column[:, None, :]
    return m, torch.diagonal(P, dim1=1, dim2=2)


def eigenvectors(backbone: Backbone, y: Tensor, noise: Tensor, seen: Tensor) -> Means:
    """Use the closed form where all columns are noised, and Cholesky factors elsewhere."""
    U, m = backbone.vectors, backbone.location
    every = ((noise > 0) & seen).all(dim=1)
    mean, variance = torch.empty_like(y), torch.empty_like(noise)
    left = backbone.values / (backbone.values + noise[every, :1])
    mean[..., every, :] = m + (((y[..., every, :] - m) @ U) * left) @ U.mT
    variance[every] = (left * noise[every, :1]) @ (U * U).mT
    some = ~every
    mean[..., some, :], variance[some] = cholesky(
        backbone, y[..., some, :], noise[some], seen[some]
    )
    return mean, variance


FULL: dict[str, Callable[..., Means]] = {
    "Cholesky": cholesky,
    "solve": solve,
    "one by one": one_by_one,
    "eigenvectors": eigenvectors,
}
DIAGONAL: dict[str, Callable[..., Means]] = {"diagonal": diagonal}


def ways_of(backbone: Backbone) -> dict[str, Callable[..., Means]]:
    """Return the ways to find the posterior."""
    return FULL if backbone.covariance.ndim == 2 else DIAGONAL
