"""Tables at the door of this folder: any rectangle in, numbers or a DataFrame out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class NumericTable:
    """The numbers of a table, and enough of the table to give new numbers its looks."""

    source: Any
    """The array or DataFrame as it came."""
    values: np.ndarray
    """(n, d) float64 copy, NaN in the holes."""
    labels: pd.Index
    """Column names; positions 0 to d - 1 for an array."""

    def with_values(self, values: np.ndarray) -> Any:
        """Return ``values`` as a table of the source's kind; columns that were not float become it.

        A column of 32-bit floats stays one.
        """
        if not isinstance(self.source, pd.DataFrame):
            return values.astype(_float_dtype(np.asarray(self.source).dtype))
        columns = {
            i: values[:, i].astype(_float_dtype(dtype))
            for i, dtype in enumerate(self.source.dtypes)
        }
        frame = pd.DataFrame(columns, index=self.source.index)
        frame.columns = self.source.columns  # set last: names may repeat
        return frame


def read_numbers(X: Any) -> NumericTable:
    """Copy a table of numbers with holes to float64, or say why that cannot be done."""
    frame = as_frame(X)
    _check_numeric(frame)
    values = frame.to_numpy(dtype=float, na_value=np.nan, copy=True)
    _check_finite(values, frame.columns)
    return NumericTable(X, values, frame.columns)


def as_frame(X: Any) -> pd.DataFrame:
    """View a two-dimensional table as a DataFrame, or say why that cannot be done."""
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(_as_matrix(X))
    if 0 in frame.shape:
        raise ValueError(
            f"`X` must have at least one row and one column; its shape is {frame.shape}. Check the "
            "selection that made it."
        )
    return frame


def _as_matrix(X: Any) -> np.ndarray:
    """View rows of equal length as a two-dimensional array."""
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(
            "`X` must be a table with rows of equal length; NumPy could not build one from it "
            f"({error}). Pass a two-dimensional array or a DataFrame."
        ) from error
    if array.ndim != 2:
        raise ValueError(
            f"`X` must be two-dimensional, rows by columns; it has shape {array.shape}. Reshape a "
            "single column with `x.reshape(-1, 1)`, or pass a DataFrame."
        )
    return array


def _check_numeric(frame: pd.DataFrame) -> None:
    """Refuse columns that hold something else than real numbers, by name."""
    bad = [
        f"{label!r} ({dtype})"
        for label, dtype in zip(frame.columns, frame.dtypes, strict=True)
        if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_complex_dtype(dtype)
    ]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise TypeError(
            f"`X` must hold real numbers only; not numeric: {', '.join(bad[:5])}{more}. Leave "
            "these columns out, encode them, or turn text into numbers with `pandas.to_numeric`."
        )


def _check_finite(values: np.ndarray, labels: pd.Index) -> None:
    """Refuse infinities, with the place of the first."""
    rows, columns = np.nonzero(np.isinf(values))
    if rows.size:
        raise ValueError(
            f"`X` must be finite or NaN; it holds {rows.size} infinite "
            f"value{'s' if rows.size > 1 else ''}, the first in row {rows[0]}, column "
            f"{labels[columns[0]]!r}. Replace infinities by NaN if they stand for holes."
        )


def _float_dtype(dtype: Any) -> np.dtype:
    """Return the NumPy float type that holds a column with NaN."""
    keeps = isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize <= 8
    return dtype if keeps else np.dtype(float)
