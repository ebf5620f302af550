"""Which kind a column is, from what it holds and from what the user says."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables import levelled, numeric, times
from sm_estimators.tables.column import KINDS, Column
from sm_estimators.tables.contents import contents, holds_integers, inferred

POSSIBLE = {
    "numbers": ("numeric", "integer", "boolean", "ordinal", "nominal"),
    "flags": ("boolean", "ordinal", "nominal"),
    "text": ("ordinal", "nominal"),
    "categories": ("ordinal", "nominal"),
    "times": ("datetime", "ordinal", "nominal"),
    "durations": ("datetime", "ordinal", "nominal"),
    "other things": ("ordinal", "nominal"),
}
"""The kinds that a user may declare, by what a column holds."""
SHARES_OF_LEVELS = ((20, 0.9), (101, 0.5))
"""Text with so many levels, and more of them than this share of its seen cells, is no category."""
CONVERSIONS = {
    "date": "with `pandas.to_datetime`",
    "datetime": "with `pandas.to_datetime`",
    "datetime64": "with `pandas.to_datetime`",
    "timedelta": "with `pandas.to_timedelta`",
    "timedelta64": "with `pandas.to_timedelta`",
    "decimal": "with `pandas.to_numeric`",
    "complex": "to two columns, real and imaginary parts",
}
"""How other things become numbers or times, by what pandas calls them."""


def read_column(name: Hashable, series: pd.Series, declared: Any) -> Column:
    """Return what a column with at least one seen value is.

    Parameters
    ----------
    name : hashable
        Its label.
    series : Series of shape (n,)
        Its cells.
    declared : str, list or None
        A kind, the levels in their order, or None to infer the kind.

    Raises
    ------
    ValueError
        For a kind the column cannot be, for levels that do not fit, and for what cannot be
        inferred.
    """
    if declared is not None and not isinstance(declared, str):
        levels = listed_levels(name, declared)
        refuse_other_categories(name, series, levels)
        return read_levels(name, series, "ordinal", levels)
    kind = inferred_kind(name, series) if declared is None else declared
    refuse_impossible(name, series, kind)
    if kind in ("numeric", "integer"):
        return read_numbers(name, series, kind)
    if kind == "datetime":
        return times.read_times(name, series)
    return read_levels(name, series, kind, natural_levels(name, series, kind))


def inferred_kind(name: Hashable, series: pd.Series) -> str:
    """Return the usual kind of a column; refuse text without levels and unknown things."""
    found = contents(series)
    if found == "other things":
        raise ValueError(
            f"Column {name!r} (dtype {series.dtype}) has {types_of(series)}; expected numbers, "
            "flags, text, categories or times, and no mixture of them. "
            f"{conversion(name, series)}"
        )
    if found == "numbers":
        return number_kind(name, series)
    if found == "text":
        refuse_free_text(name, series)
    if found == "categories":
        return "ordinal" if series.cat.ordered else "nominal"
    return {"flags": "boolean", "text": "nominal"}.get(found, "datetime")


def number_kind(name: Hashable, series: pd.Series) -> str:
    """Return "integer" for whole numbers, as such or stored as floats because of holes."""
    if holds_integers(series):
        return "integer"
    values = numeric.to_coordinates(Column(name, "numeric", series.dtype), series)
    values = values[~np.isnan(values)]
    several = bool((values != values[0]).any())
    return "integer" if several and are_whole(values).all() else "numeric"


def are_whole(values: np.ndarray) -> np.ndarray:
    """Tell which numbers are whole and small enough for that to mean anything."""
    return (values == np.rint(values)) & (np.abs(values) < numeric.LARGEST)


def refuse_free_text(name: Hashable, series: pd.Series) -> None:
    """Raise `ValueError` for text that looks like an identifier."""
    n_seen, n_levels = series.count(), series.nunique()
    if any(n_levels >= many and n_levels > share * n_seen for many, share in SHARES_OF_LEVELS):
        raise ValueError(
            f"Column {name!r} has {n_levels} different texts in {n_seen} seen cells; expected "
            "categories, and it looks like an identifier or free text. Drop the column, or, if it "
            f"is a category, state so: `column_types={{{name!r}: 'nominal'}}`."
        )


def conversion(name: Hashable, series: pd.Series) -> str:
    """Return what to do with a column of other things."""
    if isinstance(series.dtype, pd.ArrowDtype) and inferred(series) == "decimal":
        return "Convert it with `.astype('float64')`."
    if inferred(series) in CONVERSIONS:
        return f"Convert it {CONVERSIONS[inferred(series)]}."
    if has_order(series):
        return f"Drop it, or call it a category: `column_types={{{name!r}: 'nominal'}}`."
    return "Convert it to one type, for example to text with `.astype('string')`, or drop it."


def has_order(series: pd.Series) -> bool:
    """Tell whether the seen values can be sorted."""
    try:
        return bool(sorted(series.dropna().unique().tolist()))
    except TypeError:
        return False


def refuse_impossible(name: Hashable, series: pd.Series, kind: str) -> None:
    """Raise `ValueError` for a kind that a column cannot be."""
    found = contents(series)
    if kind not in KINDS:
        raise ValueError(
            f"`column_types` calls column {name!r} {kind!r}; expected one of {list(KINDS)}, or the "
            "list of its levels in their order."
        )
    if kind not in POSSIBLE[found]:
        advice = (
            conversion(name, series)
            if found == "other things"
            else "Convert the column, for example with `pandas.to_numeric` or "
            "`pandas.to_datetime`, or correct `column_types`."
        )
        raise ValueError(
            f"`column_types` calls column {name!r} {kind!r}, but it has {found} (dtype "
            f"{series.dtype}), which can be one of {list(POSSIBLE[found])}. {advice}"
        )


def types_of(series: pd.Series) -> str:
    """Return the types of the seen values as text."""
    names = sorted({type(value).__name__ for value in series.dropna()})
    return f"values of type {', '.join(names)}"


def read_numbers(name: Hashable, series: pd.Series, kind: str) -> Column:
    """Return a column of numbers; refuse declared whole numbers that are not."""
    step = 1.0 if kind == "integer" or holds_integers(series) else 0.0
    column = Column(name, kind, series.dtype, step=step)
    values = numeric.to_coordinates(column, series)
    odd = values[~np.isnan(values) & ~are_whole(values)]
    if kind == "integer" and len(odd):
        raise ValueError(
            f"`column_types` calls column {name!r} 'integer', but it has the value {odd[0]}; "
            "expected whole numbers below 2**53. Call it 'numeric', or round it."
        )
    return column


def listed_levels(name: Hashable, declared: Any) -> tuple:
    """Return the levels that a user listed; refuse an empty list and levels named twice."""
    try:
        levels = tuple(declared)
        twice = [level for level in dict.fromkeys(levels) if levels.count(level) > 1]
    except TypeError:
        raise ValueError(
            f"`column_types[{name!r}]` is {declared!r}; expected one of {list(KINDS)}, or the list "
            "of the column's levels in their order."
        ) from None
    if not levels:
        raise ValueError(
            f"`column_types[{name!r}]` is an empty list; expected the levels of the column in "
            "their order. List them, or remove the entry."
        )
    if twice:
        raise ValueError(
            f"`column_types[{name!r}]` is a list of {len(levels)} levels, of which {twice} stand "
            "there more than once; expected each once. Correct the list."
        )
    return levels


def refuse_other_categories(name: Hashable, series: pd.Series, levels: tuple) -> None:
    """Raise `ValueError` for listed levels that the dtype of a category cannot hold."""
    if contents(series) != "categories":
        return
    other = [level for level in levels if level not in series.cat.categories]
    if other:
        raise ValueError(
            f"`column_types[{name!r}]` lists the levels {other}, but the column is a category "
            f"without them; expected some of {series.cat.categories.tolist()}. Correct the list, "
            "or add them with `.cat.add_categories`."
        )


def natural_levels(name: Hashable, series: pd.Series, kind: str) -> tuple:
    """Return the levels of a column in the order of its categories, or in ascending order."""
    found = contents(series)
    if found == "flags":
        return (False, True)
    if kind == "boolean":
        return (0, 1)
    categories = series.cat.categories.tolist() if found == "categories" else None
    if categories and (kind == "nominal" or series.cat.ordered):
        return tuple(categories)
    values = categories or levelled.distinct(name, series)[1]
    if kind == "ordinal" and any(isinstance(value, str) for value in values):
        raise ValueError(
            f"`column_types` calls column {name!r} 'ordinal', but it has text, which has no order "
            "of its own. List its levels from the lowest to the highest: "
            f"`column_types={{{name!r}: [...]}}`."
        )
    return ascending(name, values)


def ascending(name: Hashable, values: list) -> tuple:
    """Return values in ascending order; refuse those that have none."""
    try:
        return tuple(sorted(values))
    except TypeError:
        raise ValueError(
            f"Column {name!r} mixes {types_of(pd.Series(values, dtype=object))}, "
            "which have no order; expected one type. Convert it, for example to text with "
            "`.astype('string')`."
        ) from None


def read_levels(name: Hashable, series: pd.Series, kind: str, levels: tuple) -> Column:
    """Return a column of levels with the codes that were seen."""
    column = Column(name, kind, series.dtype, levels=levels, step=1.0)
    codes = levelled.to_coordinates(column, series)
    seen = np.unique(codes[~np.isnan(codes)]).astype(int)
    return Column(
        name, kind, series.dtype, levels=levels, seen_levels=tuple(seen.tolist()), step=1.0
    )
