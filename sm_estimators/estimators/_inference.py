"""Confidence intervals of a fitted estimator, as a table."""

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.base import clone
from tqdm.auto import tqdm

from sm_estimators.estimators._table import read_table, read_weights
from sm_estimators.estimators._warnings import warn_user

METHODS = ("sandwich", "bootstrap")
MOST_OFFSET = 1.0
"""Standard deviations that the equation of a fit may be from zero at its parameters."""


def check_request(level: Any, method: Any, n_resamples: Any) -> None:
    """Refuse levels that are no probability, unknown methods, and too few resamples."""
    if not isinstance(level, Real) or not 0 < float(level) < 1:
        raise ValueError(f"`level` must be a number between 0 and 1; got {level!r}. Try 0.95.")
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}; got {method!r}.")
    if not isinstance(n_resamples, Integral) or n_resamples < 2:
        raise ValueError(
            "`n_resamples` must be at least 2, as a standard deviation needs; got "
            f"{n_resamples!r}. Try 200."
        )


def refuse_irregular(density, settings) -> None:
    """Refuse fits whose estimate is not normal around the truth in any sample size."""
    if density.neural:
        raise ValueError(
            f"{type(density).__name__} has no standard errors: it has more parameters than rows "
            "can tell apart, and training stops before they settle. Compare held-out `score`s, or "
            "fit a density with few parameters."
        )
    if settings.l1 > 0 or np.isfinite(settings.max_eigenvalue):
        raise ValueError(
            "A fit with `l1` or `max_eigenvalue` has no standard errors: its estimate sticks at "
            "zeros or at the cap, and is not normal around the truth. Fit again without them, or "
            "with a `ridge` in their place."
        )


def sandwich(estimator, X, sample_weight) -> tuple:
    """Return the quantities of a fit with their errors, from the estimating equation."""
    from sm_estimators.fitting import Solved, Table, standard_errors

    values, observed = read_table(estimator, X, reset=False)
    weight = read_weights(sample_weight, values)
    density, objective = estimator.density_, estimator.objective_
    settings = replace(estimator._settings(density), ridge=estimator.ridge_)
    table = estimator._corrected(Table(values, observed, weight))
    rule = estimator._rule(density, objective)
    solved = Solved(density, objective, rule, table, estimator.params_)
    found = standard_errors(solved, weight, seed=estimator._fit_seed, settings=settings)
    if found.offset > MOST_OFFSET:
        warn_user(
            f"At the fitted parameters the equation that a fit to `X` solves is {found.offset:.2g} "
            "standard deviations from zero. Pass the table and the `sample_weight` of the fit, "
            "with the parameters of the estimator unchanged; if you did, the fit stopped early: "
            "raise `max_iter`."
        )
    return found.quantities


def bootstrap(estimator, X, sample_weight, *, n_resamples: int, rng) -> tuple:
    """Return the quantities of a fit with their standard deviations over tables of drawn rows."""
    from sm_estimators.fitting import Quantity

    values, _ = read_table(estimator, X, reset=False)
    weight = read_weights(sample_weight, values)
    n_rows, share = max(2, round(weight.sum())), weight / weight.sum()
    drawn, unsettled = [], 0
    for _ in tqdm(range(n_resamples), desc="resamples", disable=estimator.verbose < 1):
        again = started_copy(estimator, seed=int(rng.integers(2**31 - 1)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again.fit(X, sample_weight=rng.multinomial(n_rows, share))
        unsettled += not again.converged_
        drawn.append(again.density_.quantities(again.params_))
    if unsettled:
        warn_user(
            f"{unsettled} of {n_resamples} fits to resampled rows stopped before they converged, "
            "and vary for that reason too. Raise `max_iter`."
        )
    return tuple(
        Quantity(name, np.asarray(estimate), np.std([q[name] for q in drawn], axis=0, ddof=1))
        for name, estimate in estimator.density_.quantities(estimator.params_).items()
    )


def started_copy(estimator, *, seed: int):
    """Return an unfitted copy that starts from the parameters of the fit."""
    copy: Any = clone(estimator)
    copy.set_params(ridge=estimator.ridge_, warm_start=True, random_state=seed, verbose=0)
    copy.density_, copy.params_ = estimator.density_, estimator.params_
    copy.n_features_in_ = estimator.n_features_in_
    return copy


def intervals(quantities: tuple, column_axes, columns: np.ndarray, *, level: float) -> pd.DataFrame:
    """Return the table of estimates, standard errors and normal intervals.

    The upper triangle only of what is symmetric.
    """
    names, values = [], []
    for name, estimate, error in quantities:
        n_named = column_axes.get(name, 0)
        for index in np.ndindex(estimate.shape):
            if n_named < 2 or index[-2] <= index[-1]:
                names.append(subscripted(name, index, n_named, columns))
                values.append((estimate[index], error[index]))
    estimate, error = np.array(values).T
    reach = norm.ppf(0.5 + level / 2) * error
    table = {"estimate": estimate, "standard_error": error}
    table |= {"lower": estimate - reach, "upper": estimate + reach}
    return pd.DataFrame(table, index=pd.Index(names, name="quantity"))


def subscripted(name: str, index: tuple[int, ...], n_named: int, columns: np.ndarray) -> str:
    """Return a name with its subscripts; the last ``n_named`` of them are names of columns."""
    split = len(index) - n_named
    subscripts = [*map(str, index[:split]), *(str(columns[j]) for j in index[split:])]
    return f"{name}[{', '.join(subscripts)}]" if subscripts else name
