"""Columns as numbers, for tests and for a Gaussian: categories as flags of their levels."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata

from sm_estimators.reporting.subject import Subject
from sm_estimators.tables import Column

LEAST_SEEN = 10
"""Seen cells that a column, and rows that a level, must have."""
LEAST_SHARE = 0.05
"""Of the seen cells: rarer levels have no flag and stand with the commonest."""
MOST_FLAGS = 5
"""Flags of one column at most, those of its most frequent levels but one."""


class Features(NamedTuple):
    """Numbers with holes, some of which belong to the same column.

    Attributes
    ----------
    values : ndarray of shape (n, p)
        NaN in the holes.
    labels : list of str
        Names; a flag is called by its column and level.
    owner : ndarray of shape (p,)
        Position of each feature's column in ``columns``.
    columns : list of str
        Names of the columns that are here.
    absent : dict
        Names of the others, with the reason.
    """

    values: np.ndarray
    labels: list[str]
    owner: np.ndarray
    columns: list[str]
    absent: dict[str, str]

    def block(self, column: int) -> np.ndarray:
        """Return the positions of a column's features."""
        return np.flatnonzero(self.owner == column)

    def frame(self) -> pd.DataFrame:
        """Return the features as a table."""
        return pd.DataFrame(self.values, columns=self.labels)

    def scaled(self) -> np.ndarray:
        """Return normal scores of numbers and standardised flags, (n, p)."""
        return np.column_stack([normal_scores(x) for x in self.values.T])


def read_features(subject: Subject, rows: np.ndarray, *, categories: bool = True) -> Features:
    """Return the columns of some rows as numbers.

    Constant columns and those with few seen cells are left out.
    """
    parts, labels, owner, columns, absent = [], [], [], [], {}
    for j, column in enumerate(subject.columns):
        x, name = subject.values[rows, j], str(column.name)
        named = flags(column, x) if column.kind == "nominal" else {name: x}
        if reason := unusable(x, named, wanted=categories or column.kind != "nominal"):
            absent[name] = reason
            continue
        parts += named.values()
        labels += named
        owner += [len(columns)] * len(named)
        columns.append(name)
    values = np.column_stack(parts) if parts else np.empty((len(rows), 0))
    return Features(values, labels, np.array(owner, int), columns, absent)


def unusable(x: np.ndarray, named: dict[str, np.ndarray], *, wanted: bool) -> str:
    """Say why a column gives no features; nothing where it does."""
    seen = x[~np.isnan(x)]
    if not wanted:
        return "a category"
    if len(seen) < LEAST_SEEN:
        return f"{len(seen)} seen cells, fewer than {LEAST_SEEN}"
    if np.ptp(seen) == 0:
        return "constant"
    return "" if named else "no level but one is frequent enough"


def flags(column: Column, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Return flags of the frequent levels of a category, without the most frequent one."""
    seen = codes[~np.isnan(codes)].astype(int)
    counts = np.bincount(seen, minlength=column.n_levels)
    order = np.argsort(-counts, kind="stable")[1 : MOST_FLAGS + 1]
    least = max(LEAST_SEEN, LEAST_SHARE * len(seen))
    levels = column.levels or ()
    return {
        f"{column.name} = {levels[code]}": np.where(np.isnan(codes), np.nan, codes == code)
        for code in order
        if counts[code] >= least
    }


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Return Φ⁻¹((rank - ½)/n) of the seen values, with deviation 1; ties share their mean rank.

    Of a flag this is the standardised flag.
    """
    seen = ~np.isnan(x)
    scores = ndtri((rankdata(x[seen]) - 0.5) / seen.sum())
    out = np.full(x.shape, np.nan)
    out[seen] = (scores - scores.mean()) / max(scores.std(), np.finfo(float).tiny)
    return out


def some_rows(n: int, most: int, random: np.random.Generator) -> np.ndarray:
    """Return all rows, or some at random where there are too many, in their order."""
    return np.arange(n) if n <= most else np.sort(random.choice(n, most, replace=False))
