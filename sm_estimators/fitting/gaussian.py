"""The Gaussian: fitted from moments, by EM, or by its exact marginals.

The expectation of every objective over its own randomness is known here: explicit and sliced score
matching give K = (S + ridge·D)⁻¹ with S the sample covariance and D its diagonal, which without
the ridge is the maximum-likelihood estimate; denoising gives the same with σ² added to the
diagonal. No optimiser, and no noise, is needed.
"""

from typing import NamedTuple

import numpy as np

from sm_estimators.densities import Gaussian
from sm_estimators.fitting._base import Fit, Settings
from sm_estimators.missing import Exact, Imputation
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.missing.gaussian_marginal import fit_gaussian_marginal

DEPENDENT = (
    "some columns are duplicated or linear combinations of others, or there are fewer rows than "
    "columns. "
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


def fit_moments(moments: Moments, *, ridge: float, smoothing: float) -> Fit:
    """Return the Gaussian of these moments."""
    covariance = moments.scatter / moments.weight
    return as_fit(moments.mean, regularised(covariance, ridge), smoothing)


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


def fit_gaussian(rule, table, objective, settings: Settings) -> Fit | None:
    """Return the closed-form fit, or None for a rule that has none."""
    X, observed, weight = table[:3]
    if observed.all():
        return fit_moments(
            row_moments(X, weight), ridge=settings.ridge, smoothing=objective.smoothing
        )
    limits = {"ridge": settings.ridge, "tol": settings.tol, "max_iter": settings.max_iter}
    if isinstance(rule, Imputation):
        em = gaussian_em(X, observed, weights=weight, **limits)
        return course(em, objective.smoothing)
    if isinstance(rule, Exact):
        exact = fit_gaussian_marginal(
            X, observed, weights=weight, smoothing=objective.smoothing, **limits
        )
        return course(exact, 0.0)
    return None


def course(result, smoothing: float) -> Fit:
    """Return the fit of an iterative Gaussian routine."""
    message = "converged" if result.converged else "`max_iter` was reached"
    return as_fit(
        result.location,
        result.covariance,
        smoothing,
        n_iter=result.n_iter,
        converged=result.converged,
        message=message,
    )
