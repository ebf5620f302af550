"""Distributions whose normalised density is known, for densities learned from their draws."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import i0e, logsumexp, roots_legendre
from scipy.stats import ortho_group

RING_RADII = np.array([1.0, 2.0, 3.0])
RING_WEIGHTS = np.array([0.2, 0.3, 0.5])
RING_NOISE = 0.1
MOON_NOISE = 0.1
CHUNK = 1024
"""Rows for which a quadrature is held in memory at once."""


@dataclass(frozen=True)
class Design:
    """A distribution one can draw from, and the logarithm of its density.

    Attributes
    ----------
    name : str
    d : int
        Number of columns.
    draw : callable
        ``draw(rng, n)`` returns (n, d) rows.
    log_density : callable
        ``log_density(X)`` returns (n,) log-densities, normalised, exact to rounding.
    """

    name: str
    d: int
    draw: Callable[[Generator, int], np.ndarray]
    log_density: Callable[[np.ndarray], np.ndarray]

    def expected_log_density(self, rng: Generator, n: int = 200_000) -> tuple[float, float]:
        """Return the mean log-density of the truth, minus its entropy, and the standard error."""
        values = self.log_density(self.draw(rng, n))
        return float(values.mean()), float(values.std() / np.sqrt(n))


def gaussian_mixture(name: str, weights, means, covariances) -> Design:
    """Return a mixture of Gaussians; ``means`` is (k, d), ``covariances`` (k, d, d)."""
    weights, means = np.asarray(weights, float), np.asarray(means, float)
    factors = np.linalg.cholesky(np.asarray(covariances, float))
    k, d = means.shape

    def draw(rng: Generator, n: int) -> np.ndarray:
        component = rng.choice(k, n, p=weights)
        noise = rng.standard_normal((n, d))
        return means[component] + np.einsum("nij,nj->ni", factors[component], noise)

    def log_density(X: np.ndarray) -> np.ndarray:
        z = np.stack([np.linalg.solve(factors[j], (X - means[j]).T) for j in range(k)])
        log_volume = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        constant = np.log(weights) - log_volume - d / 2 * np.log(2 * np.pi)
        return logsumexp(constant[:, None] - (z**2).sum(axis=1) / 2, axis=0)

    return Design(name, d, draw, log_density)


def four_gaussians() -> Design:
    """Return four separate Gaussians in the plane, weights .1, .2, .3 and .4, deviation .3."""
    means = [(2, 2), (-2, 2), (-2, -2), (2, -2)]
    return gaussian_mixture("four", [0.1, 0.2, 0.3, 0.4], means, [0.09 * np.eye(2)] * 4)


def five_gaussians(d: int = 8) -> Design:
    """Return five correlated Gaussians in eight columns that overlap in part.

    Each covariance is randomly rotated with deviations from .3 to 1.2; the means are N(0, .36 I),
    and the best guess of the component errs on 7 % of the rows.
    Weights .35, .25, .2, .15 and .05. The parameters are fixed.
    """
    rng = np.random.default_rng(8)
    means = 0.6 * rng.standard_normal((5, d))
    variances = np.linspace(0.3, 1.2, d) ** 2
    rotations = ortho_group(d, seed=8).rvs(5)
    covariances = np.einsum("kij,j,klj->kil", rotations, variances, rotations)
    return gaussian_mixture("five", [0.35, 0.25, 0.2, 0.15, 0.05], means, covariances)


def rings() -> Design:
    """Return concentric circles of radius 1, 2 and 3, blurred by a Gaussian of deviation .1.

    A point on a circle of radius R plus N(0, s² I) has, at distance r from the centre, the density
    exp(−(r² + R²) / 2s²) I₀(rR / s²) / 2πs².
    """

    def draw(rng: Generator, n: int) -> np.ndarray:
        radius = RING_RADII[rng.choice(len(RING_RADII), n, p=RING_WEIGHTS)]
        angle = rng.uniform(0, 2 * np.pi, n)
        circle = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return circle + RING_NOISE * rng.standard_normal((n, 2))

    def log_density(X: np.ndarray) -> np.ndarray:
        r, variance = np.linalg.norm(X, axis=1)[:, None], RING_NOISE**2
        log_bessel = np.log(i0e(r * RING_RADII / variance))
        terms = log_bessel - (r - RING_RADII) ** 2 / (2 * variance) + np.log(RING_WEIGHTS)
        return logsumexp(terms, axis=1) - np.log(2 * np.pi * variance)

    return Design("rings", 2, draw, log_density)


def moon_points(angle: np.ndarray, lower: np.ndarray | bool) -> np.ndarray:
    """Return points of two interleaved half circles of radius 1, as in scikit-learn."""
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.where(np.asarray(lower)[..., None], np.array([1.0, 0.5]) - upper, upper)


def two_moons(n_nodes: int = 400) -> Design:
    """Return two half circles, equally likely, blurred by a Gaussian of deviation .1.

    The density is the average of the Gaussian over the angle, by Gauss and Legendre: with 400
    nodes, .008 apart on the circle, it is exact to rounding.
    """
    nodes, weights = roots_legendre(n_nodes)
    angle, log_weights = np.pi * (nodes + 1) / 2, np.log(np.tile(weights, 2) / 4)
    centres = np.concatenate([moon_points(angle, False), moon_points(angle, True)])
    constant = log_weights - np.log(2 * np.pi * MOON_NOISE**2)

    def draw(rng: Generator, n: int) -> np.ndarray:
        on_arc = moon_points(rng.uniform(0, np.pi, n), rng.random(n) < 0.5)
        return on_arc + MOON_NOISE * rng.standard_normal((n, 2))

    def of_chunk(X: np.ndarray) -> np.ndarray:
        squares = ((X[:, None, :] - centres) ** 2).sum(axis=2)
        return logsumexp(constant - squares / (2 * MOON_NOISE**2), axis=1)

    def log_density(X: np.ndarray) -> np.ndarray:
        return np.concatenate([of_chunk(X[i : i + CHUNK]) for i in range(0, len(X), CHUNK)])

    return Design("moons", 2, draw, log_density)


def checkerboard() -> Design:
    """Return the uniform distribution on every other unit square of [−2, 2]², density 1/8.

    The density jumps: the log-density is minus infinity on the other squares and outside.
    """

    def draw(rng: Generator, n: int) -> np.ndarray:
        column = rng.integers(0, 4, n)
        row = 2 * rng.integers(0, 2, n) + column % 2
        return np.column_stack([column, row]) - 2 + rng.random((n, 2))

    def log_density(X: np.ndarray) -> np.ndarray:
        inside = (X >= -2).all(axis=1) & (X < 2).all(axis=1)
        black = np.floor(X).sum(axis=1) % 2 == 0
        return np.where(inside & black, -np.log(8.0), -np.inf)

    return Design("checkerboard", 2, draw, log_density)


DESIGNS = {
    design.name: design
    for design in (four_gaussians(), rings(), two_moons(), checkerboard(), five_gaussians())
}
"""The designs by name."""
