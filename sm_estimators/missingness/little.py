"""Little's test of "missing completely at random"."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from sm_estimators.missingness._table import read_numbers
from sm_estimators.missingness.patterns import co_observed_counts, distinct_patterns

SMALLEST_EIGENVALUE = 1e-6
"""Of the correlation matrix. EM stops near, not at, a singular one."""


class LittleTest(NamedTuple):
    """The result of :func:`little_mcar_test`."""

    statistic: float
    """Little's d²."""
    dof: int
    """Degrees of freedom of the chi-squared distribution that d² has under MCAR."""
    pvalue: float
    """Probability of a larger d² under MCAR."""
    n_patterns: int
    """Distinct patterns among the rows used."""
    n_rows: int
    """Rows used: those with at least one value in the columns used."""
    columns: tuple[Any, ...]
    """Names of the columns used."""
    dropped: dict[Any, str]
    """Names of the columns left out, with the reason."""


def little_mcar_test(X: Any) -> LittleTest:
    r"""Test whether the holes of a table are missing completely at random.

    Rows are grouped by pattern. If the holes are completely random, the mean of the seen columns
    of every group estimates the same vector, and

    .. math:: d^2 = \sum_p n_p (\bar y_p - \hat\mu_p)^\top \hat\Sigma_{pp}^{-1}
              (\bar y_p - \hat\mu_p)

    is approximately chi-squared with :math:`\sum_p k_p - d` degrees of freedom, where group p has
    :math:`n_p` rows and :math:`k_p` seen columns, and :math:`\hat\mu, \hat\Sigma` are the
    maximum-likelihood mean and covariance of a Gaussian, by EM over all rows.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        Real numbers, NaN in the holes. Constant columns and columns without any value are left
        out and reported; rows without any value carry no information and are left out too.

    Returns
    -------
    LittleTest
        ``statistic``, ``dof``, ``pvalue``, ``n_patterns``, ``n_rows``, ``columns``, ``dropped``.

    Raises
    ------
    ValueError
        If no hole is left to test, if two columns are never seen together, if there are no more
        rows than columns, or if columns are collinear or EM finds no maximum.
    TypeError
        If a column is not numeric.

    Notes
    -----
    *What a small p-value shows*: the means of the patterns differ by more than chance allows, so
    the holes are not completely random (or the rows are not independent draws of one
    distribution). It cannot tell "missing at random" from "missing not at random": that depends on
    values nobody has seen.

    *What a large p-value does not show*: that the holes are random. The test sees differences of
    means only. Holes that depend on a spread or a correlation, or on the lost value itself while
    no other column is associated with it, leave the means of all patterns alike; and power is low
    in small tables, at low rates and with many patterns of a few rows each.

    *Approximations*: the chi-squared distribution needs many rows per pattern, or Gaussian
    columns. With heavy tails and rare patterns true rejection rates stray from the nominal ones.
    :math:`\hat\Sigma` is the maximum-likelihood matrix; programs that scale it by n / (n − 1)
    report a statistic smaller by the factor (n − 1) / n.

    References
    ----------
    Little (1988), "A test of missing completely at random for multivariate data with missing
    values", Journal of the American Statistical Association 83, 1198-1202.

    Examples
    --------
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> result = little_mcar_test(load_oceanbuoys())
    >>> round(result.statistic), result.dof, result.n_patterns, result.pvalue < 1e-12
    (747, 31, 6, True)
    """
    table = read_numbers(X)
    columns, dropped = _usable_columns(table.values, table.labels)
    Y = table.values[:, columns]
    Y = Y[~np.isnan(Y).all(axis=1)]
    observed = ~np.isnan(Y)
    names = table.labels[columns]
    _check_testable(observed, names)
    # d² does not see units, but squares of huge or tiny numbers are lost.
    Y = Y / np.nanmax(np.abs(Y), axis=0)
    Y = (Y - np.nanmean(Y, axis=0)) / np.nanstd(Y, axis=0)
    location, covariance = _gaussian_mle(Y, observed, names)
    patterns, group, counts = distinct_patterns(observed)
    statistic = _d_squared(Y, location, covariance, patterns, group, counts)
    dof = int(patterns.sum()) - len(columns)
    return LittleTest(
        statistic=statistic,
        dof=dof,
        pvalue=float(chdtrc(dof, statistic)),
        n_patterns=len(counts),
        n_rows=len(Y),
        columns=tuple(names),
        dropped=dropped,
    )


def _d_squared(
    Y: np.ndarray,
    location: np.ndarray,
    covariance: np.ndarray,
    patterns: np.ndarray,
    group: np.ndarray,
    counts: np.ndarray,
) -> float:
    """Sum the squared distances of the pattern means from the overall mean."""
    sums = np.zeros(patterns.shape)
    np.add.at(sums, group, np.where(patterns[group], Y - location, 0.0))
    total = 0.0
    for seen, total_residual, n_rows in zip(patterns, sums, counts, strict=True):
        r = total_residual[seen]
        total += r @ np.linalg.solve(covariance[np.ix_(seen, seen)], r) / n_rows
    return float(total)


def _gaussian_mle(
    Y: np.ndarray, observed: np.ndarray, names: pd.Index
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and covariance by EM, or name the columns that make it singular."""
    from sm_estimators.missing.gaussian_em import gaussian_em

    fit = gaussian_em(Y, observed)
    scale = np.sqrt(np.diag(fit.covariance))
    eigenvalues, vectors = np.linalg.eigh(fit.covariance / np.outer(scale, scale))
    if eigenvalues[0] < SMALLEST_EIGENVALUE:
        involved = [repr(name) for name in names[np.abs(vectors[:, 0]) > 0.05]]
        raise ValueError(
            "`X` must have columns of which none is a linear function of the others; "
            f"{', '.join(involved)} are collinear (smallest eigenvalue of the correlation matrix "
            f"{eigenvalues[0]:.1e}). Leave out one of them."
        )
    if not fit.converged:
        raise ValueError(
            f"`X` must determine a Gaussian; EM found no maximum in {fit.n_iter} steps. "
            "Too few rows show some columns together, or columns are nearly collinear: "
            "leave out columns."
        )
    return fit.location, fit.covariance


def _usable_columns(values: np.ndarray, labels: pd.Index) -> tuple[np.ndarray, dict[Any, str]]:
    """Return the positions of the columns that vary, and why the others do not count."""
    keep, dropped = [], {}
    for j, label in enumerate(labels):
        seen = values[~np.isnan(values[:, j]), j]
        if seen.size == 0:
            dropped[label] = "no value was seen"
        elif np.ptp(seen) == 0:
            dropped[label] = f"constant: every value seen is {seen[0]:g}"
        else:
            keep.append(j)
    return np.array(keep, int), dropped


def _check_testable(observed: np.ndarray, names: pd.Index) -> None:
    """Refuse tables on which the statistic is undefined."""
    n_rows, n_columns = observed.shape
    if observed.all():
        raise ValueError(
            "`X` must have holes to test; after leaving out constant columns and rows without any "
            f"value, {n_rows} complete rows of {n_columns} columns remain. There is nothing to do."
        )
    if n_rows <= n_columns:
        raise ValueError(
            "`X` must have more rows than columns for a covariance matrix; it has "
            f"{n_rows} usable rows and {n_columns} columns. Leave out columns."
        )
    apart = np.argwhere(np.triu(co_observed_counts(observed) == 0, k=1))
    if len(apart):
        i, j = apart[0]
        raise ValueError(
            f"`X` must show every two columns together in some row; {names[i]!r} and {names[j]!r} "
            f"never are (1 of {len(apart)} such pairs), so their covariance cannot be known. Leave "
            "one out."
        )
