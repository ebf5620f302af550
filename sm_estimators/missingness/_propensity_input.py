"""What people pass to :class:`~sm_estimators.missingness.PatternPropensity`, checked."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROWS_PER_PREDICTOR = 10
"""Ten events per variable, the rule of thumb of Peduzzi et al. (1996)."""
FEWEST_ROWS = 20


def check_rows(X: Any, observed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and flags as arrays of equal shape."""
    X, observed = np.asarray(X, float), np.asarray(observed)
    if X.ndim != 2 or 0 in X.shape or observed.shape != X.shape or observed.dtype != bool:
        raise ValueError(
            "`X` and `observed` must be tables of one shape, numbers and booleans; got shapes "
            f"{X.shape} and {observed.shape}, types {X.dtype} and {observed.dtype}. With NaN in "
            "the holes, pass `observed=~np.isnan(X)`."
        )
    return X, observed


def check_weight(sample_weight: Any, n: int) -> np.ndarray:
    """Return the row weights, 1 each where none are given."""
    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, float)
    if weight.shape != (n,) or not ((weight >= 0) & np.isfinite(weight)).all() or not weight.any():
        raise ValueError(
            f"`sample_weight` must be {n} finite numbers of at least 0, not all 0; got shape "
            f"{weight.shape}, smallest {weight.min() if weight.size else None}. Pass one weight "
            "per row, or None."
        )
    return weight


def default_min_rows(n_predictors: int) -> int:
    """Return the number of rows that suffices for the slopes of the predictors."""
    return max(FEWEST_ROWS, ROWS_PER_PREDICTOR * n_predictors)


def check_min_rows(min_rows: Any, default: int) -> int:
    """Return the number of rows below which a pattern is rare."""
    if min_rows is None:
        return default
    if not isinstance(min_rows, (int, np.integer)) or isinstance(min_rows, bool) or min_rows < 1:
        raise ValueError(
            f"`min_rows` must be None or an integer of at least 1; got {min_rows!r}. Ten per "
            "predictor is a good start."
        )
    return int(min_rows)


def check_classifier(classifier: Any) -> Any:
    """Return the classifier to clone."""
    if classifier is None:
        return make_pipeline(StandardScaler(), LogisticRegression(C=1e4, tol=1e-6, max_iter=1000))
    if isinstance(classifier, type) or not hasattr(classifier, "predict_proba"):
        raise TypeError(
            "`classifier` must be an object with `predict_proba`, as propensities are "
            f"probabilities; got {classifier!r}. Use LogisticRegression(), or wrap it in "
            "sklearn.calibration.CalibratedClassifierCV."
        )
    return classifier


def predictor_columns(predictors: Any, observed: np.ndarray) -> np.ndarray:
    """Return the positions of the predictors, given or all that are always seen."""
    if predictors is None:
        always = np.flatnonzero(observed.all(axis=0))
        if always.size == 0:
            raise ValueError(
                "`X` must have a column that is seen in every row, on which the holes may depend; "
                f"all {observed.shape[1]} have holes. Fill one first, leave out the few rows that "
                "lack it, or use a rule that needs no propensities."
            )
        return always
    columns = np.unique(np.atleast_1d(np.asarray(predictors)))
    n_columns = observed.shape[1]
    inside = columns.dtype.kind in "iu" and columns.size > 0
    if not inside or columns.min() < 0 or columns.max() >= n_columns:
        raise ValueError(
            f"`predictors` must be positions of columns, integers from 0 to {n_columns - 1}; got "
            f"{predictors!r}. Use None for every column that is always seen."
        )
    return columns
