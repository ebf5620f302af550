"""What is known about one column of a table after a fit."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = ("numeric", "integer", "boolean", "ordinal", "nominal", "datetime")


@dataclass(frozen=True)
class Column:
    """One column: how its cells become one real coordinate, and what may be written into it.

    Columns compare by value.

    Attributes
    ----------
    name : hashable
        The label of the column; its position where the table was an array.
    kind : {"numeric", "integer", "boolean", "ordinal", "nominal", "datetime"}
        The coordinate is the number itself for the first two, the code of the level, 0 to
        ``n_levels - 1``, for the next three, and seconds since ``origin`` for times, which are
        instants or durations.
    dtype : dtype
        The pandas dtype of the fitted column, which `TableCodec.decode` restores.
    levels : tuple or None
        The possible values in the order of their codes; None for numbers and times.
    seen_levels : tuple of int
        Codes, ascending, of the levels that occurred in the fit. Only these are ever written;
        the others keep their place in the dtype. Empty for numbers and times.
    lower, upper : float
        Bounds the user gave, in coordinates; infinite where there are none.
    step : float
        The grid of coordinates to be written, counted from 0: 1 for whole numbers and levels; in
        seconds, the coarsest of day, hour, minute, second and its decimals that fits all seen
        times. 0 where any real number can be written.
    origin : numpy.datetime64, numpy.timedelta64 or None
        The smallest time that was seen, in UTC where the column has a time zone.
    seen_ticks : tuple of int
        All times that were seen, ascending, counted from 1970 or 0 in the resolution of
        ``origin``, where seconds alone do not lead back to each of them; mostly empty.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_estimators.tables import TableCodec
    >>> size = pd.Categorical(["S", "L", None], categories=["S", "M", "L"], ordered=True)
    >>> (column,) = TableCodec().fit(pd.DataFrame({"size": size})).columns
    >>> column.kind, column.levels, column.seen_levels
    ('ordinal', ('S', 'M', 'L'), (0, 2))
    """

    name: Hashable
    kind: str
    dtype: Any
    levels: tuple | None = None
    seen_levels: tuple[int, ...] = ()
    lower: float = -np.inf
    upper: float = np.inf
    step: float = 0.0
    origin: Any = None
    seen_ticks: tuple[int, ...] = field(default=(), repr=False)

    @property
    def n_levels(self) -> int:
        """Number of levels; 0 for numbers and times."""
        return len(self.levels or ())

    def whole_steps(self, values: np.ndarray, step: float) -> np.ndarray:
        """Return the nearest numbers (n,) of steps from 0 whose values are within the bounds."""
        lower, upper = self.lower / step, self.upper / step
        with np.errstate(over="ignore"):  # infinitely many steps are clipped
            steps = np.rint(values / step)
        return np.clip(steps, first_whole(lower), -first_whole(-upper))


def first_whole(bound: float) -> float:
    """Return the smallest whole number that is not below a bound, up to rounding errors."""
    if not np.isfinite(bound):
        return bound
    return float(np.ceil(bound - 4 * np.finfo(float).eps * abs(bound)))
