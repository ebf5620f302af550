"""Predictors and outcome in the one table that an imputer sees.

The outcome must be there: values imputed without it have no relation to it, and the coefficients
of a regression would be drawn to zero. How it gets in and out depends on what was passed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_hashable


class AbstractOutcome(ABC):
    """Where the outcome stands in the table of the imputer.

    ``join`` makes that table of X and y, and ``split`` parts a completed one again. Of new rows,
    ``predictors`` takes the columns of the fit, and ``blank`` adds an outcome that was not seen.
    """

    apart = False
    """Whether y is given by values rather than as a column of X."""

    @abstractmethod
    def join(self, X: Any, y: Any) -> Any:
        """Return the table."""

    @abstractmethod
    def split(self, table: Any) -> tuple[Any, Any]:
        """Return X and y."""

    @abstractmethod
    def predictors(self, X: Any) -> Any:
        """Return the predictors of new rows."""

    @abstractmethod
    def blank(self, X: Any) -> Any:
        """Return the table of new rows, of which X has the predictors."""


@dataclass(frozen=True)
class NoOutcome(AbstractOutcome):
    """The table is X."""

    def join(self, X: Any, y: Any) -> Any:
        """Return X."""
        return X

    def split(self, table: Any) -> tuple[Any, Any]:
        """Return the table and no outcome."""
        return table, None

    def predictors(self, X: Any) -> Any:
        """Return X."""
        return X

    def blank(self, X: Any) -> Any:
        """Return X."""
        return X


@dataclass(frozen=True, eq=False)
class NamedOutcome(AbstractOutcome):
    """The outcome is a column of the DataFrame X."""

    name: Any
    columns: pd.Index
    dtype: Any

    def join(self, X: Any, y: Any) -> Any:
        """Return X, which has the outcome."""
        return X

    def split(self, table: Any) -> tuple[Any, Any]:
        """Return the other columns, and this one."""
        return table.drop(columns=self.name), table[self.name]

    def predictors(self, X: Any) -> Any:
        """Return the other columns."""
        return select(X, self.columns.drop(self.name))

    def blank(self, X: Any) -> Any:
        """Return X with this column, empty."""
        rows = X.copy()
        empty = pd.Series(np.nan, index=rows.index).astype(self.dtype)
        rows.insert(list(self.columns).index(self.name), self.name, empty)
        return rows


@dataclass(frozen=True, eq=False)
class FrameOutcome(AbstractOutcome):
    """The outcome is an array and becomes the last column of a DataFrame."""

    name: str
    columns: pd.Index
    apart = True

    def join(self, X: Any, y: Any) -> Any:
        """Return X with one more column."""
        return X.assign(**{self.name: y})

    def split(self, table: Any) -> tuple[Any, Any]:
        """Return the columns of X, and the last one."""
        return table[list(self.columns)], table[self.name].to_numpy()

    def predictors(self, X: Any) -> Any:
        """Return the columns of the fit."""
        return select(X, self.columns)

    def blank(self, X: Any) -> Any:
        """Return X with an empty column after it."""
        return self.join(X, np.nan)


@dataclass(frozen=True)
class ArrayOutcome(AbstractOutcome):
    """The outcome is an array and becomes the last column of an array."""

    apart = True

    def join(self, X: Any, y: Any) -> Any:
        """Return X with one more column."""
        return np.column_stack([np.asarray(X, dtype=float), y])

    def split(self, table: Any) -> tuple[Any, Any]:
        """Return the first columns, and the last."""
        return table[:, :-1], table[:, -1]

    def predictors(self, X: Any) -> Any:
        """Return X."""
        return X

    def blank(self, X: Any) -> Any:
        """Return X with an empty column after it."""
        return self.join(X, np.full(len(X), np.nan))


def place_outcome(X: Any, y: Any) -> AbstractOutcome:
    """Return where ``y`` belongs: a column of X by name, a column of its own, or nowhere."""
    if y is None:
        return NoOutcome()
    if not isinstance(X, pd.DataFrame):
        if is_name(X, y):
            raise ValueError(
                f"`y` is the name {y!r}, but `X` is a {type(X).__name__} without column names; "
                "pass a DataFrame, or the outcome itself as an array."
            )
        return ArrayOutcome()
    if not is_name(X, y):
        return FrameOutcome(free_name(X.columns), X.columns)
    if y not in list(X.columns):
        raise ValueError(f"`y` is {y!r}, which is not among the columns {list(X.columns)}.")
    return NamedOutcome(y, X.columns, dtype_with_holes(X[y].dtype))


def is_name(X: Any, y: Any) -> bool:
    """Whether ``y`` names a column: text and single numbers, and any other label that X has."""
    if np.isscalar(y):
        return True
    return isinstance(X, pd.DataFrame) and is_hashable(y) and y in list(X.columns)


def plain_flags(y: Any) -> Any:
    """Return a whole outcome with flags as NumPy has them: scikit-learn makes others numbers."""
    if not is_bool_dtype(getattr(y, "dtype", None)) or pd.isna(y).any():
        return y
    return y.astype(object).astype(bool)


def free_name(columns: pd.Index) -> str:
    """Return a name for the outcome that no column has."""
    name = "y"
    while name in columns:
        name += "_"
    return name


def select(new: Any, columns: pd.Index) -> pd.DataFrame:
    """Return the predictors of new rows in the order of the fit."""
    if not isinstance(new, pd.DataFrame) or not columns.isin(new.columns).all():
        given = f"has {list(new.columns)}" if hasattr(new, "columns") else f"is a {type(new)}"
        raise ValueError(
            f"`X` must be a DataFrame with the columns of the fit, {list(columns)}, but {given}."
        )
    return new.loc[:, list(columns)]


def dtype_with_holes(dtype: Any) -> Any:
    """Return a dtype that can be empty: bool becomes boolean, numbers float."""
    if pd.api.types.is_extension_array_dtype(dtype):
        return dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    return float if pd.api.types.is_numeric_dtype(dtype) else dtype


def read_outcome(y: Any, n: int) -> np.ndarray:
    """Return an outcome given by values as (n,) numbers, NaN in its holes."""
    values = y.to_numpy() if isinstance(y, pd.Series) else np.asarray(y)
    if values.shape != (n,):
        raise ValueError(
            f"`y` has shape {values.shape}, expected ({n},): one outcome for each row of `X`."
        )
    try:
        numbers: Any = pd.to_numeric(pd.Series(values))
        return numbers.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`y` holds values that are not numbers ({error}). An outcome that is given apart from "
            "`X` has to be numeric, because it becomes a column of the imputer's table; put it "
            "into the DataFrame `X` and pass its name."
        ) from error
