"""Learn the law of every column given those before it, from completed tables."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import Coordinates, learn_coordinates
from sm_estimators.conditionals.curve import Curve
from sm_estimators.conditionals.curve_choice import chosen_curves
from sm_estimators.conditionals.factor import Factor
from sm_estimators.conditionals.forest import LEAF, Forest, grow_tree, joined
from sm_estimators.conditionals.leaf_values import LeafValues
from sm_estimators.conditionals.likelihood_shares import likelihood_shares
from sm_estimators.conditionals.line import Line
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.moments import Moments, pooled_moments
from sm_estimators.conditionals.points import Points
from sm_estimators.conditionals.prediction import Prediction
from sm_estimators.conditionals.sequence import Sequence

N_TREES = 30
MIN_LEAF = 3
"""Rows in a leaf at least."""
BAG = 0.75
"""Share of the rows that a tree sees; the others judge it."""
MAX_ROWS = 4000
"""Rows that a column learns from at most."""
MAX_SCORED = 800
"""Rows that decide shares at most."""
MAX_FEATURES = 24
"""Coordinates among which a tree looks for a split at most."""
FEWEST = 20
"""Seen values of a column that is given others."""
N_WHOLE, MAX_WHOLE = 6, 300
"""Trees of a column that is given none, which are a root, and rows in each at most."""
FEW_VALUES = 50
"""Values of a column of masses at most,"""
ONCE = 0.02
"""and share of the rows with a value that was seen once."""


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

    def residuals(self, table: int, rows: np.ndarray) -> Float[np.ndarray, " r"]:
        """Return what the linear law leaves of some cells, in the units of the column."""
        if self.column.nominal:
            return np.zeros(len(rows))
        return self.y[rows] - self.column.predicted(self.z[table, rows])


def fit_sequence(
    rng: np.random.Generator,
    tables: Completions,
    observed: Bool[np.ndarray, "n d"],
    weight: Float[np.ndarray, " n"],
) -> Sequence:
    """Learn a sequence from tables in which holes have been drawn.

    Columns with the fewest holes come first, among them those with few values. Each is learned
    from the rows in which it was seen.
    """
    tables, curves = mapped(tables, observed, weight)
    moments = pooled_moments(rng, tables.linear, weight)
    before = np.zeros(tables.linear.shape[-1], bool)
    factors = []
    for j in sequence_order(tables, observed):
        rows = np.flatnonzero(observed[:, j])
        if len(rows) > MAX_ROWS:
            rows = np.sort(rng.choice(rows, MAX_ROWS, replace=False))
        given = before if len(rows) >= FEWEST else np.zeros_like(before)
        cells = cells_of(
            tables, j, rows, weight=weight[rows], curve=curves[j], given=given, moments=moments
        )
        factors.append(learn_factor(rng, j, cells))
        before[tables.blocks[j]] = True
    return Sequence(curves, tables.coordinates, factors)


def mapped(
    tables: Completions, observed: Bool[np.ndarray, "n d"], weight: Float[np.ndarray, " n"]
) -> tuple[Completions, list[Curve]]:
    """Return tables of mapped columns, and the maps."""
    columns = list(zip(tables.coordinates, tables.values[0].T, observed.T, strict=True))
    straight = [Curve.straight(x[seen]) for _, x, seen in columns]
    curves = [
        line if c.nominal else Curve.of(x[seen], weight[seen])
        for line, (c, x, seen) in zip(straight, columns, strict=True)
    ]
    curved = mapped_by(curves, tables, observed, weight)
    gain = np.zeros(tables.linear.shape[-1])
    for (c, x, seen), new, curve, block in zip(
        columns, curved.coordinates, curves, tables.blocks, strict=True
    ):
        if np.isfinite(curve.width):
            slope = np.average(curve.log_slope(x[seen]), weights=weight[seen])
            gain[block] = slope + np.log(c.scale / new.scale)
    chosen = chosen_curves(tables.linear[0], curved.linear[0], gain, weight)
    curves = [
        curve if chosen[block].any() else line
        for curve, line, block in zip(curves, straight, tables.blocks, strict=True)
    ]
    return mapped_by(curves, tables, observed, weight), curves


def mapped_by(
    curves: list[Curve], tables: Completions, observed: np.ndarray, weight: np.ndarray
) -> Completions:
    """Return tables of mapped columns."""
    columns = zip(curves, np.moveaxis(tables.values, 2, 0), strict=True)
    values = np.stack([curve.forward(x) for curve, x in columns], axis=2)
    nominal = np.array([column.nominal for column in tables.coordinates])
    return Completions(learn_coordinates(values[0], observed, nominal, weight), values)


def sequence_order(tables: Completions, observed: Bool[np.ndarray, "n d"]) -> list[int]:
    """Return the columns, those with the fewest holes first, among them those of few values."""
    seen = [tables.values[0, rows, j] for j, rows in enumerate(observed.T)]
    many = [not (c.nominal or few(y)) for c, y in zip(tables.coordinates, seen, strict=True)]
    return np.lexsort((many, (~observed).sum(axis=0))).tolist()


def few(y: Float[np.ndarray, " n"]) -> bool:
    """Return whether each of the seen values has a mass: few, and hardly any seen only once."""
    counts = np.unique(y, return_counts=True)[1]
    once = (counts == 1).sum()
    return len(counts) < 3 or bool(len(counts) <= FEW_VALUES and once <= max(2, ONCE * len(y)))


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


def learn_factor(rng: np.random.Generator, j: int, cells: Cells) -> Factor:
    """Grow the trees of a column, and find the shares of all parts by rows they did not see."""
    leaf_values, unused = grow(rng, cells)
    y, weight, column = cells.y, cells.weight, cells.column
    if column.nominal or few(y):
        support = Points.of(y, weight)
    else:
        residuals = y - column.predicted(cells.alone)
        support = Line.of(y, weight, step=cells.step, residuals=residuals)
    scored = rng.permutation(np.flatnonzero(unused.any(axis=1)))[:MAX_SCORED]
    ranked, z = cells.ranked[0, scored], cells.alone[scored]
    ranked[:, cells.block] = column.ranked_prediction(z)
    held_out = Prediction(cells.law, leaf_values, z, ranked, unused[scored])
    parts = support.parts(y[scored], held_out)
    shares = likelihood_shares(parts, weight[scored], always=len(parts) - 1)
    support, shares = support.pruned(shares)
    return Factor(j, cells.block, cells.law, leaf_values, support, shares)


def grow(rng: np.random.Generator, cells: Cells) -> tuple[LeafValues, np.ndarray]:
    """Return trees, each of one completed table, and which of them have not used a row, (n, t)."""
    m, n = cells.z.shape[:2]
    given = len(cells.before) > 0
    n_trees = N_TREES if given else N_WHOLE
    n_used = max(min(round(BAG * n), n if given else MAX_WHOLE), 1)
    place = np.searchsorted(cells.column.values, cells.y)
    trees, residuals, unused = [], [], np.ones((n, n_trees), bool)
    for t in range(n_trees):
        used = rng.permutation(n)[:n_used]
        unused[used, t] = False
        tree = grow_one(rng, cells, t % m, used)
        kept = tree.values.astype(np.intp)
        residuals.append(cells.residuals(t % m, kept))
        trees.append(replace(tree, values=place[kept].astype(np.float32)))
    return LeafValues(joined(trees), np.concatenate(residuals).astype(np.float32)), unused


def grow_one(rng: np.random.Generator, cells: Cells, table: int, used: np.ndarray) -> Forest:
    """Return a tree of some rows of one table; its values are the numbers of rows.

    Numbers are split by what they are and by their residuals together. Without columns before
    this one the tree is a root.
    """
    features = np.append(cells.before, np.arange(cells.block.start, cells.block.stop))
    X = cells.ranked[table][np.ix_(used, features)]
    if not len(cells.before):
        X, features = np.zeros((len(used), 1), np.float32), np.zeros(1, int)
    response = cells.column.response(cells.y[used])
    if not cells.column.nominal:
        both = np.stack([response, cells.residuals(table, used)], axis=1)
        response = both / np.maximum(both.std(axis=0), np.finfo(float).tiny)
    tree = grow_tree(
        rng,
        X,
        response,
        used.astype(np.float64),
        cells.weight[used],
        min_leaf=MIN_LEAF,
        max_features=min(1.0, MAX_FEATURES / len(features)),
    )
    feature = np.where(tree.feature == LEAF, LEAF, features[np.maximum(tree.feature, 0)])
    return replace(tree, feature=feature.astype(np.int32))
