"""Scores of single cells, and what they come to."""

from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.judging.row_means import RowMean, row_mean
from sm_estimators.judging.scoring_rules import brier, covered, crps, hit, squared_error
from sm_estimators.judging.table import Table

MEASURES = {
    "rmse": "squared_error",
    "crps": "crps",
    "coverage": "covered",
    "accuracy": "hit",
    "brier": "brier",
}
"""What is reported, and the score of a cell that it is a mean of."""


def score_column(
    table: Table, completed: list[pd.DataFrame], rows: np.ndarray, j: int, *, level: float
) -> pd.DataFrame:
    """Score hidden cells of column ``j`` in all completed tables, numbers in units of scale."""
    if table.numeric[j]:
        truth = numbers(table.frame, rows, j) / table.scale[j]
        draws = np.stack([numbers(c, rows, j) for c in completed]) / table.scale[j]
        _refuse_holes(np.isnan(draws), table, j)
        scores = {
            "squared_error": squared_error(draws, truth),
            "crps": crps(draws, truth),
            "covered": covered(draws, truth, level),
        }
    else:
        draws, truth = codes(table, completed, rows, j)
        scores = {"hit": hit(draws, truth), "brier": brier(draws, truth)}
    scored = pd.DataFrame({"row": rows, "column": j, **scores})
    return scored.reindex(columns=["row", "column", *MEASURES.values()])


def numbers(frame: pd.DataFrame, rows: np.ndarray, j: int) -> np.ndarray:
    """Return cells of a column as floats."""
    column: Any = frame.iloc[rows, j]
    return column.to_numpy(dtype=float, na_value=np.nan)


def codes(
    table: Table, completed: list[pd.DataFrame], rows: np.ndarray, j: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws (K, c) and truth (c,) as codes of categories."""
    cells = [np.asarray(f.iloc[rows, j], dtype=object) for f in (table.frame, *completed)]
    coded = pd.factorize(np.concatenate(cells))[0].reshape(len(cells), len(rows))
    _refuse_holes(coded < 0, table, j)
    return coded[1:], coded[0]


def _refuse_holes(empty: np.ndarray, table: Table, j: int) -> None:
    """Raise `ValueError` when an imputer left hidden cells empty."""
    if empty.any():
        raise ValueError(
            f"The imputer left {int(empty.sum())} hidden cells of column {table.names[j]!r} empty; "
            "expected a value in each. Judge one that completes the whole table."
        )


def summarise(cells: pd.DataFrame, n_rows: int) -> dict[str, RowMean]:
    """Return every measure with the influence of rows."""
    rows = cells["row"].to_numpy()
    means = {
        name: row_mean(cells[of].to_numpy(), rows, n_rows=n_rows) for name, of in MEASURES.items()
    }
    return {**means, "rmse": means["rmse"].root()}


def summarise_columns(cells: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return every measure of every column that has scored cells."""
    found = {}
    for j, part in cells.groupby("column"):
        means = summarise(part, len(table.seen))
        found[table.names[int(str(j))]] = {
            "n_cells": len(part),
            **{k: m.value for k, m in means.items()},
        }
    frame = pd.DataFrame.from_dict(found, orient="index").rename_axis("column")
    return frame.dropna(axis="columns", how="all")
