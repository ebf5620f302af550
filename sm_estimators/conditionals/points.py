"""Columns of few values: every value has a mass."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from sm_estimators.conditionals.leaf_values import LeafValues, Met
from sm_estimators.conditionals.linear_law import LinearLaw


@dataclass(frozen=True)
class Points:
    """A column whose density is a mass at each seen value, with respect to counting.

    The masses of all seen values add up to one. For a value that was not seen ``unseen`` stands
    in their place, so that no row is impossible.
    """

    values: Float[np.ndarray, " k"]
    masses: Float[np.ndarray, " k"]
    """Of the whole column."""
    unseen: float

    @classmethod
    def of(cls, seen: np.ndarray, weight: np.ndarray) -> "Points":
        """Learn from the seen values of a column, (n,), and their weights."""
        values, place = np.unique(seen, return_inverse=True)
        counts = np.bincount(place, weight) * len(seen) / weight.sum() + 0.5
        return cls(values, counts / counts.sum(), 0.5 / (len(seen) + 1))

    @property
    def n_parts(self) -> int:
        """Parts of the mixture: the linear law, trees, and the whole column."""
        return 3

    def parts(
        self, x: Float[np.ndarray, " r"], law: LinearLaw, z: Float[np.ndarray, "r w"], met: Met
    ) -> Float[np.ndarray, "c r"]:
        """Return the mass of ``x`` by every part."""
        place = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        known = self.values[place] == x
        parts = np.stack(
            [
                self._by_linear_law(law, z)[np.arange(len(x)), place],
                met.summed(met.place == place[met.row]),
                self.masses[place],
            ]
        )
        return np.where(known, parts, self.unseen)

    def draw(
        self,
        u: Float[np.ndarray, "r 4"],
        shares: Float[np.ndarray, " c"],
        law: LinearLaw,
        z: Float[np.ndarray, "r w"],
        ranked: Float[np.ndarray, "r p"],
        leaf_values: LeafValues,
    ) -> Float[np.ndarray, " r"]:
        """Return a value per row, drawn by four uniform numbers."""
        part = picked(u[:, 0], shares)
        place = picked(u[:, 1], self.masses)
        linear, trees = part == 0, part == 1
        place[linear] = picked(u[linear, 1], self._by_linear_law(law, z[linear]))
        place[trees] = leaf_values.pick(ranked[trees], u[trees, 1], u[trees, 2])[0]
        return self.values[place]

    def snapped(self, x: np.ndarray) -> np.ndarray:
        """Return values that were seen: these are."""
        return x

    def _by_linear_law(self, law: LinearLaw, z: np.ndarray) -> Float[np.ndarray, "r k"]:
        """Return the masses of all values by the linear law."""
        column = law.coordinates
        if column.nominal:
            return column.probabilities(z)
        midpoints = column.linear((self.values[1:] + self.values[:-1]) / 2)[:, 0]
        below = ndtr((midpoints - z) / law.deviation)
        ends = np.zeros((len(z), 1))
        return np.diff(below, axis=1, prepend=ends, append=ends + 1)


def picked(u: Float[np.ndarray, " r"], masses: np.ndarray) -> np.ndarray:
    """Return places (r,) drawn from masses, (k,) or (r, k), by one uniform number each."""
    cumulated = np.cumsum(masses, axis=-1)
    place = (u[:, None] * cumulated[..., -1:] >= cumulated).sum(axis=-1)
    return np.minimum(place, masses.shape[-1] - 1)
