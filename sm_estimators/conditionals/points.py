"""A column with few values: each has a mass."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from sm_estimators.conditionals.prediction import Prediction

LINEAR, TREES, WHOLE = range(3)
"""The parts: the linear law, the leaves of trees, and the column as a whole."""


@dataclass(frozen=True)
class Points:
    """Masses of the seen values, a density with respect to counting.

    They add up to one. What was never seen counts as ``unseen``, half a row, all the same, so that
    no row is impossible.
    """

    has_length = False

    values: Float[np.ndarray, " k"]
    """Seen values, ascending."""
    masses: Float[np.ndarray, " k"]
    """Of the column as a whole."""
    unseen: float

    @classmethod
    def of(cls, values: np.ndarray, seen: np.ndarray, weight: np.ndarray) -> "Points":
        """Learn the masses of values from seen cells, (n,), and their weights."""
        place = np.searchsorted(values, seen)
        counts = np.bincount(place, weight, len(values)) * len(seen) / weight.sum() + 0.5
        return cls(values, counts / counts.sum(), 0.5 / (len(seen) + 1))

    def parts(self, x: Float[np.ndarray, " r"], prediction: Prediction) -> Float[np.ndarray, "c r"]:
        """Return the mass of ``x`` by every part."""
        place = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        met = prediction.met
        masses = np.stack(
            [
                self._by_linear_law(prediction)[np.arange(len(x)), place],
                met.average(met.place == place[met.row]),
                self.masses[place],
            ]
        )
        return np.where(self.values[place] == x, masses, self.unseen)

    def draw(
        self, uniforms: Float[np.ndarray, "r 4"], prediction: Prediction, shares: np.ndarray
    ) -> Float[np.ndarray, " r"]:
        """Return a value per row, drawn by four uniform numbers from parts with these shares."""
        part = picked(uniforms[:, 0], shares)
        place = picked(uniforms[:, 1], self.masses)
        linear, trees = part == LINEAR, part == TREES
        place[linear] = picked(uniforms[linear, 1], self._by_linear_law(prediction.of(linear)))
        place[trees] = prediction.of(trees).pick(uniforms[trees, 1:3])[0]
        return self.values[place]

    def pruned(self, shares: np.ndarray) -> tuple["Points", np.ndarray]:
        """Return the column without parts that have no share: all are kept."""
        return self, shares

    def near(self, shares: np.ndarray) -> np.ndarray:
        """Return the shares of draws that are to look like rows of the table: the same."""
        return shares

    def snapped(self, x: np.ndarray) -> np.ndarray:
        """Return draws as values that were seen, which they are."""
        return x

    def _by_linear_law(self, prediction: Prediction) -> Float[np.ndarray, "r k"]:
        """Return the masses of all values; of numbers, those between their midpoints."""
        column, z = prediction.law.coordinates, prediction.z
        if column.nominal:
            return column.probabilities(z)
        midpoints = column.linear((self.values[1:] + self.values[:-1]) / 2)[:, 0]
        below = ndtr((midpoints - z) / prediction.law.deviation)
        zero = np.zeros((len(z), 1))
        return np.diff(below, axis=1, prepend=zero, append=zero + 1)


def picked(u: Float[np.ndarray, " r"], masses: np.ndarray) -> np.ndarray:
    """Return places (r,) drawn from masses, (k,) or (r, k), by one uniform number each."""
    cumulated = np.cumsum(masses, axis=-1)
    if masses.ndim == 1:
        place = np.searchsorted(cumulated, u * cumulated[-1], side="right")
    else:
        place = (u[:, None] * cumulated[:, -1:] >= cumulated).sum(axis=1)
    return np.minimum(place, masses.shape[-1] - 1)
