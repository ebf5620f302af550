"""The columns that decide what is lost under "missing at random"."""

from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.missingness._table import NumericTable

DEFAULT_SHARE = 0.3


def choose_drivers(table: NumericTable, drivers: Any, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of the driver columns, given or drawn."""
    n_columns = table.values.shape[1]
    if n_columns < 2:
        raise ValueError(
            "`X` must have at least two columns for mechanism='mar', one to decide and one to "
            "lose; it has 1. Use 'mcar' or 'mnar', or add a complete column."
        )
    if drivers is not None:
        return _given_drivers(table, drivers)
    # The range of a column with holes is NaN, and no NaN is above zero.
    candidates = np.flatnonzero(np.ptp(table.values, axis=0) > 0)
    if candidates.size == 0:
        raise ValueError(
            "`X` must have a complete column that varies for mechanism='mar'; every column has "
            "holes or is constant. Add one, or use mechanism='mcar' or 'mnar'."
        )
    wanted = min(max(1, round(DEFAULT_SHARE * n_columns)), n_columns - 1)
    return rng.choice(candidates, size=min(wanted, candidates.size), replace=False)


def _given_drivers(table: NumericTable, drivers: Any) -> np.ndarray:
    """Return the positions of the drivers that were named, after checking them."""
    # A tuple that is a label, as in a table with two header rows, is one driver.
    is_label = isinstance(drivers, tuple) and drivers in table.labels
    names = list(drivers) if pd.api.types.is_list_like(drivers) and not is_label else [drivers]
    positions = np.unique(np.array([_position(table, name) for name in names], dtype=int))
    n_columns = table.values.shape[1]
    if not 0 < positions.size < n_columns:
        raise ValueError(
            f"`drivers` must name at least one column and leave at least one to lose; it names "
            f"{positions.size} of {n_columns}. Name fewer or more columns."
        )
    holey = [repr(table.labels[j]) for j in positions if np.isnan(table.values[:, j]).any()]
    if holey:
        raise ValueError(
            f"`drivers` must be complete columns, or the loss would depend on unseen values; "
            f"with holes: {', '.join(holey)}. Choose others, or fill them first."
        )
    return positions


def _position(table: NumericTable, name: Any) -> int:
    """Return the position of a column given by label or position."""
    n_columns = len(table.labels)
    matches = np.flatnonzero([label == name for label in table.labels])
    if isinstance(name, (bool, np.bool_)):
        matches = np.array([], int)
    elif (
        matches.size == 0 and isinstance(name, (int, np.integer)) and -n_columns <= name < n_columns
    ):
        return int(name) % n_columns
    if matches.size != 1:
        found = "no column" if matches.size == 0 else f"{matches.size} columns"
        raise ValueError(
            f"`drivers` must name columns of `X`; {name!r} fits {found} of {n_columns}. Use a "
            "column name, or a position if names repeat."
        )
    return int(matches[0])
