"""Precision matrices that are sparse, or bounded, or both.

Given a covariance S, explicit score matching with an L1 penalty is a convex quadratic in K,

    minimise ½ tr(K S K) − tr(K T) + l1 Σ_{i≠j} |K_ij|   over floor I ≼ K ≼ cap I,

with T = I: the D-trace loss of Zhang and Zou (2014). With other T it is the local model of any
smooth loss whose curvature is close to D ↦ ½ (S D + D S). It is solved by the alternating
direction method of multipliers (Boyd et al. 2011), a copy of K for each of the three parts: the
quadratic one is minimised exactly in the eigenvectors of S, where D_ij is multiplied by
(s_i + s_j) / 2, the L1 norm by soft thresholding, and the box by clipping eigenvalues. The box
is left out where the solution without it lies in it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sm_estimators.missing.penalty import Penalty

FLOOR = 1e-3
"""Least eigenvalue of K, in units of that of S⁻¹ (or of the cap, if that is smaller)."""
RELAXATION = 1.6
"""How far the copies overshoot the quadratic step."""
SHARE = 0.1
"""Accuracy of a step inside an iteration, in units of the tolerance of the iteration."""
MAX_STEPS = 10_000


class Solution(NamedTuple):
    """Where the solver got."""

    precision: Float[np.ndarray, "d d"]
    duals: Float[np.ndarray, "2 d d"]
    """Subgradients of the L1 norm and of the box, to start a similar problem from."""
    rho: float
    """How strongly the copies are held together; 0 before it is chosen."""
    n_iter: int
    converged: bool


@dataclass(frozen=True)
class Quadratic:
    """The curvature D ↦ ½ (S D + D S), with the eigenvalues and eigenvectors of S."""

    S: Float[np.ndarray, "d d"]
    values: Float[np.ndarray, " d"]
    vectors: Float[np.ndarray, "d d"]

    @classmethod
    def around(cls, S: Float[np.ndarray, "d d"]) -> "Quadratic":
        """Return the curvature that belongs to a covariance."""
        values, vectors = np.linalg.eigh(S)
        return cls(S, np.maximum(values, 0.0), vectors)

    @property
    def steepest(self) -> float:
        """The largest curvature."""
        return max(float(self.values[-1]), 1e-12)

    def __call__(self, D: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
        """Return ½ (S D + D S)."""
        SD = self.S @ D
        return (SD + SD.T) / 2

    def start(self) -> Solution:
        """Return the diagonal solution, which a large enough ``l1`` leaves."""
        d = len(self.S)
        variance = np.maximum(np.diag(self.S), 1e-12)
        return Solution(np.diag(1 / variance), np.zeros((2, d, d)), 0.0, 0, converged=False)

    def minimise(
        self,
        T: Float[np.ndarray, "d d"],
        penalty: Penalty,
        start: Solution,
        *,
        tol: float,
        max_iter: int = MAX_STEPS,
    ) -> Solution:
        """Minimise ½ tr(K S K) − tr(K T) plus the penalty, from an earlier solution.

        Stops when the conditions of optimality, in units of the gradient, hold within ``tol``.
        """
        cap = penalty.max_eigenvalue
        bounds = min(FLOOR / self.steepest, FLOOR * cap), cap
        parts = [_Soft(penalty.l1), _Clip(*bounds)]
        if not start.duals[1].any():
            free = _alternate(self, T, parts[:1], start, tol=tol, max_iter=max_iter)
            if _inside(free.precision, bounds):
                return free
        boxed = _alternate(self, T, parts, start, tol=tol, max_iter=max_iter)
        return boxed._replace(precision=_pushed_inside(boxed.precision, bounds))


def sparse_precision(
    S: Float[np.ndarray, "d d"],
    *,
    l1: float = 0.0,
    max_eigenvalue: float = np.inf,
    start: Solution | None = None,
    tol: float = 1e-7,
    max_iter: int = MAX_STEPS,
) -> Solution:
    """Estimate a sparse precision matrix from a covariance by score matching.

    Minimises ½ tr(K S K) − tr K + ``l1`` Σ_{i≠j} |K_ij| over the K whose eigenvalues do not exceed
    ``max_eigenvalue`` (Zhang and Zou 2014); without both, K = S⁻¹. The units are those of ``S``:
    pass a correlation matrix to penalise all columns alike. A ridge is a multiple of the identity
    added to ``S`` beforehand.

    Parameters
    ----------
    S : ndarray of shape (d, d)
        A covariance. Where it is singular, the minimum exists if ``l1`` is large enough, or
        ``max_eigenvalue`` is finite.
    l1 : float, default=0.0
        Weight of the entries off the diagonal.
    max_eigenvalue : float, default=inf
        Largest eigenvalue of K. The smallest one is kept above a thousandth of that of S⁻¹.
    start : Solution, optional
        The solution of a similar problem; by default the diagonal one.
    tol : float, default=1e-7
        Largest violation of the conditions of optimality, in units of S K.
    max_iter : int, default=10000
        Most steps.

    Returns
    -------
    Solution
        With the matrix in ``precision``; its zeros are exact. ``converged`` is False after
        ``max_iter`` steps, also where there is no minimum.

    Raises
    ------
    ValueError
        If ``l1`` is negative or ``max_eigenvalue`` is not positive.

    Examples
    --------
    >>> S = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.5], [0.3, 0.5, 1.0]])
    >>> sparse_precision(S, l1=0.2).precision.round(3).tolist()
    [[1.194, -0.387, 0.0], [-0.387, 1.387, -0.387], [0.0, -0.387, 1.194]]
    """
    penalty, model = Penalty(l1, max_eigenvalue).checked(), Quadratic.around(S)
    return model.minimise(
        np.eye(len(S)), penalty, start or model.start(), tol=tol, max_iter=max_iter
    )


def inverse(S: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """Invert a positive definite matrix, symmetrically; raises `LinAlgError` for any other."""
    inverse_factor = np.linalg.inv(np.linalg.cholesky(S))
    return inverse_factor.T @ inverse_factor


@dataclass
class SparseInverse:
    """The map from S to K of :func:`sparse_precision`; each call starts where the last ended."""

    penalty: Penalty
    tol: float
    last: Solution | None = None

    def __call__(self, S: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
        """Return K; nearly the inverse of S where there is no penalty."""
        model = Quadratic.around(S)
        start = self.last or model.start()
        self.last = model.minimise(np.eye(len(S)), self.penalty, start, tol=SHARE * self.tol)
        return self.last.precision


class _Soft(NamedTuple):
    """The L1 part."""

    l1: float

    def proximal(self, A: np.ndarray, rho: float) -> np.ndarray:
        """Return argmin l1 Σ_{i≠j} |Z_ij| + ½ ρ ‖Z − A‖²."""
        small = np.clip(A, -self.l1 / rho, self.l1 / rho)
        np.fill_diagonal(small, 0.0)
        return A - small


class _Clip(NamedTuple):
    """The box."""

    floor: float
    cap: float

    def proximal(self, A: np.ndarray, rho: float) -> np.ndarray:
        """Return the nearest matrix of the box."""
        del rho
        values, Q = np.linalg.eigh(A)
        return (Q * np.clip(values, self.floor, self.cap)) @ Q.T


def _alternate(
    model: Quadratic, T: np.ndarray, parts: list, start: Solution, *, tol: float, max_iter: int
) -> Solution:
    """Alternate between the quadratic and the other parts; return the copy of the first part."""
    Q, values, n_parts = model.vectors, model.values, len(parts)
    curvature, steepest = (values[:, None] + values) / 2, model.steepest
    rho = start.rho or np.sqrt(steepest * max(values[0], 1e-4 * steepest))
    copies, duals = np.tile(start.precision, (n_parts, 1, 1)), start.duals.copy()
    y, retune = duals[:n_parts], 10
    for n_iter in range(1, max_iter + 1):
        pull = T + (rho * copies - y).sum(axis=0)
        X = Q @ ((Q.T @ pull @ Q) / (curvature + n_parts * rho)) @ Q.T
        ahead = RELAXATION * (X + X.T) / 2 + (1 - RELAXATION) * copies
        former, targets = copies, ahead + y / rho
        copies = np.stack([p.proximal(A, rho) for p, A in zip(parts, targets, strict=True)])
        y += rho * (ahead - copies)
        apart, moved = np.abs(X - copies).max(), rho * np.abs(copies - former).max()
        if steepest * apart + moved < tol:
            return Solution(copies[0], duals, rho, n_iter, converged=True)
        if n_iter == retune:  # ever more rarely, so that the steps settle
            retune *= 2
            ratio = (apart / np.abs(copies).max()) / max(moved / np.abs(T).max(), 1e-300)
            rho *= float(np.clip(np.sqrt(ratio), 0.1, 10.0))
    return Solution(copies[0], duals, rho, max_iter, converged=False)


def _inside(K: np.ndarray, bounds: tuple[float, float]) -> bool:
    """Return whether all eigenvalues are within the bounds."""
    values = np.linalg.eigvalsh(K)
    return bool(bounds[0] <= values[0] and values[-1] <= bounds[1])


def _pushed_inside(K: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Mix in a multiple of the identity until the eigenvalues are within the bounds.

    The solver leaves them outside by no more than its tolerance; zeros stay zeros.
    """
    floor, cap = bounds
    values = np.linalg.eigvalsh(K)
    middle = np.clip(values.mean(), 2 * floor, cap / 2)
    below = (floor - values[0]) / max(middle - values[0], 1e-300)
    above = (values[-1] - cap) / (values[-1] - middle) if values[-1] > cap else 0.0
    share = np.clip(max(below, above), 0.0, 1.0)
    return (1 - share) * K + share * middle * np.eye(len(K))
