"""Draws from the reverse of a discrete chain of noise scales."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Point
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.samplers._base import (
    AbstractNoiseSampler,
    check_positive,
    curved_grid,
)


@spec
class Ancestral(AbstractNoiseSampler):
    """The posterior of the row with less noise, given the row with more and E[z | y] for z.

    Parameters
    ----------
    n_steps : int, default=64
        Noise scales.

    References
    ----------
    Ho, Jain and Abbeel (2020), Denoising diffusion probabilistic models.

    Examples
    --------
    >>> Ancestral().n_steps
    64
    """

    n_steps: int = static(default=64)

    def __post_init__(self):
        check_positive(self, "n_steps")

    def grid(self, process: AbstractProcess) -> Float[Array, " t"]:
        """Return noise scales that are dense where they are small."""
        return curved_grid(process, self.n_steps, 7.0)

    def move(self, key, y, scale, next_scale, clean_fn, process) -> Point:
        """Draw y′ ~ N(ẑ + (s′²/s²)(y − ẑ), s′²(s² − s′²)/s²)."""
        del process
        kept = (next_scale / scale) ** 2
        clean = clean_fn(y, scale)
        noise = jax.random.normal(key, y.shape, y.dtype)
        return clean + kept * (y - clean) + next_scale * jnp.sqrt(1 - kept) * noise
