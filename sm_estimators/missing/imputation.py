"""Imputation by fractional weights: an EM for score matching."""

import jax
import jax.numpy as jnp
from jax.nn import log_softmax

from sm_estimators._spec import spec
from sm_estimators._typing import Objective, Params, PRNGKey, Scalar
from sm_estimators.densities import AbstractDensity, stein_score
from sm_estimators.missing._base import Rows, log_density_ratios
from sm_estimators.missing.proposal import AbstractProposed


@spec
class Imputation(AbstractProposed):
    """Fill holes in with weighted draws and fit as if complete (Uehara, Matsuda & Kim 2020).

    The draws are fixed; their weights, q(x_observed, z_k) / π(z_k | x_observed) normalised over
    the draws of a row, are computed at the current parameters and **frozen** while the loss of
    the completed rows is minimised; then again. It needs to know nothing about a MAR mechanism,
    under which the missing part given the seen one keeps the model's conditional. For a Gaussian
    the expectation has a closed form, no draws are made and the fit is the maximum-likelihood EM.

    Parameters
    ----------
    n_draws : int, default=20
        Draws per row.
    inflation : float, default=1.5
        Factor on the covariance of the Gaussian-EM conditional the draws come from.
    degrees_of_freedom : float, default=inf
        Of a multivariate t proposal, for models with heavier tails than a Gaussian.

    Examples
    --------
    >>> sorted(Imputation().valid_under)
    ['mar', 'mcar']
    """

    valid_under = frozenset({"mcar", "mar"})
    iterative = True

    def expectation(self, density: AbstractDensity, params: Params, row: Rows) -> Rows:
        """Return the row with its log weights normalised at ``params``."""
        frozen = jax.lax.stop_gradient(params)
        return row._replace(log_weights=log_softmax(log_density_ratios(density, frozen, row)))

    def loss(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Scalar:
        """Return the weighted complete-data loss; ``row`` must come from ``expectation``."""
        score_fn = stein_score(lambda x: density.log_density(params, x))
        seen = jnp.ones_like(row.observed)
        losses = jax.vmap(lambda z: objective(key, score_fn, z, seen))(row.completions)
        return jnp.exp(row.log_weights) @ losses
