"""Distributions with a known truth that several tests fit."""

import numpy as np


def correlated_design(seed: int, n: int, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` rows of a Gaussian with one strong dependence, and its precision matrix.

    The mean is .5. Columns 1 to d − 1 have a randomly rotated covariance with eigenvalues
    U[.5, 1.5]; the last is 2 x₁ + z / 2 with z independent and Var z = Var x₁.
    """
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((d - 1, d - 1)))
    block = (rotation * rng.uniform(0.5, 1.5, d - 1)) @ rotation.T
    mix = np.vstack([np.eye(d - 1), 2 * np.eye(d - 1)[:1]])
    covariance = mix @ block @ mix.T
    covariance[-1, -1] += block[0, 0] / 4
    X = 0.5 + rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    return X, np.linalg.inv(covariance)


def punch_holes(seed: int, X: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Return ``X`` with NaN in holes made completely at random, and what is left observed."""
    observed = np.random.default_rng(seed).random(X.shape) >= fraction
    return np.where(observed, X, np.nan), observed
