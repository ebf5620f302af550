"""A table as marginal score matching sees it: standardised, with its ridge and its noise."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sm_estimators._patterns import PatternTable, group_by_pattern
from sm_estimators.missing.gaussian_em import Moments, climb
from sm_estimators.missing.marginal_loss import MarginalLoss, gaussian_marginal_gradient
from sm_estimators.missing.sparse_precision import SparseInverse, inverse

START_RIDGE = 1e-6
"""Least ridge of the EM that searches start from."""


class GaussianMarginal(NamedTuple):
    """What marginal score matching found, in the units of the data."""

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    precision: Float[np.ndarray, "d d"]
    """With exact zeros where ``l1`` made them."""
    loss: float
    """The loss of the standardised columns, without the penalty."""
    n_iter: int
    converged: bool


class Found(NamedTuple):
    """Where a search ended, in standardised columns."""

    location: Float[np.ndarray, " d"]
    precision: Float[np.ndarray, "d d"]
    loss: float
    """The smooth part of the objective."""
    n_iter: int
    converged: bool


@dataclass(frozen=True)
class MarginalTask:
    """A table in units of its columns, and the smooth part of the objective there."""

    table: PatternTable
    centre: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    ridge: float
    noise: Float[np.ndarray, " d"] | None

    @classmethod
    def of(cls, X, observed, weights, ridge: float, smoothing: float) -> "MarginalTask":
        """Return the task of a table; raises `ValueError` if a column was never seen."""
        table, centre, scale = group_by_pattern(X, observed, weights).standardised()
        return cls(table, centre, scale, ridge, smoothing / scale**2 if smoothing > 0 else None)

    def loss(self, location: np.ndarray, K: np.ndarray) -> MarginalLoss:
        """Return L(μ, K) + ½ ridge ‖K‖² with its gradients."""
        loss = gaussian_marginal_gradient(location, K, self.table, self.noise)
        value = loss.value + 0.5 * self.ridge * float(np.vdot(K, K))
        return loss._replace(value=value, precision=loss.precision + self.ridge * K)

    def climb(
        self, start: Moments | None = None, *, tol: float, invert: SparseInverse | None = None
    ) -> tuple[Moments, bool]:
        """Return the moments of EM, and whether it settled."""
        ridge = max(self.ridge, START_RIDGE)
        moments, _, settled = climb(
            self.table, ridge, invert=invert, start=start, tol=tol, max_iter=300
        )
        return moments, settled

    def smoothed(self, covariance: np.ndarray) -> np.ndarray:
        """Return a covariance with the noise added."""
        return covariance if self.noise is None else covariance + np.diag(self.noise)

    def standardise(self, fit: GaussianMarginal) -> tuple[np.ndarray, np.ndarray]:
        """Return the location and the precision of a fit for standardised columns."""
        K = fit.precision * np.outer(self.scale, self.scale)
        return (fit.location - self.centre) / self.scale, K

    def restore(self, found: Found) -> GaussianMarginal:
        """Return a fit of standardised columns in the units of the data."""
        location, K, loss, n_iter, converged = found
        squares = np.outer(self.scale, self.scale)
        return GaussianMarginal(
            self.centre + self.scale * location,
            inverse(K) * squares,
            K / squares,
            loss - 0.5 * self.ridge * float(np.vdot(K, K)),
            n_iter,
            converged,
        )
