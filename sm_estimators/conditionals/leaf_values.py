"""The leaves that a row falls into in every tree of a forest, and the training cells in them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sm_estimators.conditionals.forest import LEAF, Forest


class Met(NamedTuple):
    """Training cells met by rows, one after another."""

    n_rows: int
    row: Int[np.ndarray, " q"]
    """Which row met the cell."""
    place: Int[np.ndarray, " q"]
    """Of the cell's value among the distinct values of its column."""
    prediction: Float[np.ndarray, " q"]
    """Of the cell by the linear law, in the units of the column."""
    share: Float[np.ndarray, " q"]
    """Weights, of sum one in a row."""

    def summed(self, terms: Float[np.ndarray, " q"]) -> Float[np.ndarray, " r"]:
        """Return the average of ``terms`` over the cells that each row met."""
        return np.bincount(self.row, self.share * terms, minlength=self.n_rows)


@dataclass(frozen=True)
class LeafValues:
    """Trees with what their leaves hold."""

    forest: Forest
    """Its values are places among the distinct values of the column."""
    prediction: Float[np.ndarray, " v"]
    """Of the same cells by the linear law."""

    def nodes(self, ranked: Float[np.ndarray, "r p"]) -> Int[np.ndarray, "r t"]:
        """Return the leaf of every row in every tree."""
        forest, n_trees = self.forest, self.forest.n_trees
        node = np.tile(forest.roots.astype(np.intp), len(ranked))
        moving = np.arange(len(node))
        while len(moving):
            at = node[moving]
            feature = forest.feature[at]
            inner = feature != LEAF
            moving, at, feature = moving[inner], at[inner], feature[inner]
            goes_left = ranked[moving // n_trees, feature] <= forest.threshold[at]
            node[moving] = np.where(goes_left, forest.left[at], forest.right[at])
        return node.reshape(len(ranked), n_trees)

    def met(
        self, ranked: Float[np.ndarray, "r p"], counted: Bool[np.ndarray, "r t"] | None = None
    ) -> Met:
        """Return all cells in the leaves of rows; with ``counted``, of these trees only."""
        node = self.nodes(ranked)
        tree_share = np.full(node.shape, 1 / node.shape[1])
        if counted is not None:
            tree_share = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
        owner, column = np.nonzero(tree_share)
        leaf = node[owner, column]
        first, end = self.forest.left[leaf], self.forest.right[leaf]
        cumulated, size = self.forest.cumulated, end - first
        scale = tree_share[owner, column] / (cumulated[end] - cumulated[first])
        ends = np.cumsum(size)
        cell = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - ends + size, size)
        return Met(
            len(ranked),
            np.repeat(owner, size),
            self.forest.values[cell].astype(np.intp),
            self.prediction[cell],
            np.repeat(scale, size) * (cumulated[cell + 1] - cumulated[cell]),
        )

    def pick(
        self,
        ranked: Float[np.ndarray, "r p"],
        in_tree: Float[np.ndarray, " r"],
        in_leaf: Float[np.ndarray, " r"],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the place and the prediction of a cell per row, drawn by two uniform numbers."""
        tree = (in_tree * self.forest.n_trees).astype(np.intp)
        first, end = self.forest.leaves(ranked, tree)
        low, high = self.forest.cumulated[first], self.forest.cumulated[end]
        cell = np.searchsorted(self.forest.cumulated, low + in_leaf * (high - low), "right") - 1
        cell = np.clip(cell, first, end - 1)
        return self.forest.values[cell].astype(np.intp), self.prediction[cell]
