"""Langevin kernels: unadjusted (ULA) and Metropolis-adjusted (MALA), preconditioned.

Both propose y = x + ε C s(x) + √(2ε) C^{1/2} ξ with s = ∇ log p and ξ ~ N(0, I). In whitened
coordinates x = C^{1/2} u the score is g = C^{1/2}ᵀ s and the proposal u + ε g + √(2ε) ξ, which is
how it is computed: the acceptance ratio then needs no inverse of C, and directions in which
C^{1/2} is zero stay where they are.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from sm_estimators._spec import spec, static
from sm_estimators._typing import LogDensityFn, Point, PRNGKey, Scalar
from sm_estimators.samplers._base import AbstractSampler, Sampler, Scale

LOG_STEP_RANGE = (-25.0, 5.0)
"""Where the adapted log step size stays; beyond it a chain is frozen or a coordinate is flat."""


class State(NamedTuple):
    """Where a chain is, with the log-density and its gradient there."""

    position: Point
    log_density: Scalar
    score: Point


class Info(NamedTuple):
    """The acceptance probability of a step, and whether the proposal was taken."""

    acceptance: Scalar
    accepted: Bool[Array, ""]


def ula(log_density_fn: LogDensityFn, step_size: Any, scale: Scale) -> Sampler:
    """Return the unadjusted Langevin kernel.

    Its stationary law is not the target: for N(m, C) with the scale C^{1/2} it is
    N(m, C / (1 − ε/2)), and the bias of other targets is O(ε) as well.

    Parameters
    ----------
    log_density_fn : callable
        log p of one row, up to a constant.
    step_size : scalar
        ε, in units of the squared scale.
    scale : (d,) or (d, d) array
        C^{1/2}: standard deviations, or a lower-triangular factor of a covariance.

    Returns
    -------
    Sampler
        ``init`` and ``step`` of one chain; the acceptance is always 1.

    References
    ----------
    Roberts and Tweedie (1996), Exponential convergence of Langevin distributions.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> kernel = ula(lambda x: -0.5 * x @ x, 0.1, jnp.ones(2))
    >>> state, info = kernel.step(jax.random.key(0), kernel.init(jnp.zeros(2)))
    >>> state.position.shape, float(info.acceptance)
    ((2,), 1.0)
    """

    def init(position: Point) -> State:
        return State(position, *jax.value_and_grad(log_density_fn)(position))

    def step(key: PRNGKey, state: State) -> tuple[State, Info]:
        noise = jax.random.normal(key, state.position.shape, state.position.dtype)
        position = _propose(state, step_size, scale, noise)
        return init(position), Info(jnp.ones((), position.dtype), jnp.array(True))

    return Sampler(init, step)


def mala(log_density_fn: LogDensityFn, step_size: Any, scale: Scale) -> Sampler:
    """Return the Metropolis-adjusted Langevin kernel, which leaves the target invariant.

    A proposal where the log-density or its gradient is not finite is rejected.

    Parameters
    ----------
    log_density_fn : callable
        log p of one row, up to a constant; −inf outside the support.
    step_size : scalar
        ε, in units of the squared scale.
    scale : (d,) or (d, d) array
        C^{1/2}: standard deviations, or a lower-triangular factor of a covariance.

    Returns
    -------
    Sampler
        ``init`` and ``step`` of one chain.

    References
    ----------
    Roberts and Tweedie (1996), Exponential convergence of Langevin distributions.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> kernel = mala(lambda x: -0.5 * x @ x, 0.5, jnp.ones(2))
    >>> state, info = kernel.step(jax.random.key(0), kernel.init(jnp.zeros(2)))
    >>> bool(0 <= info.acceptance <= 1)
    True
    """

    def init(position: Point) -> State:
        return _reject_non_finite(State(position, *jax.value_and_grad(log_density_fn)(position)))

    def step(key: PRNGKey, state: State) -> tuple[State, Info]:
        noise, uniform = _noise_and_uniform(key, state.position)
        proposal = init(_propose(state, step_size, scale, noise))
        acceptance = _acceptance(state, proposal, step_size, scale, noise)
        accepted = uniform < acceptance
        new = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), proposal, state)
        return new, Info(acceptance, accepted)

    return Sampler(init, step)


def _apply(scale: Scale, v: Point) -> Point:
    """Multiply by a full or a diagonal factor."""
    return scale * v if scale.ndim == 1 else scale @ v


def _propose(state: State, step_size: Any, scale: Scale, noise: Point) -> Point:
    """Return x + C^{1/2}(ε g + √(2ε) ξ)."""
    g = _apply(scale.T, state.score)
    return state.position + _apply(scale, step_size * g + jnp.sqrt(2 * step_size) * noise)


def _noise_and_uniform(key: PRNGKey, x: Point) -> tuple[Point, Scalar]:
    """Return ξ ~ N(0, I) and a uniform number from one call of the generator.

    The generator is most of what a step costs to run and to compile, for small densities.
    """
    lowest = jnp.nextafter(jnp.array(-1, x.dtype), jnp.array(0, x.dtype))
    u = jax.random.uniform(key, (x.size + 1,), x.dtype, minval=lowest, maxval=1.0)
    return jnp.sqrt(2.0).astype(x.dtype) * jax.lax.erf_inv(u[:-1]), (u[-1] + 1) / 2


def _acceptance(state: State, proposal: State, step_size: Any, scale: Scale, noise: Point):
    """Return the Metropolis probability.

    The noise that leads back from the proposal is −(ξ + √(ε/2)(g + g′)), so the ratio of the
    proposal densities is a difference of squared noises.
    """
    g = _apply(scale.T, state.score + proposal.score)
    back = noise + jnp.sqrt(step_size / 2) * g
    log_ratio = proposal.log_density - state.log_density - 0.5 * (back @ back - noise @ noise)
    # A NaN is inf − inf: neither place is in the support, or the step overflowed.
    return jnp.exp(jnp.minimum(jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio), 0.0))


def _reject_non_finite(state: State) -> State:
    """Give a place without finite log-density and gradient no density and no pull."""
    finite = jnp.isfinite(state.log_density) & jnp.all(jnp.isfinite(state.score))
    return State(
        state.position,
        jnp.where(finite, state.log_density, -jnp.inf),
        jnp.where(finite, state.score, 0.0),
    )


@spec
class ULA(AbstractSampler):
    """Unadjusted Langevin chains with a fixed step size.

    Cheap and biased: variances come out larger by the factor 1 / (1 − ε/2), 2.6 % at the default,
    when the scale is the factor of the target's covariance. Prefer :class:`MALA` unless the
    log-density is unknown and only its gradient is meaningful.

    Parameters
    ----------
    n_chains : int, default=64
        Chains run side by side.
    n_warmup : int, default=500
        Steps thrown away at the start of every chain.
    n_steps : int, default=500
        Steps of an imputation chain after warm-up.
    thinning : int, default=40
        Steps from one kept state to the next, at least; more are taken where kept states are
        still correlated.
    step_size : float, default=0.05
        ε, in units of the squared scale.

    Examples
    --------
    >>> ULA(step_size=0.01).step_size
    0.01
    """

    n_chains: int = static(default=64)
    n_warmup: int = 500
    n_steps: int = 500
    thinning: int = 40
    step_size: float | int = 0.05

    def __post_init__(self):
        _check_lengths(self)

    def kernel(self, log_density_fn: LogDensityFn, step_size: Scalar, scale: Scale) -> Sampler:
        """Return :func:`ula`."""
        return ula(log_density_fn, step_size, scale)


@spec
class MALA(AbstractSampler):
    """Metropolis-adjusted Langevin chains; warm-up tunes the step size, which is then frozen.

    Parameters
    ----------
    n_chains : int, default=64
        Chains run side by side.
    n_warmup : int, default=500
        Steps thrown away at the start of every chain, in which the step size is tuned.
    n_steps : int, default=500
        Steps of an imputation chain after warm-up.
    thinning : int, default=8
        Steps from one kept state to the next, at least; more are taken where kept states are
        still correlated.
    step_size : float, default=0.5
        ε at the start of warm-up, in units of the squared scale.
    target_acceptance : float, default=0.574
        Mean acceptance that warm-up aims at. The default is optimal in high dimension
        (Roberts and Rosenthal, 1998).

    Examples
    --------
    >>> MALA() == MALA(n_chains=64)
    True
    """

    n_chains: int = static(default=64)
    n_warmup: int = 500
    n_steps: int = 500
    thinning: int = 8
    step_size: float | int = 0.5
    target_acceptance: float | int = 0.574

    def __post_init__(self):
        _check_lengths(self)
        if not 0 < self.target_acceptance < 1:
            raise ValueError(
                "`target_acceptance` must lie between 0 and 1, both excluded, but "
                f"{self.target_acceptance!r} was given; 0.574 suits most densities."
            )

    def kernel(self, log_density_fn: LogDensityFn, step_size: Scalar, scale: Scale) -> Sampler:
        """Return :func:`mala`."""
        return mala(log_density_fn, step_size, scale)

    def adapt(self, step_size: Scalar, acceptance: Scalar, i: Int[Array, ""]) -> Scalar:
        """Move log ε by (acceptance − target) / (i + 1)^0.6 (Robbins and Monro, 1951)."""
        gain = (i + 1).astype(step_size.dtype) ** -0.6
        log_step = jnp.log(step_size) + gain * (acceptance - self.target_acceptance)
        return jnp.exp(jnp.clip(log_step, *LOG_STEP_RANGE))


def _check_lengths(sampler: ULA | MALA) -> None:
    """Refuse counts and step sizes with which no chain can run."""
    least = {"n_chains": 1, "n_warmup": 0, "n_steps": 4, "thinning": 1}
    for name, minimum in least.items():
        if not (value := getattr(sampler, name)) >= minimum:
            raise ValueError(
                f"`{name}` must be a whole number of at least {minimum}, but {value!r} was given; "
                "leave it out to use the default."
            )
    if not sampler.step_size > 0:
        raise ValueError(
            f"`step_size` must be positive, but {sampler.step_size!r} was given; it is measured "
            "in squared scales, so 0.01 is careful and 1 is bold."
        )
