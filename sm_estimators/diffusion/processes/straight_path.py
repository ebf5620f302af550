"""The straight line from a row to noise, the path of flow matching."""

from typing import Any

import jax.numpy as jnp

from sm_estimators._spec import spec
from sm_estimators._typing import Level
from sm_estimators.diffusion.processes._base import AbstractProcess, check_range


@spec
class StraightPath(AbstractProcess):
    """α = 1 − t and σ = t.

    Parameters
    ----------
    first, last : float, optional
        Smallest and largest σ/α that are used, in standard deviations of the columns. By default
        the table decides.

    References
    ----------
    Lipman, Chen, Ben-Hamu, Nickel and Le (2023), Flow matching for generative modeling.

    Examples
    --------
    >>> float(StraightPath().noise_scale(0.5))
    1.0
    """

    first: Any = None
    last: Any = None

    def __post_init__(self):
        check_range(self)

    def signal(self, t: Level) -> Level:
        """Return 1 − t."""
        return 1 - t

    def noise(self, t: Level) -> Level:
        """Return t."""
        return t

    def time(self, noise_scale: Level) -> Level:
        """Return scale / (1 + scale)."""
        return noise_scale / (1 + noise_scale)

    def drift(self, t: Level) -> Level:
        """Return −1 / (1 − t)."""
        return -1 / (1 - jnp.asarray(t))
