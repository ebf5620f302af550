"""Instants and durations: the coordinate is in seconds, counted from the smallest that was seen.

Seconds are exact while the span of a column is below some 2**52 of its ``step``: 142 years in
microseconds, 52 days in nanoseconds. Beyond that, times that were seen are looked up, so that their
seconds still become a seen time, and others are off by up to the span times 2**-53.
"""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables.column import Column
from sm_estimators.tables.contents import contents

TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY = 86_400
RANGES = {
    "M": np.array(["0001-01-02", "9999-12-30"], dtype="datetime64[s]").astype(np.int64).tolist(),
    "m": [-106_751 * DAY, 106_751 * DAY],
}
"""Instants of Python, since 1970 and in any time zone, and durations of pandas, in seconds."""


def to_coordinates(column: Column, series: pd.Series) -> np.ndarray:
    """Return the seconds (n,) since the column's origin as float64, NaN in the holes.

    Raises ``ValueError`` for what is no time, or has a time zone where the other has none.
    """
    expected = "durations" if column.origin.dtype.kind == "m" else "times"
    aware, was_aware = timezone(series.dtype) is not None, timezone(column.dtype) is not None
    if contents(series) != expected or aware != was_aware:
        zone = " with a time zone" if was_aware else " without a time zone"
        raise ValueError(
            f"Column {column.name!r} has {contents(series)} (dtype {series.dtype}), but "
            f"{expected}{zone if expected == 'times' else ''} were expected, as in the fit (dtype "
            f"{column.dtype}). Convert it, for example with `pandas.to_datetime`."
        )
    return seconds_since(column.origin, ticking(series))


def timezone(dtype: Any) -> Any:
    """Return the time zone of a column, None where it has none."""
    return getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None)


def ticking(series: pd.Series) -> np.ndarray:
    """Return times (n,) as NumPy has them, in UTC and in the resolution of the column."""
    if hasattr(series.dtype, "pyarrow_dtype"):
        if str(series.dtype).startswith("date"):
            series = series.astype("timestamp[ms][pyarrow]")
        return series.to_numpy(dtype=getattr(series.dtype, "numpy_dtype", None))
    if timezone(series.dtype) is not None:
        series = series.dt.tz_convert(None)
    return series.to_numpy()


def seconds_since(origin: Any, times: np.ndarray) -> np.ndarray:
    """Return differences in seconds; whole seconds and the rest are subtracted apart."""
    whole, rest = divided(times)
    whole_origin, rest_origin = divided(np.array([origin]))
    seconds = (whole - whole_origin) + (rest - rest_origin)
    return np.where(np.isnat(times), np.nan, seconds)


def divided(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whole seconds, integers, and the rest of a second of each time."""
    ticks = TICKS[np.datetime_data(times.dtype)[0]]
    whole, rest = np.divmod(times.astype(np.int64), ticks)
    return whole, rest / ticks


def read_times(name: Hashable, series: pd.Series) -> Column:
    """Return a column of times, with those seen where seconds do not lead back to each of them.

    Raises ``ValueError`` for times too far away.
    """
    times = ticking(series)
    times = np.unique(times[~np.isnat(times)])
    refuse_far(name, times[0], times[-1])
    origin, step = origin_and_step(times)
    column = Column(name, "datetime", series.dtype, step=step, origin=origin)
    if np.array_equal(ticks_at(column, seconds_since(origin, times)), times.astype(np.int64)):
        return column
    return replace(column, seen_ticks=tuple(times.astype(np.int64).tolist()))


def origin_and_step(times: np.ndarray) -> tuple[Any, float]:
    """Return the first of ascending times, and the coarsest usual step, in seconds, to all others.

    Differences are taken without a sign, because they can exceed an int64.
    """
    origin = times[0]
    elapsed = times.view(np.uint64) - np.asarray(origin).view(np.uint64)
    per_second = TICKS[np.datetime_data(times.dtype)[0]]
    steps = [seconds * per_second for seconds in (DAY, 3600, 60, 1)]
    steps += [per_second // 10**k for k in (3, 6, 9) if per_second >= 10**k]
    step = next(step for step in steps if not (elapsed % np.uint64(step)).any())
    return origin, step / per_second


def refuse_far(name: Any, first: Any, last: Any) -> None:
    """Raise `ValueError` for times too far away for Python or pandas."""
    seconds = divided(np.array([first, last]))[0]
    least, most = RANGES[first.dtype.kind]
    if seconds[0] < least or seconds[1] > most:
        raise ValueError(
            f"Column {name!r} has times from {first} to {last}; expected the years "
            "1 to 9999, and less than 292 years for durations. Make the others holes."
        )


def from_coordinates(column: Column, values: np.ndarray, dtype: Any) -> Any:
    """Return times on the column's grid and within its bounds, as an array of ``dtype``."""
    holes = np.isnan(values)
    ticks = ticks_at(column, np.where(holes, 0.0, values))
    ticks[holes] = np.iinfo(np.int64).min  # NaT
    times = pd.Series(ticks.view(column.origin.dtype))
    if timezone(dtype) is not None:
        times = times.dt.tz_localize("UTC")
    return times.astype(dtype).array


def ticks_at(column: Column, values: np.ndarray) -> np.ndarray:
    """Return the nearest possible times (n,) to seconds, as int64 in the column's resolution."""
    before, after = limits(column.origin, column.step)
    steps = np.clip(column.whole_steps(values, column.step), -before, after)
    size = np.abs(steps).astype(np.uint64) * np.uint64(ticks_per_step(column.origin, column.step))
    start = np.asarray(column.origin).view(np.uint64)
    ticks = np.where(steps < 0, start - size, start + size).view(np.int64)  # modulo 2**64
    return looked_up(column, values, ticks) if column.seen_ticks else ticks


def looked_up(column: Column, values: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Return ticks (n,) with a seen time wherever the seconds are those of one."""
    seen = np.array(column.seen_ticks)
    seconds = seconds_since(column.origin, seen.view(column.origin.dtype))
    places = np.searchsorted(seconds, values).clip(max=len(seen) - 1)
    return np.where(seconds[places] == values, seen[places], ticks)


def ticks_per_step(origin: Any, step: float) -> int:
    """Return how many ticks of the resolution of a column one of its steps has."""
    return round(step * TICKS[np.datetime_data(origin.dtype)[0]])


def limits(origin: Any, step: float) -> tuple[float, float]:
    """Return how many steps the first and the last possible time are away from the origin."""
    per_second = TICKS[np.datetime_data(origin.dtype)[0]]
    furthest = np.iinfo(np.int64).max - DAY * per_second  # a day is kept back for time zones
    first, last = (seconds * per_second for seconds in RANGES[origin.dtype.kind])
    least, most = max(-furthest, first), min(furthest, last)
    start, ticks = int(origin.astype(np.int64)), ticks_per_step(origin, step)
    before, after = max(start - least, 0) // ticks, max(most - start, 0) // ticks
    return not_above(before), not_above(after)


def not_above(count: int) -> float:
    """Return the largest floating-point number that is not above a whole number."""
    number = float(count)
    return number if int(number) <= count else float(np.nextafter(number, 0))
