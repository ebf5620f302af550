"""Maximum likelihood for a Gaussian with holes, by expectation-maximisation.

Valid when values are missing at random: the law of a hole given what was seen of its row is the
model's conditional, whatever the mechanism (Rubin 1976; Little and Rubin 2019). It is also
score matching by imputation (Uehara, Matsuda and Kim 2020), because the explicit
score-matching estimate of a Gaussian from completed data is K = E[S]⁻¹.

With K = Σ⁻¹ and m the holes of a row, the E-step needs K_mm⁻¹ alone: it is the conditional
covariance, and minus K_mm⁻¹ K_mo is the regression. Steps are extrapolated in pairs (SQUAREM;
Varadhan and Roland 2008), and an extrapolation is kept only if it does not lower the likelihood.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators._patterns import PatternTable, group_by_pattern


class GaussianEM(NamedTuple):
    """What :func:`gaussian_em` found."""

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    n_iter: int
    """EM steps taken."""
    converged: bool


class Moments(NamedTuple):
    """A mean and a covariance."""

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]


def gaussian_em(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    tol: float = 1e-7,
    max_iter: int = 1000,
) -> GaussianEM:
    """Estimate the mean and covariance of a Gaussian from a table with holes.

    Maximises the observed-data log-likelihood per unit of weight, minus ½ ``ridge`` tr(K), on
    standardised columns: the M-step is Σ = E[S] + ``ridge`` I.

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
        If a column was never seen.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan]])
    >>> fit = gaussian_em(X, ~np.isnan(X))
    >>> fit.location.round(3).tolist(), fit.converged
    ([3.0, 2.5], True)
    """
    table, location, scale = group_by_pattern(X, observed, weights).standardised()
    moments, n_iter, converged = climb(table, ridge, tol=tol, max_iter=max_iter)
    covariance = moments.covariance * np.outer(scale, scale)
    return GaussianEM(location + scale * moments.location, covariance, n_iter, converged)


def climb(
    table: PatternTable, ridge: float = 0.0, *, tol: float = 1e-7, max_iter: int = 1000
) -> tuple[Moments, int, bool]:
    """Take EM steps, two plain and one from where they point to, until they stand still.

    ``table`` is standardised; the first step starts from the standard Gaussian. Returns the
    moments, the number of steps and whether they stand still.
    """
    d = table.rows.shape[1]
    moments = Moments(np.zeros(d), np.eye(d))
    complete = bool(table.observed.all())  # then one step arrives
    n_iter, best = 0, -np.inf
    fallback = moments
    while n_iter < max_iter:
        try:
            first, height = em_step(table, moments, ridge)
        except np.linalg.LinAlgError:
            if fallback is moments:
                return moments, n_iter, False
            moments = fallback
            continue
        n_iter += 1
        if complete or _distance(first, moments) < tol:
            return first, n_iter, True
        if height < best and fallback is not moments:
            moments = fallback
            continue
        try:
            second, best = em_step(table, first, ridge)
        except np.linalg.LinAlgError:
            return moments, n_iter, False
        n_iter += 1
        if _distance(second, first) < tol:
            return second, n_iter, True
        fallback = second
        moments = _extrapolate(moments, first, second)
    return fallback, n_iter, False


def em_step(table: PatternTable, moments: Moments, ridge: float = 0.0) -> tuple[Moments, float]:
    """Take one EM step; also return the penalised log-likelihood of where it started.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the covariance is singular.
    """
    location, covariance = moments
    total = table.weight.sum()
    inverse_factor = np.linalg.inv(np.linalg.cholesky(covariance))
    K = inverse_factor.T @ inverse_factor
    log_det = -2 * total * np.log(np.diag(inverse_factor)).sum()
    U = table.residuals(location)
    pull = U @ K
    spread = np.zeros_like(K)
    for block in table.blocks():
        weight = table.weight[block.patterns]
        K_mm = block.submatrices(K)
        C = np.linalg.inv(K_mm)
        holes = block.row_holes
        t = np.take_along_axis(pull[block.rows], holes, axis=1)[:, None, :]
        np.put_along_axis(U[block.rows], holes, -block.rowwise(C, t)[:, 0], axis=1)
        spread += block.embedded_sum(weight[:, None, None] * C, len(K))
        log_det += weight @ np.linalg.slogdet(K_mm)[1]
    scatter = U.T @ U
    shift = table.root_weight @ U / total
    second = (scatter + (spread + spread.T) / 2) / total - np.outer(shift, shift)
    second[np.diag_indices_from(second)] += ridge
    height = -0.5 * ((log_det + np.vdot(K, scatter)) / total + ridge * np.trace(K))
    return Moments(location + shift, second), float(height)


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


def _distance(a: Moments, b: Moments) -> float:
    """Return the root mean square change from b to a in units of the covariance of b."""
    inverse_factor = np.linalg.inv(np.linalg.cholesky(b.covariance))
    location = inverse_factor @ (a.location - b.location)
    covariance = inverse_factor @ (a.covariance - b.covariance) @ inverse_factor.T
    return float(np.sqrt((location @ location + np.vdot(covariance, covariance)) / len(location)))
