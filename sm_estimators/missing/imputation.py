"""Imputation by fractional weights: an EM for score matching."""

import jax
import jax.numpy as jnp
from jax.nn import log_softmax

from sm_estimators._spec import spec
from sm_estimators._typing import Objective, Params, PRNGKey, Scalar
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing._base import Rows
from sm_estimators.missing.proposed import AbstractProposed
from sm_estimators.missing.scores import DensityScore


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
    proposal : proposal, default=GaussianProposal()
        Where the draws come from; ``LangevinChains()`` for densities no Gaussian resembles.
    n_refreshes : int, default=0
        How often the proposal follows the fitted model and draws anew; the second half of the
        rounds is averaged. With chains, some 20.
    log_propensity : callable, optional
        As for :class:`Importance`.

    Examples
    --------
    >>> sorted(Imputation().valid_under)
    ['mar', 'mcar']
    """

    valid_under = frozenset({"mcar", "mar"})
    iterative = True
    fills_in = True

    def expectation(self, density: AbstractDensity, params: Params, row: Rows) -> Rows:
        """Return the row with its log weights normalised at ``params``."""
        frozen = jax.lax.stop_gradient(params)
        return row._replace(log_weights=log_softmax(self.log_ratios(density, frozen, row)))

    def loss(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Scalar:
        """Return the weighted complete-data loss; ``row`` must come from ``expectation``."""
        score_fn = DensityScore(density, params)
        seen = jnp.ones_like(row.observed)
        losses = jax.vmap(lambda z: objective(key, score_fn, z, seen))(row.completions)
        return jnp.exp(row.log_weights) @ losses

    def estimating_function(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Params:
        """Return Σ_k ω_k(θ) ∇_θ loss(z_k; θ), the weights ω moving with θ.

        Its derivative is E_ω[∇²loss] + Cov_ω(∇loss, ∇ log q): the second part is the information
        that is missing with the holes (Louis 1982), and makes it no symmetric matrix.
        """
        weighted = row._replace(log_weights=log_softmax(self.log_ratios(density, params, row)))
        return super().estimating_function(key, objective, density, params, weighted)
