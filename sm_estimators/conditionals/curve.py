"""A smooth increasing map under which a column is nearly Gaussian."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

OUTSIDE = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
"""How far beyond the seen values ξ may lie, in interquartile ranges."""
INSIDE = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles at which ξ may lie."""
WIDTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Candidates for λ, in interquartile ranges."""
LEAST_GAIN = 3.0
"""Of the log-likelihood, for a curve in place of a straight line."""


@dataclass(frozen=True)
class Curve:
    """The map g(x) = asinh((x − ξ) / λ), or g(x) = x.

    Johnson's (1949) unbounded system: with ξ far below the values and λ small it is a logarithm,
    with ξ among them it draws in both tails. Regressions are straighter, and errors more equal,
    after it.
    """

    values: Float[np.ndarray, " k"]
    """Seen values, ascending."""
    curved: Float[np.ndarray, " k"]
    """g of these, strictly ascending."""
    location: float
    """ξ."""
    width: float
    """λ; infinite for g(x) = x."""

    @classmethod
    def straight(cls, seen: np.ndarray) -> "Curve":
        """Return the map that changes nothing."""
        values = np.unique(seen)
        return cls(values, values, 0.0, np.inf)

    @classmethod
    def of(cls, seen: np.ndarray, weight: np.ndarray) -> "Curve":
        """Choose ξ and λ by the Gaussian likelihood of g(x), from seen values (n,), on a grid."""
        straight = cls.straight(seen)
        low, high = np.quantile(seen, [0.25, 0.75])
        span = float(high - low)
        if not span > 1e-3 * np.ptp(seen):  # most values are one and the same
            return straight
        ends = [seen.min() - span * OUTSIDE, np.quantile(seen, INSIDE), seen.max() + span * OUTSIDE]
        candidates = [(x, span * w) for x in np.concatenate(ends) for w in WIDTHS]
        heights = [likelihood(seen, weight, *one) for one in candidates]
        best = int(np.argmax(heights))
        curved = forward(straight.values, *candidates[best])
        least = likelihood(seen, weight, 0.0, np.inf) + LEAST_GAIN
        if heights[best] < least or not (np.diff(curved) > 0).all():
            return straight
        location, width = candidates[best]
        return cls(straight.values, curved, float(location), float(width))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return g(x); of a seen value, bit for bit what is kept in ``curved``."""
        place = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        seen = self.values[place] == x
        return np.where(seen, self.curved[place], forward(x, self.location, self.width))

    def seen(self, t: np.ndarray) -> np.ndarray:
        """Return the seen values x of which ``t`` is g(x)."""
        return self.values[np.clip(np.searchsorted(self.curved, t), 0, len(self.values) - 1)]

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Return log g′(x)."""
        return log_slope(x, self.location, self.width)


def forward(x: np.ndarray, location: float, width: float) -> np.ndarray:
    """Return g(x)."""
    return x if np.isinf(width) else np.arcsinh((x - location) / width)


def log_slope(x: np.ndarray, location: float, width: float) -> np.ndarray:
    """Return log g′(x)."""
    if np.isinf(width):
        return np.zeros(np.shape(x))
    return -np.log(np.hypot(x - location, width))


def likelihood(seen: np.ndarray, weight: np.ndarray, location: float, width: float) -> float:
    """Return the largest Gaussian log-likelihood of values, up to a constant of the table."""
    t, share = forward(seen, location, width), weight / weight.sum()
    variance = share @ np.square(t - share @ t)
    slope = share @ log_slope(seen, location, width)
    return float(len(seen) * (slope - 0.5 * np.log(max(variance, np.finfo(float).tiny))))
