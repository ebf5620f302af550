"""Imputers of this package."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.imputation.fitted import Fitted


@dataclass(frozen=True)
class Own:
    """A `ScoreMatchingImputer`: conditional means and draws."""

    imputer: Any
    seed: int

    def mean(self, X: np.ndarray) -> np.ndarray:
        """Return conditional means."""
        return self.imputer.transform(X)

    def draws(self, X: np.ndarray, k: int) -> np.ndarray:
        """Return draws."""
        return self.imputer.impute(X, n_imputations=k, random_state=self.seed)


def gaussian_em(X: np.ndarray, seed: int) -> Fitted:
    """Fit a Gaussian by EM; its conditional means and draws are exact."""
    from sm_estimators import GaussianScoreMatching, ScoreMatchingImputer

    imputer = ScoreMatchingImputer(GaussianScoreMatching(mechanism="mar"), random_state=seed)
    return Own(imputer.fit(X), seed)


def ours(X: np.ndarray, seed: int) -> Fitted:
    """Fit the imputation engine with its defaults."""
    from sm_estimators import ScoreMatchingImputer

    return Own(ScoreMatchingImputer(engine="auto", random_state=seed).fit(X), seed)
