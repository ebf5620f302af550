"""Bounds of numbers and times."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables import times
from sm_estimators.tables.column import Column


def bounded(column: Column, pair: Any) -> Column:
    """Return a column with bounds, given as a pair in which None is no bound.

    Raises ``ValueError`` for columns of levels and for pairs that are none.
    """
    if column.levels is not None:
        raise ValueError(
            f"`bounds` names column {column.name!r}, which is {column.kind}; expected a column of "
            "numbers or times. Remove the entry, or list the possible levels in `column_types`."
        )
    try:
        lower, upper = pair
        lower = -np.inf if lower is None else bound(column, lower)
        upper = np.inf if upper is None else bound(column, upper)
    except (TypeError, ValueError) as error:
        raise wrong_pair(column, pair, f" ({error})") from None
    if not lower <= upper:
        raise wrong_pair(column, pair)
    return replace(column, lower=lower, upper=upper)


def wrong_pair(column: Column, pair: Any, reason: str = "") -> ValueError:
    """Return the error for bounds that are no interval."""
    return ValueError(
        f"`bounds[{column.name!r}]` is {pair!r}; expected a pair (lower, upper) of "
        f"{'times' if column.origin is not None else 'numbers'}, lower not above upper, with None "
        f"for no bound{reason}. Correct it."
    )


def bound(column: Column, value: Any) -> float:
    """Return the coordinate of a bound."""
    if column.origin is None:
        return float(value)
    if column.origin.dtype.kind == "m":
        time = pd.Timedelta(value).to_numpy()
    else:
        time = instant(value, times.timezone(column.dtype))
    return float(times.seconds_since(column.origin, np.array([time]))[0])


def instant(value: Any, zone: Any) -> Any:
    """Return an instant in UTC, read in the column's time zone where it has none of its own."""
    stamp: Any = pd.Timestamp(value)
    if zone is None and stamp.tz is not None:
        raise ValueError("the column has no time zone, but this bound has one")
    if zone is not None:
        stamp = stamp.tz_localize(zone) if stamp.tz is None else stamp
        stamp = stamp.tz_convert(None)
    return stamp.to_numpy()


def refuse_outside(column: Column, series: pd.Series, *, values: np.ndarray, pair: Any) -> None:
    """Raise `ValueError` for coordinates (n,) outside the bounds, with the first of the cells."""
    rows = np.flatnonzero((values < column.lower) | (values > column.upper))
    if len(rows):
        raise ValueError(
            f"Column {column.name!r} has the value {series.iloc[rows[0]]} in row "
            f"{rows[0]}, but `bounds[{column.name!r}]` is {pair!r} (values outside: {len(rows)}). "
            "Make them holes, correct them, or widen the bounds."
        )
