"""The training cells that a row meets in the leaves of its trees."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sm_estimators.conditionals.forest import Forest


class Met(NamedTuple):
    """Training cells met by rows, one after another."""

    n_rows: int
    row: Int[np.ndarray, " q"]
    """Which row met the cell."""
    place: Int[np.ndarray, " q"]
    """Of the cell's value among the distinct values that its column learned from."""
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
    """Its items are places among the distinct values that the column learned from."""
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
        first, end = self.forest.cells(leaf)
        size = end - first
        scale = 1 / (n_counted[owner] * self.forest.weights(first, end))
        ends = np.cumsum(size)
        cell = np.arange(size.sum()) + np.repeat(first - ends + size, size)
        return Met(
            len(ranked),
            np.repeat(owner, size),
            self.forest.items[cell].astype(np.intp),
            self.residual[cell],
            np.repeat(scale, size) * self.forest.weights(cell, cell + 1),
        )

    def pick(
        self, ranked: Float[np.ndarray, "r p"], uniforms: Float[np.ndarray, "r 2"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return place and residual of one cell per row, drawn by two uniform numbers."""
        tree = (uniforms[:, 0] * self.forest.n_trees).astype(np.intp)
        leaf = self.forest.leaves(ranked, np.arange(len(ranked)), tree)
        cell = self.forest.pick(uniforms[:, 1], leaf)
        return self.forest.items[cell].astype(np.intp), self.residual[cell]

    def _leaves(self, ranked: np.ndarray) -> Int[np.ndarray, "r t"]:
        """Return the leaf of every row in every tree."""
        n, n_trees = len(ranked), self.forest.n_trees
        row, tree = np.repeat(np.arange(n), n_trees), np.tile(np.arange(n_trees), n)
        return self.forest.leaves(ranked, row, tree).reshape(n, n_trees)
