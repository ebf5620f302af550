"""Draws from chains that follow the model."""

from typing import Any

import jax
import numpy as np

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._precision import cast, double_precision
from sm_estimators._spec import spec, static
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing.proposals._base import AbstractProposal, Draws, Placed
from sm_estimators.samplers import MALA
from sm_estimators.samplers.conditional_chains import run_conditional_chains


@spec
class LangevinChains(AbstractProposal):
    """Persistent Metropolis-adjusted Langevin chains on the conditional of the current density.

    One chain per draw and row, started at the Gaussian conditional and moved on at every refresh
    (persistent contrastive divergence; Tieleman 2008). The log-density of the draws is that of
    the model they were moved by.

    Parameters
    ----------
    n_steps : int, default=30
        Steps per refresh; the step size of every row adapts in them.

    Examples
    --------
    >>> LangevinChains(n_steps=50)
    LangevinChains(n_steps=50)
    """

    drawn_from_model = True

    n_steps: int = static(default=30)

    def __post_init__(self):
        if self.n_steps < 1:
            raise ValueError(f"`n_steps` must be at least 1; got {self.n_steps}.")

    def draw(self, rng: np.random.Generator, state: Any, table: Placed, n_draws: int) -> Draws:
        """Return where the chains start: draws from the Gaussian conditional."""
        bounds = None if table.support is None else table.support.bounds(table.X.shape[1])
        start = GaussianConditional(*state).propose(
            rng, table.X, table.observed, n_draws, bounds=bounds
        )
        return Draws(*start)

    def redraw(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        *,
        completions: np.ndarray,
        log_weights: np.ndarray,
    ) -> tuple[Any, Draws]:
        """Move every chain on; its log-density is that of the density it moved by."""
        del log_weights
        conditional = GaussianConditional(*state)
        moved = run_conditional_chains(
            jax.random.key(rng.integers(2**31)),
            MALA(n_chains=completions.shape[1], n_warmup=self.n_steps, n_steps=4),
            density=density,
            params=params,
            positions=completions.transpose(1, 0, 2),
            observed=table.observed,
            scale=lambda rows: conditional.factors(table.observed[rows]),
        )
        completions = moved.positions.transpose(1, 0, 2)
        return state, Draws(completions, completed_log_densities(density, params, completions))


@double_precision
def completed_log_densities(
    density: AbstractDensity, params: Params, completions: np.ndarray
) -> np.ndarray:
    """Return log q of every completion, (n, r)."""
    density, params = cast((density, params), np.float64)
    return map_rows(
        lambda chunk: _log_densities(density, params, chunk),
        completions,
        max_rows=rows_within(completions[0].size),
    )


@jax.jit
def _log_densities(density, params, completions):
    return jax.vmap(jax.vmap(lambda z: density.log_density(params, z)))(completions)
