"""What the cells of a column are, read off its dtype, or off its values where that says nothing."""

from typing import Any

import numpy as np
import pandas as pd

BY_DTYPE = {
    "b": "flags",
    "i": "numbers",
    "u": "numbers",
    "f": "numbers",
    "M": "times",
    "m": "durations",
}
BY_VALUES = {
    "string": "text",
    "boolean": "flags",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
}


def contents(series: pd.Series) -> str:
    """Return "numbers", "flags", "text", "categories", "times", "durations" or "other things"."""
    dtype: Any = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    if pd.api.types.is_object_dtype(dtype):
        return BY_VALUES.get(inferred(series), "other things")
    if pd.api.types.is_string_dtype(dtype):
        return "text"
    return BY_DTYPE.get(dtype.kind, "other things")


def inferred(series: pd.Series) -> str:
    """Return what pandas calls the seen values of a column of objects."""
    return pd.api.types.infer_dtype(series.dropna(), skipna=True)


def holds_integers(series: pd.Series) -> bool:
    """Tell whether the cells are whole numbers by their type, whatever their values."""
    if pd.api.types.is_object_dtype(series.dtype):
        return inferred(series) == "integer"
    return plain(series.dtype).kind in "iu"


def plain(dtype: Any) -> np.dtype:
    """Return the NumPy dtype of the values in a column, nullable, of Arrow or neither."""
    return np.dtype(getattr(dtype, "numpy_dtype", dtype))


def has_place_for_holes(dtype: Any) -> bool:
    """Tell whether a column of this dtype can have holes."""
    return not isinstance(dtype, np.dtype) or dtype.kind not in "biu"


def some(values: Any) -> str:
    """Return the first few of many values as text for a sentence."""
    values = list(values)
    shown = ", ".join(repr(value) for value in values[:8])
    return f"[{shown}, … {len(values) - 8} more]" if len(values) > 8 else f"[{shown}]"
