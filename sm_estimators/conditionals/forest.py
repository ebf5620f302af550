"""Randomised trees whose leaves hold the seen values of a column.

A draw given a row is a value from its leaf of a tree chosen at random: a draw from the seen values
with the weights of a quantile forest (Meinshausen 2006), as in imputation by forests (Doove, van
Buuren and Dusseldorp 2014). Trees are grown by scikit-learn and kept as flat arrays, so that rows
go down their trees all at once, and a fitted object holds no trees of another library.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.tree import ExtraTreeClassifier, ExtraTreeRegressor

LEAF = -2
"""What stands in place of a feature at a leaf."""


@dataclass(frozen=True)
class Forest:
    """Trees, one after another; nodes and values are numbered through."""

    roots: Int[np.ndarray, " t"]
    feature: Int[np.ndarray, " m"]
    threshold: Float[np.ndarray, " m"]
    left: Int[np.ndarray, " m"]
    """The child where the feature is at most the threshold; at a leaf, its first value."""
    right: Int[np.ndarray, " m"]
    """The other child; at a leaf, one past its last value."""
    values: Float[np.ndarray, " v"]
    cumulated: Float[np.ndarray, " v+1"]
    """Weights of the values, summed up from the first."""

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def leaves(
        self, X: Float[np.ndarray, "r p"], tree: Int[np.ndarray, " r"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the first value, and one past the last, of the leaf of each row in its tree."""
        node = self.roots[tree]
        rows = np.arange(len(X))
        while len(rows):
            at = node[rows]
            feature = self.feature[at]
            inner = feature != LEAF
            rows, at, feature = rows[inner], at[inner], feature[inner]
            goes_left = X[rows, feature] <= self.threshold[at]
            node[rows] = np.where(goes_left, self.left[at], self.right[at])
        return self.left[node], self.right[node]

    def draw(
        self, rng: np.random.Generator, X: Float[np.ndarray, "r p"], tree: Int[np.ndarray, " r"]
    ) -> Float[np.ndarray, " r"]:
        """Return one value from the leaf of each row, with its weights."""
        return self.draw_from(rng, *self.leaves(X, tree))

    def draw_from(self, rng: np.random.Generator, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return one of the values from ``first`` to ``end``, with their weights."""
        low, high = self.cumulated[first], self.cumulated[end]
        u = low + rng.random(len(first)) * (high - low)
        place = np.searchsorted(self.cumulated, u, side="right") - 1
        return self.values[np.clip(place, first, end - 1)]


def grow_tree(
    rng: np.random.Generator,
    X: Float[np.ndarray, "r p"],
    response: np.ndarray,
    values: Float[np.ndarray, " r"],
    weight: Float[np.ndarray, " r"],
    *,
    min_leaf: int,
    max_features: float,
) -> Forest:
    """Grow one tree with random thresholds (Geurts, Ernst and Wehenkel 2006)."""
    kind: Any = ExtraTreeClassifier if response.dtype.kind == "i" else ExtraTreeRegressor
    grown = kind(
        min_samples_leaf=min_leaf,
        max_features=max_features,
        random_state=int(rng.integers(2**31)),
    )
    grown.fit(X, response, sample_weight=weight, check_input=response.dtype.kind == "i")
    return flattened(grown.tree_, X, values, weight)


def flattened(tree, X: np.ndarray, values: np.ndarray, weight: np.ndarray) -> Forest:
    """Return a tree of scikit-learn with the values of its leaves."""
    leaf = tree.apply(X)
    order = np.argsort(leaf, kind="stable")
    ends = np.cumsum(np.bincount(leaf, minlength=tree.node_count))
    at_leaf = tree.feature < 0
    begins = np.concatenate([[0], ends[:-1]])
    return Forest(
        roots=np.zeros(1, np.int32),
        feature=np.where(at_leaf, LEAF, tree.feature).astype(np.int32),
        threshold=tree.threshold.astype(np.float32),
        left=np.where(at_leaf, begins, tree.children_left).astype(np.int32),
        right=np.where(at_leaf, ends, tree.children_right).astype(np.int32),
        values=values[order],
        cumulated=np.concatenate([[0.0], np.cumsum(weight[order])]),
    )


def joined(forests: list[Forest]) -> Forest:
    """Return the trees of several forests as one."""
    nodes = np.concatenate([[0], np.cumsum([len(f.feature) for f in forests])]).astype(np.int32)
    firsts = np.concatenate([[0], np.cumsum([len(f.values) for f in forests])]).astype(np.int32)
    weights = np.concatenate([np.diff(f.cumulated) for f in forests])

    def shifted(name: str) -> np.ndarray:
        parts = zip(forests, nodes[:-1], firsts[:-1], strict=True)
        return np.concatenate(
            [getattr(f, name) + np.where(f.feature == LEAF, v, n) for f, n, v in parts]
        ).astype(np.int32)

    return Forest(
        roots=np.concatenate([f.roots + n for f, n in zip(forests, nodes[:-1], strict=True)]),
        feature=np.concatenate([f.feature for f in forests]),
        threshold=np.concatenate([f.threshold for f in forests]),
        left=shifted("left"),
        right=shifted("right"),
        values=np.concatenate([f.values for f in forests]),
        cumulated=np.concatenate([[0.0], np.cumsum(weights)]),
    )
