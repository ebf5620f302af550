"""Maximum likelihood for a Gaussian with holes, by expectation-maximisation.

Valid when values are missing at random: the law of a hole given what was seen of its row is the
model's conditional, whatever the mechanism (Rubin 1976; Little and Rubin 2019). It is also
score matching by imputation (Uehara, Matsuda and Kim 2020), because the explicit
score-matching estimate of a Gaussian from completed data is K = E[S]⁻¹.

With K = Σ⁻¹ and m the holes of a row, the E-step needs K_mm⁻¹ alone: it is the conditional
covariance, and minus K_mm⁻¹ K_mo is the regression. Steps are extrapolated in pairs (SQUAREM;
Varadhan and Roland 2008), and an extrapolation is kept only if it does not lower the likelihood.

With a penalty the M-step is penalised score matching on the expected moments, K = argmin
½ tr(K E[S] K) − tr K + penalty (:func:`~sm_estimators.missing.sparse_precision.sparse_precision`).
It has no likelihood to climb; an extrapolation is then kept only if the step from it is shorter
than the last one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators._patterns import HoleBlock, PatternTable, group_by_pattern
from sm_estimators.missing.penalty import Penalty
from sm_estimators.missing.sparse_precision import SparseInverse, inverse

Invert = Callable[[np.ndarray], np.ndarray]


class GaussianEM(NamedTuple):
    """What :func:`gaussian_em` found, in the units of the data."""

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    precision: Float[np.ndarray, "d d"]
    """With exact zeros where ``l1`` made them; NaN where the covariance is singular."""
    n_iter: int
    """EM steps taken."""
    converged: bool


class Moments(NamedTuple):
    """A mean and a covariance."""

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]


class Step(NamedTuple):
    """Where an EM step leads to, and what it said about where it started."""

    moments: Moments
    height: float
    """Penalised log-likelihood of the start; where none is climbed, minus the length."""
    length: float
    """Root mean square change of the moments, in units of the covariance of the start."""


def gaussian_em(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    l1: float = 0.0,
    max_eigenvalue: float = np.inf,
    smoothing: float = 0.0,
    tol: float = 1e-7,
    max_iter: int = 1000,
) -> GaussianEM:
    """Estimate the mean and covariance of a Gaussian from a table with holes.

    Maximises the observed-data log-likelihood per unit of weight, minus ½ ``ridge`` tr(K), on
    standardised columns: the M-step is Σ = E[S] + ``ridge`` I. With ``l1`` or ``max_eigenvalue``
    it is K = argmin ½ tr(K (E[S] + ``ridge`` I) K) − tr K + ``l1`` Σ_{i≠j} |K_ij| over the K with
    no larger eigenvalue, also on standardised columns, and what is found is a fixed point.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows; values in holes are ignored.
    observed : ndarray of shape (n, d)
        True where a value was seen.
    weights : ndarray of shape (n,), optional
        Non-negative row weights; by default 1. A weight 2 equals the row given twice.
    ridge : float, default=0.0
        Added to the diagonal of the covariance of the standardised columns.
    l1 : float, default=0.0
        Weight of the entries of the precision off the diagonal, in standardised columns.
    max_eigenvalue : float, default=inf
        Largest eigenvalue of the precision of the standardised columns.
    smoothing : float, default=0.0
        Variance of the noise of a denoising objective, in the squared units of ``X``. It is added
        to the moments once the EM has ended, before a last M-step.
    tol : float, default=1e-7
        Stop when an EM step moves the parameters by less than this, relative to Σ itself.
    max_iter : int, default=1000
        Most EM steps.

    Returns
    -------
    GaussianEM
        In the units of ``X``. ``converged`` is False after ``max_iter`` steps, or when the
        covariance became singular (then the last regular one is returned; use a ridge).

    Raises
    ------
    ValueError
        If a column was never seen, ``l1`` is negative or ``max_eigenvalue`` is not positive.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan]])
    >>> fit = gaussian_em(X, ~np.isnan(X))
    >>> fit.location.round(3).tolist(), fit.converged
    ([3.0, 2.5], True)
    >>> gaussian_em(X, ~np.isnan(X), l1=0.3).precision.round(3).tolist()
    [[0.2, 0.0], [0.0, 0.375]]
    """
    table, *units = group_by_pattern(X, observed, weights).standardised()
    penalty = Penalty(l1, max_eigenvalue).checked()
    invert = None if penalty.absent else SparseInverse(penalty, tol)
    moments, *course = climb(table, ridge, invert=invert, tol=tol, max_iter=max_iter)
    return _as_fit(moments, course, invert, smoothing, units)


def gaussian_em_path(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    l1s: Sequence[float] | Float[np.ndarray, " k"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    max_eigenvalue: float = np.inf,
    smoothing: float = 0.0,
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> list[GaussianEM]:
    """Return :func:`gaussian_em` for many ``l1``, each started at the next larger one.

    Parameters
    ----------
    X, observed, weights, ridge, max_eigenvalue, smoothing, tol, max_iter
        As for :func:`gaussian_em`.
    l1s : sequence of float
        Weights of the L1 penalty, in any order, such as a grid below
        :func:`~sm_estimators.missing.penalty.l1_max`.

    Returns
    -------
    list of GaussianEM
        In the order of ``l1s``.

    Raises
    ------
    ValueError
        As for :func:`gaussian_em`.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan]])
    >>> [int((fit.precision != 0).sum()) for fit in gaussian_em_path(X, ~np.isnan(X), [0.3, 0.1])]
    [2, 4]
    """
    table, *units = group_by_pattern(X, observed, weights).standardised()
    order = np.argsort(l1s)[::-1].tolist()
    inverses = [SparseInverse(Penalty(float(l1s[i]), max_eigenvalue).checked(), tol) for i in order]
    moments, last, found = None, None, {}
    for i, invert in zip(order, inverses, strict=True):
        invert.last = last
        moments, *course = climb(
            table, ridge, invert=invert, start=moments, tol=tol, max_iter=max_iter
        )
        found[i] = _as_fit(moments, course, invert, smoothing, units)
        last = invert.last
    return [found[i] for i in range(len(l1s))]


def climb(
    table: PatternTable,
    ridge: float = 0.0,
    *,
    invert: Invert | None = None,
    start: Moments | None = None,
    tol: float = 1e-7,
    max_iter: int = 1000,
) -> tuple[Moments, int, bool]:
    """Take EM steps, two plain and one from where they point to, until they stand still.

    ``table`` is standardised; the first step starts from ``start``, by default the standard
    Gaussian. ``invert`` makes a precision of the expected moments, by default their inverse.
    Returns the moments, the number of steps and whether they stand still.
    """
    d = table.rows.shape[1]
    moments = start or Moments(np.zeros(d), np.eye(d))
    complete = bool(table.observed.all())  # then one step arrives
    n_iter, best = 0, -np.inf
    fallback = moments
    while n_iter < max_iter:
        try:
            first = em_step(table, moments, ridge, invert)
        except np.linalg.LinAlgError:
            if fallback is moments:
                return moments, n_iter, False
            moments = fallback
            continue
        n_iter += 1
        if complete or first.length < tol:
            return first.moments, n_iter, True
        if first.height < best and fallback is not moments:
            moments = fallback
            continue
        try:
            second = em_step(table, first.moments, ridge, invert)
        except np.linalg.LinAlgError:
            return moments, n_iter, False
        n_iter += 1
        if second.length < tol:
            return second.moments, n_iter, True
        fallback, best = second.moments, second.height
        moments = _extrapolate(moments, first.moments, second.moments)
    return fallback, n_iter, False


def em_step(
    table: PatternTable, moments: Moments, ridge: float = 0.0, invert: Invert | None = None
) -> Step:
    """Take one EM step from the Gaussian whose precision ``invert`` makes of the moments.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the covariance is singular.
    """
    location, covariance = moments
    total = table.weight.sum()
    K = (invert or inverse)(covariance)
    log_det = -total * np.linalg.slogdet(K)[1]
    U = table.residuals(location)
    spread = np.zeros_like(K)
    for block, C, log_det_mm in regressed(table.blocks(), K, U):
        weight = table.weight[block.patterns]
        spread += block.embedded_sum(weight[:, None, None] * C, len(K))
        log_det += weight @ log_det_mm
    scatter = U.T @ U
    shift = table.root_weight @ U / total
    second = (scatter + (spread + spread.T) / 2) / total - np.outer(shift, shift)
    second[np.diag_indices_from(second)] += ridge
    KD = K @ (second - covariance)
    length = np.sqrt((shift @ K @ shift + np.vdot(KD, KD.T)) / len(K))
    height = -0.5 * ((log_det + np.vdot(K, scatter)) / total + ridge * np.trace(K))
    good = height if invert is None else -length
    return Step(Moments(location + shift, second), float(good), float(length))


def regressed(
    blocks: Iterable[HoleBlock], K: Float[np.ndarray, "d d"], U: Float[np.ndarray, "n d"]
) -> Iterator[tuple[HoleBlock, np.ndarray, np.ndarray]]:
    """Put the holes of residuals, zero there, at their regressions on the rest, in place.

    Yields every block with the conditional covariances of its patterns, K_mm⁻¹, and log det K_mm.
    """
    pull = U @ K
    for block in blocks:
        K_mm = block.submatrices(K)
        C = np.linalg.inv(K_mm)
        holes = block.row_holes
        t = np.take_along_axis(pull[block.rows], holes, axis=1)[:, None, :]
        np.put_along_axis(U[block.rows], holes, -block.rowwise(C, t)[:, 0], axis=1)
        yield block, C, np.linalg.slogdet(K_mm)[1]


def _extrapolate(start: Moments, first: Moments, second: Moments) -> Moments:
    """Return where two EM steps point to, or the second step where that is no covariance."""
    step = [b - a for a, b in zip(start, first, strict=True)]
    bend = [c - b - s for b, c, s in zip(first, second, step, strict=True)]
    squares = sum(np.vdot(s, s) for s in step)
    bends = sum(np.vdot(v, v) for v in bend)
    if not 0 < bends < squares:
        return second
    size = np.sqrt(squares / bends)
    ahead = Moments(
        *(a + 2 * size * s + size**2 * v for a, s, v in zip(start, step, bend, strict=True))
    )
    try:
        np.linalg.cholesky(ahead.covariance)
    except np.linalg.LinAlgError:
        return second
    return ahead


def _as_fit(
    moments: Moments, course: list, invert: SparseInverse | None, smoothing: float, units: list
) -> GaussianEM:
    """Return the Gaussian of expected moments, in the units of the data."""
    n_iter, converged = course
    centre, scale = units
    squares = np.outer(scale, scale)
    covariance = moments.covariance + np.diag(smoothing / scale**2)
    try:
        K = (invert or inverse)(covariance)
        covariance = covariance if invert is None else inverse(K)
    except np.linalg.LinAlgError:
        K = np.full_like(covariance, np.nan)
    if invert is not None and invert.last is not None:
        converged = converged and invert.last.converged
    location = centre + scale * moments.location
    return GaussianEM(location, covariance * squares, K / squares, n_iter, converged)
