"""Statistics of completed tables, pooled."""

from collections.abc import Callable, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_estimators.pooling.analyses import read_arrays
from sm_estimators.pooling.estimates import PooledEstimates
from sm_estimators.pooling.rubin import pool_analyses


class Statistic(NamedTuple):
    """What a statistic says of one completed table."""

    estimates: Any
    """(k,) numbers; a Series names them."""
    variances: Any
    """Their squared standard errors (k,), or covariances (k, k)."""
    df_complete: float = np.inf
    """Degrees of freedom of the variances; infinity for a normal distribution."""


def pool_tables(
    tables: Any, statistic: Callable[[Any], Any], *, names: Sequence[str] | None = None
) -> PooledEstimates:
    """Compute a statistic of every completed table and pool it by Rubin's rules.

    Parameters
    ----------
    tables : list of DataFrame or array, or array of shape (m, n, d)
        Completed tables as ``impute`` returns them, at least 2.
    statistic : callable
        Takes a table and returns its estimates and their variances, as a pair or as a
        :class:`Statistic`. ``mean_statistic()`` and ``correlation_statistic()`` make two.
    names : sequence of str, optional
        Of the estimates; by default the labels of the Series that the statistic returns.

    Returns
    -------
    pooled : PooledEstimates
        As :func:`pool`.

    Raises
    ------
    ValueError
        As :func:`pool`.
    TypeError
        For one table instead of several.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators.pooling import pool_tables
    >>> tables = np.random.default_rng(0).normal(size=(5, 100, 1))
    >>> pooled = pool_tables(tables, lambda t: (np.median(t, axis=0), np.pi / 2 * t.var(0) / 100))
    >>> pooled.to_frame()[["lower", "upper"]].round(1).to_numpy()
    array([[-0.6,  0.4]])
    """
    if not np.iterable(tables) or getattr(tables, "ndim", 3) != 3:
        raise TypeError(
            f"`tables` is a {type(tables).__name__}; expected several completed tables, a list "
            "or an array of shape (m, n, d), as `impute(X, n_imputations=20)` returns them."
        )
    found = [Statistic(*statistic(table)) for table in tables]
    df = min((s.df_complete for s in found), default=np.inf)
    estimates = [s.estimates for s in found]
    return pool_analyses(read_arrays(estimates, [s.variances for s in found], names, df))


def mean_statistic(columns: Sequence[Any] | None = None) -> Callable[[Any], Statistic]:
    """Make the statistic of column means, with variance s²/n and n - 1 degrees of freedom.

    Parameters
    ----------
    columns : sequence of names or positions, optional
        Names in a DataFrame, positions in an array; by default every numeric column.

    Returns
    -------
    statistic : callable
        For :func:`pool_tables`.

    Examples
    --------
    >>> from sm_estimators import GaussianScoreMatching
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.pooling import mean_statistic, pool_tables
    >>> buoys = load_oceanbuoys()
    >>> tables = GaussianScoreMatching().fit(buoys).impute(buoys, 10, random_state=0)
    >>> pool_tables(tables, mean_statistic(["humidity"])).to_frame()["estimate"].round(0)
    name
    humidity    85.0
    Name: estimate, dtype: float64
    """

    def statistic(table: Any) -> Statistic:
        numbers = _numbers(table, columns)
        n = len(numbers)
        return Statistic(numbers.mean(), numbers.var(ddof=1) / n, n - 1)

    return statistic


def correlation_statistic(
    pairs: Sequence[Sequence[Any]] | None = None,
) -> Callable[[Any], Statistic]:
    """Make the statistic of correlations on Fisher's scale, z = artanh r, with variance 1/(n - 3).

    The pooled estimates are on the scale of z, where they are nearly normal; ``transform=np.tanh``
    of ``to_frame`` and ``confidence_intervals`` brings them back.

    Parameters
    ----------
    pairs : sequence of pairs of names or positions, optional
        Which correlations; by default all pairs of numeric columns.

    Returns
    -------
    statistic : callable
        For :func:`pool_tables`.

    References
    ----------
    Fisher (1921), On the probable error of a coefficient of correlation.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import GaussianScoreMatching
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.pooling import correlation_statistic, pool_tables
    >>> buoys = load_oceanbuoys()
    >>> tables = GaussianScoreMatching().fit(buoys).impute(buoys, 10, random_state=0)
    >>> pooled = pool_tables(tables, correlation_statistic([("air_temp_c", "humidity")]))
    >>> pooled.to_frame(transform=np.tanh)["estimate"].round(1)
    name
    air_temp_c, humidity   -0.4
    Name: estimate, dtype: float64
    """

    def statistic(table: Any) -> Statistic:
        asked = None if pairs is None else list(dict.fromkeys(chain.from_iterable(pairs)))
        numbers = _numbers(table, asked)
        chosen = list(combinations(numbers.columns, 2)) if pairs is None else pairs
        z = pd.Series({f"{a}, {b}": _fisher_z(numbers, a, b) for a, b in chosen})
        return Statistic(z, np.full(len(z), 1 / (len(numbers) - 3)))

    return statistic


def _fisher_z(numbers: pd.DataFrame, a: Any, b: Any) -> float:
    """Return artanh of a correlation, or say why there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(numbers[a], numbers[b])[0, 1]
    if not abs(r) < 1 - 1e-12 or len(numbers) <= 3:
        raise ValueError(
            f"The correlation of {a!r} and {b!r} is {r:.3g} in a table of {len(numbers)} rows; "
            "Fisher's scale needs more than 3 rows and columns that are neither constant nor "
            "copies of each other. Leave the pair out."
        )
    return float(np.arctanh(r))


def _numbers(table: Any, columns: Sequence[Any] | None) -> pd.DataFrame:
    """Return the asked columns of a completed table as floats."""
    frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame(np.asarray(table))
    frame = frame.select_dtypes("number") if columns is None else frame.loc[:, list(columns)]
    if frame.isna().to_numpy().any():
        raise ValueError(
            f"A table still has {int(frame.isna().to_numpy().sum())} holes; pass completed tables, "
            "as `impute` returns them."
        )
    return frame.astype(float)
