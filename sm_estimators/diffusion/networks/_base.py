"""What a score network is.

A network is a spec with two functions: ``init(rng, n_features)`` returns weights, a pytree of
float32 arrays, in host code (drawing each layer by JAX takes seconds to compile), and
``__call__(weights, u, log_scale, roles)`` maps **one** row to a vector of the same length. The row
``u`` has unit variance whatever the noise, and zeros where columns are absent; ``log_scale`` is
the logarithm of the noise scale in standard deviations of the columns. The last layer starts at
zero, so that training begins at the Gaussian backbone. A network must be differentiable twice.
"""

from abc import ABC, abstractmethod

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._typing import Level, Params, Point
from sm_estimators.diffusion.networks.sines import sine_and_cosine
from sm_estimators.diffusion.roles import Roles

N_WAVES = 16
"""Frequencies in which the noise scale is written."""


class AbstractNetwork(ABC):
    """A function of a row, its noise scale and the roles of its columns."""

    @abstractmethod
    def init(self, rng: np.random.Generator, n_features: int) -> Params:
        """Return weights with which the output is zero."""

    @abstractmethod
    def __call__(self, weights: Params, u: Point, log_scale: Level, roles: Roles) -> Point:
        """Return the output for one row."""


def waves(log_scale: Level) -> Float[Array, " w"]:
    """Return sines and cosines of the logarithm of the noise scale."""
    frequency = jnp.exp2(jnp.linspace(-3.0, 2.0, N_WAVES)).astype(log_scale.dtype)
    return jnp.concatenate(sine_and_cosine(frequency * log_scale))


def normalise(h: Float[Array, "... w"]) -> Float[Array, "... w"]:
    """Return vectors with zero mean and unit mean square (Ba, Kiros and Hinton, 2016)."""
    h = h - jnp.mean(h, axis=-1, keepdims=True)
    return h / jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + 1e-6)


def dense(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """Return LeCun-normal weights, (n_in, n_out), in float32."""
    return (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(np.float32)
