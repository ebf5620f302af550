"""What every fitted density of this package can do with a table: complete it.

Imputers and pipelines ask no more of an estimator than this class.
"""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

MAX_SEED = 2**31 - 1


class TableDensity(BaseEstimator, ABC):
    """An estimator of the density of the rows of a table with holes."""

    sampling_diagnostics_: dict

    def __sklearn_tags__(self):
        """Declare that NaN is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @abstractmethod
    def _completions(
        self, X: np.ndarray, observed: np.ndarray, *, n_imputations: int, seed: int
    ) -> np.ndarray:
        """Return ``(m, n, d)`` tables with drawn holes; keep diagnostics."""

    @abstractmethod
    def _means(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray | None:
        """Return the table with conditional means in its holes; None where only draws know them."""


def seed_of(random_state: Any) -> int:
    """Return a seed from whatever ``random_state`` is."""
    return int(check_random_state(random_state).randint(MAX_SEED))


def positive_count(name: str, value: Any) -> int:
    """Return the argument ``name`` as an integer of at least 1."""
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1:
        return int(value)
    raise ValueError(f"`{name}` must be a positive whole number; got {value!r}.")
