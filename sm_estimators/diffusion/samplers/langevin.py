"""Langevin steps at ever smaller noise scales, alone or as the corrector of a prediction."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Point, PRNGKey, Scalar
from sm_estimators.diffusion.processes import AbstractProcess, NoiseLadder
from sm_estimators.diffusion.samplers._base import (
    AbstractNoiseSampler,
    CleanFn,
    check_positive,
    geometric_grid,
    score_of,
    time_grid,
)


@spec
class AnnealedLangevin(AbstractNoiseSampler):
    """Unadjusted Langevin steps y ← y + ε s² ∇ log p_s(y) + √(2ε) s ξ at every noise scale.

    Parameters
    ----------
    n_steps : int, default=20
        Noise scales; those of a :class:`NoiseLadder` are used as they are.
    n_corrections : int, default=50
        Langevin steps at each.
    step_size : float, default=0.1
        ε, in units of the squared noise scale. Variances come out larger by 1 / (1 − ε/2) where
        the noise is all there is.

    References
    ----------
    Song and Ermon (2019), Generative modeling by estimating gradients of the data distribution.

    Examples
    --------
    >>> AnnealedLangevin().n_corrections
    50
    """

    n_steps: int = static(default=20)
    n_corrections: int = 50
    step_size: Any = 0.1

    def __post_init__(self):
        check_positive(self, "n_steps", "n_corrections", "step_size")

    def grid(self, process: AbstractProcess) -> Float[Array, " t"]:
        """Return the rungs of the ladder."""
        n_levels = process.n_levels if isinstance(process, NoiseLadder) else self.n_steps
        return geometric_grid(process, n_levels - 1)

    def move(self, key, y, scale, next_scale, clean_fn, process) -> Point:
        """Take Langevin steps at the next noise scale."""
        del scale, process
        return corrected(key, y, next_scale, clean_fn, self.n_corrections, self.step_size)


@spec
class PredictorCorrector(AbstractNoiseSampler):
    """A step of the discretised reverse diffusion, then Langevin steps at the scale it led to.

    Parameters
    ----------
    n_steps : int, default=200
        Noise scales, evenly spaced in the time of the process.
    n_corrections : int, default=1
        Langevin steps at each.
    signal_to_noise : float, default=0.16
        r of the corrector, whose step is ε = 2 r² in units of the squared noise scale: the ratio
        of the lengths of the gradient and the noise that Song et al. (2021) keep fixed, with their
        averages over the noise in place of those of a batch.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations.

    Examples
    --------
    >>> PredictorCorrector().signal_to_noise
    0.16
    """

    n_steps: int = static(default=200)
    n_corrections: int = 1
    signal_to_noise: Any = 0.16

    def __post_init__(self):
        check_positive(self, "n_steps", "n_corrections", "signal_to_noise")

    def grid(self, process: AbstractProcess) -> Float[Array, " t"]:
        """Return the noise scales at evenly spaced times."""
        return time_grid(process, self.n_steps)

    def move(self, key, y, scale, next_scale, clean_fn, process) -> Point:
        """Predict, then correct."""
        del process
        predict_key, correct_key = jax.random.split(key)
        less = scale**2 - next_scale**2
        noise = jax.random.normal(predict_key, y.shape, y.dtype)
        y = y + less * score_of(clean_fn, y, scale) + jnp.sqrt(less) * noise
        step_size = 2 * self.signal_to_noise**2
        return corrected(correct_key, y, next_scale, clean_fn, self.n_corrections, step_size)


def corrected(
    key: PRNGKey, y: Point, scale: Scalar, clean_fn: CleanFn, n_steps: Any, step_size: Any
) -> Point:
    """Take Langevin steps at one noise scale."""

    def step(i, y):
        noise = jax.random.normal(jax.random.fold_in(key, i), y.shape, y.dtype)
        drift = step_size * scale**2 * score_of(clean_fn, y, scale)
        return y + drift + jnp.sqrt(2 * step_size) * scale * noise

    return jax.lax.fori_loop(0, n_steps, step, y)
