"""Many chains side by side: the one module that batches kernels.

An *ensemble* is a set of chains of one target that share a step size: warm-up tunes it on their
mean acceptance, then it is frozen. Warm-up and sampling are one compiled loop whose counts are
arguments: another length, step size or parameter compiles nothing. Unconditional sampling runs
one ensemble and keeps its history; imputation runs one per row
(:mod:`sm_estimators.samplers.conditional_chains`).

Chains of neural densities run in float32, all others in float64, whatever the mode of the caller.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import cast, to_numpy
from sm_estimators._typing import LogDensityFn, Params, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.samplers._base import AbstractSampler, Scale

M = TypeVar("M")


class Ensemble(NamedTuple):
    """Chains under way: states, their common step size, mean acceptance, what is remembered."""

    states: Any
    step_size: Scalar
    acceptance: Scalar
    memory: Any


class Chains(NamedTuple):
    """Kept states (c, n_kept, d), mean acceptance after warm-up, and the step size used."""

    positions: np.ndarray
    acceptance: float
    step_size: float


def run_chains(
    key: PRNGKey,
    sampler: AbstractSampler,
    *,
    density: AbstractDensity,
    params: Params,
    positions: Float[np.ndarray, "c d"],
    scale: np.ndarray,
    n_kept: int,
) -> Chains:
    """Run one ensemble: warm up, then keep every ``sampler.thinning``-th state.

    Host function: NumPy in, NumPy out. Only ``n_kept``, the shapes of ``positions`` and ``scale``
    and the structure of the specs decide what is compiled. To go on from where chains stopped,
    pass their last positions with ``n_warmup=0`` and the tuned step size.

    Parameters
    ----------
    key : PRNGKey
        Typed JAX key.
    sampler : AbstractSampler
        What moves the chains.
    density, params
        The target, log q(x) = ``density.log_density(params, x)``.
    positions : (c, d) array
        Where the chains start, one row each; rows of the data serve well.
    scale : (d,) or (d, d) array
        C^{1/2} of the preconditioner.
    n_kept : int
        Kept states per chain.

    Returns
    -------
    Chains

    Examples
    --------
    >>> import jax, numpy as np
    >>> from sm_estimators.densities.gaussian import Gaussian
    >>> from sm_estimators.samplers.langevin import MALA
    >>> params = Gaussian().from_moments(np.zeros(2), np.eye(2))
    >>> chains = run_chains(
    ...     jax.random.key(0), MALA(n_warmup=50), density=Gaussian(), params=params,
    ...     positions=np.zeros((4, 2)), scale=np.ones(2), n_kept=8,
    ... )
    >>> chains.positions.shape
    (4, 8, 2)
    """
    dtype = dtype_of(density)
    inputs = cast((sampler, density, params, positions, scale), dtype)
    with jax.enable_x64(not density.neural):
        run = to_numpy(_run_chains(key, *inputs, n_kept=n_kept))
    return Chains(
        run.memory.transpose(1, 0, 2).astype(float), float(run.acceptance), float(run.step_size)
    )


def run_ensemble(
    key: PRNGKey,
    sampler: AbstractSampler,
    log_density_fn: LogDensityFn,
    *,
    positions: Float[Array, "c d"],
    scale: Scale,
    n_steps: Any,
    memory: M,
    remember: Callable[[M, Any, Float[Array, "c d"]], M],
) -> Ensemble:
    """Warm up, then take ``n_steps`` steps; pure JAX.

    ``remember(memory, t, positions)`` is called after every step, t counting from the end of
    warm-up (negative before it): it has to forget what it was told at t < 0.
    """

    def kernel(step_size):
        return sampler.kernel(log_density_fn, step_size, scale)

    def body(i, run: Ensemble) -> Ensemble:
        step_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, i)
        states, info = jax.vmap(kernel(run.step_size).step)(step_keys, run.states)
        acceptance = jnp.mean(info.acceptance)
        t = i - sampler.n_warmup
        tuned = sampler.adapt(run.step_size, acceptance, i)
        return Ensemble(
            states,
            jnp.where(t < 0, tuned, run.step_size),
            run.acceptance + jnp.where(t < 0, 0.0, acceptance - run.acceptance) / count_since(t, 0),
            remember(run.memory, t, states.position),
        )

    keys = jax.random.split(key, len(positions))
    step_size = jnp.asarray(sampler.step_size, positions.dtype)
    states = jax.vmap(kernel(step_size).init)(positions)
    start = Ensemble(states, step_size, jnp.zeros_like(step_size), memory)
    return jax.lax.fori_loop(0, sampler.n_warmup + n_steps, body, start)


@partial(jax.jit, static_argnames="n_kept", compiler_options=QUICK_COMPILE)
def _run_chains(key, sampler, density, params, positions, scale, *, n_kept) -> Ensemble:
    """Run an ensemble that remembers its thinned history (n_kept, c, d)."""

    def remember(history, t, positions):
        # Written at every step: the last write to a slot is the kept state, and slot 0 takes
        # what comes during warm-up.
        return history.at[jnp.maximum(t, 0) // sampler.thinning].set(positions)

    return run_ensemble(
        key,
        sampler,
        partial(density.log_density, params),
        positions=positions,
        scale=scale,
        n_steps=n_kept * sampler.thinning,
        memory=jnp.zeros((n_kept, *positions.shape), positions.dtype),
        remember=remember,
    )


def count_since(t: Any, start: Any) -> Any:
    """Return how many states came since ``start``, one during warm-up."""
    return jnp.maximum(t - start + 1, 1)


def dtype_of(density: AbstractDensity) -> type:
    """Return the precision in which chains of this density run."""
    return np.float32 if density.neural else np.float64
