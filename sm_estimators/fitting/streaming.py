"""Fits from sums over rows that arrive in pieces."""

import jax
import numpy as np

from sm_estimators.densities import AbstractDensity, Gaussian
from sm_estimators.fitting._base import Fit, Settings
from sm_estimators.fitting.gaussian import Moments, fit_moments, regularised, row_moments
from sm_estimators.fitting.quadratic import NormalEquations, normal_equations, solve
from sm_estimators.fitting.sparse import sparse_parameters
from sm_estimators.missing import CompleteCase, Placed
from sm_estimators.objectives import AbstractObjective


class Sums:
    """Moments and, for an exponential family, normal equations of the rows so far."""

    def __init__(self, moments: Moments, equations: NormalEquations | None):
        self.moments, self.equations = moments, equations

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums over both sets of rows."""
        both = self.equations is not None and other.equations is not None
        equations = self.equations + other.equations if both else None  # type: ignore[operator]
        return Sums(self.moments + other.moments, equations)


def add_rows(
    density: AbstractDensity,
    objective: AbstractObjective,
    X: np.ndarray,
    weight: np.ndarray,
    seed: int,
) -> Sums:
    """Return the sums over complete rows (n, d) with weights (n,)."""
    moments = row_moments(X, weight)
    if isinstance(density, Gaussian):
        return Sums(moments, None)
    seen = np.ones(X.shape, bool)
    table = Placed(X, seen, weight, (moments.mean, moments.scatter))
    rows = CompleteCase().prepare(np.random.default_rng(seed), table)
    return Sums(moments, normal_equations(density, objective, rows, jax.random.key(seed)))


def fit_sums(
    density: AbstractDensity, objective: AbstractObjective, sums: Sums, settings: Settings
) -> Fit:
    """Return the fit to all rows that were added up."""
    moments = sums.moments
    if sums.equations is None:
        fit = fit_moments(moments, ridge=settings.ridge, smoothing=objective.smoothing)
    else:
        penalty = settings.l1 * sparse_parameters(density, len(sums.equations.linear))
        fit = Fit(solve(sums.equations, ridge=settings.ridge, penalty=penalty))
    covariance = regularised(moments.scatter / moments.weight, max(settings.ridge, 1e-8))
    fit.moments = moments.mean, covariance
    return fit
