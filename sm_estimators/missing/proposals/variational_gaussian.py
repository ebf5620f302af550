"""The conditional of a joint Gaussian that follows the model."""

from typing import Any

import numpy as np

from sm_estimators._spec import spec, static
from sm_estimators._typing import Params, Point
from sm_estimators.densities import AbstractDensity, Gaussian
from sm_estimators.densities.gaussian import precision_cholesky
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.missing.proposals._base import AbstractProposal, Draws, Placed
from sm_estimators.missing.proposals.variational import (
    Context,
    Divergence,
    Units,
    check_divergence,
    conditional_draws,
    fit_family,
    real_table,
    to_rows,
)


@spec
class VariationalGaussian(AbstractProposal):
    """The conditional of one joint Gaussian, fitted to the model's conditional.

    One Gaussian serves all 2^d patterns, and for a Gaussian model the fit is exact. Bounded
    columns are mapped to the real line first.

    Parameters
    ----------
    divergence : {"reverse_kl", "fisher"}, default="reverse_kl"
        What is minimised.
    inflation : float, default=1.5
        Factor on the conditional covariance of the draws: a fit by either divergence is rather too
        narrow than too wide. 1 where draws are taken for the conditional itself.
    n_steps : int, default=50
        Adam steps per refresh.
    learning_rate : float, default=0.02
        Of Adam, falling to zero within a refresh.

    Examples
    --------
    >>> VariationalGaussian(divergence="fisher").divergence
    'fisher'
    """

    divergence: Divergence = static(default="reverse_kl")
    inflation: float = 1.5
    n_steps: int = 50
    learning_rate: float = 0.02

    def __post_init__(self):
        check_divergence(self.divergence, self.n_steps, self.learning_rate)
        if not self.inflation > 0:
            raise ValueError(f"`inflation` must be positive; got {self.inflation}.")

    def start(self, rng: np.random.Generator, table: Placed) -> Any:
        """Return φ, the Gaussian fitted to the table, and the units it is measured in."""
        del rng
        location, covariance = table.moments
        if table.support is not None:
            plain = Units(np.zeros(len(location)), np.ones(len(location)), table.support)
            U = real_table(plain, table)
            em = gaussian_em(U, table.observed, weights=table.weight, ridge=1e-6)
            location, covariance = em.location, em.covariance
        scale = np.sqrt(np.diag(covariance))
        phi = Gaussian().from_moments(np.zeros(len(scale)), covariance / np.outer(scale, scale))
        return phi, Units(location, scale, table.support)

    def draw(self, rng: np.random.Generator, state: Any, table: Placed, n_draws: int) -> Draws:
        """Return stratified draws from the widened conditional."""
        phi, units = state
        V, log_density = GaussianConditional(*Gaussian().moments(phi)).propose(
            rng, real_table(units, table), table.observed, n_draws, inflation=float(self.inflation)
        )
        completions, log_slopes = to_rows(units, table, V)
        return Draws(completions, log_density - log_slopes)

    def refit(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        *,
        completions: np.ndarray,
        log_weights: np.ndarray,
    ) -> Any:
        """Return φ after some steps down the divergence."""
        del completions, log_weights
        phi, units = state
        V = real_table(units, table)
        contexts = Context(V, table.observed, np.zeros_like(V))
        model = {"density": density, "params": params, "contexts": contexts}
        return fit_family(rng, self, phi, units, **model), units

    def place(self, phi: Params, context: Context, noise: Any) -> Any:
        """Return draws (r, d) from standard noise (r, d)."""
        L = precision_cholesky(phi)
        return conditional_draws(L @ L.T, phi["location"], context.v, context.observed, noise)

    def score(self, phi: Params, context: Context, v: Point) -> Point:
        """Return ∇ log π at the holes of v."""
        del context
        return Gaussian().score_and_curvature(phi, v)[0]
