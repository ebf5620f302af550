"""How far generated rows are from rows held out.

The energy distance, and the 1-Wasserstein distance of ForestDiffusion. For the latter columns are
put on [0, 1] by the smallest and largest value in the complete training rows (values outside stay
outside), the cost of a pair of rows is the sum over columns of absolute differences (Gower's
distance times the number of columns), and the transport is exact. This is what the script of
Jolicoeur-Martineau, Fatras and Kachman (2024) computes for numeric columns. It needs `POT`.
"""

import warnings

import numpy as np
from scipy.spatial.distance import cdist, pdist

N_MAX = 2000
"""Rows of either side that are used at most; the cost is cubic. The published script takes all of
up to 5000 training rows and gives no distance for longer tables."""


def unit_scaled(X: np.ndarray, scale_by: np.ndarray) -> np.ndarray:
    """Return ``X`` with the range of every column of ``scale_by`` mapped to [0, 1]."""
    low, high = np.nanmin(scale_by, axis=0), np.nanmax(scale_by, axis=0)
    return (X - low) / np.where(high > low, high - low, 1.0)


def subsample(X: np.ndarray, n_max: int, seed: int) -> np.ndarray:
    """Return ``n_max`` rows without replacement, or all; the same ones for the same seed."""
    if len(X) <= n_max:
        return X
    return X[np.random.default_rng(seed).choice(len(X), n_max, replace=False)]


def wasserstein(
    X: np.ndarray, Y: np.ndarray, *, scale_by: np.ndarray, n_max: int = N_MAX, seed: int = 0
) -> float:
    """Return the exact 1-Wasserstein distance of two tables, rows of equal weight.

    Parameters
    ----------
    X, Y : arrays of shape (n, d) and (m, d)
        Generated rows and test rows, without holes, in the same units.
    scale_by : array of shape (k, d)
        The training rows before any hole was made.
    n_max : int
        Rows of ``X`` and of ``Y`` used at most. Distances of different ``n_max`` do not compare.
    seed : int
        Which rows, where there are more.
    """
    import ot

    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise ValueError("`X` and `Y` must be finite; fill holes or leave their rows out.")
    X, Y = (unit_scaled(subsample(Z, n_max, seed + i), scale_by) for i, Z in enumerate((X, Y)))
    cost = ot.dist(X, Y, metric="cityblock")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return float(ot.emd2(ot.unif(len(X)), ot.unif(len(Y)), cost, numItermax=10_000_000))


def squared_energy_distance(X: np.ndarray, Y: np.ndarray) -> float:
    """Return 2 E|X − Y| − E|X − X′| − E|Y − Y′| of two samples (Székely and Rizzo 2013).

    Without bias: of two samples of one distribution it is zero on average, and may be negative.
    """
    return float(2 * cdist(X, Y).mean() - pdist(X).mean() - pdist(Y).mean())


def energy_distance(X: np.ndarray, Y: np.ndarray) -> float:
    """Return the energy distance of two samples as such, a root that always exists.

    Two samples of one distribution are some way apart: compare with rows of the truth.
    """
    within = pdist(X).mean() / len(X) + pdist(Y).mean() / len(Y)
    return float(np.sqrt(squared_energy_distance(X, Y) + within))
