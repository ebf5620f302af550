"""Mean and covariance of completed tables, with a ridge that rows held out choose."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Added to the diagonal, as shares of it."""


class Moments(NamedTuple):
    """Of all coordinates."""

    location: Float[np.ndarray, " p"]
    covariance: Float[np.ndarray, "p p"]


def pooled_moments(
    rng: np.random.Generator, tables: Float[np.ndarray, "m n p"], weight: Float[np.ndarray, " n"]
) -> Moments:
    """Return the moments of completed tables together.

    The ridge is the one with which half of the rows of the first table predicts the other half
    best, by the Gaussian likelihood.
    """
    found = moments(tables, weight)
    half = rng.permutation(tables.shape[1]) % 2 == 0
    learned = moments(tables[:1, half], weight[half])
    rest = tables[0, ~half].astype(np.float64) - learned.location
    losses = [held_out_loss(ridged(learned, r), rest, weight[~half]) for r in RIDGES]
    return ridged(found, RIDGES[int(np.argmin(losses))])


def moments(tables: np.ndarray, weight: np.ndarray) -> Moments:
    """Return the weighted mean and covariance of tables (m, n, p)."""
    share = weight / (weight.sum() * len(tables))
    location = np.zeros(tables.shape[-1])
    for table in tables:
        location += share @ table
    covariance = np.zeros((len(location), len(location)))
    for table in tables:
        rows = (table - location) * np.sqrt(share)[:, None]
        covariance += rows.T @ rows
    return Moments(location, covariance)


def ridged(found: Moments, ridge: float) -> Moments:
    """Return moments with shares of the variances added to them; a constant has none of its own."""
    variances = np.diag(found.covariance)
    extra = ridge * np.maximum(variances, 1e-6 * variances.max(initial=1e-12))
    return Moments(found.location, found.covariance + np.diag(extra))


def held_out_loss(found: Moments, rows: np.ndarray, weight: np.ndarray) -> float:
    """Return twice the negative log-likelihood per row of centred rows (n, p), less a constant."""
    factor = np.linalg.cholesky(found.covariance)
    squares = np.square(np.linalg.solve(factor, rows.T)).sum(axis=0)
    return 2 * float(np.log(np.diag(factor)).sum()) + float(weight @ squares / weight.sum())
