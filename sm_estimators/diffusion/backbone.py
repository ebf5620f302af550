"""Denoisers in closed form: that of a Gaussian, which the network corrects, and of a mixture.

Under z ~ N(μ, Σ), a row whose noised columns come with noise of the scale s and whose given
columns come without has the posterior mean and covariance of a linear regression. They are found
one column at a time (Kalman, 1960): seeing column j with noise variance n_j takes the mean to
m + P_j (y_j − m_j) / (P_jj + n_j) and P to P − P_j P_jᵀ / (P_jj + n_j). Absent columns are passed
over. That is d³ operations per row; with a *diagonal* backbone columns are independent and it is d.
The same pass gives the density of what was seen, and with it, in a mixture, the share of every
component in the row. Network and mixture are fitted each for itself; how much of the mixture is
added is found in :mod:`~sm_estimators.diffusion.stacking`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import softmax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from sm_estimators._typing import Level, Point, Scalar
from sm_estimators.diffusion.roles import Roles
from sm_estimators.missing.mixture_em import Mixture

MOST_COLUMNS = 24
"""Columns up to which the full posterior costs no more than a network."""
KNOTS = np.geomspace(0.01, 10.0, 7)
"""Noise scales between which the share of a mixture is interpolated."""
SMALLEST_SHARE = 0.01
"""Least posterior variance as a share of that of the noise, against cancellation."""


class Backbone(NamedTuple):
    """A mixture of Gaussians in standardised columns.

    Logarithms of proportions (k,), means (k, d), and covariances (k, d, d) or variances (k, d).
    The first Gaussian is that of the whole table, which a network corrects. Unless it is alone,
    its proportion is zero, and ``shares`` says how much of what the mixture says besides it is
    added at each of the noise scales :data:`KNOTS`.
    """

    log_weights: np.ndarray
    location: np.ndarray
    covariance: np.ndarray
    shares: np.ndarray


class Posterior(NamedTuple):
    """Mean of the clean row, and standard deviations under the Gaussian of the whole table."""

    mean: Point
    deviation: Point


class Parts(NamedTuple):
    """What each component says: posterior means and variances (k, d), log-densities (k,)."""

    mean: Any
    variance: Any
    evidence: Any


def posterior(backbone: Backbone, y: Point, noise_scale: Level, roles: Roles) -> Posterior:
    """Return what the backbone says of the clean row."""
    noise = jnp.where(roles.noised, noise_scale**2, 0.0)
    parts = updated(backbone, y, noise, roles.noised | roles.given)
    mixed = softmax(backbone.log_weights + parts.evidence) @ parts.mean
    mean = parts.mean[0] + share_at(backbone, noise_scale) * (mixed - parts.mean[0])
    least = SMALLEST_SHARE * jnp.minimum(noise_scale**2, 1.0)
    return Posterior(mean, jnp.sqrt(jnp.maximum(parts.variance[0], least)))


def log_density(backbone: Backbone, y: Point, noise_scale: Level, roles: Roles) -> Scalar:
    """Return what the mean of :func:`posterior` is the gradient of, log p_s(noised | given).

    It is normalised where the share of the mixture is 0 or 1.
    """
    alone, mixed = log_densities(backbone, y, noise_scale, roles)
    return alone + share_at(backbone, noise_scale) * (mixed - alone)


def log_densities(
    backbone: Backbone, y: Point, noise_scale: Level, roles: Roles
) -> tuple[Scalar, Scalar]:
    """Return log p_s(noised | given) under the Gaussian of the whole table, and the mixture."""
    noise = jnp.where(roles.noised, noise_scale**2, 0.0)
    joint, given = (
        updated(backbone, y, noise, seen).evidence
        for seen in (roles.noised | roles.given, roles.given)
    )
    mixed = [logsumexp(backbone.log_weights + evidence) for evidence in (joint, given)]
    return joint[0] - given[0], mixed[0] - mixed[1]


def share_at(backbone: Backbone, noise_scale: Level) -> Scalar:
    """Return the share of the mixture at a noise scale."""
    return hats(noise_scale) @ backbone.shares


def hats(noise_scale: Level) -> Float[Array, " k"]:
    """Return how near a noise scale is to each of the knots, in its logarithm; the sum is one."""
    log_scale = jnp.clip(jnp.log(noise_scale), np.log(KNOTS[0]), np.log(KNOTS[-1]))
    step = np.log(KNOTS[1] / KNOTS[0])
    return jnp.maximum(0.0, 1 - jnp.abs(log_scale - np.log(KNOTS)) / step)


def alone(backbone: Backbone) -> Backbone:
    """Return the Gaussian of the whole table."""
    _, location, covariance, shares = backbone
    return Backbone(np.zeros(1, np.float32), location[:1], covariance[:1], 0 * shares)


def updated(backbone: Backbone, y: Point, noise: Point, seen) -> Parts:
    """Return posterior means and variances of all columns, and the log-density of those seen."""
    of = one_by_one if backbone.covariance.ndim == 3 else column_by_column
    moments = backbone.location, backbone.covariance
    return Parts(*jax.vmap(lambda m, P: of(m, P, y, noise, seen))(*moments))


def one_by_one(m: Point, P, y: Point, noise: Point, seen) -> tuple[Point, Point, Scalar]:
    """Return posterior means and variances under a full covariance, and the evidence."""
    evidence = jnp.zeros((), y.dtype)
    # Unrolled: XLA fuses the updates, and a loop over a batch was measured ten times slower.
    for j in range(y.size):
        variance = P[j, j] + noise[j]
        gain = jnp.where(seen[j], P[j] / jnp.where(seen[j], variance, 1.0), 0.0)
        evidence = evidence + jnp.where(seen[j], log_normal(y[j] - m[j], variance), 0.0)
        m = m + gain * (y[j] - m[j])
        P = P - gain[:, None] * P[j][None, :]
    return m, jnp.diagonal(P), evidence


def column_by_column(m: Point, v: Point, y: Point, noise: Point, seen):
    """Return posterior means and variances under a diagonal covariance, and the evidence."""
    gain = jnp.where(seen, v / (v + noise), 0.0)
    evidence = jnp.sum(jnp.where(seen, log_normal(y - m, v + noise), 0.0))
    return m + gain * (y - m), (1 - gain) * v, evidence


def log_normal(x, variance):
    """Return log N(x; 0, variance), with a floor under the variance."""
    variance = jnp.maximum(variance, 1e-8)
    return -0.5 * (x**2 / variance + jnp.log(2 * jnp.pi * variance))


def backbone_of(mixture: Mixture, whole: tuple[np.ndarray, np.ndarray], *, full: bool) -> Backbone:
    """Return the backbone of a mixture and of the moments of the whole table, in float32."""
    log_weights, location, covariance = (
        np.log(mixture.weights),
        mixture.location,
        mixture.covariance,
    )
    if len(log_weights) > 1:
        log_weights = np.append(-np.inf, log_weights)
        location = np.concatenate([whole[0][None], location])
        covariance = np.concatenate([whole[1][None], covariance])
    if not full:
        covariance = np.diagonal(covariance, axis1=1, axis2=2)
    parts = log_weights, location, covariance, np.zeros(len(KNOTS))
    return Backbone(*(np.array(part, np.float32) for part in parts))
