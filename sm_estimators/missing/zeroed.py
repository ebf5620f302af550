"""A baseline: holes filled with zero, the score masked."""

import jax.numpy as jnp

from sm_estimators._spec import spec
from sm_estimators._typing import LogDensityFn, Params, ScoreFn
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing._base import AbstractMissing, Rows
from sm_estimators.missing.scores import DensityScore


@spec
class Zeroed(AbstractMissing):
    """Put zeros into the holes and ignore the score there. Biased; for comparisons only.

    The masked loss on filled rows of much of the literature on incomplete data. It fits the
    conditional of what was seen given holes at zero as if it were the marginal, and is
    inconsistent under every mechanism unless the columns are independent.
    Zero is the mean of a column where the density is fitted on standardised ones.

    Examples
    --------
    >>> sorted(Zeroed().valid_under)
    []
    """

    valid_under = frozenset()

    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return the density of the filled row."""
        return lambda x: density.log_density(params, jnp.where(row.observed, x, 0.0))

    def observed_score(self, density: AbstractDensity, params: Params, row: Rows) -> ScoreFn:
        """Return the score of the filled row; what it is in the holes is not read."""
        del row
        return DensityScore(density, params)
