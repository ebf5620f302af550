"""A signal that fades as noise comes in, so that the variance stays one; and a tighter sibling."""

from typing import Any

import jax.numpy as jnp

from sm_estimators._spec import spec
from sm_estimators._typing import Level
from sm_estimators.diffusion.processes._base import AbstractProcess, check_range


class _LinearRate(AbstractProcess):
    """α = exp(−B/2) with B(t) = ∫ β and a rate β(t) that grows linearly."""

    slowest: Any
    fastest: Any

    def integrated_rate(self, t: Level) -> Level:
        """Return B(t) = slowest · t + (fastest − slowest) · t² / 2."""
        return self.slowest * t + 0.5 * (self.fastest - self.slowest) * t**2

    def time_of(self, integrated_rate: Level) -> Level:
        """Return the time at which B is ``integrated_rate``."""
        growth = self.fastest - self.slowest
        root = jnp.sqrt(self.slowest**2 + 2 * growth * integrated_rate)
        return 2 * integrated_rate / (self.slowest + root)

    def signal(self, t: Level) -> Level:
        """Return exp(−B/2)."""
        return jnp.exp(-0.5 * self.integrated_rate(t))

    def drift(self, t: Level) -> Level:
        """Return −β/2."""
        return -0.5 * (self.slowest + (self.fastest - self.slowest) * t)


def check_rates(process: _LinearRate) -> None:
    """Raise `ValueError` for rates that are no increasing pair of positive numbers."""
    check_range(process)
    if not 0 < process.slowest < process.fastest:
        raise ValueError(
            "`slowest` and `fastest` must be rates with 0 < slowest < fastest; got "
            f"slowest={process.slowest!r}, fastest={process.fastest!r}."
        )


@spec
class VariancePreserving(_LinearRate):
    """α = exp(−B/2) and σ² = 1 − exp(−B), with a rate that grows linearly in t.

    Parameters
    ----------
    first, last : float, optional
        Smallest and largest σ/α that are used, in standard deviations of the columns. By default
        the table decides on the smallest, and the largest is that at t = 1.
    slowest, fastest : float, default=0.1, 20.0
        Rates at t = 0 and t = 1.

    References
    ----------
    Ho, Jain and Abbeel (2020), Denoising diffusion probabilistic models. Song et al. (2021),
    Score-based generative modeling through stochastic differential equations.

    Examples
    --------
    >>> process = VariancePreserving()
    >>> round(float(process.signal(0.3) ** 2 + process.noise(0.3) ** 2), 6)
    1.0
    """

    first: Any = None
    last: Any = None
    slowest: float | int = 0.1
    fastest: float | int = 20.0

    def __post_init__(self):
        check_rates(self)

    def noise(self, t: Level) -> Level:
        """Return √(1 − exp(−B))."""
        return jnp.sqrt(-jnp.expm1(-self.integrated_rate(t)))

    def noise_scale(self, t: Level) -> Level:
        """Return √(exp(B) − 1)."""
        return jnp.sqrt(jnp.expm1(self.integrated_rate(t)))

    def time(self, noise_scale: Level) -> Level:
        """Return the time at which exp(B) is 1 + scale²."""
        return self.time_of(jnp.log1p(noise_scale**2))


@spec
class SubVariancePreserving(_LinearRate):
    """α = exp(−B/2) and σ = 1 − exp(−B): less noise than variance preserving at every time.

    Parameters
    ----------
    first, last : float, optional
        Smallest and largest σ/α that are used, in standard deviations of the columns. By default
        the table decides on the smallest, and the largest is that at t = 1.
    slowest, fastest : float, default=0.1, 20.0
        Rates at t = 0 and t = 1.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> sub, plain = SubVariancePreserving(), VariancePreserving()
    >>> bool(sub.noise(0.3) < plain.noise(0.3))
    True
    """

    first: Any = None
    last: Any = None
    slowest: float | int = 0.1
    fastest: float | int = 20.0

    def __post_init__(self):
        check_rates(self)

    def noise(self, t: Level) -> Level:
        """Return 1 − exp(−B)."""
        return -jnp.expm1(-self.integrated_rate(t))

    def noise_scale(self, t: Level) -> Level:
        """Return 2 sinh(B/2)."""
        return 2 * jnp.sinh(0.5 * self.integrated_rate(t))

    def time(self, noise_scale: Level) -> Level:
        """Return the time at which 2 sinh(B/2) is the scale."""
        return self.time_of(2 * jnp.arcsinh(0.5 * noise_scale))
