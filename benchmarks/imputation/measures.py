"""How good imputations are, in standard deviations of the complete fitted rows.

Cells are the hidden ones, as vectors of length m; draws of them are (K, m). What a finite number of
draws adds to an error is taken off, so that methods with few draws compare to methods with many.
"""

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks.imputation.holes import Part

TAIL = 0.05
ENERGY_DRAWS = 10
ENERGY_ROWS = 2000
SAME = 1e-9
"""Values closer than this, in standard deviations, count as equal: rounding of units."""


def measure(part: Part, point: np.ndarray | None, draws: np.ndarray | None, by: np.ndarray) -> dict:
    """Return every measure of the completions of a table by name.

    Parameters
    ----------
    part : Part
        The n rows, complete and with holes.
    point : array of shape (n, d), optional
        The point estimate of a method; the mean of the draws, with its error corrected, otherwise.
    draws : array of shape (K, n, d), optional
        Tables completed at random. Without them there is neither CRPS nor coverage, and energy and
        variances are those of the point estimate.
    by : array of shape (k, d)
        The complete rows whose means and deviations scale everything.
    """
    centre, scale = by.mean(axis=0), by.std(axis=0)
    scaled = [None if Z is None else (Z - centre) / scale for Z in (part.complete, point, draws)]
    Y, point, draws = scaled
    hidden, truth = part.hidden, Y[part.hidden]
    tables = draws if draws is not None else point[None]
    found = {
        "energy": energy(tables, Y),
        "variance_ratio": variance_ratio(tables, Y, hidden),
    }
    if point is not None:
        found |= {"rmse": rmse(point[hidden], truth), "mae": mae(point[hidden], truth)}
    if draws is not None:
        cells = draws[:, hidden]
        found["mae"] = mae(np.median(cells, axis=0), truth)
        found["rmse_draws"] = rmse_of_mean(cells, truth)
        found.setdefault("rmse", found["rmse_draws"])
        found |= {"crps": crps(cells, truth), "coverage": coverage(cells, truth)}
        found["nominal"] = nominal_coverage(len(cells))
    return found


def rmse(point: np.ndarray, truth: np.ndarray) -> float:
    """Return the root of the mean squared error over cells."""
    return float(np.sqrt(np.mean((point - truth) ** 2)))


def mae(point: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean absolute error over cells."""
    return float(np.mean(np.abs(point - truth)))


def rmse_of_mean(draws: np.ndarray, truth: np.ndarray) -> float:
    """Return the RMSE that the mean of infinitely many draws would have.

    The mean square error of the mean of K draws is larger by the mean of s² / K.
    """
    excess = draws.var(axis=0, ddof=1).mean() / len(draws)
    return float(np.sqrt(max(rmse(draws.mean(axis=0), truth) ** 2 - excess, 0.0)))


def crps(draws: np.ndarray, truth: np.ndarray) -> float:
    r"""Return the continuous ranked probability score, fair to few draws.

    Mean over cells of :math:`\frac1K\sum_k|x_k-y| - \frac1{2K(K-1)}\sum_{k,l}|x_k-x_l|`
    (Ferro 2014). The double sum is taken from the ordered draws.
    """
    k = len(draws)
    weights = 2 * np.arange(1, k + 1) - k - 1
    spread = np.tensordot(weights, np.sort(draws, axis=0), 1) / (k * (k - 1))
    return float(np.mean(np.abs(draws - truth).mean(axis=0) - spread))


def ranks(k: int) -> tuple[int, int]:
    """Return the order statistics of K draws between which 90 % lie, as nearly as can be."""
    low = max(1, round(TAIL * (k + 1)))
    return low, k + 1 - low


def nominal_coverage(k: int) -> float:
    """Return the chance that one more draw of the same kind is between the two `ranks`."""
    low, high = ranks(k)
    return (high - low) / (k + 1)


def coverage(draws: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of cells between the two `ranks` of their draws.

    The true value is put at random among draws that equal it, and the chance is averaged: for
    exchangeable draws the result is `nominal_coverage` on average, in columns of few values too.
    """
    low, high = ranks(len(draws))
    below = (draws < truth - SAME).sum(axis=0)
    equal = (np.abs(draws - truth) <= SAME).sum(axis=0)
    inside = np.minimum(below + equal, high - 1) - np.maximum(below, low) + 1
    return float(np.mean(np.maximum(inside, 0) / (equal + 1)))


def variance_ratio(tables: np.ndarray, Y: np.ndarray, hidden: np.ndarray) -> float:
    """Return the variance of filled cells over that of true ones, averaged over columns.

    The variance is over the hidden cells of a column in one table, averaged over the tables.
    Columns whose hidden values do not vary are left out.
    """
    ratios = []
    for j in np.flatnonzero(hidden.sum(axis=0) > 1):
        cells = hidden[:, j]
        if (truth := Y[cells, j].var()) > 0:
            ratios.append(tables[:, cells, j].var(axis=1).mean() / truth)
    return float(np.mean(ratios))


def squared_energy(X: np.ndarray, Y: np.ndarray, *, within_y: float | None = None) -> float:
    """Return 2 E|X − Y| − E|X − X′| − E|Y − Y′| over all pairs, a row with itself included.

    Never negative, and zero of a table and itself (Székely and Rizzo 2013). ``within_y`` is the
    last term where it is known.
    """
    within_y = cdist(Y, Y).mean() if within_y is None else within_y
    return float(2 * cdist(X, Y).mean() - cdist(X, X).mean() - within_y)


def energy(tables: np.ndarray, Y: np.ndarray) -> float:
    """Return the squared energy distance of completed tables to the complete one, on average.

    Of at most ten tables and two thousand rows, the same ones of all.
    """
    rows = np.random.default_rng(0).permutation(len(Y))[:ENERGY_ROWS]
    Y = Y[rows]
    within = cdist(Y, Y).mean()
    return float(
        np.mean([squared_energy(X[rows], Y, within_y=within) for X in tables[:ENERGY_DRAWS]])
    )
