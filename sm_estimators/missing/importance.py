"""Marginals by importance sampling."""

import jax
import jax.numpy as jnp
from jax.nn import softmax

from sm_estimators._spec import spec
from sm_estimators._typing import Objective, Params, PRNGKey, Scalar
from sm_estimators.densities import AbstractDensity, stein_score
from sm_estimators.missing._base import Rows, log_density_ratios
from sm_estimators.missing.proposal import AbstractProposed


@spec
class Importance(AbstractProposed):
    """Marginal score matching with importance weights (Givens, Liu & Reeve 2025).

    The density of the seen part of a row is the average over draws z_k ~ π(· | x_observed) of
    q(x_observed, z_k) / π(z_k | x_observed). The proposal π is the conditional of a Gaussian
    fitted to the table by EM, its covariance widened. Draws are made once, before the fit.
    Consistent under MCAR only: the loss ignores the mechanism.

    The loss of the average of r draws is not that of the marginal: it understates the variance of
    the score over the holes, by a share Σw² for independent draws with weights w, and a fit on
    few draws chases scores that vary with the holes. That share is added back. The draws of a row
    are stratified, so they understate it by less, and what is added in excess (of order 1/r)
    errs towards scores that vary less.

    Parameters
    ----------
    n_draws : int, default=20
        Draws per row.
    inflation : float, default=1.5
        Factor on the conditional covariance; above 1, so that the weights are bounded when the
        model is Gaussian.
    degrees_of_freedom : float, default=inf
        Of a multivariate t proposal, for models with heavier tails than a Gaussian.

    Examples
    --------
    >>> Importance(n_draws=50)
    Importance(n_draws=50, inflation=1.5, degrees_of_freedom=inf)
    """

    valid_under = frozenset({"mcar"})

    def loss(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Scalar:
        """Return the loss of the average over the draws, corrected for their number."""
        loss = super().loss(key, objective, density, params, row)
        return loss + 0.5 * missing_variance(density, params, row)


def missing_variance(density: AbstractDensity, params: Params, row: Rows) -> Scalar:
    """Return by how much independent weighted draws understate the variance of the seen scores.

    The plug-in variance under weights w has mean 1 − Σw² times the true one.
    """
    weights = softmax(log_density_ratios(density, params, row))
    scores = jax.vmap(stein_score(lambda z: density.log_density(params, z)))(row.completions)
    scores = jnp.where(row.observed, scores, 0.0)
    variance = jnp.sum(weights @ scores**2 - (weights @ scores) ** 2)
    lost = jnp.sum(weights**2)
    # With all the weight on one draw nothing is known about the variance, and nothing is added.
    known = lost < 1 - 1e-6
    return jnp.where(known, variance * lost / jnp.where(known, 1 - lost, 1.0), 0.0)
