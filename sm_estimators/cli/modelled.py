"""The part of a table that a density models, and what is said about the rest."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.cli.columns import Column
from sm_estimators.cli.command_error import USAGE, CommandError
from sm_estimators.cli.mixed import cells, mixed_frame
from sm_estimators.cli.tables import Table, listed

NO_COLUMNS = ("index", "nameless")
"""Kinds of columns that name rows."""
NAMELESS = "(no name)"


def modelled(table: Table, skip: Iterable[str] = ()) -> pd.DataFrame:
    """Return the numeric columns, (n, d) floats with NaN in the holes, less those skipped."""
    names = [column.name for column in table.columns]
    unknown = [name for name in skip if name not in names]
    if unknown:
        raise CommandError(
            f"`--skip` names {listed(unknown)}, but {table.path} has {listed(names)}.", USAGE
        )
    chosen = [c for c in table.columns if c.values is not None and c.name not in set(skip)]
    refuse_empty(chosen)
    if not chosen:
        kinds = ", ".join(f"`{column.name}` ({column.kind})" for column in table.columns)
        raise CommandError(
            f"{table.path} has no numeric column to model: {kinds}.{odd(table.columns)}"
        )
    return pd.DataFrame({column.name: column.values for column in chosen})


def modelled_by(table: Table, names: list[str]) -> pd.DataFrame:
    """Return the columns that a fitted model was trained on, in its order."""
    here = refuse_missing(table, names)
    text = [name for name in names if here[name].values is None]
    if text:
        raise CommandError(
            f"The model needs numbers in {listed(text)}, but {table.path} has "
            f"{here[text[0]].kind} there.{odd([here[name] for name in text])}"
        )
    return pd.DataFrame({name: here[name].values for name in names})


def refuse_missing(table: Table, names: list[str]) -> dict[str, Column]:
    """Return the columns of a table by name; refuse one that lacks any of ``names``."""
    here = {column.name: column for column in table.columns}
    missing = [name for name in names if name not in here]
    if missing:
        extra = [name for name in here if name not in names]
        also = f" The table has {listed(extra)}, which the model does not know." if extra else ""
        raise CommandError(f"The model needs {listed(missing)}, not found in {table.path}.{also}")
    return here


def whole_frame(table: Table, skip: Iterable[str] = ()) -> pd.DataFrame:
    """Return the columns of any kind less those skipped, and less those to carry along."""
    frame = mixed_frame(table, skip)
    rows = {column.name for column in table.columns if column.kind in NO_COLUMNS}
    columns = {str(name): cells for name, cells in frame.items() if name not in rows | {NAMELESS}}
    refuse_empty([Column(n, "empty", len(c)) for n, c in columns.items() if c.isna().all()])
    called = {column.name for column in table.columns if column.kind == "nominal"}
    kept = pd.DataFrame({n: c for n, c in columns.items() if n in called or not is_carried(c)})
    if kept.shape[1] == 0:
        raise CommandError(
            f"{table.path} has no column to model: text in which all or nearly all values differ "
            "is none, nor are lists and the like."
        )
    return kept


def whole_frame_by(table: Table, names: list[str]) -> pd.DataFrame:
    """Return the columns of any kind that a fitted model was trained on, in its order."""
    here = refuse_missing(table, names)
    return pd.DataFrame({name: cells(here[name]) for name in names})


def as_stored(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return columns to fit with whole numbers as such, which draws from the model then are."""
    dtypes = {column.name: column.whole_dtype for column in table.columns}
    return frame.astype({name: dtypes[name] for name in frame.columns if dtypes[name]})


def is_carried(series: pd.Series) -> bool:
    """Tell whether cells that are no numbers and no times have no kind, as identifiers or lists."""
    from sm_estimators.tables import TableCodec
    from sm_estimators.tables.contents import contents

    if contents(series) not in ("text", "categories", "other things"):
        return False
    try:
        TableCodec().fit(series.to_frame())
    except ValueError:
        return True
    return False


def refuse_empty(columns: list[Column]) -> None:
    """Refuse columns of which nothing was seen."""
    empty = [column.name for column in columns if column.kind == "empty"]
    if empty:
        raise CommandError(
            f"Nothing was seen of {listed(empty)}, so there is nothing to learn; leave the "
            f"column out with `--skip {empty[0]}`."
        )


def notes(table: Table, frame: pd.DataFrame) -> list[str]:
    """Say which columns are carried along, why, and which look like row numbers."""
    carried = [column for column in table.columns if column.name not in frame.columns]
    lines = []
    if carried:
        kinds = ", ".join(f"`{column.name}` ({column.kind})" for column in carried)
        lines.append(f"carried along unchanged, holes and all: {kinds}.{odd(carried)}")
    numbers = frame.select_dtypes("number")
    counted = [str(name) for name in numbers if is_count(numbers[name].to_numpy())]
    if counted:
        lines.append(
            f"{listed(counted)} looks like row numbers; leave it out with `--skip {counted[0]}`."
        )
    return lines


def notes_on_codes(table: Table, skip: Iterable[str] = ()) -> list[str]:
    """Say which columns of digits are text, and how to make numbers of them."""
    return [
        f"`{column.name}` is text, because its numbers have zeros before them; if they mean "
        f"nothing, say `--type {column.name}=numeric`."
        for column in table.columns
        if column.padded and column.name not in set(skip)
    ]


def odd(columns: Iterable[Column]) -> str:
    """Name the values that made text of columns of numbers."""
    return "".join(
        f" In `{column.name}` some cells are numbers, but not {column.stray}; if it marks a hole, "
        f"say so with `--na`."
        for column in columns
        if column.stray
    )


def is_count(values: Any) -> bool:
    """Tell whether a column counts its rows from 0 or 1."""
    n = len(values)
    return n > 2 and any(np.array_equal(values, np.arange(n) + first) for first in (0, 1))
