"""Completed tables for an analysis, and the imputers that made them."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from sm_estimators.pooling.outcome import AbstractOutcome, place_outcome, plain_flags, read_outcome

LARGEST_SEED = 2**31 - 1


class Completion(NamedTuple):
    """m completed tables, parted into predictors and outcome."""

    tables: list[tuple[Any, Any]]
    """Pairs X, y without holes."""
    imputers: list[Any]
    """One fitted imputer per table; empty when there was nothing to impute."""
    outcome: AbstractOutcome
    """Where the outcome stands in the table of the imputers."""


def are_tables(X: Any) -> bool:
    """Whether ``X`` is a collection of completed tables rather than one table."""
    if isinstance(X, np.ndarray):
        return X.ndim == 3
    return isinstance(X, list | tuple) and len(X) > 0 and all(getattr(t, "ndim", 0) == 2 for t in X)


def read_completed(X: Any, y: Any) -> Completion:
    """Part tables that somebody completed already."""
    outcome = place_outcome(X[0], y)
    tables = [(t, y) if outcome.apart else outcome.split(t) for t in X]
    for position, (predictors, target) in enumerate(tables):
        n_holes = count_holes(predictors) + (0 if target is None else count_holes(target))
        if n_holes:
            raise ValueError(
                f"Table {position} of `X`, or `y`, has {n_holes} holes; pass completed tables, or "
                "one table with holes, which is then imputed together with `y`."
            )
    return Completion(settled(tables, outcome), [], outcome)


def complete(
    X: Any, y: Any, imputer: Any, *, n_imputations: int, bootstrap: bool, random_state: Any
) -> Completion:
    """Fit the imputer to X and y together and draw the tables."""
    refuse_no_imputer(imputer)
    X = read_rows(X)
    outcome = place_outcome(X, y)
    values = read_outcome(y, len(X)) if outcome.apart else None
    table = outcome.join(X, values)
    if not count_holes(table):
        whole = (X, y) if outcome.apart else outcome.split(table)
        return Completion(settled([whole], outcome) * n_imputations, [], outcome)
    imputers, filled = draw_tables(
        imputer, table, n_imputations=n_imputations, bootstrap=bootstrap, random_state=random_state
    )
    tables = [outcome.split(t) for t in filled]
    if values is not None and not np.isnan(values).any():
        tables = [(predictors, y) for predictors, _ in tables]  # as it came
    return Completion(settled(tables, outcome), imputers, outcome)


def refuse_no_imputer(imputer: Any) -> None:
    """Raise `TypeError` for what does not draw completed tables."""
    if isinstance(imputer, type) or not (hasattr(imputer, "fit") and hasattr(imputer, "impute")):
        raise TypeError(
            f"`imputer` is a {type(imputer).__name__}, {imputer!r}; expected an object with `fit` "
            "and `impute`, which draws completed tables, such as `ScoreMatchingImputer()`. A class "
            "has to be called first."
        )


def read_rows(X: Any) -> Any:
    """Return one table as a DataFrame or an array, or say that it is none."""
    X = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    if X.ndim != 2 or not len(X):
        raise ValueError(
            f"`X` has shape {X.shape}; expected a table of shape (n, d) with rows, or a list of "
            "completed tables."
        )
    return X


def settled(tables: list[tuple[Any, Any]], outcome: AbstractOutcome) -> list[tuple[Any, Any]]:
    """Return the tables with flags as NumPy has them, and outcomes that came apart as arrays."""
    outcomes = [plain_flags(y) for _, y in tables]
    if outcome.apart:
        outcomes = [np.asarray(y) for y in outcomes]
    return [(X, y) for (X, _), y in zip(tables, outcomes, strict=True)]


def draw_tables(
    imputer: Any, table: Any, *, n_imputations: int, bootstrap: bool, random_state: Any
) -> tuple[list[Any], list[Any]]:
    """Return fitted imputers, one per table, and the tables they completed."""
    random = check_random_state(random_state)
    if not bootstrap:
        fitted = fresh(imputer).fit(table)
        tables = fitted.impute(table, n_imputations, random_state=random.randint(LARGEST_SEED))
        return [fitted] * n_imputations, list(tables)
    imputers, tables = [], []
    told = take(table, np.flatnonzero(~np.asarray(pd.isna(table)).all(axis=1)))  # not empty
    seen = ~np.asarray(pd.isna(told))
    for _ in range(n_imputations):
        rows = resample(random, seen)
        imputers.append(fit_resampled(fresh(imputer), told, rows))
        tables.append(imputers[-1].impute(table, 1, random_state=random.randint(LARGEST_SEED))[0])
    return imputers, tables


def resample(random: np.random.RandomState, seen: np.ndarray) -> np.ndarray:
    """Draw rows with replacement, and one more for a column of which they would show nothing.

    So a column is learned from one row where the draw has none of its few; nothing else of the
    draw changes.
    """
    rows = random.choice(len(seen), size=len(seen))
    for column in seen[:, seen.any(axis=0)].T:
        if not column[rows].any():
            rows = np.append(rows, random.choice(np.flatnonzero(column)))
    return rows


def fit_resampled(imputer: Any, table: Any, rows: np.ndarray) -> Any:
    """Fit an imputer to drawn rows, as weights of the table where it knows them.

    A row that stands in a table twice is known by its twin, and what is learned from such rows is
    judged too well. With weights, too, levels that were not drawn are known, though not drawn.
    """
    if has_fit_parameter(imputer, "sample_weight"):
        return imputer.fit(table, sample_weight=np.bincount(rows, minlength=len(table)))
    return imputer.fit(take(table, rows))


def fresh(estimator: Any) -> Any:
    """Return an unfitted copy; a plain copy of what knows no `get_params`."""
    return clone(estimator, safe=False)


def take(table: Any, rows: np.ndarray) -> Any:
    """Return rows of a table by position, numbered afresh."""
    if isinstance(table, pd.DataFrame | pd.Series):
        return table.iloc[rows].reset_index(drop=True)
    return table[rows]


def count_holes(table: Any) -> int:
    """Return how many cells of a table or column are empty."""
    return int(np.asarray(pd.isna(table)).sum())
