"""The law of one column given the rest of its row: a mixture of experts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.forest import Forest
from sm_estimators.conditionals.hidden_column import HiddenColumn
from sm_estimators.conditionals.linear_law import LinearLaw

EXPERTS = ("gaussian", "trees")


@dataclass(frozen=True)
class ColumnLaw:
    """What is drawn into the holes of a column.

    Without a forest the linear law is alone.
    """

    linear: LinearLaw
    block: slice
    forest: Forest | None
    """Its items are places among the distinct values of the column."""
    draw_shares: Float[np.ndarray, " e"]
    """Of the experts, in draws."""
    mean_shares: Float[np.ndarray, " e"]
    """Of the experts, in means."""

    @property
    def coordinates(self) -> Coordinates:
        """How the column is written."""
        return self.linear.coordinates

    def draw(self, rng: np.random.Generator, hidden: HiddenColumn) -> Float[np.ndarray, " c"]:
        """Return one draw per hidden cell, in the units of the column."""
        z = hidden.z
        if self.forest is None:
            return self.linear.draw(rng, z)
        by_trees = rng.random(len(z)) >= self.draw_shares[0]
        drawn = np.empty(len(z))
        drawn[~by_trees] = self.linear.draw(rng, z[~by_trees])
        drawn[by_trees] = self._by_a_tree(rng, hidden.ranked, hidden.row[by_trees])
        return drawn

    def means(self, rng: np.random.Generator, hidden: HiddenColumn, n_looks: int) -> np.ndarray:
        """Return the mean per hidden cell, (c,), or the probabilities of the seen levels, (c, k).

        Trees are looked at ``n_looks`` times, each time at one of them.
        """
        plain = self.coordinates.means(hidden.z)
        if self.forest is None or self.mean_shares[0] == 1:
            return plain
        looks = np.zeros_like(plain)
        for _ in range(n_looks):
            drawn = self._by_a_tree(rng, hidden.ranked, hidden.row)
            looks += self.coordinates.looked_at(drawn)
        share = self.mean_shares[0]
        return share * plain + (1 - share) * looks / n_looks

    def _by_a_tree(
        self, rng: np.random.Generator, ranked: np.ndarray, row: np.ndarray
    ) -> Float[np.ndarray, " c"]:
        """Return a value from the leaf of each of these rows in a tree chosen at random."""
        assert self.forest is not None
        tree = rng.integers(self.forest.n_trees, size=len(row))
        return self.coordinates.values[self.forest.draw(rng, ranked, row, tree)]
