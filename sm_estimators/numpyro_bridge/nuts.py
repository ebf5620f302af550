"""NumPyro's no-U-turn sampler as a kernel of this library."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int
from numpyro.infer.hmc import hmc

from sm_estimators._spec import spec, static
from sm_estimators._typing import LogDensityFn, Point, PRNGKey, Scalar
from sm_estimators.samplers._base import AbstractSampler, Sampler, Scale
from sm_estimators.samplers.langevin import LOG_STEP_RANGE


class State(NamedTuple):
    """Where a chain is."""

    position: Point


class Info(NamedTuple):
    """Mean acceptance along a trajectory, its length in gradients, and whether it diverged."""

    acceptance: Scalar
    n_gradients: Int[Array, ""]
    diverged: Bool[Array, ""]


def nuts(
    log_density_fn: LogDensityFn, step_size: Any, scale: Scale, *, max_tree_depth: int = 10
) -> Sampler:
    """Return the no-U-turn kernel, run by NumPyro in coordinates whitened by ``scale``.

    With x = x₀ + C^{1/2} u, the trajectory moves u with a unit mass matrix, which is the dense
    mass matrix C⁻¹ for x. Coordinates of u that C^{1/2} drops would be flat, and a trajectory
    along them never turns; they get a standard Gaussian of their own and are drawn afresh at
    every step, so that the kernel stays exact and x does not move along them.

    Parameters
    ----------
    log_density_fn : callable
        log p of one row, up to a constant; −inf outside the support.
    step_size : scalar
        Step of the leapfrog integrator, in units of the scale.
    scale : (d,) or (d, d) array
        C^{1/2}: standard deviations, or a lower-triangular factor of a covariance.
    max_tree_depth : int, default=10
        Trajectories have at most 2 to this power gradients.

    Returns
    -------
    Sampler
        ``init`` and ``step`` of one chain.

    References
    ----------
    Hoffman and Gelman (2014), The No-U-Turn sampler. Phan, Pradhan and Jankowiak (2019),
    Composable effects for flexible and accelerated probabilistic programming in NumPyro.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> kernel = nuts(lambda x: -0.5 * x @ x, 0.5, jnp.ones(2))
    >>> state, info = kernel.step(jax.random.key(0), kernel.init(jnp.zeros(2)))
    >>> state.position.shape, bool(info.diverged)
    ((2,), False)
    """
    still = scale == 0 if scale.ndim == 1 else jnp.all(scale == 0, axis=0)

    def moved(x: Point, u: Point) -> Point:
        return x + (scale * u if scale.ndim == 1 else scale @ u)

    def step(key: PRNGKey, state: State) -> tuple[State, Info]:
        key_still, key_trajectory = jax.random.split(key)
        x = state.position

        def potential(u: Point) -> Scalar:
            return 0.5 * jnp.sum(jnp.where(still, u, 0.0) ** 2) - log_density_fn(moved(x, u))

        start = jnp.where(still, jax.random.normal(key_still, x.shape, x.dtype), 0.0)
        init_kernel, sample_kernel = hmc(potential, algo="NUTS")
        trajectory = init_kernel(
            start,
            num_warmup=0,
            step_size=step_size,
            adapt_step_size=False,
            adapt_mass_matrix=False,
            max_tree_depth=max_tree_depth,
            rng_key=key_trajectory,
        )
        end = sample_kernel(trajectory)
        info = Info(end.accept_prob.astype(x.dtype), end.num_steps, end.diverging)
        return State(moved(x, end.z)), info

    return Sampler(State, step)


@spec
class NUTS(AbstractSampler):
    """No-U-turn chains by NumPyro; warm-up tunes the step size, which is then frozen.

    It takes the place of :class:`sm_estimators.samplers.langevin.MALA` wherever a sampler is
    asked for, imputation included, and shares its compiled loop: a second call compiles nothing.
    The mass matrix is not adapted: the scale of the data stands for it. A step is a
    whole trajectory, so few are needed, and chains next to one another wait for the longest.

    Prefer it in correlated or long-tailed densities with one mode, above some ten columns. Chains
    seldom cross between modes: start many at data rows.

    Parameters
    ----------
    n_chains : int, default=4
        Chains run side by side.
    n_warmup : int, default=200
        Steps thrown away at the start of every chain, in which the step size is tuned.
    n_steps : int, default=100
        Steps of an imputation chain after warm-up.
    thinning : int, default=1
        Steps from one kept state to the next.
    step_size : float, default=0.5
        Leapfrog step at the start of warm-up, in units of the scale.
    target_acceptance : float, default=0.8
        Mean acceptance along a trajectory that warm-up aims at.
    max_tree_depth : int, default=10
        Trajectories have at most 2 to this power gradients.

    Raises
    ------
    ValueError
        If a count is too small or ``target_acceptance`` is no probability.

    Examples
    --------
    >>> NUTS(n_chains=8).n_chains
    8
    """

    n_chains: int = static(default=4)
    n_warmup: int = 200
    n_steps: int = 100
    thinning: int = 1
    step_size: float | int = 0.5
    target_acceptance: float | int = 0.8
    max_tree_depth: int = static(default=10)

    def __post_init__(self):
        least = {"n_chains": 1, "n_warmup": 0, "n_steps": 4, "thinning": 1, "max_tree_depth": 1}
        for name, minimum in least.items():
            if not (value := getattr(self, name)) >= minimum:
                raise ValueError(
                    f"`{name}` must be a whole number of at least {minimum}, but {value!r} was "
                    "given; leave it out to use the default."
                )
        if not 0 < self.target_acceptance < 1:
            raise ValueError(
                "`target_acceptance` must lie between 0 and 1, both excluded, but "
                f"{self.target_acceptance!r} was given; 0.8 suits most densities."
            )
        if not self.step_size > 0:
            raise ValueError(
                f"`step_size` must be positive, but {self.step_size!r} was given; it is measured "
                "in scales of the data, and warm-up tunes it."
            )

    def kernel(self, log_density_fn: LogDensityFn, step_size: Scalar, scale: Scale) -> Sampler:
        """Return :func:`nuts`."""
        return nuts(log_density_fn, step_size, scale, max_tree_depth=self.max_tree_depth)

    def adapt(self, step_size: Scalar, acceptance: Scalar, i: Int[Array, ""]) -> Scalar:
        """Move log ε by (acceptance − target) / (i + 1)^0.6 (Robbins and Monro, 1951)."""
        gain = (i + 1).astype(step_size.dtype) ** -0.6
        log_step = jnp.log(step_size) + gain * (acceptance - self.target_acceptance)
        return jnp.exp(jnp.clip(log_step, *LOG_STEP_RANGE))
