"""Tables at the door: from what users pass to arrays with flags, and back.

Holes are NaN (``pd.NA`` in nullable columns). Going back, every column keeps its dtype and every
seen cell its bits: only holes are written.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    validate_data,
)

from sm_estimators.tables import Column
from sm_estimators.tables.contents import some
from sm_estimators.tables.frames import refuse_no_columns, refuse_repeated_names


def read_table(estimator, X, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
    """Validate ``X`` and return it as float64 with the flags of what was seen, both (n, d).

    Raises ``ValueError`` for infinities, wrong widths or names, and what is no number; in a fit,
    also for a column in which nothing was seen.
    """
    refuse_others_than_numbers(X)
    validated: Any = validate_data(
        estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan"
    )
    X = np.asarray(validated)
    observed = ~np.isnan(X)
    if reset:
        refuse_empty_columns(estimator, observed)
    return X, observed


def read_names(estimator, X: pd.DataFrame, *, reset: bool) -> None:
    """Learn the names and number of the columns of a table, or compare them with the fit.

    Raises ``ValueError`` for other names or widths, names that repeat, and a table of no columns.
    """
    refuse_no_columns(X)
    refuse_repeated_names(X)
    _check_feature_names(estimator, X, reset=reset)
    _check_n_features(estimator, X, reset=reset)


def refuse_array_for(columns: tuple[Column, ...]) -> None:
    """Raise `ValueError` for an array in place of a table whose columns are not all numbers."""
    others = [column.name for column in columns if not is_number(column.dtype)]
    if others:
        raise ValueError(
            f"`X` is no DataFrame, but was one in the fit, with columns that are not numbers: "
            f"{some(others)}. Pass a DataFrame with the same columns."
        )


def is_number(dtype) -> bool:
    """Tell whether a column of this dtype has numbers or flags that become float64."""
    kind = getattr(dtype, "numpy_dtype", dtype).kind
    return pd.api.types.is_numeric_dtype(dtype) and kind in "biuf"


def refuse_others_than_numbers(X) -> None:
    """Raise `ValueError` for what is no table of numbers, with a way out."""
    if isinstance(X, pd.DataFrame):
        refuse_no_columns(X)
        refuse_repeated_names(X)
        others = [name for name, dtype in X.dtypes.items() if not is_number(dtype)]
        if others:
            raise ValueError(
                f"`X` has columns that are not numbers: {others}. Encode or drop them, for example "
                "with a ColumnTransformer; if they hold numbers stored as objects, pass "
                "`X.convert_dtypes()`, and for decimals `X.astype('float64')`."
            )
    elif isinstance(X, np.ndarray):
        refuse_other_arrays(X)


def refuse_other_arrays(X: np.ndarray) -> None:
    """Raise `ValueError` for an array of times, of complex numbers, or with holes like None."""
    if X.dtype.kind in "mM":
        raise ValueError(
            f"`X` is an array of {X.dtype}; expected numbers with NaN in the holes. Pass a "
            "DataFrame to `ScoreMatchingImputer`, which reads times in columns of their own."
        )
    if X.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: `X` is an array of {X.dtype}; expected real numbers. "
            "Pass real and imaginary parts as columns of their own."
        )
    if X.dtype.kind == "O" and pd.isna(X).any():
        missing = {type(value).__name__ for value in X[pd.isna(X)].ravel()}
        if missing != {"float"}:
            raise ValueError(
                f"`X` is an array of objects with holes of type {sorted(missing)}; expected "
                "numbers with NaN in the holes. Pass `pandas.DataFrame(X).convert_dtypes()`, or "
                "replace the holes by `numpy.nan`."
            )


def refuse_empty_columns(estimator, observed: np.ndarray) -> None:
    """Raise `ValueError` where a column has no seen value, name the columns."""
    empty = np.flatnonzero(~observed.any(axis=0))
    if len(empty):
        names = getattr(estimator, "feature_names_in_", np.arange(observed.shape[1]))
        raise ValueError(
            f"Nothing was seen in columns {names[empty].tolist()} of `X`, so nothing can be "
            "learned about them. Drop them before the fit."
        )


def refuse_weightless(names: Sequence[Any], observed: np.ndarray) -> None:
    """Raise `ValueError` where a column has no seen value in the rows that count."""
    empty = [name for name, seen in zip(names, observed.T, strict=True) if not seen.any()]
    if empty:
        raise ValueError(
            f"Nothing was seen in columns {empty} of `X` in rows of positive `sample_weight`, so "
            "nothing can be learned about them. Give such a row a weight, or drop the columns."
        )


def read_weights(sample_weight, X: np.ndarray) -> np.ndarray:
    """Return non-negative row weights; 1 each where none are given."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.sum() > 0:
        raise ValueError("`sample_weight` is zero for every row; give some row a positive weight.")
    return weight


def refuse_few_rows(usable: np.ndarray, kept: np.ndarray, rule: str) -> None:
    """Raise `ValueError` for fewer than two rows, by themselves or after a rule dropped some."""
    if usable.sum() < 2:
        raise ValueError(
            f"`X` has n_samples = {usable.sum()} rows with a seen value and a positive weight, "
            "but a fit needs at least 2. Add rows."
        )
    if kept.sum() < 2:
        raise ValueError(
            f"`missing={rule!r}` leaves {kept.sum()} of {len(kept)} rows, too few for a fit. Use "
            "`missing='imputation'`, which uses every seen value."
        )


def refill(X, observed: np.ndarray, filled: np.ndarray):
    """Return ``X`` with its holes taken from ``filled``, as the type and dtypes it came in."""
    if not isinstance(X, pd.DataFrame):
        return filled
    out = X.copy()
    for j in np.flatnonzero(~observed.all(axis=0)):
        holes = ~observed[:, j]
        column = out.iloc[:, j].copy()
        column[holes] = in_dtype(filled[holes, j], column.dtype)
        out.isetitem(j, column)
    return out


def in_dtype(values: np.ndarray, dtype) -> np.ndarray:
    """Return numbers that a column of ``dtype`` can hold: whole ones, in range, for integers."""
    if pd.api.types.is_bool_dtype(dtype):
        return values >= 0.5
    dtype = getattr(dtype, "numpy_dtype", dtype)  # of a nullable column
    if pd.api.types.is_integer_dtype(dtype):
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    return values.astype(dtype)
