"""A check on cells whose values are known: hide some, impute them, compare."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from sm_estimators.judging.hiding import hide_cells
from sm_estimators.reporting.facts.features import some_rows
from sm_estimators.reporting.facts.imputations import coordinates
from sm_estimators.reporting.subject import Subject
from sm_estimators.tables import Column

SHARE = 0.1
"""Of the seen cells, that are hidden."""
N_DRAWS = 19
"""So that the intervals between the r-th smallest and largest draws, r = 5, 2, 1, hold a value
of the same distribution with probability 1 - 2r/20: 50, 80 and 90 %, exactly."""
RANKS = {0.5: 5, 0.8: 2, 0.9: 1}
MOST_ROWS = 2000


class HiddenNumbers(NamedTuple):
    """Hidden cells of a column of numbers or times."""

    column: Column
    ranks: np.ndarray
    """(h,) of each hidden value among the draws, 0 to ``N_DRAWS``; ties are broken by chance."""

    def coverage(self, level: float) -> float:
        """Return the share of hidden values inside the central interval of the draws."""
        rank = RANKS[level]
        return float(((self.ranks >= rank) & (self.ranks <= N_DRAWS - rank)).mean())

    def standard_error(self, level: float) -> float:
        """Return that of the coverage, if the true one is the nominal one."""
        return float(np.sqrt(level * (1 - level) / len(self.ranks)))


class HiddenLevels(NamedTuple):
    """Hidden cells of a column of levels."""

    column: Column
    n: int
    right: float
    """Share of cells whose commonest draw is the hidden level."""
    most_frequent: float
    """The same for the column's most frequent level in every cell."""
    with_truth: float
    """Chance that a draw is the hidden level."""
    with_another: float
    """Chance that two draws are alike; the same, if the draws are honest."""

    @property
    def standard_error(self) -> float:
        """Of ``right``; with one more cell of each kind, so that it is never 0."""
        share = (self.right * self.n + 1) / (self.n + 2)
        return float(np.sqrt(share * (1 - share) / self.n))


class HiddenFacts(NamedTuple):
    """The check."""

    numbers: list[HiddenNumbers]
    levels: list[HiddenLevels]
    n_rows: int
    n_hidden: int

    def pooled_ranks(self) -> np.ndarray:
        """Return the ranks of all columns of numbers."""
        return np.concatenate([np.empty(0, int), *(one.ranks for one in self.numbers)])


def hidden_facts(
    subject: Subject, imputer: Any, *, random: np.random.Generator, random_state: int
) -> HiddenFacts:
    """Hide cells of some rows, fit a clone of the imputer to the rest, and look at its draws."""
    rows = some_rows(len(subject.frame), MOST_ROWS, random)
    table = subject.modelled.iloc[rows].reset_index(drop=True)
    truth, seen = subject.values[rows], subject.observed[rows]
    hide = hide_cells(seen, varying(truth), SHARE, random)
    known = without(table, hide)
    fitted: Any = clone(imputer, safe=False)
    fitted.fit(known)
    tables = fitted.impute(known, N_DRAWS, random_state=random_state)
    draws = np.stack([coordinates(subject, one) for one in tables])
    facts = [
        compare(column, truth[cells, j], draws[:, cells, j], truth[seen[:, j] & ~cells, j], random)
        for j, column in enumerate(subject.columns)
        if (cells := hide[:, j]).any()
    ]
    return HiddenFacts(
        [one for one in facts if isinstance(one, HiddenNumbers)],
        [one for one in facts if isinstance(one, HiddenLevels)],
        len(rows),
        int(hide.sum()),
    )


def varying(values: np.ndarray) -> np.ndarray:
    """Return the positions of the columns with more than one value; others hide nothing."""
    lowest = np.where(np.isnan(values), np.inf, values).min(axis=0)
    return np.flatnonzero(np.where(np.isnan(values), -np.inf, values).max(axis=0) > lowest)


def without(table: pd.DataFrame, hide: np.ndarray) -> pd.DataFrame:
    """Return a table with more holes; plain whole numbers and flags become nullable ones."""
    out = {}
    for j, name in enumerate(table.columns):
        series = table[name]
        if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iub":
            series = series.convert_dtypes()
        out[name] = series.mask(hide[:, j])
    return pd.DataFrame(out)


def compare(
    column: Column,
    truth: np.ndarray,
    draws: np.ndarray,
    left: np.ndarray,
    random: np.random.Generator,
) -> HiddenNumbers | HiddenLevels:
    """Compare hidden values (h,) with draws (K, h); ``left`` are the values that stayed."""
    if column.levels is None:
        return HiddenNumbers(column, randomised_ranks(truth, draws, random))
    counts = np.stack([(draws == code).sum(axis=0) for code in range(column.n_levels)])
    n_draws = len(draws)
    alike = (counts * (counts - 1)).sum(axis=0) / (n_draws * (n_draws - 1))
    most_frequent = np.bincount(left.astype(int)).argmax()
    return HiddenLevels(
        column,
        len(truth),
        float((counts.argmax(axis=0) == truth).mean()),
        float((truth == most_frequent).mean()),
        float((draws == truth).mean()),
        float(alike.mean()),
    )


def randomised_ranks(
    truth: np.ndarray, draws: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return how many draws are below each value; of those equal to it a random number.

    Uniform on 0 … K where values and K draws have the same distribution, whole numbers or not.
    """
    ties = (draws == truth).sum(axis=0)
    return (draws < truth).sum(axis=0) + random.integers(0, ties + 1)
