"""Sine and cosine, quickly.

XLA's own, on CPUs, were a third of the time of a training step with 128 columns (12.1 ms, and 7.7
with these polynomials).
"""

from math import factorial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SINE = [(-1) ** k / factorial(2 * k + 1) for k in range(6)]
COSINE = [(-1) ** k / factorial(2 * k) for k in range(7)]
"""Taylor's coefficients of sin(x) / x and cos(x) in x²; within 1e-7 up to x = π / 2."""


@jax.custom_jvp
def sine_and_cosine(
    phase: Float[Array, "*n"],
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Return the sine and the cosine, to the rounding of float32 for phases below some hundred.

    Examples
    --------
    >>> sine, cosine = sine_and_cosine(jnp.array([0.0, 7.0]))
    >>> bool(jnp.allclose(sine, jnp.sin(jnp.array([0.0, 7.0])), atol=1e-6))
    True
    """
    half_turns = jnp.round(phase / jnp.pi)
    x = phase - jnp.pi * half_turns
    sign = 1 - 2 * jnp.mod(half_turns, 2)
    return sign * x * polynomial(SINE, x**2), sign * polynomial(COSINE, x**2)


@sine_and_cosine.defjvp
def _derivatives(primals, tangents):
    sine, cosine = sine_and_cosine(*primals)
    (tangent,) = tangents
    return (sine, cosine), (cosine * tangent, -sine * tangent)


def polynomial(coefficients: list[float], x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return Σ_k c_k xᵏ by Horner's rule."""
    value = jnp.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return value
