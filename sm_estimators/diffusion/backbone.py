"""The denoiser of a Gaussian, in closed form: what the network corrects.

Under z ~ N(μ, Σ), a row whose noised columns come with noise of the scale s and whose given
columns come without has the posterior mean and covariance of a linear regression. They are found
one column at a time (Kalman, 1960): seeing column j with noise variance n_j takes the mean to
m + P_j (y_j − m_j) / (P_jj + n_j) and P to P − P_j P_jᵀ / (P_jj + n_j). Absent columns are passed
over. That is d³ operations per row; with a *diagonal* backbone columns are independent and it is d.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sm_estimators._typing import Level, Point, Scalar
from sm_estimators.diffusion.roles import Roles

MOST_COLUMNS = 24
"""Columns up to which the full posterior costs no more than a network."""
SMALLEST_SHARE = 0.01
"""Least posterior variance as a share of that of the noise, against cancellation."""


class Backbone(NamedTuple):
    """Mean (d,) and covariance (d, d) of the standardised columns, or variances (d,)."""

    location: np.ndarray
    covariance: np.ndarray


class Posterior(NamedTuple):
    """Mean of the clean row, and the standard deviation of each of its columns."""

    mean: Point
    deviation: Point


def posterior(backbone: Backbone, y: Point, noise_scale: Level, roles: Roles) -> Posterior:
    """Return what a Gaussian says of the clean row."""
    noise = jnp.where(roles.noised, noise_scale**2, 0.0)
    seen = roles.noised | roles.given
    mean, variance, _ = updated(backbone, y, noise, seen)
    least = SMALLEST_SHARE * jnp.minimum(noise_scale**2, 1.0)
    return Posterior(mean, jnp.sqrt(jnp.maximum(variance, least)))


def log_density(backbone: Backbone, y: Point, noise_scale: Level, roles: Roles) -> Scalar:
    """Return the log-density of the noised columns of ``y`` given the given ones."""
    noise = jnp.where(roles.noised, noise_scale**2, 0.0)
    joint = updated(backbone, y, noise, roles.noised | roles.given)[2]
    return joint - updated(backbone, y, noise, roles.given)[2]


def updated(backbone: Backbone, y: Point, noise: Point, seen) -> tuple[Point, Point, Scalar]:
    """Return posterior means and variances of all columns, and the log-density of those seen."""
    of = one_by_one if backbone.covariance.ndim == 2 else column_by_column
    return of(backbone, y, noise, seen)


def one_by_one(backbone: Backbone, y: Point, noise: Point, seen) -> tuple[Point, Point, Scalar]:
    """Return posterior means and variances under a full covariance, and the evidence."""
    m, P = (jnp.asarray(moment) for moment in backbone)
    evidence = jnp.zeros((), y.dtype)
    # Unrolled: XLA fuses the updates, and a loop over a batch was measured ten times slower.
    for j in range(y.size):
        variance = P[j, j] + noise[j]
        gain = jnp.where(seen[j], P[j] / jnp.where(seen[j], variance, 1.0), 0.0)
        evidence = evidence + jnp.where(seen[j], log_normal(y[j] - m[j], variance), 0.0)
        m = m + gain * (y[j] - m[j])
        P = P - gain[:, None] * P[j][None, :]
    return m, jnp.diagonal(P), evidence


def column_by_column(backbone: Backbone, y: Point, noise: Point, seen):
    """Return posterior means and variances under a diagonal covariance, and the evidence."""
    m, v = (jnp.asarray(moment) for moment in backbone)
    gain = jnp.where(seen, v / (v + noise), 0.0)
    evidence = jnp.sum(jnp.where(seen, log_normal(y - m, v + noise), 0.0))
    return m + gain * (y - m), (1 - gain) * v, evidence


def log_normal(x, variance):
    """Return log N(x; 0, variance), with a floor under the variance."""
    variance = jnp.maximum(variance, 1e-8)
    return -0.5 * (x**2 / variance + jnp.log(2 * jnp.pi * variance))


def backbone_of(location: np.ndarray, covariance: np.ndarray, *, full: bool) -> Backbone:
    """Return the backbone with these moments, in float32."""
    location, covariance = np.asarray(location, np.float32), np.asarray(covariance, np.float32)
    return Backbone(location, covariance if full else np.diag(covariance).copy())
