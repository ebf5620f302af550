"""Flags and categories: the coordinate is the code of a level, a whole number from 0."""

from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables.column import Column
from sm_estimators.tables.contents import some


def to_coordinates(column: Column, series: pd.Series) -> np.ndarray:
    """Return the codes (n,) of the cells as float64 with NaN in the holes.

    Raises ``ValueError`` for values that are no levels of the column.
    """
    places, values = distinct(column.name, series)
    codes = {level: float(code) for code, level in enumerate(column.levels or ())}
    unknown = [value for value in values if value not in codes]
    if unknown:
        raise ValueError(
            f"Column {column.name!r} has the values {some(unknown)}, but its levels are "
            f"{some(codes)}. Make these cells holes, or fit with levels that include them."
        )
    return np.array([*(codes[value] for value in values), np.nan])[places]


def distinct(name: Any, series: pd.Series) -> tuple[np.ndarray, list]:
    """Return the place of each cell (n,) among the distinct values, -1 in holes, and these."""
    if pd.api.types.is_float_dtype(series.dtype):  # nullable columns can have NaN and NA
        series = pd.Series(series.to_numpy(dtype=np.float64, na_value=np.nan))
    try:
        places, values = pd.factorize(series)
    except TypeError:
        raise ValueError(
            f"Column {name!r} has values that cannot be compared, such as "
            f"{series.dropna().iloc[0]!r}; expected numbers, text, categories or times. Convert "
            "them, or drop the column."
        ) from None
    return places, values.tolist()


def from_coordinates(column: Column, values: np.ndarray, dtype: Any) -> Any:
    """Return the nearest levels that were seen in the fit, as an array of ``dtype``."""
    seen = np.array(column.seen_levels)
    levels = column.levels or ()
    pool = pd.Series([levels[code] for code in seen], dtype=dtype).array
    nearest = np.searchsorted((seen[1:] + seen[:-1]) / 2, values)
    holes = np.isnan(values)
    return pool.take(np.where(holes, -1, nearest), allow_fill=bool(holes.any()))
