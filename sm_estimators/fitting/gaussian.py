"""The Gaussian: fitted from moments, by EM, or by its exact marginals.

The expectation of every objective over its own randomness is known here: explicit and sliced score
matching give K = (S + ridge·D)⁻¹ with S the sample covariance and D its diagonal, which without
the ridge is the maximum-likelihood estimate; denoising gives the same with σ² added to the
diagonal. No optimiser, and no noise, is needed. An L1 penalty or a cap on the eigenvalues of K
leaves a convex quadratic in K, on standardised columns (Zhang and Zou 2014).
"""

from typing import NamedTuple

import numpy as np

from sm_estimators._typing import Params
from sm_estimators.densities import Gaussian
from sm_estimators.fitting._base import Fit, Settings
from sm_estimators.missing import Exact, Imputation, rule_name
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.missing.gaussian_marginal import fit_gaussian_marginal
from sm_estimators.missing.penalty import Penalty
from sm_estimators.missing.sparse_precision import sparse_precision

DEPENDENT = (
    "some columns are duplicated or linear combinations of others, or there are fewer rows than "
    "columns. "
)
UNSETTLED = (
    "the precision ran away or stood still short of `tol`; a larger `ridge` or `l1`, or a smaller "
    "`max_eigenvalue`, holds it"
)


class Moments(NamedTuple):
    """Weight, mean and centred scatter of complete rows; two of them add up."""

    weight: float
    mean: np.ndarray
    scatter: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":  # type: ignore[override]
        """Return the moments of both sets of rows."""
        weight = self.weight + other.weight
        delta = other.mean - self.mean
        between = self.weight * other.weight / weight * np.outer(delta, delta)
        mean = self.mean + delta * other.weight / weight
        return Moments(weight, mean, self.scatter + other.scatter + between)


def row_moments(X: np.ndarray, weight: np.ndarray) -> Moments:
    """Return the moments of complete rows (n, d) with weights (n,)."""
    total = float(weight.sum())
    mean = weight @ X / total
    deviations = (X - mean) * np.sqrt(weight)[:, None]
    return Moments(total, mean, deviations.T @ deviations)


def fit_moments(
    moments: Moments,
    *,
    ridge: float,
    smoothing: float,
    l1: float = 0.0,
    max_eigenvalue: float = np.inf,
) -> Fit:
    """Return the Gaussian of these moments."""
    covariance = regularised(moments.scatter / moments.weight, ridge)
    if Penalty(l1, max_eigenvalue).absent:
        return as_fit(moments.mean, covariance, smoothing)
    variance = np.diag(moments.scatter / moments.weight)
    squares = np.sqrt(np.outer(*2 * [np.where(variance > 0, variance, 1.0)]))
    S = (covariance + smoothing * np.eye(len(covariance))) / squares
    K, _, _, n_iter, converged = sparse_precision(S, l1=l1, max_eigenvalue=max_eigenvalue)
    if not converged:
        as_fit(moments.mean, covariance, smoothing)  # raises where it is singular
    message = "converged" if converged else UNSETTLED
    params = from_precision(moments.mean, K / squares)
    return Fit(params, n_iter=n_iter, converged=converged, message=message)


def regularised(covariance: np.ndarray, ridge: float) -> np.ndarray:
    """Add the ridge, in units of each column's variance (1 for a constant column)."""
    variance = np.diag(covariance)
    return covariance + ridge * np.diag(np.where(variance > 0, variance, 1.0))


def as_fit(location: np.ndarray, covariance: np.ndarray, smoothing: float, **course) -> Fit:
    """Return the Gaussian with noise of variance ``smoothing`` added; singular is an error."""
    covariance = covariance + smoothing * np.eye(len(covariance))
    try:
        return Fit(Gaussian().from_moments(location, covariance), **course)
    except np.linalg.LinAlgError as error:
        scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        constant = np.flatnonzero(scale == 0).tolist()
        raise ValueError(
            "The covariance is singular, so there is no precision: "
            + (f"columns {constant} are constant. " if constant else DEPENDENT)
            + "Drop columns, add rows, or set `ridge` above 0 (1e-6 is enough)."
        ) from error


def from_precision(location: np.ndarray, K: np.ndarray) -> Params:
    """Return the parameters of N(location, K⁻¹); zeros of K survive up to rounding."""
    L = np.linalg.cholesky(K)
    return {
        "location": np.asarray(location, float),
        "log_diagonal": np.log(np.diag(L)),
        "lower": L[np.tril_indices(len(L), -1)],
    }


def fit_gaussian(rule, table, objective, settings: Settings) -> Fit | None:
    """Return the closed-form fit, or None for a rule that has none."""
    X, observed, weight = table[:3]
    penalty = {"l1": settings.l1, "max_eigenvalue": settings.max_eigenvalue}
    shared = {"ridge": settings.ridge, "smoothing": objective.smoothing, **penalty}
    if observed.all():
        return fit_moments(row_moments(X, weight), **shared)
    solvers = {Imputation: gaussian_em, Exact: fit_gaussian_marginal}
    if type(rule) not in solvers:
        refuse_penalty(settings, f"`missing={rule_name(rule)!r}`")
        return None
    limits = {"tol": settings.tol, "max_iter": settings.max_iter}
    result = solvers[type(rule)](X, observed, weights=weight, **shared, **limits)
    return course(result, settings)


def refuse_penalty(settings: Settings, where: str) -> None:
    """Raise `ValueError` for a penalty on the precision where no solver knows it."""
    if not Penalty(settings.l1, settings.max_eigenvalue).absent:
        raise ValueError(
            f"`l1` and `max_eigenvalue` are for complete rows, `missing='imputation'` and "
            f"`missing='exact'`; got {where}. Choose one of these, or leave `l1=0` and "
            "`max_eigenvalue=None`."
        )


def course(result, settings: Settings) -> Fit:
    """Return the fit of an iterative Gaussian routine."""
    cause = "`max_iter` was reached" if result.n_iter >= settings.max_iter else UNSETTLED
    told = {
        "n_iter": result.n_iter,
        "converged": result.converged,
        "message": "converged" if result.converged else cause,
    }
    if Penalty(settings.l1, settings.max_eigenvalue).absent:
        return as_fit(result.location, result.covariance, 0.0, **told)
    return Fit(from_precision(result.location, result.precision), **told)
