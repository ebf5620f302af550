"""Numbers, shares, times and names as the page spells them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from sm_estimators.tables import Column

DAY = 86_400.0


def count(n: int, noun: str) -> str:
    """Write a number with its noun: no rows, 1 row, 2 rows."""
    return f"{f'{n:,}' if n else 'no'} {noun}{'' if n == 1 else 's'}"


def percent(share: float) -> str:
    """Write a share in per cent, never something as nothing."""
    if np.isnan(share):
        return "–"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def number(x: float) -> str:
    """Write a number with about four digits.

    Examples
    --------
    >>> number(1997.3), number(12.3456), number(-0.01234567), number(3e-7)
    ('1,997', '12.35', '−0.01235', '3e-07')
    """
    if np.isnan(x):
        return "–"
    size = abs(x)
    if size and not 1e-4 <= size < 1e9:
        written = f"{x:.3g}"
    else:
        written = f"{x:,.0f}" if size >= 1000 else f"{x:.4g}"
    return "−" + written[1:] if written.startswith("-") else written


def signed(x: float) -> str:
    """Write a number between -1 and 1, with its sign."""
    if np.isnan(x):
        return "–"
    return f"{'−' if x < 0 else '+'}{abs(x):.2f}"


def probability(p: float) -> str:
    """Write a p-value."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def value(column: Column, coordinate: float) -> str:
    """Write a coordinate of a column in the column's own words."""
    if np.isnan(coordinate):
        return "–"
    if column.origin is None:
        return number(coordinate)
    seconds = pd.Timedelta(round(coordinate), unit="s")
    if column.origin.dtype.kind == "m":
        return spread(column, coordinate + pd.Timedelta(column.origin).total_seconds())
    moment = pd.Timestamp(column.origin) + seconds
    return moment.strftime("%Y-%m-%d" if column.step >= DAY else "%Y-%m-%d %H:%M")


def spread(column: Column, size: float) -> str:
    """Write a difference of coordinates; that of times in their largest fitting unit."""
    if column.origin is None or np.isnan(size):
        return number(size)
    units = {"days": DAY, "hours": 3600.0, "minutes": 60.0}
    for unit, seconds in units.items():
        if abs(size) >= 2 * seconds:
            return f"{number(size / seconds)} {unit}"
    return f"{number(size)} seconds"


def level(column: Column, code: int) -> str:
    """Write a level."""
    return str((column.levels or ())[code])


def listed(names: Iterable[str], most: int = 6) -> str:
    """Join a few names and count the rest."""
    names = list(names)
    shown = names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else ""
