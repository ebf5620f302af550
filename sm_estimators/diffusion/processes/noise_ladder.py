"""A fixed ladder of noise scales."""

from typing import Any

import jax.numpy as jnp

from sm_estimators._spec import spec, static
from sm_estimators._typing import Level
from sm_estimators.diffusion.processes._base import AbstractProcess, check_range


@spec
class NoiseLadder(AbstractProcess):
    """A geometric ladder of noise scales, the only ones that training looks at.

    Between its rungs it is the variance-exploding process, so that every sampler can use it.

    Parameters
    ----------
    first, last : float, optional
        Smallest and largest noise scale, in standard deviations of the columns. By default the
        table decides.
    n_levels : int, default=20
        Rungs.

    References
    ----------
    Song and Ermon (2019), Generative modeling by estimating gradients of the data distribution.

    Examples
    --------
    >>> NoiseLadder(0.1, 10.0, n_levels=3).level(0.5)
    Array(1., dtype=float32, weak_type=True)
    """

    first: Any = None
    last: Any = None
    n_levels: int = static(default=20)

    def __post_init__(self):
        check_range(self)
        if not self.n_levels >= 2:
            raise ValueError(f"`n_levels` must be at least 2; got {self.n_levels!r}.")

    def signal(self, t: Level) -> Level:
        """Return 1."""
        return jnp.ones_like(t)

    def noise(self, t: Level) -> Level:
        """Return first · (last / first)ᵗ."""
        return self.first * jnp.exp(t * jnp.log(self.last / self.first))

    def time(self, noise_scale: Level) -> Level:
        """Return log(scale / first) / log(last / first)."""
        return jnp.log(noise_scale / self.first) / jnp.log(self.last / self.first)

    def drift(self, t: Level) -> Level:
        """Return 0."""
        return jnp.zeros_like(t)

    def level(self, u: Level) -> Level:
        """Return the rung for a uniform number in [0, 1]."""
        rung = jnp.minimum(jnp.floor(u * self.n_levels), self.n_levels - 1)
        return self.noise(rung / (self.n_levels - 1))
