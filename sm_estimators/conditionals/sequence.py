"""A row as a sequence: each column given those before it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.factor import Factor
from sm_estimators.conditionals.line import BACKGROUND, Line


@dataclass(frozen=True)
class Sequence:
    coordinates: list[Coordinates]
    factors: list[Factor]

    def sample(self, rng, n, snap=True):
        rows = Completions(self.coordinates, np.zeros((1, n, len(self.coordinates))))
        everyone = np.arange(n)
        for f in self.factors:
            u = rng.uniform(1e-12, 1 - 1e-12, (n, 4))
            shares = f.shares
            if isinstance(f.support, Line):
                shares = np.where(f.support.kind == BACKGROUND, 0, shares)
            x = f.draw(u, rows.linear[0], rows.ranked[0].copy(), shares)
            x = f.support.snapped(x) if snap else x
            rows.write(f.column, everyone, x[None])
        return rows.values[0]

    def factor_log_densities(self, values):
        rows = Completions(self.coordinates, values[None])
        out = np.empty(values.shape)
        for f in self.factors:
            out[:, f.column] = np.log(f.density(values[:, f.column], rows.linear[0], rows.ranked[0].copy()))
        return out

    def log_density(self, rng, values, observed, n_draws=20):
        m, d = n_draws, len(self.factors)
        strata = rng.permuted(np.tile(np.arange(m)[:, None, None], (1, d, 4)), axis=0)
        u = (strata + rng.uniform(1e-12, 1 - 1e-12, strata.shape)) / m
        order = [f.column for f in self.factors]
        last = d - 1 - np.argmax(observed[:, order][:, ::-1], axis=1)
        last[~observed.any(axis=1)] = -1
        out = np.empty(len(values))
        for begin in range(0, len(values), 500):
            part = slice(begin, begin + 500)
            out[part] = self._chunk(u, values[part], observed[part], last[part])
        return out

    def _chunk(self, u, values, observed, last):
        m = len(u)
        rows = Completions(self.coordinates, np.repeat(np.where(observed, values, 0.0)[None], m, axis=0))
        total = np.zeros((m, len(values)))
        spread = np.zeros(len(values), bool)
        for i, f in enumerate(self.factors):
            j = f.column
            seen = observed[:, j]
            once = np.flatnonzero(seen & ~spread)
            if len(once):
                total[:, once] += np.log(f.density(values[once, j], rows.linear[0, once], rows.ranked[0, once]))
            many = np.flatnonzero(seen & spread)
            if len(many):
                p = rows.linear.shape[-1]
                x = np.tile(values[many, j], m)
                dens = f.density(x, rows.linear[:, many].reshape(-1, p), rows.ranked[:, many].reshape(-1, p))
                total[:, many] += np.log(dens).reshape(m, -1)
            hole = np.flatnonzero(~seen & (last > i))
            if len(hole):
                p = rows.linear.shape[-1]
                uu = np.repeat(u[:, i], len(hole), axis=0)
                x = f.draw(uu, rows.linear[:, hole].reshape(-1, p), rows.ranked[:, hole].reshape(-1, p))
                rows.write(j, hole, x.reshape(m, -1))
                spread[hole] = True
        return logsumexp(total, axis=0) - np.log(m)
