"""Marginals in closed form."""

from sm_estimators._spec import spec
from sm_estimators._typing import LogDensityFn, Params
from sm_estimators.densities import AbstractDensity, AbstractMarginalDensity
from sm_estimators.missing._base import AbstractMissing, Rows


@spec
class Exact(AbstractMissing):
    """Marginal score matching with closed-form marginals (Givens, Liu & Reeve 2025).

    For Gaussians and their mixtures. The loss ignores the mechanism, so it is consistent under
    MCAR only: under MAR the seen part of a pattern has density p·φ, and its score sees ∇log φ.
    """

    valid_under = frozenset({"mcar"})

    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return the closed-form marginal; raises `TypeError` where the density has none."""
        if not isinstance(density, AbstractMarginalDensity):
            raise TypeError(
                f"`missing='exact'` needs a density with closed-form marginals (Gaussian or "
                f"GaussianMixture); got {type(density).__name__}. Use 'importance' or "
                "'imputation', which work for every density."
            )
        return lambda x: density.marginal_log_density(params, x, row.observed)
