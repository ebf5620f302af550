"""A table as pictures see it: named columns of floats, NaN where nothing was seen."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Columns(NamedTuple):
    """Column names and the values, (n, d) floats."""

    names: list[str]
    values: np.ndarray


def as_columns(X: Any, name: str = "X") -> Columns:
    """Return the numeric columns of a DataFrame, or every column of an array."""
    if isinstance(X, pd.DataFrame):
        numeric = X.select_dtypes("number")
        values = numeric.to_numpy(dtype=float, na_value=np.nan)
        columns = Columns([str(label) for label in numeric.columns], values)
    else:
        values = np.asarray(X, dtype=float)
        if values.ndim != 2:
            raise ValueError(f"`{name}` must be a table, (n, d), but has shape {values.shape}.")
        columns = Columns([f"x{j}" for j in range(values.shape[1])], values)
    if not columns.values.size:
        raise ValueError(
            f"`{name}` has {columns.values.shape[0]} rows and {columns.values.shape[1]} numeric "
            "columns: there is nothing to draw."
        )
    if np.isinf(columns.values).any():
        raise ValueError(f"`{name}` contains infinity; replace it by a number or by NaN.")
    return columns


def as_imputations(imputed: Any, X: Columns) -> np.ndarray:
    """Stack one filled table, or several, as (m, n, d), columns in the order of ``X``."""
    if isinstance(imputed, np.ndarray):
        stack = imputed if imputed.ndim == 3 else imputed[None]
    else:
        tables = imputed if isinstance(imputed, list | tuple) else [imputed]
        stack = np.stack([matching(table, X) for table in tables])
    if stack.shape[1:] != X.values.shape:
        raise ValueError(
            f"`imputed` must have the shape of `X`, {X.values.shape}, for each imputation, "
            f"but has {stack.shape[1:]}."
        )
    return stack


def matching(table: Any, X: Columns, name: str = "imputed") -> np.ndarray:
    """Return the columns of ``X`` found in ``table``, in the same order."""
    other = as_columns(table, name)
    if not isinstance(table, pd.DataFrame):
        return other.values
    lost = [label for label in X.names if label not in other.names]
    if lost:
        raise ValueError(f"`{name}` lacks the columns {', '.join(lost)} of `X`.")
    return other.values[:, [other.names.index(label) for label in X.names]]


def positions(columns: Any, names: list[str]) -> list[int]:
    """Return where the asked columns, names or positions, stand."""
    found = []
    for column in columns:
        if isinstance(column, int | np.integer) and 0 <= column < len(names):
            found.append(int(column))
        elif str(column) in names:
            found.append(names.index(str(column)))
        else:
            raise ValueError(
                f"`columns` asks for {column!r}, which is not among {', '.join(names)}."
            )
    return found
