"""Imputation, analysis and pooling in one call."""

from numbers import Integral
from typing import Any

import numpy as np
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from sm_estimators.pooling.analyses import Analyses, read_arrays, read_results
from sm_estimators.pooling.completion import (
    Completion,
    are_tables,
    complete,
    count_holes,
    fresh,
    read_completed,
)
from sm_estimators.pooling.outcome import is_name
from sm_estimators.pooling.pooled_fit import PooledFit
from sm_estimators.pooling.rubin import pool_analyses
from sm_estimators.pooling.variances import VarianceRule, bootstrap_rule, classical_rule


def fit_pooled(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_imputations: int = 20,
    imputer: Any = None,
    bootstrap_imputer: bool = True,
    variance: str | None = "auto",
    n_bootstrap: int = 100,
    df_complete: Any = None,
    random_state: Any = None,
) -> PooledFit:
    """Fit an estimator to every completed table and pool the fits.

    The outcome is part of the table that is imputed. Without it, imputed predictors would have
    nothing to do with it, and coefficients would be drawn to zero.

    Rubin's rules suppose imputations that know how uncertain their model is. An imputer that is
    fitted once and then draws does not, and intervals come out too short. By default, therefore,
    the imputer is fitted anew to a resample of the rows for each completed table (the bootstrap of
    Honaker and King 2010), which comes to about the same as drawing its parameters from their
    posterior. How often a row was drawn is its ``sample_weight`` where the imputer's ``fit`` takes
    weights; to other imputers a drawn row is given as often as it was drawn. Weights leave no
    copies of a row, by which one that is hidden could be known, and tell the imputer of levels that
    were not drawn. Where no drawn row has a value of some column, one more row that has is drawn.

    Parameters
    ----------
    estimator : scikit-learn estimator or callable
        A clone of it is fitted to each completed table. A callable takes X and y and returns fitted
        results with ``params``, ``bse`` or ``cov_params()``, and optionally ``df_resid``, such as
        ``lambda X, y: sm.OLS(y, sm.add_constant(X)).fit()`` with statsmodels.
    X : DataFrame or array of shape (n, d), or several completed tables
        A table with NaN where nothing was seen; or completed tables as ``impute`` returns them, a
        list or an array of shape (m, n, d).
    y : name of a column of X, or array-like of shape (n,), optional
        The outcome. Both may have holes. An array has to be numeric, as it becomes one more column
        of the imputer's table; classes with holes belong into the DataFrame. May be left out for a
        callable that takes the outcome from X.
    n_imputations : int, default=20
        Completed tables, at least 2. Ignored when ``X`` is several of them.
    imputer : object with ``fit(X)`` and ``impute(X, n_imputations, random_state=)``, optional
        ``ScoreMatchingImputer()`` by default. A clone of it is fitted.
    bootstrap_imputer : bool, default=True
        Fit it to a resample of the rows for each table. This takes the time of ``n_imputations``
        fits, and the memory: the result keeps the fitted imputers for ``predict``. False fits it
        once.
    variance : {"auto", "bootstrap"} or None, default="auto"
        Where variances of the coefficients within a table come from. "auto": from theory, for
        LinearRegression and Ridge(alpha=0), σ̂²(ZᵀZ)⁻¹, and for LogisticRegression(C=inf) of two
        classes, the inverse information; an error for others. "bootstrap": refits to
        ``n_bootstrap`` resamples of each completed table, for anything with ``coef_``. None: no
        coefficients are pooled, predictions are. Callables bring their own.
    n_bootstrap : int, default=100
        Resamples per completed table.
    df_complete : float, optional
        Complete-data degrees of freedom. By default n minus the number of coefficients for "auto",
        ``df_resid`` of results, infinity for the bootstrap.
    random_state : int, RandomState instance or None, default=None
        Of imputations and resamples.

    Returns
    -------
    fit : PooledFit
        ``pooled`` coefficients, ``estimators_``, ``predict`` and ``predict_proba``.

    Raises
    ------
    ValueError
        For coefficients without known variances, completed tables that have holes, an outcome that
        is not numeric in an array, fewer than 2 imputations, something else than tables.
    TypeError
        For an imputer that does not draw.

    References
    ----------
    Rubin (1987), Multiple imputation for nonresponse in surveys.
    Honaker and King (2010), What to do about missing values in time-series cross-section data.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from sm_estimators import ScoreMatchingImputer
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.pooling import fit_pooled
    >>> buoys = load_oceanbuoys()[["air_temp_c", "humidity", "wind_ew", "sea_temp_c"]]
    >>> imputer = ScoreMatchingImputer(engine="gaussian")
    >>> fit = fit_pooled(
    ...     LinearRegression(), buoys, y="air_temp_c", imputer=imputer, random_state=0
    ... )
    >>> fit.pooled.to_frame()[["estimate", "standard_error"]].round(2).loc["sea_temp_c"].tolist()
    [0.81, 0.01]
    """
    _check_counts(n_imputations=(n_imputations, 2), n_bootstrap=(n_bootstrap, 2))
    random = check_random_state(random_state)
    analyse = _analyser(estimator, variance, n_bootstrap, random)
    if y is None and not _is_function(estimator):
        raise ValueError(
            f"`y` is needed to fit {type(estimator).__name__}; pass the outcome, or the name of "
            "its column in `X`."
        )
    if are_tables(X):
        completion = read_completed(X, y)
    else:
        _refuse_number_classes(estimator, X, y)
        completion = complete(
            X,
            y,
            _default_imputer() if imputer is None else imputer,
            n_imputations=n_imputations,
            bootstrap=bootstrap_imputer,
            random_state=random,
        )
    fits = [_fit(estimator, *table) for table in completion.tables]
    analyses = analyse(fits, completion, df_complete)
    return PooledFit(
        pooled=None if analyses is None else pool_analyses(analyses),
        estimators_=fits,
        imputers_=completion.imputers,
        outcome=completion.outcome,
    )


def _check_counts(**counts: tuple[Any, int]) -> None:
    """Raise `ValueError` for a count below its least value."""
    for name, (value, least) in counts.items():
        if not isinstance(value, Integral) or value < least:
            raise ValueError(
                f"`{name}` must be a whole number of at least {least}, but is {value}."
            )


def _default_imputer() -> Any:
    """Return the default imputer; imported here because it loads much."""
    from sm_estimators.estimators import ScoreMatchingImputer

    return ScoreMatchingImputer()


def _is_function(estimator: Any) -> bool:
    """Whether an estimator is a function of X and y."""
    return callable(estimator) and not hasattr(estimator, "fit")


def _fit(estimator: Any, X: Any, y: Any) -> Any:
    """Return one fit."""
    return estimator(X, y) if _is_function(estimator) else fresh(estimator).fit(X, y)


def _refuse_number_classes(estimator: Any, X: Any, y: Any) -> None:
    """Raise `ValueError` for classes with holes that would be imputed as numbers."""
    if y is None or _is_function(estimator) or not is_classifier(estimator):
        return
    named = is_name(X, y)
    if named and y not in list(getattr(X, "columns", ())):
        return
    classes = X[y] if named else y
    dtype = classes.dtype if named else float
    if is_numeric_dtype(dtype) and not is_bool_dtype(dtype) and (n_holes := count_holes(classes)):
        raise ValueError(
            f"`y` has {n_holes} holes and {type(estimator).__name__} takes classes, but numbers "
            "are imputed as numbers. Make the classes a category column of the DataFrame `X`, pass "
            "its name, and an imputer that takes categories."
        )


def _analyser(estimator: Any, variance: Any, n_bootstrap: int, random: Any) -> Any:
    """Return the function that makes `Analyses` of the fits, or None where none are wanted."""
    if variance not in ("auto", "bootstrap", None):
        raise ValueError(f"`variance` must be 'auto', 'bootstrap' or None, but is {variance!r}.")
    if variance is None:
        return lambda fits, completion, df: None
    if _is_function(estimator):
        return lambda fits, completion, df: read_results(fits, None, df)
    if variance == "bootstrap":
        rule = bootstrap_rule(estimator, n_bootstrap, random)
    else:
        rule = classical_rule(estimator)
    return lambda fits, completion, df: _coefficients(rule, fits, completion, df)


def _coefficients(
    rule: VarianceRule, fits: list[Any], completion: Completion, df_complete: Any
) -> Analyses:
    """Return the coefficients of all fits with their covariances."""
    found = [rule(f, *table) for f, table in zip(fits, completion.tables, strict=True)]
    if len({len(c.estimates) for c in found}) > 1:
        raise ValueError(
            "The completed tables do not all have the same classes of `y`, so their coefficients "
            "cannot be pooled; choose `variance=None` for predictions."
        )
    df = min(c.df_complete for c in found) if df_complete is None else df_complete
    return read_arrays(
        [c.estimates for c in found], np.stack([c.covariance for c in found]), found[0].names, df
    )
