"""Analyses of completed tables, as arrays: what Rubin's rules are applied to."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Analyses(NamedTuple):
    """m analyses of k coefficients."""

    estimates: np.ndarray
    """(m, k)."""
    covariances: np.ndarray
    """(m, k, k), or (m, k) for variances only."""
    names: tuple[str, ...]
    df_complete: np.ndarray
    """(k,): degrees of freedom of an analysis without holes, inf for a normal distribution."""

    def variances(self) -> np.ndarray:
        """Return the variances, (m, k)."""
        if self.covariances.ndim == 2:
            return self.covariances
        return np.diagonal(self.covariances, axis1=1, axis2=2)


def read_arrays(estimates: Any, variances: Any, names: Any, df_complete: Any) -> Analyses:
    """Check estimates (m,) or (m, k) with variances alike or covariances (m, k, k)."""
    names = _names_of(estimates) if names is None else names
    estimates = _columns(estimates)
    spread = np.asarray(variances, dtype=float)
    if estimates.ndim == 2 and spread.shape == estimates.shape[:1]:
        spread = spread[:, None]
    if estimates.ndim != 2 or spread.shape not in (
        estimates.shape,
        (*estimates.shape, estimates.shape[-1]),
    ):
        raise ValueError(
            f"`estimates` and `variances` have shapes {estimates.shape} and {spread.shape}; "
            "expected (m, k) both, or (m, k, k) for covariances: one row per completed table."
        )
    k = estimates.shape[1]
    names = tuple(f"x{j}" for j in range(k)) if names is None else tuple(map(str, names))
    return _checked(Analyses(estimates, spread, names, _degrees(df_complete, k)))


def _columns(estimates: Any) -> np.ndarray:
    """Return estimates as (m, k); m numbers are m estimates of one coefficient."""
    values = np.asarray([np.asarray(e, dtype=float) for e in estimates], dtype=float)
    return values[:, None] if values.ndim == 1 else values


def _names_of(estimates: Any) -> list[Any] | None:
    """Return the labels of estimates that come as a DataFrame or as Series."""
    if isinstance(estimates, pd.DataFrame):
        return list(estimates.columns)
    first = next(iter(estimates), None)
    return list(first.index) if isinstance(first, pd.Series) else None


def read_results(results: Iterable[Any], names: Any, df_complete: Any) -> Analyses:
    """Read fitted results as statsmodels has them: ``params`` with ``cov_params()`` or ``bse``."""
    results = list(results)
    for result in results:
        if not hasattr(result, "params") or not (
            hasattr(result, "cov_params") or hasattr(result, "bse")
        ):
            raise TypeError(
                f"`estimates` holds a {type(result).__name__}; expected results with `params` and "
                "`bse` or `cov_params()`, or numbers together with `variances`."
            )
    estimates = [np.asarray(result.params, dtype=float).ravel() for result in results]
    lengths = sorted({len(e) for e in estimates})
    if len(lengths) > 1:
        raise ValueError(
            f"The results have different numbers of coefficients, {lengths}, so they cannot be "
            "pooled. A category may be absent from some completed table; fix the categories."
        )
    if df_complete is None:
        df_complete = min((getattr(r, "df_resid", np.inf) for r in results), default=np.inf)
    spread = [_covariance(result) for result in results]
    names = _result_names(results) if names is None else names
    return read_arrays(estimates, spread, names, df_complete)


def _covariance(result: Any) -> np.ndarray:
    """Return the covariance of a result, or its variances where that is all there is."""
    if hasattr(result, "cov_params"):
        return np.asarray(result.cov_params(), dtype=float)
    return np.asarray(result.bse, dtype=float).ravel() ** 2


def _result_names(results: list[Any]) -> list[Any] | None:
    """Return the names of the coefficients where the results know them."""
    if not results:
        return None
    labelled = getattr(results[0].params, "index", None)
    if isinstance(labelled, pd.Index):
        return list(labelled)
    return getattr(getattr(results[0], "model", None), "exog_names", None)


def _degrees(df_complete: Any, k: int) -> np.ndarray:
    """Return positive degrees of freedom for each of k coefficients."""
    df = np.asarray(np.inf if df_complete is None else df_complete, dtype=float)
    if df.shape not in ((), (k,)) or not (df > 0).all():
        raise ValueError(
            f"`df_complete` must be positive, one number or one for each of the {k} coefficients, "
            f"but is {df_complete}; for a regression it is the number of rows minus the number of "
            "coefficients."
        )
    return np.broadcast_to(df, (k,)).copy()


def _checked(analyses: Analyses) -> Analyses:
    """Return the analyses, or say what Rubin's rules cannot do with them."""
    m, k = analyses.estimates.shape
    if m < 2:
        raise ValueError(
            f"`estimates` holds {m} {'analysis' if m == 1 else 'analyses'}, but Rubin's rules need "
            "at least 2: one completed table does not show how far apart they lie. Draw more, for "
            "example by `impute(X, n_imputations=20)`."
        )
    if len(analyses.names) != k:
        raise ValueError(
            f"`names` has {len(analyses.names)} names, expected {k}: one for each coefficient."
        )
    for name, values in (
        ("estimates", analyses.estimates),
        ("variances", analyses.covariances),
    ):
        if not np.isfinite(values).all():
            raise ValueError(
                f"`{name}` contains NaN or infinity; look at the analysis of table "
                f"{int(np.argmax(~np.isfinite(values.reshape(m, -1)).all(axis=1)))}."
            )
    if (analyses.variances() < 0).any():
        raise ValueError(
            f"`variances` contains {analyses.variances().min():.3g}, but variances are not "
            "negative. Pass squared standard errors."
        )
    return analyses
