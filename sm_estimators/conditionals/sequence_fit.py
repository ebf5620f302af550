"""Learn the law of every column given those before it, from completed tables."""

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators.conditionals.bagged_trees import bagged_trees
from sm_estimators.conditionals.cells import Cells, cells_of
from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.factor import Factor
from sm_estimators.conditionals.likelihood_shares import likelihood_shares
from sm_estimators.conditionals.line import Line
from sm_estimators.conditionals.mapped import mapped
from sm_estimators.conditionals.moments import pooled_moments
from sm_estimators.conditionals.points import Points
from sm_estimators.conditionals.prediction import Prediction
from sm_estimators.conditionals.sequence import Sequence

MAX_ROWS = 4000
"""Rows that a column learns from at most."""
MAX_SCORED = 600
"""Rows that decide shares at most."""
FEWEST = 20
"""Seen values of a column that is given others."""
FEW_VALUES = 50
"""Values of a column of masses at most,"""
ONCE = 0.02
"""and share of the rows with a value that was seen once."""


def fit_sequence(
    rng: np.random.Generator,
    tables: Completions,
    observed: Bool[np.ndarray, "n d"],
    weight: Float[np.ndarray, " n"],
) -> Sequence:
    """Learn a sequence from tables in which holes have been drawn.

    p(x) = Π_j p(x_j | x_<j). Columns with the fewest holes come first, among them those with few
    values, so that sequential imputation (Kong, Liu and Wong 1994) draws as little as it can. Each
    factor is learned from the rows in which its column was seen.

    Parameters
    ----------
    rng : Generator
        Of every random choice.
    tables : Completions
        m completed tables; a tree is grown on one of them.
    observed : ndarray of shape (n, d)
        True where a value was seen, which all tables have in common.
    weight : ndarray of shape (n,)
        Positive weights of the rows.

    Returns
    -------
    Sequence
        What draws whole rows and scores them.

    Examples
    --------
    >>> from sm_estimators.conditionals.coordinates import learn_coordinates
    >>> x = np.random.default_rng(0).normal(size=(200, 1))
    >>> X, observed, weight = np.hstack([x, 2 * x]), np.ones((200, 2), bool), np.ones(200)
    >>> coordinates = learn_coordinates(X, observed, np.zeros(2, bool), weight)
    >>> tables = Completions(coordinates, X[None])
    >>> sequence = fit_sequence(np.random.default_rng(0), tables, observed, weight)
    >>> new = sequence.sample(np.random.default_rng(1), 100)
    >>> bool(np.corrcoef(new.T)[0, 1] > 0.99)
    True
    >>> rows = np.array([[1.0, 2.0], [1.0, -2.0]])
    >>> usual, odd = sequence.log_density(np.random.default_rng(0), rows, rows != 0)
    >>> bool(usual > odd + 5)
    True
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


def learn_factor(rng: np.random.Generator, j: int, cells: Cells) -> Factor:
    """Grow the trees of a column, and find the shares of all parts by rows they did not see."""
    leaf_values, unused = bagged_trees(rng, cells)
    y, weight, column = cells.y, cells.weight, cells.column
    if column.nominal or few(y):
        support = Points.of(cells.values, y, weight)
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
