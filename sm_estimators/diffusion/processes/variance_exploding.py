"""Noise that grows geometrically, around a signal that stays."""

from typing import Any

import jax
import jax.numpy as jnp

from sm_estimators._spec import spec
from sm_estimators._typing import Level
from sm_estimators.diffusion.processes._base import AbstractProcess, check_range


@spec
class VarianceExploding(AbstractProcess):
    """α = 1 and σ(t) = first · (last / first)ᵗ: a standard deviation that grows geometrically.

    Training looks most often at noise that hides some of the structure of a table but not all.

    Parameters
    ----------
    first, last : float, optional
        Smallest and largest noise scale, in standard deviations of the columns. By default the
        table decides: from the spacing of nearest neighbours to the largest distance of two rows.
    centre : float, optional
        Median of the log-normal law of the noise scales in training, 0.6 by default; None is the
        uniform law of log σ, as first published.
    spread : float, default=1.2
        Standard deviation of the logarithm under the log-normal law.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole (2021), Score-based generative modeling
    through stochastic differential equations. Karras, Aittala, Aila and Laine (2022), Elucidating
    the design space of diffusion-based generative models (for the law of the noise scales).

    Examples
    --------
    >>> round(float(VarianceExploding(0.01, 10.0).noise(0.5)), 4)
    0.3162
    """

    first: Any = None
    last: Any = None
    centre: Any = 0.6
    spread: Any = 1.2

    def __post_init__(self):
        check_range(self)
        if self.centre is not None and not (self.centre > 0 and self.spread > 0):
            raise ValueError(
                "`centre` and `spread` must be positive; got "
                f"centre={self.centre!r}, spread={self.spread!r}."
            )

    def level(self, u: Level) -> Level:
        """Return a log-normal noise scale, kept between first and last."""
        if self.centre is None:
            return super().level(u)
        normal = jax.scipy.special.ndtri(jnp.clip(u, 1e-6, 1 - 1e-6))
        return jnp.clip(self.centre * jnp.exp(self.spread * normal), self.first, self.last)

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
