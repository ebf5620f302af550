"""The ridge of the Gaussian of a table with holes, chosen by rows held out."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sm_estimators._patterns import PatternTable, group_by_pattern
from sm_estimators.missing.gaussian_em import Moments, climb, em_step

RIDGES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5)
"""In variances of the columns, in the order in which they are tried."""
GAIN = 0.001
"""In the log-likelihood of a row, by which a smaller one must be better."""
LOST = 3.0
"""By which one must be worse than the best for smaller ones not to be tried."""
USUAL = 0.001
"""Where there are too few rows to tell."""
MAX_ROWS = 1500
"""Rows that decide at most."""
N_FOLDS = 5
EM = {"tol": 1e-3, "max_iter": 60}


class HeldOutRidge(NamedTuple):
    """A ridge, and the Gaussians with it that have not seen a fold of the rows each."""

    ridge: float
    fold: Int[np.ndarray, " n"] | None
    """Of each row; None where some rows are in none, and where no ridge would do."""
    moments: list[Moments]


def held_out_ridge(
    rng: np.random.Generator,
    X: Float[np.ndarray, "n p"],
    observed: Bool[np.ndarray, "n p"],
    weight: Float[np.ndarray, " n"],
) -> HeldOutRidge:
    """Choose the ridge with which a Gaussian predicts rows that it has not seen best.

    By the log-likelihood of what was seen of them, averaged over folds. It is large in tables of
    few rows and many columns, and small where columns nearly determine each other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 10))
    >>> X[:, 0] = X[:, 1:].sum(axis=1) + 0.1 * rng.normal(size=60)
    >>> held_out_ridge(rng, X, np.ones(X.shape, bool), np.ones(60)).ridge <= 0.003
    True
    >>> X[:, 0] = rng.normal(size=60)
    >>> held_out_ridge(rng, X, np.ones(X.shape, bool), np.ones(60)).ridge >= 0.1
    True
    """
    if len(X) < 2 * N_FOLDS:
        return HeldOutRidge(USUAL, None, [])
    n, rows = len(X), rng.permutation(len(X))[:MAX_ROWS]
    observed, weight = observed[rows], weight[rows]
    Z, centre, scale = standardised(X[rows], observed, weight)
    fold = np.arange(len(rows)) % N_FOLDS
    pairs = []
    for f in range(N_FOLDS):
        parts = (fold != f, fold == f)
        pairs.append(tuple(group_by_pattern(Z[r], observed[r], weight[r]) for r in parts))
    best, height, starts = RIDGES[0], -np.inf, [None] * N_FOLDS
    chosen = starts
    for ridge in RIDGES:
        starts = [learned(pair[0], ridge, s) for pair, s in zip(pairs, starts, strict=True)]
        found = np.mean([log_likelihood(p[1], m) for p, m in zip(pairs, starts, strict=True)])
        if found > height + GAIN:
            best, height, chosen = ridge, found, starts
        elif found < height - LOST:
            break
    moments = [Moments(centre + scale * m[0], np.outer(scale, scale) * m[1]) for m in chosen if m]
    of_row = fold[np.argsort(rows)] if moments and n == len(rows) else None
    return HeldOutRidge(best, of_row, moments)


def learned(table: PatternTable, ridge: float, start: Moments | None) -> Moments:
    """Return the moments of an EM, from those of another ridge."""
    return climb(table, ridge, start=start, **EM)[0]


def log_likelihood(table: PatternTable, moments: Moments) -> float:
    """Return the mean log-likelihood of what was seen, but for a constant."""
    try:
        return em_step(table, moments).height
    except np.linalg.LinAlgError:
        return -np.inf


def standardised(
    X: np.ndarray, observed: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the table in units of its columns, zero in holes, their centres and their units."""
    w = observed * weight[:, None]
    total = np.maximum(w.sum(axis=0), 1e-300)
    centre = (w * np.where(observed, X, 0.0)).sum(axis=0) / total
    Z = np.where(observed, X - centre, 0.0)
    scale = np.sqrt((w * Z**2).sum(axis=0) / total)
    scale = np.where(scale > 0, scale, 1.0)
    return Z / scale, centre, scale
