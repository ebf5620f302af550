"""What a forward process is.

A forward process adds noise to a row z: at the time t, x_t = α(t) z + σ(t) ξ with ξ ~ N(0, I). It
solves dx = f(t) x dt + g(t) dw. Divided by α(t), x_t is the row with noise of the scale
σ(t) / α(t), so all processes see the same family of densities, p_s, the data with Gaussian noise
of the scale s added: one network that knows s serves them all. They differ in the scales that
training looks at and in the path that samplers take.

A new process implements ``signal`` and ``noise``, both positive and the noise increasing for
0 < t ≤ 1, the inverse ``time`` of ``noise_scale``, and ``drift``, f(t) = α′/α. The squared
``diffusion`` follows. ``first`` and ``last`` bound the scales that are used; None says that the
table decides (:mod:`sm_estimators.diffusion.noise_range`).
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import jax

from sm_estimators._typing import Level


class AbstractProcess(ABC):
    """x_t = α(t) z + σ(t) ξ."""

    first: Any
    last: Any

    @abstractmethod
    def signal(self, t: Level) -> Level:
        """Return α(t)."""

    @abstractmethod
    def noise(self, t: Level) -> Level:
        """Return σ(t)."""

    @abstractmethod
    def time(self, noise_scale: Level) -> Level:
        """Return the time at which σ/α is ``noise_scale``."""

    @abstractmethod
    def drift(self, t: Level) -> Level:
        """Return f(t)."""

    def noise_scale(self, t: Level) -> Level:
        """Return σ(t) / α(t)."""
        return self.noise(t) / self.signal(t)

    def squared_diffusion(self, t: Level) -> Level:
        """Return g(t)² = α² d(σ/α)²/dt."""
        return self.signal(t) ** 2 * jax.grad(lambda u: self.noise_scale(u) ** 2)(t)

    def level(self, u: Level) -> Level:
        """Return the noise scale that training looks at for a uniform number in [0, 1]."""
        first, last = self.time(self.first), self.time(self.last)
        return self.noise_scale(first + (last - first) * u)

    def with_range(self, first: float, last: float) -> "AbstractProcess":
        """Return the process with the scales that were left open set."""
        chosen = {"first": first, "last": last}
        open_ones = {k: float(v) for k, v in chosen.items() if getattr(self, k) is None}
        return replace(self, **open_ones)  # type: ignore[type-var]


def check_range(process: AbstractProcess) -> None:
    """Raise `ValueError` for scales that are no increasing pair of positive numbers."""
    given = [s for s in (process.first, process.last) if s is not None]
    if any(not s > 0 for s in given) or (len(given) == 2 and not given[0] < given[1]):
        raise ValueError(
            "`first` and `last` must be noise scales with 0 < first < last, in standard "
            f"deviations of the columns; got first={process.first!r}, last={process.last!r}. "
            "Leave one out and the table decides."
        )
