"""Rubin's rules."""

from typing import Any

import numpy as np

from sm_estimators.pooling.analyses import Analyses, read_arrays, read_results
from sm_estimators.pooling.estimates import PooledEstimates


def pool(
    estimates: Any, variances: Any = None, *, df_complete: Any = None, names: Any = None
) -> PooledEstimates:
    """Pool the analyses of m completed tables by Rubin's rules.

    For each coefficient, with estimates Q₁ … Q_m and their variances U₁ … U_m,

    ============================  =====================================================
    estimate                      Q̄ = mean of Q
    variance within and between   Ū = mean of U, B = Σ(Q - Q̄)² / (m - 1)
    total variance                T = Ū + (1 + 1/m) B
    relative increase             r = (1 + 1/m) B / Ū
    share of B                    λ = (1 + 1/m) B / T
    degrees of freedom            1/ν = 1/ν_old + 1/ν_obs, where ν_old = (m - 1) / λ² and
                                  ν_obs = (1 - λ) ν_c (ν_c + 1) / (ν_c + 3)
    fraction missing              γ = (r + 2/(ν + 3)) / (r + 1)
    ============================  =====================================================

    and (Q̄ - Q)/√T has a t distribution with ν degrees of freedom, about. ν_c is ``df_complete``.
    With ν_c = ∞, ν is Rubin's (m - 1)(1 + 1/r)². Where all analyses agree exactly, nothing was
    missing: ν = ν_c and γ = 0, without the factor (ν_c + 1)/(ν_c + 3) of the limit of small B.
    Where Ū = 0, T is B alone, which has ν = m - 1, whatever ν_c is; the formula would have 0.

    It supposes that the analysis is valid on a complete table, and that the imputations are draws
    that also know how uncertain their own model is. :func:`fit_pooled` sees to that.

    Parameters
    ----------
    estimates : array-like of shape (m, k) or (m,), or sequence of m fitted results
        One row per completed table; or objects with ``params`` and ``cov_params()`` or ``bse``, as
        statsmodels fits have them.
    variances : array-like of shape (m, k), (m,) or (m, k, k), optional
        Squared standard errors, or covariances of the coefficients, in each completed table. Not
        for results, which know theirs.
    df_complete : float or array-like of shape (k,), optional
        Degrees of freedom of the analysis of a complete table. By default the smallest
        ``df_resid`` of the results where they have one, otherwise infinity.
    names : sequence of str, optional
        Of the coefficients; by default those of the results, or x0, x1, ….

    Returns
    -------
    pooled : PooledEstimates
        Estimates, standard errors, degrees of freedom, intervals, p-values.

    Raises
    ------
    ValueError
        For a single analysis, unequal shapes, values that are not finite, negative variances.
    TypeError
        For something else than a sequence, and for objects without ``params`` when no
        ``variances`` are given.

    References
    ----------
    Rubin (1987), Multiple imputation for nonresponse in surveys.
    Barnard and Rubin (1999), Small-sample degrees of freedom with multiple imputation.

    Examples
    --------
    >>> from sm_estimators.pooling import pool
    >>> pooled = pool([4.0, 4.4, 4.2], [0.09, 0.10, 0.08], df_complete=48)
    >>> pooled.estimate.round(2), pooled.standard_error.round(3), pooled.df.round(1)
    (array([4.2]), array([0.379]), array([9.6]))
    """
    if not np.iterable(estimates):
        raise TypeError(
            f"`estimates` is a {type(estimates).__name__}; expected a sequence of fitted results, "
            "or of estimates with their `variances`, one for each completed table."
        )
    if variances is None:
        return pool_analyses(read_results(estimates, names, df_complete))
    return pool_analyses(read_arrays(estimates, variances, names, df_complete))


def pool_analyses(analyses: Analyses) -> PooledEstimates:
    """Apply the rules to checked arrays."""
    Q, m = analyses.estimates, len(analyses.estimates)
    within, between = analyses.variances().mean(axis=0), Q.var(axis=0, ddof=1)
    between = np.where((Q[0] == Q).all(axis=0), 0.0, between)  # not the rounding of a mean
    extra = (1 + 1 / m) * between
    total = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        increase = np.where(extra > 0, extra / within, 0.0)
        share = np.where(extra > 0, extra / total, 0.0)
    df = degrees_of_freedom(share, m, analyses.df_complete)
    full = analyses.covariances.ndim == 3
    return PooledEstimates(
        estimate=Q.mean(axis=0),
        standard_error=np.sqrt(total),
        df=df,
        fraction_missing=fraction_missing(increase, df),
        relative_increase=increase,
        within=within,
        between=between,
        n_imputations=m,
        names=analyses.names,
        df_complete=analyses.df_complete,
        within_covariance=analyses.covariances.mean(axis=0) if full else None,
        between_covariance=between_covariance(Q) if full else None,
    )


def between_covariance(Q: np.ndarray) -> np.ndarray:
    """Return the covariance of m estimates, (k, k); exactly 0 for those that all agree."""
    varies = (Q[0] != Q).any(axis=0)
    covariance = np.cov(Q, rowvar=False).reshape(2 * Q.shape[1:])
    return np.where(np.outer(varies, varies), covariance, 0.0)  # not the rounding of a mean


def degrees_of_freedom(share: np.ndarray, m: int, df_complete: np.ndarray) -> np.ndarray:
    """Return ν of Barnard and Rubin for the share λ of the variance between imputations."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_old = share**2 / (m - 1)
        shrunk = (1 + 1 / df_complete) / (1 + 3 / df_complete)  # (ν_c + 1)/(ν_c + 3), at ∞ too
        inverse_seen = 1 / ((1 - share) * shrunk * df_complete)
        inverse_seen = np.where(np.isinf(df_complete) | (share == 1), 0, inverse_seen)
        return np.where(share == 0, df_complete, 1 / (inverse_old + inverse_seen))


def fraction_missing(increase: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return γ for the relative increase r of the variance; 1 where r is infinite."""
    with np.errstate(invalid="ignore"):
        gamma = (increase + 2 / (df + 3)) / (increase + 1)
    return np.where(increase == 0, 0.0, np.where(np.isinf(increase), 1.0, gamma))
