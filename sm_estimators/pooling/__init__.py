"""One answer from several completed tables.

An imputation that draws gives m completed tables, and an analysis of each gives m answers. Their
mean is the answer; how far they lie apart says how much the holes leave open. Rubin (1987) adds
both kinds of uncertainty up:

    tables = imputer.impute(X, n_imputations=20)
    pool_tables(tables, mean_statistic())             # a mean, a correlation, your own statistic
    fit_pooled(LinearRegression(), X, y="strength")   # imputes, fits, pools; predicts
    pool([fit_a, fit_b, fit_c])                       # results that you have already
"""

from sm_estimators.pooling.estimates import PooledEstimates, WaldTest
from sm_estimators.pooling.fit import fit_pooled
from sm_estimators.pooling.pooled_fit import PooledFit
from sm_estimators.pooling.rubin import pool
from sm_estimators.pooling.statistics import (
    Statistic,
    correlation_statistic,
    mean_statistic,
    pool_tables,
)

__all__ = [
    "PooledEstimates",
    "PooledFit",
    "Statistic",
    "WaldTest",
    "correlation_statistic",
    "fit_pooled",
    "mean_statistic",
    "pool",
    "pool_tables",
]
