"""What a fitted imputer must do, and the pieces that several have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Protocol

import numpy as np


class Fitted(Protocol):
    """An imputer after its fit.

    Tables go in with NaN in their holes, (n, d), and come back in the same units. The rows may be
    those of the fit or others. A method without a point estimate or without draws returns None.
    """

    def mean(self, X: np.ndarray) -> np.ndarray | None:
        """Return the table with point estimates in its holes, (n, d)."""
        ...

    def draws(self, X: np.ndarray, k: int) -> np.ndarray | None:
        """Return k tables completed at random, (k, n, d)."""
        ...


Fit = Callable[[np.ndarray, int], Fitted]
"""From a table with holes and a seed to a fitted imputer."""


def same(X: np.ndarray, Y: np.ndarray) -> bool:
    """Tell whether two tables with holes are one."""
    return X.shape == Y.shape and np.array_equal(X, Y, equal_nan=True)


@dataclass(frozen=True)
class Standardised:
    """A fitted imputer in standardised columns, used in the units of the table."""

    inner: Fitted
    centre: np.ndarray
    scale: np.ndarray

    def mean(self, X: np.ndarray) -> np.ndarray | None:
        """Return point estimates in the units of the table."""
        return self._back(X, self.inner.mean(self._scaled(X)))

    def draws(self, X: np.ndarray, k: int) -> np.ndarray | None:
        """Return draws in the units of the table."""
        return self._back(X, self.inner.draws(self._scaled(X), k))

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return (X - self.centre) / self.scale

    def _back(self, X: np.ndarray, filled: np.ndarray | None) -> np.ndarray | None:
        """Return filled tables in the units of the table, with seen values bit for bit.

        Seen values that the imputer changed are left as they are, to be found by the check.
        """
        if filled is None:
            return None
        kept = np.isclose(filled, self._scaled(X), rtol=1e-12, atol=1e-12)
        return np.where(kept, X, filled * self.scale + self.centre)


def standardised(fit: Fit) -> Fit:
    """Return a fit in columns of mean 0 and deviation 1, by the values that were seen.

    For methods that depend on the units: neighbours, and scikit-learn's round robin, whose rule
    for stopping compares all columns with the largest value of the table.
    """

    @wraps(fit)
    def fit_standardised(X: np.ndarray, seed: int) -> Standardised:
        centre, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
        return Standardised(fit((X - centre) / scale, seed), centre, scale)

    return fit_standardised
