"""Trees of a column, each of some rows of one completed table."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from sm_estimators.conditionals.cells import Cells
from sm_estimators.conditionals.forest import Forest, grow_tree, joined, smallest
from sm_estimators.conditionals.leaf_values import LeafValues

N_TREES = 30
"""Of a column."""
MIN_LEAF = 3
"""Rows in a leaf at least."""
BAG = 0.7
"""Share of the rows that a tree sees; the others judge it."""
MAX_FEATURES = 24
"""Coordinates among which a tree looks for a split at most."""
N_WHOLE, MAX_WHOLE = 6, 200
"""Trees of a column that is given none, which are a root, and rows in each at most."""


def bagged_trees(
    rng: np.random.Generator, cells: Cells
) -> tuple[LeafValues, Bool[np.ndarray, "n t"]]:
    """Return trees, each of one completed table, and which of them have not used a row, (n, t)."""
    m, n = cells.z.shape[:2]
    given = len(cells.before) > 0
    n_trees = N_TREES if given else N_WHOLE
    n_used = max(min(round(BAG * n), n if given else MAX_WHOLE), 1)
    place = np.searchsorted(cells.values, cells.y)
    trees, residuals, unused = [], [], np.ones((n, n_trees), bool)
    for t in range(n_trees):
        used = rng.permutation(n)[:n_used]
        unused[used, t] = False
        tree = grow_one(rng, cells, t % m, used)
        residuals.append(cells.residuals(t % m, tree.items))
        trees.append(replace(tree, items=smallest(place[tree.items])))
    return LeafValues(joined(trees), np.concatenate(residuals)), unused


def grow_one(rng: np.random.Generator, cells: Cells, table: int, used: np.ndarray) -> Forest:
    """Return a tree of some rows of one table; its items are the numbers of rows.

    Numbers are split by what they are and by their residuals together. Without columns before
    this one the tree is a root.
    """
    features = np.append(cells.before, np.arange(cells.block.start, cells.block.stop))
    X = cells.ranked[table].take(used, axis=0).take(features, axis=1)
    if not len(cells.before):
        X, features = np.zeros((len(used), 1), np.float32), np.zeros(1, int)
    response = cells.column.response(cells.y[used])
    if not cells.column.nominal:
        both = np.stack([response, cells.residuals(table, used)], axis=1)
        spread = both.std(axis=0)
        response = both / np.where(spread > 0, spread, 1.0)
    tree = grow_tree(
        rng,
        X,
        response,
        used,
        cells.weight[used],
        min_leaf=MIN_LEAF,
        max_features=min(1.0, MAX_FEATURES / len(features)),
    )
    feature = np.where(tree.feature < 0, tree.feature, features[np.maximum(tree.feature, 0)])
    return replace(tree, feature=smallest(feature))
