"""The table a page is about: all of its columns, and those that can be modelled."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables import Column, TableCodec


@dataclass(frozen=True, eq=False)
class Subject:
    """A table with names that are text, and what a codec says about its columns.

    Attributes
    ----------
    name : str
        What the page calls the table.
    frame : DataFrame of shape (n, d)
        Every column.
    left_out : dict
        Names of the columns that no codec takes, with the reason.
    codec : TableCodec
        Fitted to the other columns; has no columns where none is left.
    """

    name: str
    frame: pd.DataFrame
    left_out: dict[str, str]
    codec: TableCodec = field(default_factory=TableCodec)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that can be modelled."""
        return self.codec.columns

    @property
    def names(self) -> list[str]:
        """Names of the columns that can be modelled."""
        return [str(column.name) for column in self.columns]

    @property
    def modelled(self) -> pd.DataFrame:
        """The columns that can be modelled, as a table."""
        return self.frame.loc[:, self.names]

    @cached_property
    def values(self) -> np.ndarray:
        """Coordinates (n, d) of the columns that can be modelled, NaN in the holes."""
        return self.codec.encode(self.modelled)[0]

    @property
    def observed(self) -> np.ndarray:
        """Flags (n, d) of the cells that were seen, of the columns that can be modelled."""
        return ~np.isnan(self.values)

    @property
    def with_holes(self) -> list[int]:
        """Positions of the columns that can be modelled and have holes, most holes first."""
        n_holes = (~self.observed).sum(axis=0)
        return [int(j) for j in np.argsort(-n_holes, kind="stable") if n_holes[j]]


def read_subject(frame: Any, name: str) -> Subject:
    """Return the subject of a page; columns that cannot be modelled are left out, with a reason.

    Raises
    ------
    TypeError
        If ``frame`` is no DataFrame.
    ValueError
        If it has no row or no column, or names repeat.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"`frame` is a {type(frame).__name__}; expected a pandas DataFrame.")
    if 0 in frame.shape:
        raise ValueError(
            f"`frame` must have at least one row and one column; its shape is {frame.shape}."
        )
    table = frame.reset_index(drop=True)
    table.columns = [str(label) for label in frame.columns]
    twice = table.columns[table.columns.duplicated()].unique().tolist()
    if twice:
        raise ValueError(f"`frame` has more than one column named {twice}; rename them.")
    left_out = {label: reason for label in table.columns if (reason := refusal(table, label))}
    kept = [label for label in table.columns if label not in left_out]
    codec = TableCodec().fit(table[kept]) if kept else TableCodec()
    return Subject(name, table, left_out, codec)


def refusal(table: pd.DataFrame, label: str) -> str:
    """Say why a column cannot be modelled; nothing where it can."""
    series: Any = table[label]
    if series.isna().all():
        return "nothing was seen in it, so there is nothing to learn."
    try:
        TableCodec().fit(table[[label]])
    except ValueError as error:
        return in_short(series, error)
    return ""


def in_short(series: Any, error: ValueError) -> str:
    """Say the common reasons in a few words, and others in those of the codec."""
    n_levels, n_seen = series.astype(str)[series.notna()].nunique(), int(series.count())
    if "looks like an identifier" in str(error):
        return (
            f"it has {n_levels:,} different texts in {n_seen:,} seen cells: an identifier or free "
            "text, no category."
        )
    return str(error)
