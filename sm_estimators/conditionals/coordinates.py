"""In which numbers a column enters the conditionals of the others, and how it comes back.

A number enters a linear law as its z-score, and trees as its normal score Φ⁻¹(rank), so that a
random threshold falls where rows are. A nominal column enters both as indicators of its frequent
levels; the most frequent level, and rare ones, are the zero of all indicators.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import log_ndtr, ndtri

MAX_INDICATORS = 12
"""Indicators of a nominal column at most; rarer levels share the zero with the most frequent."""
AT_ONCE = 2**22
"""Probabilities of levels that are held at a time."""
CHANCE = 1e-3
"""Least probability of a level that was seen, in a linear law."""


@dataclass(frozen=True)
class NumberCoordinates:
    """A column of numbers, or of ordered levels."""

    values: Float[np.ndarray, " k"]
    """Distinct seen values, ascending: the only ones that are ever drawn."""
    scores: Float[np.ndarray, " k"]
    """Their normal scores."""
    centre: float
    scale: float

    nominal = False
    width = 1

    @classmethod
    def of(cls, seen: np.ndarray, weight: np.ndarray) -> "NumberCoordinates":
        """Learn from the seen values of a column, (n,), and their weights."""
        values, place = np.unique(seen, return_inverse=True)
        counts = np.bincount(place, weight)
        ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
        if len(values) == 1:  # an average, and its scale, would have the rounding of a sum
            return cls(values, ndtri(ranks), float(values[0]), 1.0)
        centre = float(np.average(seen, weights=weight))
        scale = float(np.sqrt(np.average((seen - centre) ** 2, weights=weight)))
        return cls(values, ndtri(ranks), centre, scale)

    def linear(self, x: np.ndarray) -> np.ndarray:
        """Return z-scores, (..., 1)."""
        return ((x - self.centre) / self.scale)[..., None]

    def ranked(self, x: np.ndarray) -> np.ndarray:
        """Return normal scores, (..., 1)."""
        return np.interp(x, self.values, self.scores)[..., None]

    def ranked_prediction(self, z: np.ndarray) -> np.ndarray:
        """Return the normal scores of predicted z-scores, both (..., 1)."""
        return self.ranked(self.predicted(z))

    def predicted(self, z: np.ndarray) -> np.ndarray:
        """Return what z-scores (..., 1) mean in the units of the column, (...)."""
        return self.centre + self.scale * z[..., 0]

    def response(self, x: np.ndarray) -> np.ndarray:
        """Return what trees split by: half z-score, half normal score."""
        return (self.linear(x) + self.ranked(x))[..., 0] / 2

    def draw(self, rng: np.random.Generator, z: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """Return the seen values next to Gaussian draws around ``z`` (..., 1)."""
        return self.seen(rng, z + deviation * rng.standard_normal(z.shape))

    def seen(self, rng: np.random.Generator, z: np.ndarray) -> np.ndarray:
        """Return the seen values nearest to drawn z-scores (..., 1)."""
        del rng
        midpoints = (self.values[1:] + self.values[:-1]) / 2
        return self.values[np.searchsorted(midpoints, self.predicted(z))]

    point = predicted
    means = predicted

    def looked_at(self, drawn: np.ndarray) -> np.ndarray:
        """Return drawn values as what means are taken of: themselves."""
        return drawn


@dataclass(frozen=True)
class LevelCoordinates:
    """A nominal column: codes 0, 1, ..., of which some were seen."""

    values: Float[np.ndarray, " k"]
    """Codes that were seen, ascending."""
    shares: Float[np.ndarray, " k"]
    """Their relative frequencies."""
    marked: Float[np.ndarray, " w"]
    """Codes with an indicator of their own, ascending."""

    nominal = True

    @classmethod
    def of(cls, seen: np.ndarray, weight: np.ndarray) -> "LevelCoordinates":
        """Learn from the seen codes of a column, (n,), and their weights."""
        values, place = np.unique(seen, return_inverse=True)
        counts = np.bincount(place, weight)
        by_frequency = np.argsort(-counts, kind="stable")
        marked = np.sort(values[by_frequency[1 : 1 + MAX_INDICATORS]])
        return cls(values, counts / counts.sum(), marked)

    @property
    def width(self) -> int:
        """Number of indicators."""
        return len(self.marked)

    @cached_property
    def unmarked(self) -> Bool[np.ndarray, " k"]:
        """Which seen levels share the zero."""
        return ~np.isin(self.values, self.marked)

    def linear(self, x: np.ndarray) -> np.ndarray:
        """Return indicators, (..., w)."""
        return (np.asarray(x)[..., None] == self.marked).astype(np.float64)

    ranked = linear

    def ranked_prediction(self, z: np.ndarray) -> np.ndarray:
        """Return predicted indicators as they are."""
        return z

    def response(self, x: np.ndarray) -> np.ndarray:
        """Return what trees classify: the code."""
        return np.asarray(x).astype(np.int64)

    def draw(self, rng: np.random.Generator, z: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """Return codes drawn with predicted probabilities; ``z`` is (n, w)."""
        del deviation
        u, places = rng.random(len(z))[:, None], np.empty(len(z), np.intp)
        size = max(AT_ONCE // len(self.values), 1)
        for begin in range(0, len(z), size):
            rows = slice(begin, begin + size)
            cumulated = np.cumsum(self.probabilities(z[rows]), axis=-1)
            places[rows] = (u[rows] * cumulated[:, -1:] > cumulated).sum(axis=-1)
        return self.values[np.minimum(places, len(self.values) - 1)]

    def seen(self, rng: np.random.Generator, z: np.ndarray) -> np.ndarray:
        """Return levels for indicators (n, w) that a Gaussian drew.

        Indicators of levels with shares p have covariance diag(p) − ppᵀ, also that of the rest.
        With G ~ N(0, 1), g_k = (z_k − p_k) / √p_k + √p_k G are independent standard Gaussians, and
        the level that is first in the race of −log Φ(g_k) / p_k is k with probability p_k: levels
        are as frequent as they were seen, and depend on other columns as far as z does.
        """
        shared = self.unmarked
        p = np.append(self.shares[~shared], self.shares[shared].sum())
        z = np.concatenate([z, 1 - z.sum(axis=-1, keepdims=True)], axis=-1)
        g = (z - p) / np.sqrt(p) + np.sqrt(p) * rng.standard_normal((len(z), 1))
        first = np.argmin(-log_ndtr(g) / p, axis=-1)
        rest = rng.choice(self.values[shared], len(z), p=self.shares[shared] / p[-1])
        return np.where(first < len(self.marked), np.append(self.marked, np.nan)[first], rest)

    def point(self, z: np.ndarray) -> np.ndarray:
        """Return the most probable levels."""
        return self.values[np.argmax(self.probabilities(z), axis=-1)]

    def means(self, z: np.ndarray) -> np.ndarray:
        """Return the probabilities of the seen levels, (..., k), of predicted indicators."""
        return self.probabilities(z)

    def looked_at(self, drawn: np.ndarray) -> np.ndarray:
        """Return drawn codes as what means are taken of: indicators of the seen levels."""
        return (drawn[..., None] == self.values).astype(np.float64)

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """Return the probabilities of the seen levels, (..., k), of predicted indicators."""
        chances = np.empty((*z.shape[:-1], len(self.values)))
        chances[..., ~self.unmarked] = z
        share = self.shares[self.unmarked]
        chances[..., self.unmarked] = (1 - z.sum(axis=-1))[..., None] * share / share.sum()
        chances = np.maximum(chances, CHANCE * self.shares)
        return chances / chances.sum(axis=-1, keepdims=True)


Coordinates: TypeAlias = Any
"""One of the two: numbers have a scale, levels have probabilities, and the rest is common."""


def learn_coordinates(
    values: np.ndarray, observed: np.ndarray, nominal: np.ndarray, weight: np.ndarray
) -> list[Coordinates]:
    """Return the coordinates of every column of a table (n, d)."""
    kinds = (LevelCoordinates if is_nominal else NumberCoordinates for is_nominal in nominal)
    return [
        kind.of(values[seen, j], weight[seen])
        for j, (kind, seen) in enumerate(zip(kinds, observed.T, strict=True))
    ]


def blocks_of(coordinates: list[Coordinates]) -> list[slice]:
    """Return where each column stands in a row of coordinates."""
    ends = np.cumsum([c.width for c in coordinates])
    return [slice(int(end) - c.width, int(end)) for c, end in zip(coordinates, ends, strict=True)]
