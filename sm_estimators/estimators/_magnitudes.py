"""Numbers too large or too close to each other for their squares."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

LARGEST = 1e60
CLOSEST = 1e-60


def refuse_large(
    names: Sequence[Any], values: Float[np.ndarray, "n d"], observed: Bool[np.ndarray, "n d"]
) -> None:
    """Raise `ValueError` for columns whose squares or products a float64 cannot hold."""
    for name, x, seen in zip(names, values.T, observed.T, strict=True):
        largest = np.abs(x[seen]).max(initial=0.0)
        if largest > LARGEST:
            raise ValueError(
                f"`X` has numbers of size {largest:.3g} in column {name!r}; expected none above "
                f"{LARGEST:g}, whose squares are finite. Make them holes if they stand for missing "
                "values, or change the unit of the column."
            )


def refuse_close(
    names: Sequence[Any], values: Float[np.ndarray, "n d"], observed: Bool[np.ndarray, "n d"]
) -> None:
    """Raise `ValueError` for columns that vary, but whose squared differences are zero."""
    for name, x, seen in zip(names, values.T, observed.T, strict=True):
        span = np.ptp(x[seen])
        if 0 < span < CLOSEST:
            raise ValueError(
                f"`X` has numbers within {span:.3g} of each other in column {name!r}; expected "
                f"them to be equal or to span {CLOSEST:g}, so that squares are not zero. Change "
                "the unit of the column."
            )
