"""Numbers and whole numbers: the coordinate is the number."""

from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables.column import Column
from sm_estimators.tables.contents import contents, plain

LARGEST = 2.0**53
"""Whole numbers below it are exact in float64."""


def to_coordinates(column: Column, series: pd.Series) -> np.ndarray:
    """Return the numbers (n,) as float64 with NaN in the holes.

    Raises ``ValueError`` for text, infinities and whole numbers that float64 cannot hold.
    """
    if contents(series) != "numbers":
        raise ValueError(
            f"Column {column.name!r} has {contents(series)} (dtype {series.dtype}), but "
            "numbers were expected. Convert it, for example with `pandas.to_numeric`, or correct "
            "its entry in `column_types`."
        )
    try:
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError:
        raise too_large(column, max(series.dropna(), key=abs)) from None
    refuse_infinities(column, values)
    refuse_large(column, series, values)
    return values


def refuse_infinities(column: Column, values: np.ndarray) -> None:
    """Raise `ValueError` where a number is infinite."""
    places = np.flatnonzero(np.isinf(values))
    if len(places):
        raise ValueError(
            f"Column {column.name!r} has {len(places)} infinities, the first in row "
            f"{places[0]}, but numbers were expected. Replace them by NaN to make them holes."
        )


def refuse_large(column: Column, series: pd.Series, values: np.ndarray) -> None:
    """Raise `ValueError` for whole numbers, by type, that float64 cannot tell apart."""
    large = series[np.abs(values) >= LARGEST].tolist()
    wide = [value for value in large if isinstance(value, int | np.integer)]
    if wide:
        raise too_large(column, wide[0])


def too_large(column: Column, value: Any) -> ValueError:
    """Return the error for a whole number that is not exact in float64."""
    return ValueError(
        f"Column {column.name!r} has the whole number {str(value)[:40]}; expected less "
        "than 2**53, because larger ones are not exact in float64. Drop the column if it is an "
        f"identifier, subtract a constant, or set `column_types={{{column.name!r}: 'nominal'}}`."
    )


def from_coordinates(
    column: Column, values: np.ndarray, dtype: Any, *, rounded: bool = True
) -> Any:
    """Return numbers as an array of ``dtype``: within bounds, and whole where they must be.

    Unless ``rounded``, only a dtype of whole numbers makes them whole.
    """
    objects = pd.api.types.is_object_dtype(dtype)
    number = np.dtype(np.float64) if objects else plain(dtype)
    whole = (bool(column.step) and rounded) or number.kind in "iu"
    if whole:
        values = np.clip(column.whole_steps(values, 1.0), 1 - LARGEST, LARGEST - 1)
    values = np.clip(values, *limits(column, number))
    if objects:
        return pd.Series(python_numbers(values, whole), dtype=object).array
    return pd.Series(values).astype(dtype).array


def python_numbers(values: np.ndarray, whole: bool) -> list:
    """Return the numbers as Python has them, None in the holes."""
    number = int if whole else float
    return [None if np.isnan(value) else number(value) for value in values]


def limits(column: Column, dtype: np.dtype) -> tuple[float, float]:
    """Return the smallest and largest number of a dtype that are within the bounds."""
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return nearest_inside(column.lower, dtype), -nearest_inside(-column.upper, dtype)


def nearest_inside(lower: float, dtype: np.dtype) -> float:
    """Return the smallest floating-point number of a dtype that is not below a bound."""
    number: Any = dtype.type(max(lower, float(np.finfo(dtype).min)))
    if float(number) < lower:
        number = np.nextafter(number, dtype.type(np.inf))
    return float(number)
