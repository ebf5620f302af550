"""A logistic test of "missing completely at random", column by column."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from sm_estimators.missingness._table import read_numbers

FEWEST = 5
"""Rows with, and rows without, a hole that must show a value for it to be tested."""
SMALLEST_EIGENVALUE = 1e-9
"""Of the scores' correlation matrix, relative to the largest. Below, terms are collinear."""
FLAG_PENALTY = 100.0
"""Inverse ridge of the regression on flags: large, but finite where flags decide each other."""


class LogisticTest(NamedTuple):
    """The result of :func:`logistic_mcar_test`."""

    pvalue: float
    """Of all columns together: the smallest of the adjusted p-values."""
    columns: pd.DataFrame
    """One row per tested column, indexed by its name: ``n_missing``, ``statistic``, ``dof``,
    ``pvalue`` and ``adjusted_pvalue`` (Holm)."""
    n_rows: int
    """Rows used: those with at least one value."""
    dropped: dict[Any, str]
    """Names of the columns with holes that were not tested, with the reason."""


class Terms(NamedTuple):
    """Functions of one value each, whose association with the holes is tested."""

    values: np.ndarray
    """(n, q), mean 0 and deviation 1 over the rows that show the term, 0 elsewhere."""
    seen: np.ndarray
    """(n, q) bool."""
    column: np.ndarray
    """(q,) position of the column that a term is a function of."""

    def take(self, keep: np.ndarray) -> "Terms":
        """Return some of the terms."""
        return Terms(self.values[:, keep], self.seen[:, keep], self.column[keep])


def logistic_mcar_test(X: Any, *, quadratic: bool = False) -> LogisticTest:
    r"""Test whether the holes of each column depend on the values seen in the other columns.

    Let :math:`m_i = 1` if row i has a hole in the column tested, and let S_k be the rows that show
    another column k. In these rows the logistic model :math:`\operatorname{logit} P(m_i = 1) =
    a_k + b_k x_{ik}` has at :math:`b_k = 0` the score

    .. math:: U_k = \sum_{i \in S_k} (m_i - \bar m_k) (x_{ik} - \bar x_k),

    where the bars are means over S_k. If the holes are completely random, the values are
    exchangeable given all patterns, however the patterns depend on one another: U has mean 0 and
    covariance

    .. math:: V_{kl} = \sum_{i \in S_k \cap S_l} \bigl[\pi_i (1 - \pi_i) + (\pi_i - \bar m_k)
              (\pi_i - \bar m_l)\bigr] (x_{ik} - \bar x_k) (x_{il} - \bar x_l),

    with :math:`\pi_i` the probability of the hole given the flags of the other columns, itself
    from a logistic regression. The statistic :math:`U^\top V^- U` is approximately chi-squared
    with rank(V) degrees of freedom. If the other columns are complete, this is Rao's score test of
    the logistic regression on all of them.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        Real numbers, NaN in the holes. Rows without any value carry no information and are left
        out.
    quadratic : bool, default False
        Also test the squares of the standardised columns: twice the terms, and power against
        losses in both tails or in the middle of a column.

    Returns
    -------
    LogisticTest
        ``pvalue``, ``columns`` (a DataFrame with one row per tested column), ``n_rows``,
        ``dropped``.

    Raises
    ------
    ValueError
        If there is no hole, or no column that can be tested.
    TypeError
        If a column is not numeric.

    Notes
    -----
    *What a small p-value shows*: the holes of some column are associated with values of another,
    so they are not completely random (or the rows are not independent draws of one distribution).
    ``columns`` says which. It can never tell "missing at random" from "missing not at random": a
    column that hides its own large values is associated with its neighbours, too.

    *What a large p-value does not show*: that the holes are random. Holes that depend on the lost
    value alone, while no other column is associated with it, leave no trace in what was seen; a
    dependence on products of columns, or without ``quadratic`` on squares, need not show; and
    power is low in small tables, with few holes and with many columns. A value is tested only
    where at least 5 rows with and 5 without the hole show it.

    *Flags are no evidence.* Holes of two columns may well depend on each other under "completely
    at random", so an association between flags is never counted. Nor is a column adjusted for the
    flags of the others: two columns that are always lost together would hide each other's
    dependence on a third.

    *Why scores*: likelihood ratios need the estimates of b, which are infinite as soon as some
    values separate holes from none. A score needs none, and collinear columns only lower the rank.

    *All columns together*: the tests share their values and are dependent. Holm's adjustment holds
    under any dependence, and its smallest p-value is Bonferroni's, the number of tests times the
    smallest one; it errs on the side of not rejecting.

    *Approximations*: the chi-squared distribution needs sums of many values. With few holes and
    heavy tails, true rejection rates exceed the nominal ones, and most of all far in the tail,
    where many columns are adjusted for: ten lognormal columns of 1000 rows with 30 holes each are
    rejected in 14 % of random tables at the level of 5 %. Take logarithms of skewed columns first.

    References
    ----------
    Rao (1948), "Large sample tests of statistical hypotheses concerning several parameters with
    applications to problems of estimation". Ridout (1991), "Testing for random dropouts in
    repeated measurement data", for the logistic regression. Holm (1979), "A simple sequentially
    rejective multiple test procedure".

    Examples
    --------
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> result = logistic_mcar_test(load_oceanbuoys())
    >>> result.pvalue < 1e-12, result.dropped
    (True, {'sea_temp_c': '3 holes, fewer than 5'})
    >>> result.columns[["n_missing", "statistic", "dof"]].round(1)
                n_missing  statistic  dof
    air_temp_c         81      337.7    7
    humidity           93      333.1    7
    """
    table = read_numbers(X)
    values = table.values[~np.isnan(table.values).all(axis=1)]
    observed = ~np.isnan(values)
    _check_holes(observed)
    terms = _value_terms(values, observed, quadratic=quadratic)
    tested, dropped = {}, {}
    for j in np.flatnonzero(~observed.all(axis=0)):
        outcome = _test_column(int(j), observed, terms)
        if isinstance(outcome, str):
            dropped[table.labels[j]] = outcome
        else:
            tested[j] = outcome
    _check_tested(tested, dropped)
    columns = _results(tested, np.isnan(table.values).sum(axis=0), table.labels)
    smallest = float(columns["adjusted_pvalue"].to_numpy().min())
    return LogisticTest(smallest, columns, len(values), dropped)


def _value_terms(values: np.ndarray, observed: np.ndarray, *, quadratic: bool) -> Terms:
    """Return the columns that vary, standardised, and their squares if wanted."""
    lowest = np.where(observed, values, np.inf).min(axis=0)
    varies = np.where(observed, values, -np.inf).max(axis=0) > lowest
    seen, column = observed[:, varies], np.flatnonzero(varies)
    # The scores do not see units, but squares of huge or tiny numbers are lost.
    Z = np.where(seen, values[:, varies], 0.0)
    Z = _standardise(Z / np.abs(Z).max(axis=0), seen)
    if not quadratic:
        return Terms(Z, seen, column)
    squares = _standardise(Z**2, seen)
    both = np.concatenate([Z, squares], axis=1)
    terms = Terms(both, np.tile(seen, 2), np.tile(column, 2))
    return terms.take(np.abs(both).max(axis=0) > 0)  # the square of a column of two values, ±1


def _standardise(Z: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Scale to mean 0 and deviation 1 over what was seen; rounding errors alone become 0."""
    n_seen = seen.sum(axis=0)
    centred = np.where(seen, Z - (Z * seen).sum(axis=0) / n_seen, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / n_seen)
    real = scale > 1e-10 * np.abs(Z).max(axis=0)
    return np.where(real, centred / np.where(real, scale, 1.0), 0.0)


def _test_column(j: int, observed: np.ndarray, terms: Terms) -> tuple[float, int] | str:
    """Return the statistic and its degrees of freedom for the holes of column j, or why not."""
    lost = (~observed[:, j]).astype(int)
    kept = 1 - lost
    if min(lost.sum(), kept.sum()) < FEWEST:
        count = f"{lost.sum()} holes" if lost.sum() < FEWEST else f"{kept.sum()} values"
        return f"{count}, fewer than {FEWEST}"
    shown = np.minimum(lost @ terms.seen, kept @ terms.seen)
    enough = (terms.column != j) & (shown >= FEWEST)
    if not enough.any():
        return f"no other column that varies and shows {FEWEST} rows with and {FEWEST} without it"
    flags = np.delete(observed, j, axis=1)
    return _score_test(lost, terms.take(enough), _probability(lost, flags))


def _score_test(lost: np.ndarray, terms: Terms, probability: np.ndarray) -> tuple[float, int]:
    """Return UᵀV⁻U and the rank of V."""
    share = lost @ terms.seen / terms.seen.sum(axis=0)
    score = (terms.values * (lost[:, None] - share)).sum(axis=0)
    within = terms.values * np.sqrt(probability * (1 - probability))[:, None]
    between = terms.values * (probability[:, None] - share)
    covariance = within.T @ within + between.T @ between
    scale = np.sqrt(np.diag(covariance))
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    kept = eigenvalues > SMALLEST_EIGENVALUE * eigenvalues[-1]
    coordinates = vectors[:, kept].T @ (score / scale)
    return float((coordinates**2 / eigenvalues[kept]).sum()), int(kept.sum())


def _probability(lost: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Return the probability of a hole given the flags of the other columns."""
    from sklearn.linear_model import LogisticRegression

    flags = flags[:, np.ptp(flags.astype(int), axis=0) > 0].astype(float)
    if flags.shape[1] == 0:
        return np.full(len(lost), lost.mean())
    model = LogisticRegression(C=FLAG_PENALTY, solver="newton-cholesky")
    return model.fit(flags, lost).predict_proba(flags)[:, 1]


def _results(tested: dict[Any, Any], n_missing: np.ndarray, labels: pd.Index) -> pd.DataFrame:
    """Collect the tests, with p-values and Holm's adjustment of them."""
    positions = np.array(list(tested))
    statistic, dof = map(np.array, zip(*tested.values(), strict=True))
    pvalue = chdtrc(dof, statistic)
    return pd.DataFrame(
        {
            "n_missing": n_missing[positions],
            "statistic": statistic,
            "dof": dof,
            "pvalue": pvalue,
            "adjusted_pvalue": _holm(pvalue),
        },
        index=labels[positions],
    )


def _holm(pvalue: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number, under any dependence between them."""
    order = np.argsort(pvalue, kind="stable")
    steps = np.maximum.accumulate(pvalue[order] * np.arange(len(pvalue), 0, -1))
    adjusted = np.empty(len(pvalue))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _check_holes(observed: np.ndarray) -> None:
    """Refuse tables without a hole to test."""
    if observed.all():
        raise ValueError(
            "`X` must have holes to test; after leaving out rows without any value, "
            f"{observed.shape[0]} complete rows of {observed.shape[1]} columns remain. There is "
            "nothing to do."
        )


def _check_tested(tested: dict[Any, Any], dropped: dict[Any, str]) -> None:
    """Refuse tables in which no column could be tested."""
    if not tested:
        reasons = "; ".join(f"{label!r} has {why}" for label, why in list(dropped.items())[:3])
        raise ValueError(
            f"`X` must have a column with at least {FEWEST} holes and {FEWEST} values, and another "
            f"that varies and is seen beside both; of {len(dropped)} with holes none can be tested "
            f"({reasons}). Add rows or columns."
        )
