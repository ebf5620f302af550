"""What can complete a table of coordinates: a chain of conditionals, or a fitted density."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

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

    def sample(self, n_samples: int, *, seed: int) -> np.ndarray:
        """Return new rows, (n, d)."""
        return self._sequence().sample(np.random.default_rng(seed), n_samples)

    def log_density(self, values: np.ndarray, observed: np.ndarray, *, seed: int) -> np.ndarray:
        """Return the log-density of what was seen of every row, (n,)."""
        return self._sequence().log_density(np.random.default_rng(seed), values, observed)

    def _sequence(self) -> Any:
        """Return the model of whole rows, which every imputer of this kind has."""
        assert self.chain.sequence is not None
        return self.chain.sequence


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
        rng = np.random.default_rng([seed, 1])  # other numbers than the estimator's
        completed = np.stack([narrowed(rng, self.coordinates, table) for table in tables])
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

    def sample(self, n_samples: int, *, seed: int) -> np.ndarray:
        """Return new rows, (n, d)."""
        drawn = self.estimator.sample(n_samples, random_state=seed)
        if self.coordinates is None:
            return drawn
        return narrowed(np.random.default_rng([seed, 1]), self.coordinates, drawn)

    def log_density(self, values: np.ndarray, observed: np.ndarray, *, seed: int) -> np.ndarray:
        """Return the log-density of what was seen of every row, or of its coordinates, (n,)."""
        del seed
        if self.coordinates is not None:
            values, observed = widened(self.coordinates, values, observed)
        X = np.where(observed, values, np.nan)
        names = getattr(self.estimator, "feature_names_in_", None)
        return self.estimator.score_samples(X if names is None else pd.DataFrame(X, columns=names))
