"""Tables as users pass them: what is accepted, and whose columns they have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables.contents import some


def as_frame(frame: Any) -> pd.DataFrame:
    """Return a table as a DataFrame; the columns of an array are named by their positions.

    Raises ``TypeError`` for what is no table, ``ValueError`` for one with no columns.
    """
    if isinstance(frame, np.ndarray) and frame.ndim == 2:
        frame = pd.DataFrame(frame)
    if not isinstance(frame, pd.DataFrame):
        shape = f" of shape {frame.shape}" if hasattr(frame, "shape") else ""
        raise TypeError(
            f"`frame` is a {type(frame).__name__}{shape}; expected a pandas DataFrame or an array "
            "of shape (n, d). Convert it, for example with `pandas.DataFrame` or `.to_pandas()`."
        )
    refuse_no_columns(frame)
    return frame


def refuse_no_columns(frame: pd.DataFrame) -> None:
    """Raise `ValueError` for a table without columns."""
    if frame.shape[1] == 0:
        raise ValueError("The table has no columns; expected at least one. Pass one that has some.")


def refuse_repeated_names(frame: pd.DataFrame) -> None:
    """Raise `ValueError` where two columns have the same name."""
    repeated = frame.columns[frame.columns.duplicated()].unique().tolist()
    if repeated:
        raise ValueError(
            f"The table has more than one column named {some(repeated)}; expected names that "
            "differ. Rename or drop columns."
        )


def refuse_sparse_columns(frame: pd.DataFrame) -> None:
    """Raise `ValueError` for sparse columns, into which nothing can be written."""
    names = [n for n, dtype in frame.dtypes.items() if isinstance(dtype, pd.SparseDtype)]
    if names:
        raise ValueError(
            f"The table has sparse columns, {some(names)}; expected dense ones, because holes of "
            "sparse columns cannot be written into. Convert each with `.sparse.to_dense()`."
        )


def refuse_other_columns(frame: pd.DataFrame, names: pd.Index) -> None:
    """Raise `ValueError` unless a table has the columns of the fit in the same order."""
    came, expected = frame.columns.tolist(), names.tolist()
    if came == expected:
        return
    missing = [name for name in expected if name not in came]
    extra = [name for name in came if name not in expected]
    differences = [f"without {some(missing)}"] * bool(missing)
    differences += [f"with {some(extra)} in addition"] * bool(extra)
    raise ValueError(
        f"The table has the columns {some(came)}, but {some(expected)} were expected, as in the "
        f"fit: it comes {' and '.join(differences) or 'in another order'}. Select the columns of "
        "the fit, in their order."
    )


def refuse_other_width(frame: pd.DataFrame, width: int) -> None:
    """Raise `ValueError` unless a table has as many columns as that of the fit."""
    if frame.shape[1] != width:
        raise ValueError(
            f"The table has {frame.shape[1]} columns, but {width} were expected, as in the fit. "
            "Pass those of the fit, in their order."
        )


def refuse_empty_columns(frame: pd.DataFrame) -> None:
    """Raise `ValueError` where a column has no seen value, name the columns."""
    empty = frame.columns[frame.isna().all(axis=0)].tolist()
    if empty:
        raise ValueError(
            f"Nothing was seen in columns {some(empty)}, so nothing can be learned "
            "about them. Drop them before the fit."
        )


def refuse_unknown_names(entries: Any, frame: pd.DataFrame, argument: str) -> dict:
    """Return the user's entries by column; raise for names that no column has."""
    entries = {} if entries is None else entries
    if not isinstance(entries, Mapping):
        raise TypeError(
            f"`{argument}` is {entries!r}; expected a mapping from names of columns. Pass a dict."
        )
    unknown = [name for name in entries if name not in frame.columns]
    if unknown:
        raise ValueError(
            f"`{argument}` names the columns {some(unknown)}, but the table has "
            f"{some(frame.columns)}. Correct the names."
        )
    return dict(entries)


def read_values(values: Any, shape: tuple[int | None, int]) -> np.ndarray:
    """Return coordinates (n, d) as float64; refuse other shapes and infinities."""
    array = np.asarray(values, dtype=np.float64)
    n, d = shape
    if array.ndim != 2 or array.shape[1] != d or n not in (None, len(array)):
        raise ValueError(
            f"`values` has shape {array.shape}; expected ({'n' if n is None else n}, {d}), a "
            "coordinate for each cell. Pass what `encode` returns, with the holes filled."
        )
    infinite = np.flatnonzero(np.isinf(array).any(axis=0)).tolist()
    if infinite:
        raise ValueError(
            f"`values` has infinities in columns {some(infinite)}; expected real numbers, or NaN "
            "for a hole that stays one. Check the draws."
        )
    return array
