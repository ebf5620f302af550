"""Noise that grows geometrically, around a signal that stays."""

from typing import Any

import jax.numpy as jnp

from sm_estimators._spec import spec
from sm_estimators._typing import Scalar
from sm_estimators.diffusion.processes._base import AbstractProcess, check_range


@spec
class VarianceExploding(AbstractProcess):
    """α = 1 and σ(t) = first · (last / first)ᵗ: a standard deviation that grows geometrically.

    Training looks at all magnitudes of noise equally often.

    Parameters
    ----------
    first, last : float, optional
        Smallest and largest noise scale, in standard deviations of the columns. By default the
        table decides: from the spacing of nearest neighbours to the largest distance of two rows.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole (2021), Score-based generative modeling
    through stochastic differential equations.

    Examples
    --------
    >>> round(float(VarianceExploding(0.01, 10.0).noise(0.5)), 4)
    0.3162
    """

    first: Any = None
    last: Any = None

    def __post_init__(self):
        check_range(self)

    def signal(self, t: Scalar) -> Scalar:
        """Return 1."""
        return jnp.ones_like(t)

    def noise(self, t: Scalar) -> Scalar:
        """Return first · (last / first)ᵗ."""
        return self.first * jnp.exp(t * jnp.log(self.last / self.first))

    def time(self, noise_scale: Scalar) -> Scalar:
        """Return log(scale / first) / log(last / first)."""
        return jnp.log(noise_scale / self.first) / jnp.log(self.last / self.first)

    def drift(self, t: Scalar) -> Scalar:
        """Return 0."""
        return jnp.zeros_like(t)
