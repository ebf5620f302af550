"""Coordinates for a search over Gaussians."""

from typing import NamedTuple

import numpy as np


class PrecisionChart(NamedTuple):
    """Coordinates in which the loss is nearly round.

    K = F M Mᵀ Fᵀ, M lower triangular with a positive diagonal, F Fᵀ the starting precision with
    eigenvalues k and orthogonal columns. On complete data the curvature of L at the start is
    k_i + k_j for M_ij, 4 k_i for log M_ii, and K² for μ; the coordinates are divided by its root.
    """

    location: np.ndarray
    factor: np.ndarray
    steps: np.ndarray
    """Units of the entries of M, (d, d)."""
    location_steps: np.ndarray
    """Units of μ along the columns of ``factor``, (d, d)."""
    unit: float
    """What the loss is divided by."""

    @classmethod
    def around(cls, location: np.ndarray, covariance: np.ndarray) -> "PrecisionChart":
        """Return the chart whose origin is N(location, covariance)."""
        values, Q = np.linalg.eigh(covariance)
        k = 1 / np.maximum(values, 1e-12 * values[-1])
        unit = float(k.mean())
        curvature = (k[:, None] + k) * (1 + np.eye(len(k))) / unit
        steps = 1 / np.sqrt(curvature)
        return cls(location, Q * np.sqrt(k), steps, Q / k * np.sqrt(unit), unit)

    def origin(self) -> np.ndarray:
        """Return the coordinates of the start."""
        d = len(self.location)
        return np.zeros(d + d * (d + 1) // 2)

    def encode(self, location: np.ndarray, precision: np.ndarray) -> np.ndarray:
        """Return the coordinates of N(location, precision⁻¹)."""
        inverse_factor = np.linalg.inv(self.factor)
        M = np.linalg.cholesky(inverse_factor @ precision @ inverse_factor.T)
        np.fill_diagonal(M, np.log(np.diag(M)))
        shift = np.linalg.solve(self.location_steps, location - self.location)
        return np.concatenate([shift, (M / self.steps)[np.tril_indices(len(M))]])

    def growth(self, theta: np.ndarray) -> float:
        """Return the largest ratio of the precision to that of the start."""
        return float(np.linalg.norm(self._triangle(theta), 2) ** 2)

    def _triangle(self, theta: np.ndarray) -> np.ndarray:
        """Return M."""
        d = len(self.location)
        M = np.zeros((d, d))
        M[np.tril_indices(d)] = theta[d:]
        M *= self.steps
        np.fill_diagonal(M, np.exp(np.diag(M)))
        return M

    def decode(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return μ and K."""
        d = len(self.location)
        half = self.factor @ self._triangle(theta)
        return self.location + self.location_steps @ theta[:d], half @ half.T

    def pull_back(
        self, theta: np.ndarray, location: np.ndarray, precision: np.ndarray
    ) -> np.ndarray:
        """Turn gradients in μ and in K into the gradient in these coordinates."""
        d = len(self.location)
        M = self._triangle(theta)
        gradient = 2 * self.factor.T @ precision @ self.factor @ M
        gradient[np.diag_indices(d)] *= np.diag(M)
        gradient *= self.steps
        return np.concatenate([location @ self.location_steps, gradient[np.tril_indices(d)]])
