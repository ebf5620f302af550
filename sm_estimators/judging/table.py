"""A table as judges see it: which cells were seen, which columns are numbers, in which units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Table:
    """A table with holes; made by :func:`read_table`."""

    frame: pd.DataFrame
    """Its cells."""
    is_array: bool
    """Whether it came as an array, and imputers are to be given arrays."""
    seen: np.ndarray
    """(n, d), True where a value was seen."""
    numeric: np.ndarray
    """(d,), True for numbers; everything else is judged as categories."""
    scale: np.ndarray
    """(d,), standard deviation of the seen numbers; 1 for constants and categories."""

    @property
    def names(self) -> list[Any]:
        """Labels of the columns."""
        return list(self.frame.columns)

    def hidden(self, hide: np.ndarray) -> Any:
        """Return the table, of the type it came in, with more holes, (n, d) True."""
        return self.given(empty(self.frame, hide))

    def given(self, frame: pd.DataFrame) -> Any:
        """Return cells as the type that the table came in."""
        return frame.to_numpy() if self.is_array else frame

    def read_back(self, completed: Any) -> pd.DataFrame:
        """Return what an imputer made of the table, with its labels, and dtypes that hold it."""
        if np.shape(completed) != self.frame.shape:
            raise ValueError(
                f"The imputer returned a table of shape {np.shape(completed)} for one of shape "
                f"{self.frame.shape}; expected every row and column back. SimpleImputer keeps "
                "columns in which nothing was seen with `keep_empty_features=True`."
            )
        frame = completed if isinstance(completed, pd.DataFrame) else pd.DataFrame(completed)
        columns = {
            j: in_dtype(frame.iloc[:, j], self.frame.dtypes.iloc[j]) for j in range(frame.shape[1])
        }
        out = pd.DataFrame(columns)
        return out.set_axis(self.frame.columns, axis=1).set_axis(self.frame.index, axis=0)


def read_table(X: Any) -> Table:
    """Read a DataFrame, or an array of numbers, or say what is wrong with it."""
    is_array = not isinstance(X, pd.DataFrame)
    frame: Any = pd.DataFrame(as_numbers(X)) if is_array else X
    if 0 in frame.shape:
        raise ValueError(f"`X` has shape {frame.shape}; expected rows and columns to judge by.")
    numeric = np.array([is_number(dtype) for dtype in frame.dtypes])
    scale = np.array(
        [deviation(frame.iloc[:, j]) if numeric[j] else 1.0 for j in range(len(numeric))]
    )
    return Table(frame, is_array, frame.notna().to_numpy(), numeric, scale)


def as_numbers(X: Any) -> np.ndarray:
    """Return an array of floats, or say that categories need a DataFrame."""
    try:
        values = np.array(X, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`X` is an array that is not of numbers ({error}); pass a DataFrame, in which each "
            "column has its own type."
        ) from error
    if values.ndim != 2:
        raise ValueError(f"`X` must be a table, (n, d), but has shape {values.shape}.")
    return values


def is_number(dtype: Any) -> bool:
    """Whether a column is judged as numbers."""
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def deviation(column: Any) -> float:
    """Return the standard deviation of the seen values; 1 where they do not vary."""
    found = float(column.astype(float).std())
    return found if found > 0 else 1.0


def empty(frame: pd.DataFrame, hide: np.ndarray) -> pd.DataFrame:
    """Return a copy without some cells; columns that cannot be empty change their dtype."""
    out = frame.copy()
    for j in np.flatnonzero(hide.any(axis=0)):
        column: Any = out.iloc[:, j]
        if column.dtype == bool:
            column = column.astype("boolean")
        elif isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
            column = column.astype(float)
        out.isetitem(j, column.mask(hide[:, j]))
    return out


def in_dtype(column: Any, dtype: Any) -> Any:
    """Return a column in a dtype where it fits: arrays of objects lose it.

    It does not fit where numbers would change: a mean of whole numbers is seldom one.
    """
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            fitted = column.array.astype(dtype)
        if not pd.api.types.is_numeric_dtype(dtype) or same_numbers(pd.Series(fitted), column):
            return fitted
    except (TypeError, ValueError):
        pass
    return column.infer_objects().array


def same_numbers(one: Any, other: Any) -> bool:
    """Whether two columns hold the same numbers and holes."""
    a, b = (x.to_numpy(dtype=float, na_value=np.nan) for x in (one, other))
    return np.array_equal(a, b, equal_nan=True)


def column_positions(table: Table, columns: Sequence[Any] | None) -> np.ndarray:
    """Return where the asked columns stand: those with holes by default, all where none has any."""
    if columns is None:
        with_holes = np.flatnonzero(~table.seen.all(axis=0))
        return with_holes if len(with_holes) else np.arange(len(table.names))
    found = [_position(column, table) for column in columns]
    if not found:
        raise ValueError("`columns` is empty; name columns whose cells are to be hidden, or None.")
    return np.array(found)


def _position(column: Any, table: Table) -> int:
    """Return where a name, or in an array a position, stands."""
    if column not in table.names:
        raise ValueError(f"`columns` asks for {column!r}, which is not among {table.names}.")
    return table.names.index(column)
