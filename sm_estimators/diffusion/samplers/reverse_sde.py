"""The stochastic differential equation of the process, backwards in time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Point
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.samplers._base import (
    AbstractNoiseSampler,
    check_positive,
    score_of,
    time_grid,
)


@spec
class ReverseSDE(AbstractNoiseSampler):
    """dx = (f x − g² ∇ log p_t(x)) dt + g dw, backwards, by the rule of Euler and Maruyama.

    Parameters
    ----------
    n_steps : int, default=500
        Steps, evenly spaced in the time of the process.

    References
    ----------
    Anderson (1982), Reverse-time diffusion equation models. Song et al. (2021), Score-based
    generative modeling through stochastic differential equations.

    Examples
    --------
    >>> ReverseSDE(n_steps=1000).n_steps
    1000
    """

    n_steps: int = static(default=500)

    def __post_init__(self):
        check_positive(self, "n_steps")

    def grid(self, process: AbstractProcess) -> Float[Array, " t"]:
        """Return the noise scales at evenly spaced times."""
        return time_grid(process, self.n_steps)

    def move(self, key, y, scale, next_scale, clean_fn, process) -> Point:
        """Take a step in the coordinates of the process, x = α y."""
        t, earlier = process.time(scale), process.time(next_scale)
        step, signal = t - earlier, process.signal(t)
        spread = process.squared_diffusion(t)
        x, score = signal * y, score_of(clean_fn, y, scale) / signal
        noise = jax.random.normal(key, y.shape, y.dtype)
        x = x - step * (process.drift(t) * x - spread * score) + jnp.sqrt(spread * step) * noise
        return x / process.signal(earlier)
