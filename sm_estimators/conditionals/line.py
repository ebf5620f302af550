"""A column of numbers: a density on the real line, with masses at values seen again and again."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from sm_estimators.conditionals.points import picked
from sm_estimators.conditionals.prediction import Prediction

LINEAR, LEAVES, MOVED, BROAD = range(4)
"""The parts: the linear law; kernels at values in leaves; kernels at these values, moved by the
difference of the linear predictions of the two rows; and a Cauchy law as wide as the column."""
LEAF_WIDTHS = (0.04, 0.08, 0.16, 0.32, 0.64)
"""Of kernels at values, in spreads of the column."""
MOVED_WIDTHS = (0.08, 0.2, 0.5, 1.0)
"""Of kernels at moved values, in spreads of the residuals of the linear law."""
ATOM = 0.05
"""Least share of the rows in a value that is an atom,"""
ATOM_RATIO = 3.0
"""and least ratio to any of the four values next to it."""
GAUSSIAN_RANGE = 4.13
"""exp(−∫ f log f) for a standard Gaussian f: what makes a spread a standard deviation."""
NARROWEST = 0.5
"""Least width of a kernel, in steps between values, so that rounded values get no infinite one."""


@dataclass(frozen=True)
class Line:
    """A density with respect to length and, at atoms, ``step`` times counting.

    An atom is a value that is seen far more often than those next to it, such as a zero. A mass
    there counts as if it were spread over the usual distance of two values, so that neither atoms
    nor other values are unlikely only because they are measured differently.
    """

    has_length = True

    values: Float[np.ndarray, " k"]
    """Seen values, ascending."""
    masses: Float[np.ndarray, " k"]
    atom: Bool[np.ndarray, " k"]
    step: Float[np.ndarray, " k"]
    """The usual distance of two values, at each of them."""
    centre: float
    spread: float
    local: Float[np.ndarray, " k"]
    """Factors of the widths of kernels at each value: density to the power −½ (Abramson 1982)."""
    kind: Int[np.ndarray, " c"]
    """Of each part."""
    width: Float[np.ndarray, " c"]
    """Of its kernels, in the units of the column; 0 without."""

    @classmethod
    def of(
        cls, seen: np.ndarray, weight: np.ndarray, *, step: np.ndarray, residuals: np.ndarray
    ) -> "Line":
        """Learn from seen values (n,), their steps, and their residuals from the linear law."""
        values, first, place = np.unique(seen, return_index=True, return_inverse=True)
        masses = np.bincount(place, weight) / weight.sum()
        density = rank_density(values, masses, step[first], len(seen))
        spread = float(np.exp(-masses @ np.log(density))) / GAUSSIAN_RANGE
        residual = float(np.subtract(*np.quantile(residuals, [0.75, 0.25]))) / 1.349
        widths = [spread * w for w in LEAF_WIDTHS], [residual * w for w in MOVED_WIDTHS]
        kinds = [LEAVES] * len(LEAF_WIDTHS) + [MOVED] * len(MOVED_WIDTHS)
        return cls(
            values=values,
            masses=masses,
            atom=atoms(masses),
            step=step[first],
            centre=float(np.quantile(seen, 0.5)),
            spread=spread,
            local=np.clip((density * spread * GAUSSIAN_RANGE) ** -0.5, 0.2, 5.0),
            kind=np.array([LINEAR, *kinds, BROAD]),
            width=np.array([0.0, *widths[0], *widths[1], 0.0]),
        )

    def parts(self, x: Float[np.ndarray, " r"], prediction: Prediction) -> Float[np.ndarray, "c r"]:
        """Return the density at ``x`` by every part."""
        place = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        at_atom = (self.values[place] == x) & self.atom[place]
        met = prediction.met
        in_leaf = met.average(met.place == place[met.row]) if at_atom.any() else self.masses[place]
        masses = np.where(np.isin(self.kind, (LEAVES, MOVED))[:, None], in_leaf, self.masses[place])
        return np.where(at_atom, masses / self.step[place], self._densities(x, prediction))

    def draw(
        self, uniforms: Float[np.ndarray, "r 4"], prediction: Prediction, shares: np.ndarray
    ) -> Float[np.ndarray, " r"]:
        """Return a number per row, drawn by four uniform numbers from parts with these shares."""
        part = picked(uniforms[:, 0], shares)
        kind, noise = self.kind[part], ndtri(uniforms[:, 3])
        drawn = prediction.mean + self._linear_deviation(prediction) * noise
        broad = kind == BROAD
        drawn[broad] = self.centre + self.spread * np.tan(np.pi * (uniforms[broad, 3] - 0.5))
        # One past the last value stands for none of the atoms.
        place = picked(uniforms[:, 2], np.append(self.masses * self.atom, self._smooth_mass))
        trees = np.isin(kind, (LEAVES, MOVED))
        place[trees], residual = prediction.of(trees).pick(uniforms[trees, 1:3])
        moved = prediction.mean[trees] + residual
        around = np.where(kind[trees] == MOVED, moved, self.values[place[trees]])
        h = self._kernel_width(kind[trees], self.width[part[trees]], place[trees])
        drawn[trees] = around + h * noise[trees]
        at_atom = np.append(self.atom, False)[place]
        drawn[at_atom] = self.values[place[at_atom]]
        return drawn

    def pruned(self, shares: np.ndarray) -> tuple["Line", np.ndarray]:
        """Return the column without parts that have no share, and the shares of the others."""
        kept = shares > 0
        return replace(self, kind=self.kind[kept], width=self.width[kept]), shares[kept]

    def near(self, shares: np.ndarray) -> np.ndarray:
        """Return the shares of draws that are to look like rows: without the broad law."""
        near = np.where(self.kind == BROAD, 0.0, shares)
        return near / near.sum() if near.sum() > 0 else shares

    def snapped(self, x: np.ndarray) -> np.ndarray:
        """Return the seen values next to draws; at atoms only draws that are atoms."""
        free, atoms = self.values[~self.atom], self.values[self.atom]
        nearest = free[np.searchsorted((free[1:] + free[:-1]) / 2, x)]
        return np.where(np.isin(x, atoms), x, nearest)

    @property
    def _smooth_mass(self) -> float:
        """Of all but the atoms, in the column as a whole."""
        return float(self.masses[~self.atom].sum())

    def _linear_deviation(self, prediction: Prediction) -> float:
        return max(prediction.deviation, NARROWEST * float(self.masses @ self.step))

    def _kernel_width(
        self, kind: np.ndarray | int, width: np.ndarray | float, place: np.ndarray
    ) -> np.ndarray:
        """Return the standard deviations of kernels at cells."""
        h = width * np.where(kind == LEAVES, self.local[place], 1.0)
        return np.maximum(h, NARROWEST * self.step[place])

    def _densities(self, x: np.ndarray, prediction: Prediction) -> Float[np.ndarray, "c r"]:
        """Return the density of every part at numbers that are no atoms."""
        met, deviation = prediction.met, self._linear_deviation(prediction)
        gaussian = normal_density((x - prediction.mean) / deviation) / deviation
        broad = 1 / (np.pi * self.spread * (1 + np.square((x - self.centre) / self.spread)))
        plain = {LINEAR: gaussian * self._smooth_mass, BROAD: broad * self._smooth_mass}
        around = {LEAVES: self.values[met.place], MOVED: prediction.mean[met.row] + met.residual}
        x_met, out = x[met.row], np.empty((len(self.kind), len(x)))
        for c, (kind, width) in enumerate(zip(self.kind.tolist(), self.width, strict=True)):
            if kind in plain:
                out[c] = plain[kind]
            else:
                inverse = 1 / self._kernel_width(kind, width, np.arange(len(self.values)))
                height = np.where(self.atom, 0.0, inverse)[met.place]
                t = (x_met - around[kind]) * inverse[met.place]
                out[c] = met.average(height * normal_density(t))
        return out


def normal_density(t: np.ndarray) -> np.ndarray:
    """Return the standard normal density."""
    return np.exp(-0.5 * np.square(t)) / np.sqrt(2 * np.pi)


def atoms(masses: Float[np.ndarray, " k"]) -> Bool[np.ndarray, " k"]:
    """Return which values, in ascending order, are seen far more often than those next to them."""
    k, padded = len(masses), np.pad(masses, 2)
    near = np.max([padded[i : i + k] for i in (0, 1, 3, 4)], axis=0)
    found = (masses >= ATOM) & (masses > ATOM_RATIO * near)
    return found if (~found).sum() >= 2 else np.zeros(k, bool)


def rank_density(
    values: Float[np.ndarray, " k"],
    masses: Float[np.ndarray, " k"],
    step: Float[np.ndarray, " k"],
    n: int,
) -> Float[np.ndarray, " k"]:
    """Return a rough density at each value: the share of the √n rows around it, per length."""
    middle = np.cumsum(masses) - masses / 2
    reach = max(np.sqrt(n), 4.0) / (2 * n)
    ranks = np.concatenate([[0.0], middle, [1.0]])
    ends = np.concatenate([[values[0] - step[0] / 2], values, [values[-1] + step[-1] / 2]])
    low, high = np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)
    length = np.interp(high, ranks, ends) - np.interp(low, ranks, ends)
    return (high - low) / np.maximum(length, step)
