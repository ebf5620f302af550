"""Draws from a widened Gaussian conditional."""

from typing import Any

import numpy as np

from sm_estimators._spec import spec
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing.proposals._base import AbstractProposal, Draws, Placed


@spec
class GaussianProposal(AbstractProposal):
    """The conditional of one joint Gaussian, fitted to the table by EM, its covariance widened.

    One Gaussian serves all patterns of holes. Refreshed, it takes the mean and covariance of the
    weighted completions, which is the Gaussian closest to the model in the forward
    Kullback–Leibler divergence. The draws of a row are stratified. In a box each hole is drawn
    from its normal cut at the bounds.

    Parameters
    ----------
    inflation : float, default=1.5
        Factor on the conditional covariance; above 1, so that the weights are bounded when the
        model is Gaussian.
    degrees_of_freedom : float, default=inf
        Of a multivariate t, for models with heavier tails than a Gaussian. Not in a box.

    Examples
    --------
    >>> GaussianProposal(inflation=2.0)
    GaussianProposal(inflation=2.0, degrees_of_freedom=inf)
    """

    inflation: float = 1.5
    degrees_of_freedom: float = float("inf")

    def __post_init__(self):
        for name in ("inflation", "degrees_of_freedom"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive; got {getattr(self, name)}.")

    def draw(self, rng: np.random.Generator, state: Any, table: Placed, n_draws: int) -> Draws:
        """Return stratified draws from the widened conditional."""
        support = table.support
        completions, log_density = GaussianConditional(*state).propose(
            rng,
            table.X,
            table.observed,
            n_draws,
            inflation=float(self.inflation),
            degrees_of_freedom=float(self.degrees_of_freedom),
            bounds=None if support is None else support.bounds(table.X.shape[1]),
        )
        return Draws(completions, log_density)

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
        """Return the moments of the weighted completions, a hair away from singular."""
        del rng, state, density, params
        share = table.weight[:, None] * np.exp(log_weights)
        share /= share.sum()
        location = np.einsum("nr,nrd->d", share, completions)
        deviations = (completions - location) * np.sqrt(share)[:, :, None]
        covariance = np.einsum("nrd,nre->de", deviations, deviations, optimize=True)
        return location, covariance + 1e-8 * np.diag(np.diag(covariance))
