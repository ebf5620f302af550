"""What a sampler of a noise-conditional model is.

It takes **one** row of pure noise to a row of the data, through ever less noise. A sampler is a
spec with ``grid(process)``, the noise scales it stops at, decreasing, and ``move(key, y, scale,
next_scale, clean_fn, process)``, which takes the row from one to the next. ``clean_fn(y, scale)``
returns E[z | y]; what was given, guided or conditioned on is in it, and a sampler does not know.
Override ``run`` where the path is not a sequence of such moves. Rows are run side by side in
:mod:`sm_estimators.diffusion.draws` alone.

All rows are in the coordinates of the variance-exploding process, y = x_t / α(t): two processes
differ in their grids and, for the reverse SDE, in its coefficients.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._typing import Level, Point, PRNGKey, Scalar
from sm_estimators.diffusion.processes import AbstractProcess

CleanFn = Callable[[Point, Scalar], Point]


class AbstractNoiseSampler(ABC):
    """From noise to data."""

    n_steps: int

    @abstractmethod
    def grid(self, process: AbstractProcess) -> Float[Array, " t"]:
        """Return the noise scales from ``process.last`` down to ``process.first``."""

    def move(
        self,
        key: PRNGKey,
        y: Point,
        scale: Level,
        next_scale: Level,
        clean_fn: CleanFn,
        process: AbstractProcess,
    ) -> Point:
        """Take the row from one noise scale to the next."""
        raise NotImplementedError

    def run(self, key: PRNGKey, y: Point, clean_fn: CleanFn, process: AbstractProcess) -> Point:
        """Take the row from the largest noise scale to none."""
        grid = self.grid(process).astype(y.dtype)

        def step(i, y):
            return self.move(jax.random.fold_in(key, i), y, grid[i], grid[i + 1], clean_fn, process)

        y = jax.lax.fori_loop(0, len(grid) - 1, step, y)
        return clean_fn(y, grid[-1])


def score_of(clean_fn: CleanFn, y: Point, scale: Level) -> Point:
    """Return ∇ log p_s(y)."""
    return (clean_fn(y, scale) - y) / scale**2


def geometric_grid(process: AbstractProcess, n_steps: int) -> Float[Array, " t"]:
    """Return noise scales that fall by one factor."""
    return jnp.geomspace(process.last, process.first, n_steps + 1)


def time_grid(process: AbstractProcess, n_steps: int) -> Float[Array, " t"]:
    """Return noise scales at evenly spaced times of the process."""
    times = jnp.linspace(process.time(process.last), process.time(process.first), n_steps + 1)
    return process.noise_scale(times)


def curved_grid(process: AbstractProcess, n_steps: int, power: float) -> Float[Array, " t"]:
    """Return noise scales whose ``power``-th roots are evenly spaced (Karras et al. 2022)."""
    roots = jnp.asarray(process.last) ** (1 / power), jnp.asarray(process.first) ** (1 / power)
    return jnp.linspace(*roots, n_steps + 1) ** power


def check_positive(sampler: Any, *names: str) -> None:
    """Raise `ValueError` for counts and sizes that are not positive."""
    for name in names:
        value = getattr(sampler, name)
        if not value > 0:
            raise ValueError(
                f"`{name}` must be positive; got {value!r}. Leave it out to use the default."
            )
