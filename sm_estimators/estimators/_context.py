"""Labels and covariates as columns that are given or absent, never modelled."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target


class NoContext:
    """No labels: a context without columns."""

    n_columns = 0
    classes = None

    def encode(self, y: Any, n: int) -> np.ndarray:
        """Return ``(n, 0)``; labels in vain are an error."""
        if y is not None:
            raise ValueError("`y` was given, but the fit had none. Fit with `fit(X, y)`.")
        return np.zeros((n, 0))


class Labels:
    """Classes as indicator columns; a missing label is a row of NaN."""

    def __init__(self, y: Any):
        self.classes = np.unique(y[~pd.isna(y)])
        self.n_columns = len(self.classes)

    def encode(self, y: Any, n: int) -> np.ndarray:
        """Return indicators of shape (n, n_classes) for one label, n labels, or none."""
        if y is None:
            return np.full((n, self.n_columns), np.nan)
        y = broadcast(np.asarray(y).reshape(np.shape(y) or 1), n)
        missing = pd.isna(y)
        unknown = ~missing & ~np.isin(y, self.classes)
        if unknown.any():
            raise ValueError(
                f"`y` holds {y[unknown][0]!r}, which is none of the classes of the fit: "
                f"{self.classes.tolist()}."
            )
        indicators = (y[:, None] == self.classes).astype(float)
        indicators[missing] = np.nan
        return indicators


class Covariates:
    """Numbers as they are; NaN where nothing is known."""

    classes = None

    def __init__(self, y: np.ndarray):
        self.ndim = y.ndim
        self.n_columns = 1 if y.ndim == 1 else y.shape[1]

    def encode(self, y: Any, n: int) -> np.ndarray:
        """Return covariates of shape (n, k) for one value, n of them, or none."""
        if y is None:
            return np.full((n, self.n_columns), np.nan)
        y = np.asarray(y, float)
        if self.n_columns == 1 and y.ndim < 2:
            y = y.reshape(-1, 1)
        y = np.atleast_2d(y)
        if y.shape[1] != self.n_columns:
            raise ValueError(
                f"`y` has {y.shape[1]} columns, but that of the fit had {self.n_columns}."
            )
        return broadcast(y, n)


def broadcast(y: np.ndarray, n: int) -> np.ndarray:
    """Repeat one row n times; n rows are left alone."""
    if len(y) not in (1, n):
        raise ValueError(f"`y` must hold one value or one per row ({n}); it holds {len(y)}.")
    return np.repeat(y, n, axis=0) if len(y) == 1 else y


def read_context(y: Any, n: int) -> tuple[Any, np.ndarray]:
    """Return how ``y`` is encoded, and the encoded columns (n, k).

    Whole numbers, text and truth values are labels; other numbers are covariates.
    """
    if y is None:
        return NoContext(), np.zeros((n, 0))
    y = np.asarray(y)
    if y.ndim not in (1, 2) or len(y) != n:
        raise ValueError(
            f"`y` must hold a label or covariates for each of the {n} rows of `X`; its shape is "
            f"{y.shape}."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    context = Labels(y) if y.ndim == 1 and are_labels(y) else Covariates(y.astype(float))
    if isinstance(context, Labels) and context.n_columns < 2:
        return NoContext(), np.zeros((n, 0))  # one class says nothing
    encoded = context.encode(y, n)
    if np.isinf(encoded).any() or np.isnan(encoded).all(axis=0).any():
        raise ValueError("`y` holds infinities, or a column in which nothing is known.")
    return context, encoded


def are_labels(y: np.ndarray) -> bool:
    """Return whether the values of ``y`` name classes."""
    known = y[~pd.isna(y)]
    if known.dtype.kind == "O":
        known = np.array(known.tolist())
    return len(known) > 0 and type_of_target(known) in ("binary", "multiclass")
