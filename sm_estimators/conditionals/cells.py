"""The seen cells of a column in completed tables, beside what the columns before it say."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.curve import Curve
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.moments import Moments


class Cells(NamedTuple):
    """The seen cells of a column, and what the columns before it say about them."""

    y: Float[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    law: LinearLaw
    z: Float[np.ndarray, "m n w"]
    """Linear predictions, by the completed table that a row is taken from."""
    alone: Float[np.ndarray, "n w"]
    """The same in the first table, as if the law had not seen the row."""
    ranked: Float[np.ndarray, "m n p"]
    """Inputs of trees, with the linear predictions in the column's own place."""
    step: Float[np.ndarray, " n"]
    """The usual distance of two values."""
    block: slice
    before: Int[np.ndarray, " q"]
    """Which coordinates belong to columns before it."""

    @property
    def column(self) -> Coordinates:
        """How the column is written."""
        return self.law.coordinates

    @property
    def values(self) -> Float[np.ndarray, " k"]:
        """Distinct values, ascending; levels of the column also where these rows have none."""
        return self.column.values if self.column.nominal else np.unique(self.y)

    def residuals(self, table: int, rows: np.ndarray) -> Float[np.ndarray, " r"]:
        """Return what the linear law leaves of some cells, in the units of the column."""
        if self.column.nominal:
            return np.zeros(len(rows))
        return self.y[rows] - self.column.predicted(self.z[table, rows])


def cells_of(
    tables: Completions,
    j: int,
    rows: np.ndarray,
    *,
    weight: np.ndarray,
    curve: Curve,
    given: Bool[np.ndarray, " p"],
    moments: Moments,
) -> Cells:
    """Return the seen cells of a column with their predictions from the given coordinates.

    A row's own part of its linear prediction, h, is that of a regression with a ridge; without
    it, the row would be predicted at z − h / (1 − h) (y − z).
    """
    column, block = tables.coordinates[j], tables.blocks[j]
    before = np.flatnonzero(given)
    law = law_given(column, block, before, moments)
    linear, ranked = tables.linear[:, rows], tables.ranked[:, rows]
    z = law.predict(linear.reshape(-1, linear.shape[-1]))
    ranked[:, :, block] = column.ranked_prediction(z).reshape(len(linear), len(rows), -1)
    z = z.reshape(len(linear), len(rows), -1)
    y = tables.values[0, rows, j]
    residuals = column.linear(y) - z[0]
    h = leverages(linear[0][:, before], weight, moments, before)[:, None]
    alone = z[0] - h / (1 - h) * residuals
    deviation = np.sqrt(np.average(np.square(column.linear(y) - alone), axis=0, weights=weight))
    law = replace(law, deviation=np.maximum(deviation, 1e-9))
    return Cells(y, weight, law, z, alone, ranked, steps(curve, y), block, before)


def steps(curve: Curve, y: np.ndarray) -> np.ndarray:
    """Return the usual distance of two values at mapped values (n,).

    Before the map it is the same everywhere: a tenth of the distances of neighbours are smaller.
    """
    gaps = np.diff(curve.values)
    resolution = np.quantile(gaps, 0.1) if len(gaps) else 1.0
    return resolution * np.exp(curve.log_slope(curve.seen(y)))


def law_given(column: Coordinates, block: slice, before: np.ndarray, moments: Moments) -> LinearLaw:
    """Return the linear law of a block of coordinates given those before it."""
    own = np.arange(block.start, block.stop)
    S = moments.covariance
    slopes = np.zeros((len(S), len(own)))
    slopes[before] = np.linalg.solve(S[np.ix_(before, before)], S[np.ix_(before, own)])
    intercept = moments.location[own] - moments.location @ slopes
    return LinearLaw(column, intercept, slopes, np.ones(len(own)))


def leverages(
    linear: np.ndarray, weight: np.ndarray, moments: Moments, before: np.ndarray
) -> Float[np.ndarray, " n"]:
    """Return the part that each row has in its own linear prediction, half at most."""
    centred = linear - moments.location[before]
    S = moments.covariance[np.ix_(before, before)]
    squares = np.einsum("ij,ij->i", centred, np.linalg.solve(S, centred.T).T)
    return np.minimum((1 + squares) * weight / weight.sum(), 0.5)
