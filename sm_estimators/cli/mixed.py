"""A table as a DataFrame of mixed columns: numbers, text, and times where text is nothing else."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from sm_estimators.cli.columns import Column
from sm_estimators.cli.command_error import USAGE, CommandError
from sm_estimators.cli.tables import Table, listed

DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?")
"""A date, or a date and a time, as ISO 8601 writes them."""


def mixed_frame(table: Table, skip: Iterable[str] = ()) -> pd.DataFrame:
    """Return all columns but those skipped, missing values in the holes."""
    names = [column.name for column in table.columns]
    unknown = [name for name in skip if name not in names]
    if unknown:
        raise CommandError(
            f"`--skip` names {listed(unknown)}, but {table.path} has {listed(names)}.", USAGE
        )
    kept = [column for column in table.columns if column.name not in set(skip)]
    if not kept:
        raise CommandError(f"`--skip` names every column of {table.path}; keep one.", USAGE)
    return pd.DataFrame({column.name or "(no name)": cells(column) for column in kept})


def cells(column: Column) -> pd.Series:
    """Return the cells of a column; dates in text become times, nominal ones categories."""
    if column.values is not None:
        return pd.Series(np.asarray(column.values, float))
    series = pd.Series(column.other)
    if column.kind == "nominal":
        return series.astype("category")
    seen = series.dropna()
    if len(seen) and all(isinstance(cell, str) and DATE.fullmatch(cell) for cell in seen):
        return pd.to_datetime(series, format="ISO8601", errors="coerce")
    return series
