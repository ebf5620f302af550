"""Columns of numbers: a density on the real line, and masses at values that are seen too often."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from sm_estimators.conditionals.leaf_values import LeafValues, Met
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.points import picked

LINEAR, TREES, SHIFTED, BACKGROUND = range(4)
WIDTHS = (0.04, 0.08, 0.16, 0.32, 0.64)
"""Of kernels, as shares of a column's spread."""
RESIDUAL_WIDTHS = (0.08, 0.2, 0.5, 1.0)
"""Of kernels around shifted values, as shares of the spread of residuals."""
ATOM = 0.05
"""Least share of the rows in a value that has a mass,"""
ATOM_RATIO = 3.0
"""and how often more than any of its neighbours it must be seen."""
GAUSSIAN_RANGE = 4.13
"""exp(−∫ f log f) of a standard Gaussian f."""


@dataclass(frozen=True)
class Line:
    """A column with a density with respect to length, and to ``resolution`` times counting atoms.

    Parts of the mixture: the linear law; kernels at the values in the leaves of trees, of several
    widths; the same at these values moved by the difference of the linear predictions of the two
    rows; and a Cauchy law as wide as the column, so that no row is impossible.
    """

    values: Float[np.ndarray, " k"]
    masses: Float[np.ndarray, " k"]
    atom: Bool[np.ndarray, " k"]
    """Which values have a mass."""
    local: Float[np.ndarray, " k"]
    """Widths of kernels at each value, up to a factor."""
    resolution: float
    """The usual smallest difference of two values."""
    centre: float
    spread: float
    kind: Int[np.ndarray, " c"]
    width: Float[np.ndarray, " c"]

    @classmethod
    def of(cls, seen: np.ndarray, weight: np.ndarray, residuals: np.ndarray) -> "Line":
        """Learn from seen values (n,), their weights, and residuals of the linear law."""
        values, place = np.unique(seen, return_inverse=True)
        masses = np.bincount(place, weight) / weight.sum()
        gaps = np.diff(values)
        resolution = float(np.quantile(gaps, 0.1))
        density = neighbour_density(values, masses, resolution, len(seen))
        spread = float(np.exp(-np.log(density) @ masses)) / GAUSSIAN_RANGE
        local = np.clip(1 / np.sqrt(density * spread * GAUSSIAN_RANGE), 0.2, 5.0)
        middle = float(values[np.searchsorted(np.cumsum(masses), 0.5)])
        residual = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        kind = [LINEAR, *[TREES] * len(WIDTHS), *[SHIFTED] * len(RESIDUAL_WIDTHS), BACKGROUND]
        width = [0.0, *(spread * w for w in WIDTHS), *(residual * w for w in RESIDUAL_WIDTHS), 0.0]
        return cls(
            values=values,
            masses=masses,
            atom=atoms(masses),
            local=local,
            resolution=resolution,
            centre=middle,
            spread=spread,
            kind=np.array(kind),
            width=np.array(width),
        )

    @property
    def n_parts(self) -> int:
        """Parts of the mixture."""
        return len(self.kind)

    def only(self, parts: np.ndarray) -> "Line":
        """Return the column with some of the parts."""
        return replace(self, kind=self.kind[parts], width=self.width[parts])

    def parts(
        self, x: Float[np.ndarray, " r"], law: LinearLaw, z: Float[np.ndarray, "r w"], met: Met
    ) -> Float[np.ndarray, "c r"]:
        """Return the density at ``x`` by every part."""
        place = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        at_atom = (self.values[place] == x) & self.atom[place]
        mean = law.coordinates.predicted(z)
        y, smooth = self.values[met.place], ~self.atom[met.place]
        distance = x[met.row] - y
        shift = mean[met.row] - met.prediction
        out = np.empty((self.n_parts, len(x)))
        continuous = 1 - self.masses[self.atom].sum()
        atom_leaf = met.summed(met.place == place[met.row]) if at_atom.any() else 0.0
        for c, (kind, width) in enumerate(zip(self.kind, self.width, strict=True)):
            if kind == LINEAR:
                sd = max(law.deviation[0] * law.coordinates.scale, 0.5*self.resolution)
                density = continuous * normal((x - mean) / sd) / sd
            elif kind == BACKGROUND:
                t = (x - self.centre) / self.spread
                density = continuous / (np.pi * self.spread * (1 + t**2))
            else:
                h = self.kernel(kind, width, met.place)
                t = (distance - shift) / h if kind == SHIFTED else distance / h
                density = met.summed(smooth * normal(t) / h)
            mass = atom_leaf if kind in (TREES, SHIFTED) else self.masses[place]
            out[c] = np.where(at_atom, mass / self.resolution, density)
        return out

    def kernel(self, kind: int, width: float, place: np.ndarray) -> np.ndarray:
        """Return the standard deviations of kernels at values."""
        h = width * self.local[place] if kind == TREES else np.full(len(place), width)
        return np.maximum(h, 0.5 * self.resolution)

    def draw(
        self,
        u: Float[np.ndarray, "r 4"],
        shares: Float[np.ndarray, " c"],
        law: LinearLaw,
        z: Float[np.ndarray, "r w"],
        ranked: Float[np.ndarray, "r p"],
        leaf_values: LeafValues,
    ) -> Float[np.ndarray, " r"]:
        """Return a number per row, drawn by four uniform numbers."""
        part = picked(u[:, 0], shares)
        kind, width = self.kind[part], self.width[part]
        mean, noise = law.coordinates.predicted(z), ndtri(u[:, 3])
        sd = max(law.deviation[0] * law.coordinates.scale, 0.5*self.resolution)
        drawn = mean + sd * noise
        far = kind == BACKGROUND
        drawn[far] = self.centre + self.spread * np.tan(np.pi * (u[far, 3] - 0.5))
        place = picked(u[:, 2], np.append(np.where(self.atom, self.masses, 0), 1 - self.masses[self.atom].sum()))
        trees = (kind == TREES) | (kind == SHIFTED)
        place[trees], prediction = leaf_values.pick(ranked[trees], u[trees, 1], u[trees, 2])
        k = len(self.values)
        y = self.values[place[trees]]
        shift = np.where(kind[trees] == SHIFTED, mean[trees] - prediction, 0.0)
        h = np.where(kind[trees]==TREES, self.kernel(TREES, width[trees], place[trees]), np.maximum(width[trees], .5*self.resolution))
        drawn[trees] = y + shift + h * noise[trees]
        at_atom = np.append(self.atom, False)[place]
        drawn[at_atom] = self.values[place[at_atom]]
        return drawn

    def snapped(self, x: np.ndarray) -> np.ndarray:
        """Return the seen values next to drawn ones; only atoms are at atoms."""
        free = self.values[~self.atom]
        nearest = free[np.searchsorted((free[1:] + free[:-1]) / 2, x)]
        return np.where(np.isin(x, self.values[self.atom]), x, nearest)


def normal(t: np.ndarray) -> np.ndarray:
    """Return the standard normal density."""
    return np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi)


def atoms(masses: np.ndarray) -> np.ndarray:
    """Return which of the distinct values, in order, are seen far more often than others near."""
    padded = np.pad(masses, 2)
    n = len(masses)
    near = np.max([padded[:n], padded[1 : n + 1], padded[3 : n + 3], padded[4 : n + 4]], axis=0)
    return (masses >= ATOM) & (masses > ATOM_RATIO * near)


def neighbour_density(
    values: np.ndarray, masses: np.ndarray, resolution: float, n: int
) -> Float[np.ndarray, " k"]:
    """Return a rough density at each distinct value, from the distance to near ranks.

    The share of the rows within √n ranks around a value, per length.
    """
    middle = np.cumsum(masses) - masses / 2
    reach = max(np.sqrt(n), 4.0) / n / 2
    low, high = np.maximum(middle - reach, 0), np.minimum(middle + reach, 1)
    grid = np.concatenate([[0.0], middle, [1.0]])
    ends = np.concatenate([values[:1] - resolution / 2, values, values[-1:] + resolution / 2])
    length = np.interp(high, grid, ends) - np.interp(low, grid, ends)
    return (high - low) / np.maximum(length, resolution)
