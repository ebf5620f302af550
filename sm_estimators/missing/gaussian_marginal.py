"""Exact marginal score matching for the Gaussian.

The marginal score of what was seen of a row (Givens, Liu and Reeve 2025) is linear for a
Gaussian: −A (x − μ) on the seen columns o, with A = (Σ_oo)⁻¹. With S the scatter about μ of the
rows of a pattern, the explicit loss per unit of weight is

    L(μ, K) = Σ w [½ tr(A S A) − tr A] / Σ w,      Σ = K⁻¹,

and with B = Σ_{:,o} A its gradients are

    dL/dK = Σ w B [½ (S A + A S) − I] Bᵀ / Σ w,    dL/dμ = −Σ w A² (x̄ − μ) / Σ w.

With m the holes and E the matrix K_mm⁻¹ put into zeros, A = K − K E K, so that only blocks as
large as the number of holes are inverted and multiplied. Valid when values are missing
completely at random.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize

from sm_estimators._patterns import (
    BLOCK_SIZE,
    HoleBlock,
    PatternTable,
    group_by_pattern,
    sort_by_pattern,
)
from sm_estimators.missing.gaussian_em import climb
from sm_estimators.missing.precision_chart import PrecisionChart

START_RIDGE = 1e-6
"""Least ridge of the EM fit that the search starts from."""
RUNAWAY = 3.0
"""Largest growth of the precision over that of EM, in any direction, that is no runaway."""


class GaussianMarginal(NamedTuple):
    """What :func:`fit_gaussian_marginal` found, in the units of the data."""

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    precision: Float[np.ndarray, "d d"]
    loss: float
    """The loss of the standardised columns, without the penalty."""
    n_iter: int
    converged: bool


class MarginalLoss(NamedTuple):
    """The loss and its gradients."""

    value: float
    location: Float[np.ndarray, " d"]
    precision: Float[np.ndarray, "d d"]


def fit_gaussian_marginal(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    smoothing: float = 0.0,
    tol: float = 1e-8,
    max_iter: int = 500,
) -> GaussianMarginal:
    """Fit a Gaussian to a table with holes by marginal score matching, without sampling.

    Minimises L(μ, K) + ½ ``ridge`` ‖K‖² (Frobenius) on standardised columns, from the EM
    solution, by L-BFGS on a factor of K. On complete data the solution is
    K⁻¹ = S + ``ridge`` I (+ the smoothing), that of :func:`gaussian_em` with the same ridge.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows; values in holes are ignored.
    observed : ndarray of shape (n, d)
        True where a value was seen.
    weights : ndarray of shape (n,), optional
        Non-negative row weights; by default 1.
    ridge : float, default=0.0
        Weight of the penalty. With a positive one the objective is at least −d / (2 ``ridge``);
        without one it has no lower bound where :func:`least_supported` is not positive.
    smoothing : float, default=0.0
        Variance of the noise of a denoising objective, in the squared units of ``X``. The loss
        is then the expected one of rows with that noise added, and so is what is returned: the
        covariance of the smoothed density.
    tol : float, default=1e-8
        Stop when the gradient, in units of the curvature, is below this.
    max_iter : int, default=500
        Most L-BFGS iterations.

    Returns
    -------
    GaussianMarginal
        ``converged`` is False after ``max_iter`` iterations, and when the precision grew to three
        times that of EM in some direction, as it does where the loss is unbounded; what is
        returned is then the last point before that. Use a larger ridge.

    Raises
    ------
    ValueError
        If a column was never seen.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan], [6.0, 3.0]])
    >>> fit = fit_gaussian_marginal(X, ~np.isnan(X), ridge=0.1)
    >>> fit.converged, fit.location.round(1).tolist()
    (True, [3.7, 2.6])
    """
    table, centre, scale = group_by_pattern(X, observed, weights).standardised()
    noise = smoothing / scale**2 if smoothing > 0 else None
    start, _, settled = climb(table, max(ridge, START_RIDGE), tol=1e-6, max_iter=300)
    spread = start.covariance if noise is None else start.covariance + np.diag(noise)
    chart = PrecisionChart.around(start.location, spread)

    def objective(theta):
        location, K = chart.decode(theta)
        loss = gaussian_marginal_gradient(location, K, table, noise)
        value = loss.value + 0.5 * ridge * np.vdot(K, K)
        gradient = chart.pull_back(theta, loss.location, loss.precision + ridge * K)
        return value / chart.unit, gradient / chart.unit

    theta, n_iter, converged = _descend(objective, chart, tol=tol, max_iter=max_iter)
    location, K = chart.decode(theta)
    loss = gaussian_marginal_loss(location, K, table, noise)
    return GaussianMarginal(
        centre + scale * location,
        _inverse(K) * np.outer(scale, scale),
        K / np.outer(scale, scale),
        loss,
        n_iter,
        converged and settled,
    )


def gaussian_marginal_loss(
    location: Float[np.ndarray, " d"],
    precision: Float[np.ndarray, "d d"],
    table: PatternTable,
    noise: Float[np.ndarray, " d"] | None = None,
) -> float:
    """Return L(μ, K), per unit of weight; ``noise`` is the variance added to each column."""
    return gaussian_marginal_gradient(location, precision, table, noise).value


def gaussian_marginal_gradient(
    location: Float[np.ndarray, " d"],
    precision: Float[np.ndarray, "d d"],
    table: PatternTable,
    noise: Float[np.ndarray, " d"] | None = None,
) -> MarginalLoss:
    """Return L(μ, K) with its gradients; that in K is symmetric, of the form dL = tr(G dK)."""
    total, K = table.weight.sum(), precision
    scores, squares, (E, ENE, *noisy) = _pattern_sums(location, K, table, noise)
    KEN = K @ E @ K @ K
    A = total * K - K @ E @ K
    AA = total * K @ K - KEN - KEN.T + K @ ENE @ K
    value = 0.5 * np.vdot(scores, scores) - np.trace(A)
    inner = scores.T @ squares - AA
    if noise is not None:
        EJE, EJKE, EJENE = noisy
        J = (K * noise) @ K
        value += 0.5 * noise @ np.diag(AA)
        left = total * J - J @ E @ K - J @ K @ E + J @ ENE - K @ E @ J
        inner += (left + K @ (EJE @ K + EJKE - EJENE)) @ K
    covariance = _inverse(K)
    G = covariance @ (inner + inner.T) @ covariance / (2 * total)
    return MarginalLoss(float(value / total), -table.root_weight @ squares / total, G)


def _pattern_sums(
    location: np.ndarray, K: np.ndarray, table: PatternTable, noise: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A v and A² v for every row v, and weighted sums over the patterns.

    The sums are those of E and E K² E; with ``noise`` D and J = K D K, of E J E, E J K E and
    E J E K² E too: all that A, A² and A D A² consist of.
    """
    scores = table.residuals(location)
    squares = np.empty_like(scores)
    sums = np.zeros((2 if noise is None else 5, *K.shape))
    for block in table.blocks():
        C = np.linalg.inv(block.submatrices(K))
        scores[block.rows] = _marginal_product(K, C, block, scores[block.rows])
        squares[block.rows] = _marginal_product(K, C, block, scores[block.rows])
        CNC = C @ block.submatrices(K @ K) @ C
        terms = [C, CNC]
        if noise is not None:
            J = (K * noise) @ K
            CJ = C @ block.submatrices(J)
            terms += [CJ @ C, C @ block.submatrices(J @ K) @ C, CJ @ CNC]
        weight = table.weight[block.patterns, None, None]
        for i, term in enumerate(terms):
            sums[i] += block.embedded_sum(weight * term, len(K))
    return scores, squares, sums


def _marginal_product(K: np.ndarray, C: np.ndarray, block: HoleBlock, V: np.ndarray) -> np.ndarray:
    """Multiply the rows of V, zero in the holes, by the A of their patterns."""
    holes = block.row_holes
    filled = V.copy()
    t = np.take_along_axis(V @ K, holes, axis=1)[:, None, :]
    np.put_along_axis(filled, holes, -block.rowwise(C, t)[:, 0], axis=1)
    product = filled @ K
    np.put_along_axis(product, holes, 0.0, axis=1)
    return product


def _descend(
    objective: Callable, chart: PrecisionChart, *, tol: float, max_iter: int
) -> tuple[np.ndarray, int, bool]:
    """Minimise from the origin of the chart; stop, unconverged, where the precision runs away."""
    path = [chart.origin()]

    def watch(intermediate_result):
        if chart.growth(intermediate_result.x) > RUNAWAY:
            raise StopIteration
        path.append(intermediate_result.x.copy())

    # the value is quadratic in the error that the gradient is linear in
    options = {"maxiter": max_iter, "maxcor": 20, "gtol": tol, "ftol": max(tol**2, 1e-15)}
    try:
        result = minimize(
            objective, path[0], jac=True, method="L-BFGS-B", callback=watch, options=options
        )
    except np.linalg.LinAlgError:  # a trial step left the positive definite matrices
        return path[-1], len(path) - 1, False
    # status 2: rounding stopped the line search, close to the tolerance or far from it
    close = result.status == 2 and np.abs(result.jac).max() < 100 * tol
    return path[-1], len(path) - 1, bool(result.success or close)


def least_supported(observed: Bool[np.ndarray, "n d"]) -> int:
    """Return how many rows the worst pattern has beyond what its columns need.

    For each pattern T in the table, count the rows that saw all of T and subtract |T| + 1. When
    the smallest difference is negative, the loss without a ridge has no lower bound: a Gaussian
    may become flat along a direction of T that those rows do not leave. Sub-patterns need no
    check, they are smaller and seen by more rows; so with complete rows in the table the answer
    is their number minus d + 1.

    Examples
    --------
    >>> least_supported(np.array([[True, True], [True, False], [False, True]]))
    -2
    """
    order, starts = sort_by_pattern(observed)
    patterns, counts = observed[order[starts[:-1]]], np.diff(starts)
    if patterns[0].all():
        return int(counts[0] - patterns.shape[1] - 1)
    # float32 counts of up to d common columns are exact, and matrix products of them fast
    unseen, worst = (~patterns).astype(np.float32), len(observed)
    chunk = max(1, BLOCK_SIZE // len(patterns))
    for T in np.split(patterns, range(chunk, len(patterns), chunk)):
        if worst <= -T[0].sum():  # a pattern is seen by one row at least
            break
        support = counts @ (unseen @ T.T.astype(np.float32) == 0)
        worst = (support - T.sum(axis=1) - 1)[T.any(axis=1)].min(initial=worst)
    return int(worst)


def _inverse(K: np.ndarray) -> np.ndarray:
    """Invert a positive definite matrix, symmetrically."""
    inverse_factor = np.linalg.inv(np.linalg.cholesky(K))
    return inverse_factor.T @ inverse_factor
