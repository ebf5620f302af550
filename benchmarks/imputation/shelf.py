"""Imputers of scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from benchmarks.imputation.fitted import Fitted, same, standardised

NEIGHBOURS = (5, 10, 20)


@dataclass
class Transformer:
    """A transformer of scikit-learn that returns point estimates.

    The completions of the fitted rows are those of ``fit_transform``, as users take them.
    """

    imputer: object
    X: np.ndarray
    filled: np.ndarray = field(init=False)

    def __post_init__(self):
        self.filled = self.imputer.fit_transform(self.X)

    def mean(self, X: np.ndarray) -> np.ndarray:
        """Return point estimates."""
        return self.filled if same(X, self.X) else self.imputer.transform(X)

    def draws(self, X: np.ndarray, k: int) -> None:
        """Return nothing: there are no draws."""


@dataclass
class Repeated:
    """Draws by fits with different seeds, made when they are asked for and kept."""

    make: Callable[[int], IterativeImputer]
    X: np.ndarray
    seed: int
    fits: list[Transformer] = field(default_factory=list)

    def mean(self, X: np.ndarray) -> None:
        """Return nothing: there are draws only."""

    def draws(self, X: np.ndarray, k: int) -> np.ndarray:
        """Return one completion by each of k fits."""
        for i in range(len(self.fits), k):
            self.fits.append(Transformer(self.make(1000 * self.seed + i), self.X))
        return np.stack([fit.mean(X) for fit in self.fits[:k]])


def mean(X: np.ndarray, seed: int) -> Fitted:
    """Fill in the mean of the column."""
    return Transformer(SimpleImputer(), X)


@standardised
def ice(X: np.ndarray, seed: int) -> Fitted:
    """Fill in by round robin of Bayesian ridge regressions, ten rounds at most."""
    return Transformer(IterativeImputer(random_state=seed), X)


@standardised
def ice_posterior(X: np.ndarray, seed: int) -> Fitted:
    """Draw by the same round robin; one fit for every completion."""
    return Repeated(lambda i: IterativeImputer(sample_posterior=True, random_state=i), X, seed)


@standardised
def ice_extratrees(X: np.ndarray, seed: int) -> Fitted:
    """Fill in by round robin of 50 extremely randomised trees, five rounds at most."""
    trees = ExtraTreesRegressor(n_estimators=50, n_jobs=1, random_state=seed)
    return Transformer(IterativeImputer(trees, max_iter=5, random_state=seed), X)


@standardised
def knn(X: np.ndarray, seed: int) -> Fitted:
    """Fill in by near neighbours, whose number is the best for a tenth of the seen cells."""
    again = ~np.isnan(X) & (np.random.default_rng(seed).random(X.shape) < 0.1)
    holed = np.where(again, np.nan, X)

    def error(k: int) -> float:
        imputer = KNNImputer(n_neighbors=k, keep_empty_features=True)
        return float(np.mean((imputer.fit_transform(holed) - X)[again] ** 2))

    return Transformer(KNNImputer(n_neighbors=min(NEIGHBOURS, key=error)), X)
