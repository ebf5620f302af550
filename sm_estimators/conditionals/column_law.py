"""The law of one column given the rest of its row: a mixture of experts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.forest import Forest
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

    def hide(
        self, linear: Float[np.ndarray, "r p"], ranked: Float[np.ndarray, "r p"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the linear prediction, and inputs of trees that hold it in the column's place.

        ``ranked`` is changed.
        """
        z = self.linear.predict(linear)
        ranked[:, self.block] = self.coordinates.ranked_prediction(z)
        return z, ranked

    def draw(
        self, rng: np.random.Generator, z: np.ndarray, ranked: np.ndarray
    ) -> Float[np.ndarray, " r"]:
        """Return one draw per row, in the units of the column."""
        if self.forest is None:
            return self.linear.draw(rng, z)
        by_trees = rng.random(len(z)) >= self.draw_shares[0]
        drawn = np.empty(len(z))
        drawn[~by_trees] = self.linear.draw(rng, z[~by_trees])
        tree = rng.integers(self.forest.n_trees, size=int(by_trees.sum()))
        place = self.forest.draw(rng, ranked[by_trees], tree)
        drawn[by_trees] = self.coordinates.values[place]
        return drawn

    def means(
        self, rng: np.random.Generator, z: np.ndarray, ranked: np.ndarray, n_looks: int
    ) -> np.ndarray:
        """Return the mean per row, (r,), or the probabilities of the seen levels, (r, k).

        Trees are looked at ``n_looks`` times, each time at one of them.
        """
        plain = self.coordinates.means(z)
        if self.forest is None or self.mean_shares[0] == 1:
            return plain
        looks = np.zeros_like(plain)
        for _ in range(n_looks):
            tree = rng.integers(self.forest.n_trees, size=len(z))
            place = self.forest.draw(rng, ranked, tree)
            looks += self.coordinates.looked_at(self.coordinates.values[place])
        share = self.mean_shares[0]
        return share * plain + (1 - share) * looks / n_looks
