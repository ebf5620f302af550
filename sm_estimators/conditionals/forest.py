"""Randomised trees whose leaves hold the seen cells of a column.

A draw given a row is a cell from its leaf of a tree chosen at random: a draw from the seen values
with the weights of a quantile forest (Meinshausen 2006), as in imputation by forests (Doove, van
Buuren and Dusseldorp 2014). Trees are grown by scikit-learn and kept as flat arrays, so that rows
go down their trees all at once, and a fitted object holds no trees of another library.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.tree import ExtraTreeClassifier, ExtraTreeRegressor


@dataclass(frozen=True)
class Forest:
    """Trees, one after another; nodes and the cells of their leaves are numbered through.

    The left child of a node, where its feature is at most the threshold, is the next node.
    """

    roots: Int[np.ndarray, " t"]
    feature: Int[np.ndarray, " m"]
    """At a leaf, less than zero: the number of its cells with a minus."""
    threshold: Float[np.ndarray, " m"]
    right: Int[np.ndarray, " m"]
    """The other child; at a leaf, its first cell."""
    items: Int[np.ndarray, " v"]
    """What cells are known by: numbers of rows, or of values."""
    cumulated: Float[np.ndarray, " v+1"] | None
    """Weights of the cells, summed up from the first; None if they are equal."""

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def leaves(
        self, X: Float[np.ndarray, "n p"], row: Int[np.ndarray, " r"], tree: Int[np.ndarray, " r"]
    ) -> Int[np.ndarray, " r"]:
        """Return the leaf, as a node, of each of these rows of X in its tree."""
        node = self.roots[tree].astype(np.intp)
        moving = np.arange(len(node))
        at = node
        while len(moving):
            feature = self.feature[at]
            inner = feature >= 0
            if not inner.all():
                node[moving] = at
                moving, at, feature, row = moving[inner], at[inner], feature[inner], row[inner]
            goes_left = X[row, feature] <= self.threshold[at]
            at = np.where(goes_left, at + 1, self.right[at])
        return node

    def cells(self, leaf: Int[np.ndarray, " r"]) -> tuple[np.ndarray, np.ndarray]:
        """Return the first cell of each leaf, and one past the last."""
        first = self.right[leaf].astype(np.intp)
        return first, first - self.feature[leaf]

    def weights(self, first: np.ndarray, end: np.ndarray) -> Float[np.ndarray, " r"]:
        """Return the weight of the cells from ``first`` to ``end``, together."""
        if self.cumulated is None:
            return (end - first).astype(np.float64)
        return self.cumulated[end] - self.cumulated[first]

    def pick(self, u: Float[np.ndarray, " r"], leaf: Int[np.ndarray, " r"]) -> np.ndarray:
        """Return a cell of each leaf, chosen with the weights by a number in [0, 1)."""
        first, end = self.cells(leaf)
        if self.cumulated is None:
            cell = first + (u * (end - first)).astype(np.intp)
        else:
            sought = self.cumulated[first] + u * self.weights(first, end)
            cell = np.searchsorted(self.cumulated, sought, side="right") - 1
        return np.clip(cell, first, end - 1)

    def draw(
        self,
        rng: np.random.Generator,
        X: Float[np.ndarray, "n p"],
        row: Int[np.ndarray, " r"],
        tree: Int[np.ndarray, " r"],
    ) -> Int[np.ndarray, " r"]:
        """Return the item of a cell from the leaf of each of these rows of X in its tree."""
        return self.items[self.pick(rng.random(len(row)), self.leaves(X, row, tree))]


def grow_tree(
    rng: np.random.Generator,
    X: Float[np.ndarray, "r p"],
    response: np.ndarray,
    items: Int[np.ndarray, " r"],
    weight: Float[np.ndarray, " r"],
    *,
    min_leaf: int,
    max_features: float,
) -> Forest:
    """Grow one tree with random thresholds (Geurts, Ernst and Wehenkel 2006).

    A leaf weighs at least half as much as ``min_leaf`` rows do on average: rows of next to no
    weight have none to themselves. scikit-learn checks weights, and makes a generator from a seed,
    for longer than a small tree grows.
    """
    kind: Any = ExtraTreeClassifier if response.dtype.kind == "i" else ExtraTreeRegressor
    grown = kind(
        min_samples_leaf=min_leaf,
        max_features=max_features,
        random_state=np.random.RandomState(rng.bit_generator),
    )
    known = None
    if not equal(weight):
        known = weight
        grown.min_weight_fraction_leaf = 0.5 * min(min_leaf / len(weight), 1.0)
    grown.fit(X, response, sample_weight=known, check_input=response.dtype.kind == "i")
    return flattened(grown.tree_, X, items, weight)


def flattened(tree, X: np.ndarray, items: np.ndarray, weight: np.ndarray) -> Forest:
    """Return a tree of scikit-learn with the cells of its leaves."""
    leaf = tree.apply(X)
    order = np.argsort(leaf, kind="stable")
    sizes = np.bincount(leaf, minlength=tree.node_count)
    at_leaf = tree.feature < 0
    return Forest(
        roots=np.zeros(1, np.int32),
        feature=smallest(np.where(at_leaf, -sizes, tree.feature)),
        threshold=tree.threshold.astype(np.float32),
        right=np.where(at_leaf, np.cumsum(sizes) - sizes, tree.children_right).astype(np.int32),
        items=smallest(items[order]),
        cumulated=None if equal(weight) else np.concatenate([[0.0], np.cumsum(weight[order])]),
    )


def equal(weight: np.ndarray) -> bool:
    """Return whether all weights are the same."""
    return bool((weight == weight[0]).all())


def joined(forests: list[Forest]) -> Forest:
    """Return the trees of several forests as one."""
    nodes = starts([len(f.feature) for f in forests])
    firsts = starts([len(f.items) for f in forests])
    parts = list(zip(forests, nodes, firsts, strict=True))
    cumulated = None
    if any(f.cumulated is not None for f in forests):
        numbered = ((f, np.arange(len(f.items))) for f in forests)
        weights = np.concatenate([f.weights(cell, cell + 1) for f, cell in numbered])
        cumulated = np.concatenate([[0.0], np.cumsum(weights)])
    return Forest(
        roots=np.concatenate([f.roots + n for f, n, _ in parts]).astype(np.int32),
        feature=np.concatenate([f.feature for f in forests]),
        threshold=np.concatenate([f.threshold for f in forests]),
        right=np.concatenate([f.right + np.where(f.feature < 0, v, n) for f, n, v in parts]).astype(
            np.int32
        ),
        items=np.concatenate([f.items for f in forests]),
        cumulated=cumulated,
    )


def starts(sizes: list[int]) -> np.ndarray:
    """Return where each of several pieces begins when they follow each other."""
    return np.cumsum([0, *sizes[:-1]])


def smallest(x: np.ndarray) -> np.ndarray:
    """Return whole numbers in two bytes if they fit, in four otherwise."""
    fits = len(x) == 0 or -(2**15) <= x.min() <= x.max() < 2**15
    return x.astype(np.int16 if fits else np.int32)
