"""What is estimated from a completed table, and its intervals."""

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from benchmarks.imputation.populations import population
from sm_estimators.pooling import pool


class Analysis(NamedTuple):
    """Means, coefficients of column 0 on the others, and correlations on Fisher's scale.

    Variances are robust, so that the analysis without holes is valid for any population.
    """

    estimates: np.ndarray
    variances: np.ndarray
    df: np.ndarray


KINDS = ("mean", "coefficient", "correlation")


def kinds(d: int) -> np.ndarray:
    """Return the kind of every quantity, as a position in `KINDS`."""
    return np.repeat([0, 1, 2], [d, d - 1, d * (d - 1) // 2])


def analyse(X: np.ndarray) -> Analysis:
    """Analyse a complete table, (n, d)."""
    n, d = X.shape
    parts = [(X.mean(axis=0), X.var(axis=0, ddof=1) / n), _regression(X), _correlations(X)]
    df = np.array([n - 1, n - d, np.inf])[kinds(d)]
    return Analysis(*(np.concatenate(both) for both in zip(*parts, strict=True)), df)


def _regression(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return least-squares slopes, and the variances HC3 of MacKinnon and White (1985)."""
    Z = np.column_stack([np.ones(len(X)), X[:, 1:]])
    inverse = np.linalg.pinv(Z)
    beta = inverse @ X[:, 0]
    residual = (X[:, 0] - Z @ beta) / (1 - np.einsum("ni,in->n", Z, inverse))
    return beta[1:], ((inverse * residual) ** 2).sum(axis=1)[1:]


def _correlations(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return artanh r of all pairs; variances by influence, (uv − r(u² + v²)/2)/(1 − r²)."""
    U = (X - X.mean(axis=0)) / X.std(axis=0)
    i, j = np.array(list(combinations(range(X.shape[1]), 2))).T
    r = (U[:, i] * U[:, j]).mean(axis=0)
    influence = (U[:, i] * U[:, j] - r * (U[:, i] ** 2 + U[:, j] ** 2) / 2) / (1 - r**2)
    return np.arctanh(r), (influence**2).mean(axis=0) / (len(X) - 3)


def intervals(analyses: list[Analysis]) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates and half widths of 95 % intervals, pooled where there are several."""
    estimates, variances, df = (np.stack(part) for part in zip(*analyses, strict=True))
    if len(analyses) == 1:
        return estimates[0], t.ppf(0.975, df[0]) * np.sqrt(variances[0])
    pooled = pool(estimates, variances, df_complete=df[0])
    return pooled.estimate, t.ppf(0.975, pooled.df) * pooled.standard_error


@cache
def truth_of(design: str) -> np.ndarray:
    """Return the quantities of the population."""
    return analyse(population(design)).estimates
