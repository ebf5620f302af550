"""Filled tables: made from a fitted model, put back into the table they came from."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.cli.command_error import CommandError
from sm_estimators.cli.outputs import Writer
from sm_estimators.cli.pictures import draw_holes, draw_missing
from sm_estimators.cli.tables import Table, listed


def has_holes(frame: pd.DataFrame) -> bool:
    """Tell whether a modelled cell was not seen."""
    return bool(frame.isna().to_numpy().any())


def fill(
    model: Any, frame: pd.DataFrame, n_tables: int, *, strategy: str, seed: int, quiet: bool
) -> list[pd.DataFrame]:
    """Return ``n_tables`` copies of ``frame`` with its holes filled."""
    if not has_holes(frame):
        return [frame] * n_tables
    if strategy == "mean":
        filled = [model.set_params(strategy="mean", random_state=seed).transform(frame)]
    else:
        filled = model.impute(frame, n_tables, random_state=seed)
    for one in filled:
        refuse_holes(one)
    return filled


def refuse_holes(filled: pd.DataFrame) -> None:
    """Refuse a table in which the model left cells without a value or with an infinite one."""
    bad = filled.isna() | filled.isin([np.inf, -np.inf])
    names = [str(name) for name in filled.columns[bad.any()]]
    if names:
        row = int(np.flatnonzero(bad[names[0]])[0]) + 1
        raise CommandError(
            f"The model found no finite value for {int(bad.to_numpy().sum())} cells of "
            f"{listed(names)}, the first of `{names[0]}` in row {row}, so nothing was written. "
            "Look for extreme values in the table, or choose another model."
        )


def notes(table: Table, frame: pd.DataFrame) -> list[str]:
    """Say that there was nothing to do, or which imputed values were rounded."""
    if not has_holes(frame):
        return ["the modelled columns have no hole: the table is copied as it is"]
    rounded = [
        column.name
        for column in table.columns
        if column.name in frame.columns
        and column.n_holes
        and column.kind.startswith(("int", "ui"))
        and column.kind != "integer"
    ]
    return [f"imputed values of {listed(rounded)} are rounded to whole numbers"] if rounded else []


def writers(table: Table, paths: list[Path], filled: list[pd.DataFrame]) -> dict[Path, Writer]:
    """Return what writes each filled table in the format of the original."""
    return {
        path: writer(table, {str(name): values.to_numpy() for name, values in one.items()})
        for path, one in zip(paths, filled, strict=True)
    }


def writer(table: Table, values: dict[str, np.ndarray]) -> Writer:
    """Return what writes the table with ``values`` in its holes."""
    return lambda path: table.with_values(values).write(path)


def picture(frame: pd.DataFrame, filled: list[pd.DataFrame]) -> Writer:
    """Return what draws the holes and, where there are some, what was put into them."""
    numbers = frame.select_dtypes("number")
    if not has_holes(numbers):
        return draw_holes(frame)
    return draw_missing(numbers, [one[list(numbers)] for one in filled])
