"""Functions from log-densities to log-densities (and to their scores).

Everything the library does to a density it does here, on one row: holes are integrated out by
:func:`marginalise`, seen values are clamped by :func:`condition`, and the gradient is taken by
:func:`stein_score`. They compose, because each takes and returns a plain function.
"""

import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float

from sm_estimators._typing import LogDensityFn, Observed, Point, Scalar, ScoreFn


def stein_score(log_density_fn: LogDensityFn) -> ScoreFn:
    """Return x ↦ ∇ₓ log q(x)."""
    return jax.grad(log_density_fn)


def score_and_curvature(score_fn: ScoreFn, x: Point) -> tuple[Point, Point]:
    """Return s(x) and the diagonal of ∇s(x).

    A score function that knows its diagonal better says so in an attribute ``with_curvature``,
    a function of x that returns both; otherwise it takes d Jacobian-vector products.
    """
    own = getattr(score_fn, "with_curvature", None)
    if own is not None:
        return own(x)
    score, jvp = jax.linearize(score_fn, x)
    return score, jnp.diagonal(jax.vmap(jvp)(jnp.eye(x.size, dtype=x.dtype)))


def mixed_score(
    weights: Float[Array, " r"], scores: Float[Array, "r d"], curvatures: Float[Array, "r d"]
) -> tuple[Point, Point]:
    """Return score and curvature of a sum of densities from those of its terms.

    With weights w proportional to the terms, ∂_j log Σ = E_w s_j and
    ∂_j² log Σ = E_w h_j + Var_w s_j.
    """
    score = weights @ scores
    return score, weights @ (curvatures + (scores - score) ** 2)


def condition(log_density_fn: LogDensityFn, x: Point, observed: Observed) -> LogDensityFn:
    """Clamp the seen coordinates to ``x``.

    The result takes a full-length vector z; it is log q(z_holes | x_observed) up to a constant,
    and its gradient in the seen coordinates is zero.
    """

    def conditional(z: Point) -> Scalar:
        return log_density_fn(jnp.where(observed, x, z))

    return conditional


def marginalise(
    log_density_fn: LogDensityFn,
    observed: Observed,
    completions: Float[Array, "r d"],
    log_weights: Float[Array, " r"],
) -> LogDensityFn:
    r"""Integrate the holes out by importance sampling with fixed draws.

    .. math:: \log \frac1r \sum_k \exp\{\log q(x_o, z_k) + w_k\}

    where z_k is the missing part of ``completions[k]`` and the log weight w_k = −log π(z_k | x_o)
    of the proposal π. Draws and weights are constants: the derivative with respect to x goes
    through log q alone. The sum is a logsumexp, never an exponential of a ratio.
    """

    def marginal(x: Point) -> Scalar:
        rows = jnp.where(observed, x, completions)
        terms = jax.vmap(log_density_fn)(rows) + log_weights
        return logsumexp(terms) - jnp.log(float(len(log_weights)))

    return marginal


def temper(log_density_fn: LogDensityFn, inverse_temperature: Scalar) -> LogDensityFn:
    """Return β log q: flatter for β < 1, the original for β = 1."""

    def tempered(x: Point) -> Scalar:
        return inverse_temperature * log_density_fn(x)

    return tempered


def standardise(log_density_fn: LogDensityFn, centre: Point, scale: Point) -> LogDensityFn:
    """Return the density of x when ``log_density_fn`` is that of (x − centre) / scale."""

    def original_units(x: Point) -> Scalar:
        return log_density_fn((x - centre) / scale) - jnp.sum(jnp.log(scale))

    return original_units
