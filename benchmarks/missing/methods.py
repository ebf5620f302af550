"""The rules that are compared, each with the settings of its source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.impute import SimpleImputer

from sm_estimators import (
    CustomProposal,
    Importance,
    Imputation,
    Variational,
    VariationalNetwork,
)

PUBLISHED_DRAWS = 10
WIDE = 4.0
"""Standard deviation of the proposal of Givens, Liu and Reeve (2025)."""

ISOTROPIC = VariationalNetwork((64,), spread="isotropic", backbone=False, inflation=1.0)
"""Their variational family: a perceptron's mean, one standard deviation."""


@dataclass(frozen=True)
class WideNormal:
    """N(0, 16 I) in the holes, cut at lower bounds where there are any."""

    lower: tuple[float, ...] = ()

    def __call__(self, rng: np.random.Generator, X, observed, n_draws: int):
        """Return completions and log-densities."""
        n, d = X.shape
        lower = np.array(self.lower or (-np.inf,) * d) / WIDE
        below = ndtr(lower)
        u = below + (1 - below) * rng.uniform(1e-12, 1 - 1e-12, (n, n_draws, d))
        z = np.maximum(ndtri(u), lower)
        hole = ~observed[:, None, :]
        log_density = np.where(hole, -0.5 * z**2 - np.log1p(-below), 0.0).sum(axis=2)
        return np.where(hole, WIDE * z, X[:, None, :]), log_density


@dataclass(frozen=True)
class Method:
    """A name in the tables, a rule, and what is done to the table first."""

    name: str
    missing: Any
    prepare: Callable[[np.ndarray], np.ndarray] = lambda X: X
    of_full_data: bool = False
    consistent: bool = True


def mean_filled(X: np.ndarray) -> np.ndarray:
    """Return the table with means in its holes."""
    return np.asarray(SimpleImputer().fit_transform(X))


def methods(lower: tuple[float, ...] = (), n_draws: int = 10) -> list[Method]:
    """Return the methods; ``lower`` are bounds of the columns, if any, ``n_draws`` is for ours."""
    wide = CustomProposal(WideNormal(lower))
    return [
        Method("full data", "complete_case", of_full_data=True),
        Method("complete cases", "complete_case"),
        Method("mean imputed", "complete_case", prepare=mean_filled, consistent=False),
        Method("zeroed", "zeroed", consistent=False),
        Method("EM (imputation)", Imputation(n_draws)),
        Method(
            "importance, N(0, 16 I), as published",
            Importance(PUBLISHED_DRAWS, wide, bias_correction=False),
        ),
        Method("importance, ours", Importance(n_draws)),
        Method("importance, ours, 5 refreshes", Importance(n_draws, n_refreshes=5)),
        Method(
            "variational, isotropic network, as published",
            Variational(PUBLISHED_DRAWS, ISOTROPIC, self_normalised=False, bias_correction=False),
        ),
        Method("variational, Gaussian, unweighted", Variational(n_draws, self_normalised=False)),
        Method("variational with weights, ours", Variational(n_draws)),
        Method(
            "variational with weights, network",
            Variational(n_draws, VariationalNetwork((64,))),
        ),
    ]
