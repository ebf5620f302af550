"""A neural conditional that is told which values were seen."""

from itertools import pairwise
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._chunks import map_rows
from sm_estimators._precision import cast, double_precision
from sm_estimators._spec import spec, static
from sm_estimators._typing import Params, Point
from sm_estimators.densities import AbstractDensity
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.densities.mlp_energy import untrained
from sm_estimators.missing.proposals._base import AbstractProposal, Draws, Placed
from sm_estimators.missing.proposals.variational import (
    Context,
    Divergence,
    Units,
    check_divergence,
    fit_family,
    real_table,
    to_rows,
)

Spread = Literal["isotropic", "diagonal"]


@spec
class VariationalNetwork(AbstractProposal):
    """Independent normals around a mean that a perceptron computes from seen values and flags.

    With ``spread="isotropic"`` and ``backbone=False`` this is the family of Givens, Liu and Reeve
    (2025). Holes are independent given what was seen, so the weights of a model with strong
    conditional dependence are uneven: prefer :class:`VariationalGaussian` there.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(64,)
        Widths of the hidden layers.
    spread : {"diagonal", "isotropic"}, default="diagonal"
        One standard deviation per hole, computed by the network, or a single one for all.
    backbone : bool, default=True
        Add the mean to that of the Gaussian conditional fitted to the table.
    divergence : {"reverse_kl", "fisher"}, default="reverse_kl"
        What is minimised.
    inflation : float, default=1.5
        Factor on the variance of the draws. 1 where draws are taken for the conditional itself.
    n_steps : int, default=200
        Adam steps per refresh.
    learning_rate : float, default=0.005
        Of Adam, falling to zero within a refresh.

    Examples
    --------
    >>> VariationalNetwork((32,), spread="isotropic").hidden_sizes
    (32,)
    """

    hidden_sizes: tuple[int, ...] = static(default=(64,))
    spread: Spread = static(default="diagonal")
    backbone: bool = static(default=True)
    divergence: Divergence = static(default="reverse_kl")
    inflation: float = 1.5
    n_steps: int = 200
    learning_rate: float = 0.005

    def __post_init__(self):
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))
        check_divergence(self.divergence, self.n_steps, self.learning_rate)
        if not self.inflation > 0:
            raise ValueError(f"`inflation` must be positive; got {self.inflation}.")
        if self.spread not in get_args(Spread):
            raise ValueError(f"`spread` must be one of {get_args(Spread)}; got {self.spread!r}.")

    def start(self, rng: np.random.Generator, table: Placed) -> Any:
        """Return an untrained network and the units it works in."""
        location, covariance = table.moments
        d = len(location)
        units = Units(location, np.sqrt(np.diag(covariance)))
        if table.support is not None:
            plain = Units(np.zeros(d), np.ones(d), table.support)
            U = np.where(table.observed, real_table(plain, table), np.nan)
            units = Units(
                np.nanmean(U, axis=0), np.maximum(np.nanstd(U, axis=0), 1e-8), table.support
            )
        sizes = (2 * d, *self.hidden_sizes, 2 * d)
        layers = untrained([rng.standard_normal(shape) for shape in pairwise(sizes)])
        return {"layers": layers, "log_spread": np.zeros(())}, units

    def draw(self, rng: np.random.Generator, state: Any, table: Placed, n_draws: int) -> Draws:
        """Return draws, with their log-densities."""
        phi, units = state
        contexts = self._contexts(units, table)
        mean, width = network_moments(self, phi, contexts)
        width = width * np.sqrt(float(self.inflation))
        noise = rng.standard_normal((len(mean), n_draws, mean.shape[1]))
        observed = table.observed[:, None, :]
        V = np.where(observed, contexts.v[:, None, :], mean[:, None] + width[:, None] * noise)
        terms = -0.5 * noise**2 - np.log(width)[:, None] - 0.5 * np.log(2 * np.pi)
        completions, log_slopes = to_rows(units, table, V)
        return Draws(completions, np.where(observed, 0.0, terms).sum(axis=2) - log_slopes)

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
        contexts = self._contexts(units, table)
        model = {"density": density, "params": params, "contexts": contexts}
        return fit_family(rng, self, phi, units, **model), units

    def _contexts(self, units: Units, table: Placed) -> Context:
        """Return what the network is told of every row."""
        V = real_table(units, table)
        if not self.backbone or table.support is not None:
            return Context(V, table.observed, np.zeros_like(V))
        filled = GaussianConditional(*table.moments).mean(table.X, table.observed)
        return Context(V, table.observed, (filled - units.centre) / units.scale)

    def moments(self, phi: Params, context: Context) -> tuple[Point, Point]:
        """Return mean and standard deviation of every hole, given the others are independent."""
        *hidden, last = phi["layers"]
        h = jnp.concatenate([context.v, context.observed.astype(context.v.dtype)])
        for layer in hidden:
            h = jax.nn.silu(h @ layer["weight"] + layer["bias"])
        shift, log_width = jnp.split(h @ last["weight"] + last["bias"], 2)
        if self.spread == "isotropic":
            log_width = jnp.zeros_like(log_width)
        return context.guess + shift, jnp.exp(phi["log_spread"] + jnp.clip(log_width, -6.0, 3.0))

    def place(self, phi: Params, context: Context, noise: Any) -> Any:
        """Return draws (r, d) from standard noise (r, d)."""
        mean, width = self.moments(phi, context)
        return jnp.where(context.observed, context.v, mean + width * noise)

    def score(self, phi: Params, context: Context, v: Point) -> Point:
        """Return ∇ log π at the holes of v."""
        mean, width = self.moments(phi, context)
        return (mean - v) / width**2


@double_precision
def network_moments(
    family: VariationalNetwork, phi: Params, contexts: Context
) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations of all holes, (n, d) each."""
    family, phi = cast((family, phi), np.float64)
    return map_rows(lambda chunk: _network_moments(family, phi, chunk), contexts)


@jax.jit
def _network_moments(family, phi, contexts):
    return jax.vmap(lambda context: family.moments(phi, context))(contexts)
