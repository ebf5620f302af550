"""Means over cells, with errors that know that cells of a row belong together."""

from typing import NamedTuple

import numpy as np


class RowMean(NamedTuple):
    """A weighted mean over cells and the influence of each row on it."""

    value: float
    """The mean."""
    influence: np.ndarray
    """(n,): how much each row moves it; adds to 0."""
    chance: float = 0.0
    """Variance that the rows do not account for: of what was drawn before it was scored."""

    @property
    def standard_error(self) -> float:
        """√(n/(n - 1) Σ influence² + chance), over n rows that have a cell; NaN for one of them."""
        moved = self.influence[~np.isnan(self.influence)]
        if len(moved) < 2:
            return np.nan
        return float(np.sqrt(len(moved) / (len(moved) - 1) * (moved**2).sum() + self.chance))

    def minus(self, other: "RowMean") -> "RowMean":
        """Return the difference of two means over the same cells, row by row.

        What makes a row hard for both cancels, so that its standard error is smaller than those of
        the two would suggest.
        """
        return RowMean(
            self.value - other.value,
            self.influence - other.influence,
            self.chance + other.chance,
        )

    def root(self) -> "RowMean":
        """Return the square root of the mean, 0 for one below 0, by the delta method."""
        value = float(np.sqrt(max(self.value, 0.0)))
        return RowMean(value, self.influence / (2 * value) if value else 0 * self.influence)


def average(means: list[RowMean]) -> RowMean:
    """Average over repeats with the same cells; how far they lie apart is chance."""
    values = np.array([mean.value for mean in means])
    chance = float(values.var(ddof=1)) / len(means) if len(means) > 1 else 0.0
    influence = np.mean([mean.influence for mean in means], axis=0)
    return RowMean(float(values.mean()), influence, chance)


def row_mean(
    values: np.ndarray, rows: np.ndarray, weights: np.ndarray | None = None, *, n_rows: int
) -> RowMean:
    """Average over cells that have a value.

    Parameters
    ----------
    values : ndarray of shape (c,)
        One per cell, NaN where a measure does not apply.
    rows : ndarray of whole numbers, shape (c,)
        The row of each.
    weights : ndarray of shape (c,), optional
        Equal by default.
    n_rows : int
        Rows of the table.

    Returns
    -------
    mean : RowMean
        NaN without cells; influence NaN for rows without cells.
    """
    applies = ~np.isnan(values)
    v, at = values[applies], rows[applies].astype(int)
    w = np.ones(len(v)) if weights is None else weights[applies]
    if not len(v):
        return RowMean(np.nan, np.full(n_rows, np.nan))
    value = float(w @ v / w.sum())
    influence = np.bincount(at, w * (v - value), n_rows) / w.sum()
    return RowMean(value, np.where(np.bincount(at, minlength=n_rows) > 0, influence, np.nan))
