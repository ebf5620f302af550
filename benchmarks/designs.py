"""Distributions with a known truth, and holes in their tables."""

import numpy as np
from numpy.random import Generator


def correlated_design(rng: Generator, n: int, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` rows of a Gaussian with one strong dependence, and its precision.

    The mean is .5. Columns 1 to d − 1 have a randomly rotated covariance with eigenvalues
    U[.5, 1.5]; the last is 2 x₁ + z / 2 with z independent and Var z = Var x₁.
    """
    rotation, _ = np.linalg.qr(rng.standard_normal((d - 1, d - 1)))
    block = (rotation * rng.uniform(0.5, 1.5, d - 1)) @ rotation.T
    mix = np.vstack([np.eye(d - 1), 2 * np.eye(d - 1)[:1]])
    covariance = mix @ block @ mix.T
    covariance[-1, -1] += block[0, 0] / 4
    X = rng.multivariate_normal(np.full(d, 0.5), covariance, n, method="cholesky")
    return X, np.linalg.inv(covariance)


def completely_at_random(rng: Generator, X: np.ndarray, fraction: float) -> np.ndarray:
    """Return ``X`` with a share of its cells missing completely at random."""
    return np.where(rng.random(X.shape) < fraction, np.nan, X)


def mar_design(rng: Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return three Gaussian columns with holes at random in Rubin's sense, and the precision.

    Column 1 is always seen, and the chance that the others are missing is a logistic function of
    it. Unit variances, correlations .6, .4 and .5.
    """
    covariance = np.array([[1.0, 0.6, 0.4], [0.6, 1.0, 0.5], [0.4, 0.5, 1.0]])
    X = rng.multivariate_normal(np.zeros(3), covariance, n, method="cholesky")
    for column, slope in ((1, 2.0), (2, -2.0)):
        chance = 1 / (1 + np.exp(-slope * X[:, 0]))
        X[rng.random(n) < chance, column] = np.nan
    return X, np.linalg.inv(covariance)


def mixture_design(rng: Generator, n: int) -> np.ndarray:
    """Return ``n`` rows of three Gaussians in the plane at distance 4, weights .5, .3 and .2."""
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    return centres[rng.choice(3, n, p=[0.5, 0.3, 0.2])] + rng.standard_normal((n, 2))


def ring_design(rng: Generator, n: int) -> np.ndarray:
    """Return ``n`` rows of a noisy ring of radius 2 in the plane, with a third column along it."""
    angle = rng.uniform(0, 2 * np.pi, n)
    circle = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.column_stack([circle, np.sin(2 * angle)]) + 0.3 * rng.standard_normal((n, 3))
