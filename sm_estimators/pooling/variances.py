"""Coefficients of one fit with their covariance: what is known about one completed table.

A rule takes a fitted estimator, the table and the outcome it was fitted to, and returns names,
estimates, covariance and complete-data degrees of freedom. A rule exists where theory gives the
covariance; for anything else there is the bootstrap. Nothing is guessed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from sm_estimators.pooling.completion import fresh, take


class Coefficients(NamedTuple):
    """What one fit says of its k coefficients."""

    names: list[str]
    """The intercept first, where there is one."""
    estimates: np.ndarray
    """(k,)."""
    covariance: np.ndarray
    """(k, k)."""
    df_complete: float
    """Degrees of freedom of the covariance."""


VarianceRule = Callable[[Any, Any, Any], Coefficients]


def classical_rule(estimator: Any) -> VarianceRule:
    """Return the rule of theory for an unfitted estimator, or say that there is none."""
    if _is_least_squares(estimator):
        return least_squares
    if type(estimator) is LogisticRegression and _is_unpenalised(estimator):
        return logistic
    raise ValueError(
        f"`variance='auto'` knows no variances for the coefficients of {estimator!r}; it knows "
        "LinearRegression, Ridge(alpha=0) and LogisticRegression(C=inf) without class weights. "
        "Choose `variance='bootstrap'`, or `variance=None` for predictions without pooled "
        "coefficients, or pass a function (X, y) -> results with `params` and `bse`."
    )


def _is_least_squares(estimator: Any) -> bool:
    """Whether an estimator is ordinary least squares."""
    if type(estimator) is LinearRegression:
        return not estimator.positive
    is_ridge = type(estimator) is Ridge and not estimator.positive
    return is_ridge and not np.any(np.asarray(estimator.alpha))


def _is_unpenalised(estimator: LogisticRegression) -> bool:
    """Whether a logistic regression is maximum likelihood."""
    parameters = estimator.get_params()
    free = parameters.get("penalty") is None or np.isinf(parameters["C"])
    return bool(free) and parameters["class_weight"] is None


def least_squares(fitted: Any, X: Any, y: Any) -> Coefficients:
    """Return the coefficients with σ̂² (ZᵀZ)⁻¹, σ̂² = RSS/(n - k), of a design Z."""
    names, design = _design(fitted, X)
    estimates = _coefficients(fitted)
    df = len(design) - design.shape[1]
    residuals = np.asarray(y, dtype=float) - design @ estimates
    return Coefficients(names, estimates, residuals @ residuals / df * _inverse_gram(design), df)


def logistic(fitted: Any, X: Any, y: Any) -> Coefficients:
    """Return the coefficients with the inverse information (Zᵀ diag(p(1 - p)) Z)⁻¹."""
    del y
    if len(fitted.classes_) != 2:
        raise ValueError(
            f"`y` has {len(fitted.classes_)} classes, and the inverse information of a logistic "
            "regression is known here for 2. Choose `variance='bootstrap'`, or None."
        )
    names, design = _design(fitted, X)
    estimates = _coefficients(fitted)
    p = expit(design @ estimates)
    weighted = np.sqrt(p * (1 - p))[:, None] * design
    return Coefficients(names, estimates, _inverse_gram(weighted), len(design) - design.shape[1])


def bootstrap_rule(estimator: Any, n_bootstrap: int, random: np.random.RandomState) -> VarianceRule:
    """Make the rule that refits an estimator to resampled rows of the completed table."""

    def rule(fitted: Any, X: Any, y: Any) -> Coefficients:
        estimates, n = _coefficients(fitted), len(y)
        draws = []
        for _ in range(n_bootstrap):
            rows = random.randint(n, size=n)
            again = fresh(estimator).fit(take(X, rows), take(y, rows))
            draws.append(_coefficients(again))
        if any(len(draw) != len(estimates) for draw in draws):
            raise ValueError(
                "Some resampled tables lack a class of `y`, so that their coefficients are fewer. "
                "The class is too rare for `variance='bootstrap'`; choose None, or merge classes."
            )
        covariance = np.cov(np.stack(draws), rowvar=False).reshape(2 * estimates.shape)
        return Coefficients(_coefficient_names(fitted, X), estimates, covariance, np.inf)

    return rule


def _coefficients(fitted: Any) -> np.ndarray:
    """Return intercept and coefficients of a fit as one vector."""
    if not hasattr(fitted, "coef_"):
        raise ValueError(
            f"{type(fitted).__name__} has no `coef_` that could be pooled; choose "
            "`variance=None` for its predictions."
        )
    parts = [np.ravel(fitted.coef_)]
    if _has_intercept(fitted):
        parts.insert(0, np.ravel(fitted.intercept_))
    return np.concatenate(parts).astype(float)


def _has_intercept(fitted: Any) -> bool:
    """Whether a fit estimated an intercept."""
    return bool(getattr(fitted, "fit_intercept", True)) and hasattr(fitted, "intercept_")


def _coefficient_names(fitted: Any, X: Any) -> list[str]:
    """Return names in the order of `_coefficients`; with several classes, of class and column."""
    columns = [str(c) for c in getattr(X, "columns", [f"x{j}" for j in range(X.shape[1])])]
    n_rows = np.size(fitted.coef_) // len(columns)
    labels = [""] if n_rows == 1 else [f"{c}: " for c in getattr(fitted, "classes_", range(n_rows))]
    intercepts = [f"{label}intercept" for label in labels] if _has_intercept(fitted) else []
    return intercepts + [label + column for label in labels for column in columns]


def _design(fitted: Any, X: Any) -> tuple[list[str], np.ndarray]:
    """Return names and columns of a regression, or say that they are too many."""
    values = np.asarray(X, dtype=float)
    if np.size(fitted.coef_) != values.shape[1]:
        raise ValueError(
            f"`y` has several outcomes, coefficients of shape {np.shape(fitted.coef_)}; expected "
            "one. Pool one outcome at a time."
        )
    if _has_intercept(fitted):
        values = np.column_stack([np.ones(len(values)), values])
    n, k = values.shape
    if n <= k or np.linalg.matrix_rank(values) < k:
        raise ValueError(
            f"`X` gives {k} coefficients to {n} rows and does not determine them: a column is a "
            "combination of others, or the rows are too few. Drop columns."
        )
    return _coefficient_names(fitted, X), values


def _inverse_gram(design: np.ndarray) -> np.ndarray:
    """Return (ZᵀZ)⁻¹ without squaring the condition number of Z."""
    root = np.linalg.inv(np.linalg.qr(design, mode="r"))
    return root @ root.T
