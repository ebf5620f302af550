"""A fitted density as a NumPyro distribution."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.core import Tracer
from jaxtyping import Array, Float
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample

from sm_estimators._typing import Params
from sm_estimators.densities._base import AbstractDensity, AbstractMarginalDensity
from sm_estimators.numpyro_bridge.from_distribution import FromDistribution
from sm_estimators.numpyro_bridge.rows import log_densities
from sm_estimators.samplers._base import AbstractSampler, Scale
from sm_estimators.samplers.chains import run_ensemble
from sm_estimators.samplers.langevin import MALA

N_STARTS = 1024
"""Exact rows drawn to start from when a density can draw them."""


class FittedDensity(dist.Distribution):
    r"""A fitted density of rows of d numbers, for use inside NumPyro models.

    ``log_prob`` is that of the fitted density, **up to a constant** unless the family is
    normalised or ``log_normaliser`` is given. The constant is harmless wherever the distribution
    is fixed and only its shape counts: NUTS and HMC, MAP, conditional draws, a prior inside a
    bigger model. It is *not* harmless in

    - mixtures of this distribution with others: the weights are wrong;
    - evidence and model comparison, including the values of an ELBO (its gradients are right);
    - anything in which ``params`` are random or learned: the constant depends on them.

    Draws are exact for :class:`FromDistribution`. Otherwise every draw is the end of its own
    chain, started at a random row of ``starts`` and preconditioned by ``scale``. A draw costs a
    chain, so draw many at once, and give ``starts`` that cover every mode. Draws carry no
    gradient with respect to the parameters.

    Parameters
    ----------
    density : AbstractDensity
        What was fitted.
    params : pytree
        The fitted parameters.
    starts : array_like of shape (c, d), optional
        Rows to start chains at: training rows or draws. Not needed where the density draws
        exactly.
    scale : array_like of shape (d,) or (d, d), optional
        Standard deviations, or the lower Cholesky factor of a covariance, that precondition the
        chains; by default the Cholesky factor of the covariance of ``starts``.
    log_normaliser : float, optional
        Logarithm of the integral of exp(log-density), subtracted from ``log_prob``.
    sampler : AbstractSampler, optional
        What moves the chains, ``n_warmup + n_steps`` steps each; by default :class:`MALA` with
        250 steps of both kinds.

    Raises
    ------
    ValueError
        If ``starts`` are needed and absent, or hold values that are not finite.

    Examples
    --------
    >>> import jax
    >>> from sm_estimators.densities import Gaussian
    >>> gaussian = Gaussian()
    >>> fitted = FittedDensity(gaussian, gaussian.init(jax.random.key(0), 2))
    >>> fitted.event_shape, fitted.normalised
    ((2,), True)
    >>> fitted.log_prob(jax.numpy.zeros((3, 2))).shape
    (3,)
    """

    arg_constraints = {}  # noqa: RUF012 (NumPyro's protocol)
    pytree_data_fields = ("density", "params", "starts", "scale", "log_normaliser", "sampler")

    def __init__(
        self,
        density: AbstractDensity,
        params: Params,
        starts: Any = None,
        *,
        scale: Any = None,
        log_normaliser: float | None = None,
        sampler: AbstractSampler | None = None,
        validate_args: bool | None = None,
    ):
        self.density = density
        self.params = jax.tree.map(host_copy, params)
        self.starts = None if starts is None else host_copy(starts)
        self.scale = None if scale is None else host_copy(scale)
        self.log_normaliser = log_normaliser
        self.sampler = sampler or MALA(n_chains=1, n_warmup=250, n_steps=250)
        if isinstance(density, FromDistribution):
            event_shape = density.distribution(self.params).event_shape
        else:
            self.starts = start_rows(density, self.params, starts)
            self.scale = covariance_factor(self.starts) if scale is None else self.scale
            event_shape = self.starts.shape[1:]
        super().__init__((), event_shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """All vectors of real numbers."""
        return constraints.real_vector

    @property
    def normalised(self) -> bool:
        """Whether ``log_prob`` integrates to one."""
        known = isinstance(self.density, (AbstractMarginalDensity, FromDistribution))
        return known or self.log_normaliser is not None

    @property
    def has_rsample(self) -> bool:
        """Draws are not differentiable in the parameters (the inherited rule would say yes)."""
        return False

    @validate_sample
    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """Return the log-density of rows (..., d), up to a constant: shape (...)."""
        del intermediates
        value = jnp.asarray(value, jnp.result_type(float, value))
        rows = value.reshape(-1, *self.event_shape)
        total = log_densities(self.density, self.params, rows).reshape(value.shape[:-1])
        return total if self.log_normaliser is None else total - self.log_normaliser

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw rows of shape ``sample_shape + (d,)``; pure JAX, so it runs inside jit and vmap."""
        if isinstance(self.density, FromDistribution):
            return jnp.asarray(self.density.distribution(self.params).sample(key, sample_shape))
        rows = chain_ends(
            typed_key(key),
            self.density,
            cast_floats(self.params),
            cast_floats(self.starts),
            cast_floats(self.scale),
            self.sampler,
            n_draws=math.prod(sample_shape),
        )
        return rows.reshape(*sample_shape, *self.event_shape)


def host_copy(leaf: Any) -> Any:
    """Return a NumPy copy, which pickles with its precision; leave traced values alone.

    A copy, because JAX remembers in which precision it has seen an array.
    """
    return leaf if isinstance(leaf, Tracer) else np.array(leaf)


def typed_key(key: Any) -> Any:
    """Return a typed key; ``Predictive`` hands out raw ones whatever it was given."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return key if typed else jax.random.wrap_key_data(key)


def cast_floats(tree: Any) -> Any:
    """Return floating-point leaves in the precision of the caller's JAX."""

    def one(leaf):
        floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, float) if floating else leaf

    return jax.tree.map(one, tree)


def start_rows(density: AbstractDensity, params: Params, starts: Any) -> np.ndarray:
    """Return ``starts``, or exact draws where the density makes them itself."""
    if starts is None and isinstance(density, AbstractMarginalDensity):
        return density.sample(params, np.random.default_rng(0), N_STARTS)
    if starts is None:
        raise ValueError(
            f"`starts` must be given for {type(density).__name__}, which cannot draw rows by "
            "itself: pass training rows without holes, or draws of the fitted density."
        )
    starts = np.asarray(starts)
    if starts.ndim != 2 or len(starts) == 0 or not np.all(np.isfinite(starts)):
        raise ValueError(
            "`starts` must be a non-empty array of finite rows, shape (c, d); got shape "
            f"{starts.shape} with {np.count_nonzero(~np.isfinite(starts))} values not finite."
        )
    return starts


def covariance_factor(rows: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of the covariance of ``rows``, slightly widened."""
    spread = rows.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    if len(rows) <= 2 * rows.shape[1]:
        return np.diag(spread)
    covariance = np.atleast_2d(np.cov(rows, rowvar=False, dtype=float))
    return np.linalg.cholesky(covariance + 1e-6 * np.diag(spread**2))


@partial(jax.jit, static_argnames="n_draws")
def chain_ends(
    key: Any,
    density: AbstractDensity,
    params: Params,
    starts: Float[Array, "c d"],
    scale: Scale,
    sampler: AbstractSampler,
    *,
    n_draws: int,
) -> Float[Array, "n d"]:
    """Return the last rows of ``n_draws`` independent chains."""
    key_start, key_chain = jax.random.split(key)
    rows = jax.random.choice(key_start, starts, (n_draws, 1))

    def one(chain_key, positions):
        run = run_ensemble(
            chain_key,
            sampler,
            partial(density.log_density, params),
            positions=positions,
            scale=scale,
            n_steps=sampler.n_steps,
            memory=None,
            remember=lambda memory, t, positions: memory,
        )
        return run.states.position[0]

    return jax.vmap(one)(jax.random.split(key_chain, n_draws), rows)
