"""The training cells that a row meets in the leaves of its trees."""

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
    residual: Float[np.ndarray, " q"]
    """Of the cell from the linear law, in the units of the column."""
    share: Float[np.ndarray, " q"]
    """Weights, of sum one in a row."""

    def average(self, terms: np.ndarray) -> Float[np.ndarray, " r"]:
        """Return the average of terms (q,) over the cells that each row met."""
        sums = np.bincount(self.row, self.share * terms, minlength=self.n_rows)
        return sums.astype(np.float64)  # of no terms at all, bincount returns integers


@dataclass(frozen=True)
class LeafValues:
    """Trees, and the cells that their leaves hold.

    A draw is a cell from the leaf of a tree chosen at random; the density averages over all trees
    what the draw does at random.
    """

    forest: Forest
    """Its values are places among the distinct values of the column."""
    residual: Float[np.ndarray, " v"]
    """Of the same cells from the linear law; zeros where the column is nominal."""

    def met(
        self, ranked: Float[np.ndarray, "r p"], counted: Bool[np.ndarray, "r t"] | None = None
    ) -> Met:
        """Return all cells in the leaves of rows; with ``counted``, of these trees only."""
        leaf = self._leaves(ranked)
        counted = np.ones(leaf.shape, bool) if counted is None else counted
        n_counted = counted.sum(axis=1)
        owner, leaf = np.repeat(np.arange(len(leaf)), n_counted), leaf[counted]
        first, end = self.forest.left[leaf], self.forest.right[leaf]
        cumulated, size = self.forest.cumulated, end - first
        scale = 1 / (n_counted[owner] * (cumulated[end] - cumulated[first]))
        ends = np.cumsum(size, dtype=np.intp)
        cell = np.arange(size.sum()) + np.repeat(first - ends + size, size)
        return Met(
            len(ranked),
            np.repeat(owner, size),
            self.forest.values[cell].astype(np.intp),
            self.residual[cell],
            np.repeat(scale, size) * (cumulated[cell + 1] - cumulated[cell]),
        )

    def pick(
        self, ranked: Float[np.ndarray, "r p"], uniforms: Float[np.ndarray, "r 2"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return place and residual of one cell per row, drawn by two uniform numbers."""
        tree = (uniforms[:, 0] * self.forest.n_trees).astype(np.intp)
        first, end = self.forest.leaves(ranked, tree)
        low, high = self.forest.cumulated[first], self.forest.cumulated[end]
        sought = low + uniforms[:, 1] * (high - low)
        cell = np.searchsorted(self.forest.cumulated, sought, side="right") - 1
        cell = np.clip(cell, first, end - 1)
        return self.forest.values[cell].astype(np.intp), self.residual[cell]

    def _leaves(self, ranked: np.ndarray) -> Int[np.ndarray, "r t"]:
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
