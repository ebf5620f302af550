"""Imputers that are made of trees: miceforest and ForestDiffusion."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.imputation.fitted import Fitted, same

ITERATIONS = 5
DATASETS = 5
"""Datasets of a kernel of miceforest. They are independent of each other, so more draws are more
kernels, and the memory is that of one: every model keeps the table it was fitted to."""


@dataclass
class Chained:
    """miceforest 6.0.5: chained equations of lightgbm with predictive mean matching.

    Kernels are run when their datasets are first asked for, and kept.
    """

    X: np.ndarray
    seed: int
    kernels: list[Any] = field(default_factory=list)

    def mean(self, X: np.ndarray) -> None:
        """Return nothing: there are draws only."""

    def draws(self, X: np.ndarray, k: int) -> np.ndarray:
        """Return the datasets of kernels, or what their models make of new rows."""
        while DATASETS * len(self.kernels) < k:
            if self.kernels:
                _lighten(self.kernels[-1])
            self.kernels.append(self._run(1000 * self.seed + len(self.kernels)))
        return np.stack([self._dataset(X, i) for i in range(k)])

    def _run(self, seed: int) -> Any:
        """Return a kernel after five iterations."""
        from miceforest import ImputationKernel

        kernel = ImputationKernel(_frame(self.X), num_datasets=DATASETS, random_state=seed)
        kernel.mice(ITERATIONS, num_threads=1)
        return kernel

    def _dataset(self, X: np.ndarray, i: int) -> np.ndarray:
        """Return the i-th completion of the fitted rows or of new ones."""
        kernel, dataset = self.kernels[i // DATASETS], i % DATASETS
        if not same(X, self.X):
            with _counting():
                kernel = kernel.impute_new_data(_frame(X), datasets=[dataset], random_state=i)
        return kernel.complete_data(dataset).to_numpy(float)


def _lighten(kernel: Any) -> None:
    """Let the models of a kernel forget the table; what they predict stays."""
    from lightgbm import Booster

    for key, model in kernel.models.items():
        light = Booster(model_str=model.model_to_string())
        light.params = model.params
        kernel.models[key] = light


@contextmanager
def _counting() -> Iterator[None]:
    """Count the iterations of new rows, which miceforest 6.0.5 forgets.

    Without the count every iteration starts from the random values of the first, and
    ``complete_data`` returns these: worse than column means.
    """
    from miceforest import ImputedData

    forgetful = ImputedData.__setitem__

    def set_and_count(self, key, values):
        forgetful(self, key, values)
        variable, iteration, dataset = key
        self.iteration_tab[variable, dataset] = iteration

    ImputedData.__setitem__ = set_and_count
    try:
        yield
    finally:
        ImputedData.__setitem__ = forgetful


def _frame(X: np.ndarray) -> pd.DataFrame:
    """Return the table with names of columns, which miceforest wants."""
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])


def miceforest(X: np.ndarray, seed: int) -> Fitted:
    """Prepare miceforest with its defaults, five iterations and one thread."""
    return Chained(X, seed)


@dataclass
class Repainted:
    """ForestDiffusion 1.0.6: trees as denoisers, and RePaint to draw."""

    model: Any
    X: np.ndarray

    def mean(self, X: np.ndarray) -> None:
        """Return nothing: there are draws only."""

    def draws(self, X: np.ndarray, k: int) -> np.ndarray:
        """Return k tables; new rows are given in the columns that the model works in."""
        inner = None if same(X, self.X) else self.model.scaler.transform(X)
        filled = self.model.impute(k=k, X=inner, repaint=True).reshape(k, *X.shape)
        # It rounds seen values, and clips those of new rows to the range of the fitted ones.
        return np.where(np.isnan(X), filled, X)


def forest_diffusion(X: np.ndarray, seed: int) -> Fitted:
    """Fit the variance-preserving forest, which alone can impute, with documented defaults.

    50 noise levels, 100 noise draws per row, xgboost with 100 trees of depth 7; one thread.
    """
    from ForestDiffusion import ForestDiffusionModel

    defaults = {"n_t": 50, "duplicate_K": 100, "diffusion_type": "vp"}
    return Repainted(ForestDiffusionModel(X, n_jobs=1, nthread=1, seed=seed, **defaults), X)
