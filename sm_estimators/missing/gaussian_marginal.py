"""Marginal score matching for the Gaussian, with its exact loss and gradient.

See :mod:`sm_estimators.missing.marginal_loss` for the formulas. The loss is not convex, and
without a penalty it has no lower bound where a pattern has too few rows
(:func:`least_supported`): a search starts from an EM solution and stops where the precision runs
away from it. Without a penalty it is by L-BFGS in the coordinates of
:class:`~sm_estimators.missing.precision_chart.PrecisionChart`; with one, by the proximal steps of
:mod:`sm_estimators.missing.sparse_descent`. Valid when values are missing completely at random.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize

from sm_estimators._patterns import BLOCK_SIZE, sort_by_pattern
from sm_estimators.missing.marginal_task import Found, GaussianMarginal, MarginalTask
from sm_estimators.missing.penalised_marginal import RUNAWAY, penalised_fits
from sm_estimators.missing.penalty import Penalty
from sm_estimators.missing.precision_chart import PrecisionChart


def fit_gaussian_marginal(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    l1: float = 0.0,
    max_eigenvalue: float = np.inf,
    smoothing: float = 0.0,
    initial: GaussianMarginal | None = None,
    tol: float = 1e-8,
    max_iter: int = 500,
) -> GaussianMarginal:
    """Fit a Gaussian to a table with holes by marginal score matching, without sampling.

    Minimises L(μ, K) + ½ ``ridge`` ‖K‖² (Frobenius) + ``l1`` Σ_{i≠j} |K_ij| over the K whose
    eigenvalues do not exceed ``max_eigenvalue``, all on standardised columns, from the EM
    solution with the same penalties. On complete data without the last two the solution is
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
    l1 : float, default=0.0
        Weight of the entries of K off the diagonal; the larger, the more of them are zero.
    max_eigenvalue : float, default=inf
        Largest eigenvalue of K. With a finite one the objective has a lower bound.
    smoothing : float, default=0.0
        Variance of the noise of a denoising objective, in the squared units of ``X``. The loss
        is then the expected one of rows with that noise added, and so is what is returned: the
        covariance, and the sparse precision, of the smoothed density.
    initial : GaussianMarginal, optional
        An earlier fit to start from; the precision is still compared with that of EM.
    tol : float, default=1e-8
        Stop when the gradient, in units of the curvature, is below this; with ``l1`` or
        ``max_eigenvalue``, when the conditions of optimality hold within this.
    max_iter : int, default=500
        Most L-BFGS iterations or proximal steps.

    Returns
    -------
    GaussianMarginal
        ``converged`` is False after ``max_iter`` iterations, and when the precision grew to three
        times that of EM in some direction (or, with a penalty, fell to a third), as it does where
        the loss is unbounded; what is returned is then the last point before that. Use a larger
        ridge, or a cap, under which the precision may grow.

    Raises
    ------
    ValueError
        If a column was never seen, ``l1`` is negative or ``max_eigenvalue`` is not positive.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan], [6.0, 3.0]])
    >>> fit = fit_gaussian_marginal(X, ~np.isnan(X), ridge=0.1)
    >>> fit.converged, fit.location.round(1).tolist()
    (True, [3.7, 2.6])
    """
    penalty = Penalty(l1, max_eigenvalue).checked()
    task = MarginalTask.of(X, observed, weights, ridge, smoothing)
    if penalty.absent:
        return task.restore(_smooth_fit(task, initial, tol=tol, max_iter=max_iter))
    (found,) = penalised_fits(task, [penalty], initial, tol=tol, max_iter=max_iter)
    return task.restore(found)


def gaussian_path(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    l1s: Sequence[float] | Float[np.ndarray, " k"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    max_eigenvalue: float = np.inf,
    smoothing: float = 0.0,
    tol: float = 1e-6,
    max_iter: int = 500,
) -> list[GaussianMarginal]:
    """Return :func:`fit_gaussian_marginal` for many ``l1``, each started at the next larger one.

    Parameters
    ----------
    X, observed, weights, ridge, max_eigenvalue, smoothing, tol, max_iter
        As for :func:`fit_gaussian_marginal`.
    l1s : sequence of float
        Weights of the L1 penalty, in any order, such as a grid below
        :func:`~sm_estimators.missing.penalty.l1_max`.

    Returns
    -------
    list of GaussianMarginal
        In the order of ``l1s``.

    Raises
    ------
    ValueError
        As for :func:`fit_gaussian_marginal`.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan], [6.0, 3.0]])
    >>> path = gaussian_path(X, ~np.isnan(X), [0.5, 0.1], ridge=0.1)
    >>> [int((fit.precision != 0).sum()) for fit in path]
    [2, 4]
    """
    order = np.argsort(l1s)[::-1]
    penalties = [Penalty(float(l1s[i]), max_eigenvalue).checked() for i in order]
    task = MarginalTask.of(X, observed, weights, ridge, smoothing)
    fits = penalised_fits(task, penalties, None, tol=tol, max_iter=max_iter)
    found = dict(zip(order.tolist(), fits, strict=True))
    return [task.restore(found[i]) for i in range(len(l1s))]


def _smooth_fit(
    task: MarginalTask, initial: GaussianMarginal | None, *, tol: float, max_iter: int
) -> Found:
    """Minimise without a penalty; stop, unconverged, where the precision runs away."""
    moments, settled = task.climb(tol=1e-6)
    chart = PrecisionChart.around(moments.location, task.smoothed(moments.covariance))
    path = [chart.origin()]
    if initial is not None:
        theta = chart.encode(*task.standardise(initial))
        path = [theta] if chart.growth(theta) <= RUNAWAY else path

    def objective(theta):
        location, K = chart.decode(theta)
        loss = task.loss(location, K)
        gradient = chart.pull_back(theta, loss.location, loss.precision)
        return loss.value / chart.unit, gradient / chart.unit

    converged = _descend(objective, chart, path, tol=tol, max_iter=max_iter)
    location, K = chart.decode(path[-1])
    loss = task.loss(location, K).value
    return Found(location, K, loss, len(path) - 1, converged and settled)


def _descend(
    objective: Callable, chart: PrecisionChart, path: list, *, tol: float, max_iter: int
) -> bool:
    """Minimise by L-BFGS from the end of the path, adding to it; return whether it converged."""

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
        return False
    # status 2: rounding stopped the line search, close to the tolerance or far from it
    close = result.status == 2 and np.abs(result.jac).max() < 100 * tol
    return bool(result.success or close)


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
