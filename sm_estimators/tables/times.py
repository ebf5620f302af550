"""Instants and durations: the coordinate is in seconds, counted from the smallest that was seen.

Seconds are exact while the span of a column is below some 2**52 of its ``step``: 142 years in
microseconds, 52 days in nanoseconds. Beyond that, times written are off by up to the span times
2**-53; cells that were seen never pass through coordinates.
"""

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
            f"Column {column.name!r} of `frame` has {contents(series)} (dtype {series.dtype}), but "
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


def origin_and_step(name: Any, series: pd.Series) -> tuple[Any, float]:
    """Return the smallest time and the coarsest usual step, in seconds, from it to all others.

    Raises ``ValueError`` for times too far away.
    """
    times = ticking(series)
    times = times[~np.isnat(times)]
    origin = times.min()
    refuse_far(name, origin, times.max())
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
            f"Column {name!r} of `frame` has times from {first} to {last}; expected the years "
            "1 to 9999, and less than 292 years for durations. Make the others holes."
        )


def from_coordinates(column: Column, values: np.ndarray, dtype: Any) -> Any:
    """Return times on the column's grid and within its bounds, as an array of ``dtype``."""
    holes = np.isnan(values)
    least, most = limits(column.origin, column.step)
    steps = np.clip(column.whole_steps(values, column.step), least, most)
    step, origin = ticks_per_step(column.origin, column.step), column.origin.astype(np.int64)
    ticks = origin + np.where(holes, 0, steps).astype(np.int64) * step
    ticks[holes] = np.iinfo(np.int64).min  # NaT
    times = pd.Series(ticks.view(column.origin.dtype))
    if timezone(dtype) is not None:
        times = times.dt.tz_localize("UTC")
    return times.astype(dtype).array


def ticks_per_step(origin: Any, step: float) -> int:
    """Return how many ticks of the resolution of a column one of its steps has."""
    return round(step * TICKS[np.datetime_data(origin.dtype)[0]])


def limits(origin: Any, step: float) -> tuple[float, float]:
    """Return the numbers of steps from the origin to the first and the last possible time."""
    per_second = TICKS[np.datetime_data(origin.dtype)[0]]
    furthest = np.iinfo(np.int64).max - DAY * per_second  # a day is kept back for time zones
    first, last = (seconds * per_second for seconds in RANGES[origin.dtype.kind])
    least, most = max(-furthest, first), min(furthest, last)
    start, ticks = int(origin.astype(np.int64)), ticks_per_step(origin, step)
    within = 2**62  # an int64 can hold it
    before, after = min((start - least) // ticks, within), min((most - start) // ticks, within)
    return -float(before), float(after)
