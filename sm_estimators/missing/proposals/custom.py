"""Draws from a user's own proposal."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sm_estimators._spec import spec, static
from sm_estimators.missing.proposals._base import AbstractProposal, Draws, Placed


@spec
class CustomProposal(AbstractProposal):
    """Any function that draws the holes of a table and knows with which density.

    Parameters
    ----------
    function : callable
        Called as ``function(rng, X, observed, n_draws)`` with a NumPy generator, rows (n, d) with
        NaN in the holes, and their flags; returns completions (n, n_draws, d), seen values in
        their cells, and log-densities (n, n_draws) of the drawn holes. Rows come in the units in
        which the density is fitted: standardised for Gaussians, mixtures and neural energies,
        those of the table otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> def wide(rng, X, observed, n_draws):
    ...     noise = 4 * rng.standard_normal((len(X), n_draws, X.shape[1]))
    ...     hole = ~observed[:, None, :]
    ...     log_density = -0.5 * np.where(hole, noise / 4, 0.0) ** 2
    ...     return np.where(hole, noise, X[:, None, :]), log_density.sum(axis=2)
    >>> CustomProposal(wide).function is wide
    True
    """

    function: Callable[..., Any] = static()

    def __post_init__(self):
        if not callable(self.function):
            raise TypeError(
                "`function` must be callable as function(rng, X, observed, n_draws); "
                f"got {self.function!r}."
            )

    def draw(self, rng: np.random.Generator, state: Any, table: Placed, n_draws: int) -> Draws:
        """Return what the user's function returns, once it was checked."""
        del state
        X, observed, support = table.X, table.observed, table.support
        given = self.function(rng, np.where(observed, X, np.nan), observed, n_draws)
        completions, log_density = (np.asarray(part, float) for part in given)
        n, d = X.shape
        if completions.shape != (n, n_draws, d) or log_density.shape != (n, n_draws):
            raise ValueError(
                f"The proposal must return completions {(n, n_draws, d)} and log-densities "
                f"{(n, n_draws)}; it returned {completions.shape} and {log_density.shape}."
            )
        completions = np.where(observed[:, None, :], X[:, None, :], completions)
        if not (np.isfinite(completions).all() and np.isfinite(log_density).all()):
            raise ValueError(
                "The proposal returned values that are not finite. It must fill every hole with "
                "a number and know its log-density."
            )
        if support is not None:
            lower, upper = support.bounds(d)
            inside = np.all((completions >= lower) & (completions <= upper), axis=2)
            outside = ~np.any(inside, axis=1)
            if np.any(outside):
                raise ValueError(
                    f"The proposal left {np.sum(outside)} rows without a draw inside "
                    "the support of the density. Draw within the bounds, or more often."
                )
        return Draws(completions, log_density)
