"""Complete cases only."""

from functools import partial

import numpy as np
from jaxtyping import Bool

from sm_estimators._spec import spec
from sm_estimators._typing import LogDensityFn, Params, ScoreFn
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing._base import AbstractMissing, Rows
from sm_estimators.missing.scores import DensityScore


@spec
class CompleteCase(AbstractMissing):
    """Drop every row with a hole.

    Consistent under MCAR, but wasteful: with a share p of the cells missing independently only
    (1 − p)^d of the rows are left.
    """

    valid_under = frozenset({"mcar"})

    def keeps(self, observed: Bool[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Return which rows are complete."""
        return np.all(observed, axis=1)

    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return the density of the whole row."""
        del row
        return partial(density.log_density, params)

    def observed_score(self, density: AbstractDensity, params: Params, row: Rows) -> ScoreFn:
        """Return the score of the whole row."""
        del row
        return DensityScore(density, params)
