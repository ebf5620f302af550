"""What can complete a table of coordinates: a chain of conditionals, or a fitted density."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sm_estimators.conditionals import Chain
from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.widened import narrowed, pointed, widened


@dataclass(frozen=True)
class ChainFiller:
    """Conditionals of every column, and the chain through them."""

    chain: Chain

    def complete(
        self, values: np.ndarray, observed: np.ndarray, *, n_tables: int, seed: int
    ) -> np.ndarray:
        """Return completed tables, (m, n, d)."""
        return self.chain.complete(np.random.default_rng(seed), values, observed, n_tables)

    def means(
        self, values: np.ndarray, observed: np.ndarray, *, n_draws: int, seed: int
    ) -> np.ndarray:
        """Return means, and most probable levels, in the holes, (n, d)."""
        rng = np.random.default_rng(seed)
        return self.chain.means(rng, values, observed, n_tables=n_draws)


@dataclass(frozen=True)
class DensityFiller:
    """An estimator of the density of the table, or of its coordinates."""

    estimator: Any
    coordinates: list[Coordinates] | None
    """None where the columns are numbers, modelled as they are."""

    def complete(
        self, values: np.ndarray, observed: np.ndarray, *, n_tables: int, seed: int
    ) -> np.ndarray:
        """Return completed tables, (m, n, d)."""
        if self.coordinates is None:
            return self.estimator._completions(values, observed, n_imputations=n_tables, seed=seed)
        wide, seen = widened(self.coordinates, values, observed)
        tables = self.estimator._completions(wide, seen, n_imputations=n_tables, seed=seed)
        completed = np.stack([narrowed(self.coordinates, table) for table in tables])
        return np.where(observed, values, completed)

    def means(
        self, values: np.ndarray, observed: np.ndarray, *, n_draws: int, seed: int
    ) -> np.ndarray:
        """Return means, and most probable levels, in the holes, (n, d)."""
        wide, seen = values, observed
        if self.coordinates is not None:
            wide, seen = widened(self.coordinates, values, observed)
        means = self.estimator._means(wide, seen)
        if means is None:
            draws = {"n_imputations": n_draws, "seed": seed}
            means = self.estimator._completions(wide, seen, **draws).mean(axis=0)
        if self.coordinates is not None:
            means = pointed(self.coordinates, means)
        return np.where(observed, values, means)
