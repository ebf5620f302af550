"""Rows column by column: p(x) = Π_j p(x_j | x_<j)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logsumexp

from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.curve import Curve
from sm_estimators.conditionals.factor import N_UNIFORMS, Factor
from sm_estimators.conditionals.prediction import Prediction

SAMPLED_AT_ONCE = 20_000
"""Rows that are drawn at once."""
SCORED_AT_ONCE = 2000
"""Rows, counted in every draw, that are scored at once."""


@dataclass(frozen=True)
class Sequence:
    """The laws of all columns, each given those before it.

    A row is drawn by drawing its columns in turn. The density of a row without holes is the
    product of its factors. That of what was seen of a row is estimated by sequential imputation
    (Kong, Liu and Wong 1994): m times the holes are drawn in turn, each given the columns before
    it, and the factors of the seen cells are multiplied. The average of the m products is unbiased
    for the density.
    """

    curves: list[Curve]
    """By which columns are mapped before anything else."""
    coordinates: list[Coordinates]
    """Of the mapped columns."""
    factors: list[Factor]
    """In the order of the sequence."""

    def sample(self, rng: np.random.Generator, n_samples: int) -> Float[np.ndarray, "n d"]:
        """Return new rows of values that were seen."""
        parts = [
            self._sampled(rng, min(SAMPLED_AT_ONCE, n_samples - begin))
            for begin in range(0, n_samples, SAMPLED_AT_ONCE)
        ]
        drawn = np.concatenate(parts)
        return np.stack([c.seen(t) for c, t in zip(self.curves, drawn.T, strict=True)], axis=1)

    def log_density(
        self,
        rng: np.random.Generator,
        values: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        n_draws: int = 20,
    ) -> Float[np.ndarray, " n"]:
        """Return the log-density of what was seen of every row.

        The random numbers are the same for all rows, so that a row does not know its neighbours.
        ``n_draws`` is m. Rows whose holes come last in the sequence need none.
        """
        uniforms = stratified(rng, n_draws, len(self.factors))
        values, log_slopes = self._mapped(values, observed)
        log_density = np.empty(len(values))
        for rows, m in self._chunks(observed, n_draws):
            log_density[rows] = self._scored(uniforms[:m], values[rows], observed[rows])
        return log_density + log_slopes

    def _chunks(
        self, observed: Bool[np.ndarray, "n d"], n_draws: int
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Yield rows that are scored at once, and how many draws they need."""
        in_order = observed[:, [factor.column for factor in self.factors]]
        needs = (~in_order[:, :-1] & in_order[:, 1:]).any(axis=1)
        for group, m in ((~needs, 1), (needs, n_draws)):
            rows = np.flatnonzero(group)
            size = max(SCORED_AT_ONCE // m, 1)
            for begin in range(0, len(rows), size):
                yield rows[begin : begin + size], m

    def _mapped(self, values: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mapped rows, and the sum of their log-slopes where a density has a length."""
        mapped, log_slopes = np.zeros(values.shape), np.zeros(len(values))
        for factor in self.factors:
            j = factor.column
            rows, curve = observed[:, j], self.curves[j]
            mapped[rows, j] = curve.forward(values[rows, j])
            if factor.support.has_length:
                log_slopes[rows] += curve.log_slope(values[rows, j])
        return mapped, log_slopes

    def _sampled(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return ``n`` mapped rows, drawn at once."""
        tables = Completions(self.coordinates, np.zeros((1, n, len(self.coordinates))))
        rows = np.arange(n)
        for factor in self.factors:
            prediction = predicted(factor, tables, rows, 1)
            uniforms = rng.uniform(1e-12, 1 - 1e-12, (n, N_UNIFORMS))
            tables.write(factor.column, rows, factor.draw_seen(uniforms, prediction)[None])
        return tables.values[0]

    def _scored(self, uniforms: np.ndarray, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return the log-densities of mapped rows, by m draws of each."""
        m, n = len(uniforms), len(values)
        tables = Completions(self.coordinates, np.repeat(values[None], m, axis=0))
        total, drawn = np.zeros((m, n)), np.zeros(n, bool)
        to_come = np.cumsum(observed[:, [f.column for f in self.factors]][:, ::-1], axis=1)[:, ::-1]
        for i, factor in enumerate(self.factors):
            seen = observed[:, factor.column]
            for rows, copies in ((seen & ~drawn, 1), (seen & drawn, m)):
                total[:, rows] += scored(factor, tables, np.flatnonzero(rows), copies)
            holes = np.flatnonzero(~seen & (to_come[:, i] > 0))
            prediction = predicted(factor, tables, holes, m)
            x = factor.draw(np.repeat(uniforms[:, i], len(holes), axis=0), prediction)
            tables.write(factor.column, holes, x.reshape(m, -1))
            drawn[holes] = True
        return logsumexp(total, axis=0) - np.log(m)


def predicted(factor: Factor, tables: Completions, rows: np.ndarray, copies: int) -> Prediction:
    """Return what rows of the first tables say about a column, one table after another."""
    p = tables.linear.shape[-1]
    linear = tables.linear[:copies, rows].reshape(-1, p)
    return factor.predict(linear, tables.ranked[:copies, rows].reshape(-1, p))


def scored(
    factor: Factor, tables: Completions, rows: np.ndarray, copies: int
) -> Float[np.ndarray, "m r"]:
    """Return the logarithm of a factor at seen cells, in each of the first tables."""
    x = np.tile(tables.values[0, rows, factor.column], copies)
    density = factor.density(x, predicted(factor, tables, rows, copies))
    return np.log(np.maximum(density, np.finfo(float).tiny)).reshape(copies, len(rows))


def stratified(rng: np.random.Generator, m: int, d: int) -> Float[np.ndarray, "m d 4"]:
    """Return random numbers of which, in every place, each of m intervals has one.

    A Latin hypercube (McKay, Beckman and Conover 1979): each draw alone is uniform.
    """
    strata = rng.permuted(np.tile(np.arange(m)[:, None, None], (1, d, N_UNIFORMS)), axis=0)
    return (strata + rng.uniform(1e-12, 1 - 1e-12, strata.shape)) / m
