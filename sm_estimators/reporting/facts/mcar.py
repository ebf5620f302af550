"""Tests of "missing completely at random"."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_estimators.missingness import LittleTest, little_mcar_test, logistic_mcar_test
from sm_estimators.reporting.facts.features import Features, read_features, some_rows
from sm_estimators.reporting.facts.reason import Reason, attempt
from sm_estimators.reporting.subject import Subject

MOST_ROWS = 3000
"""More would take minutes where nearly every row has a pattern of its own."""
LEVEL = 0.05


class LogisticByColumn(NamedTuple):
    """The logistic test, one line per column of the table."""

    pvalue: float
    """Smallest adjusted p-value."""
    columns: pd.DataFrame
    """``n_missing``, ``statistic``, ``dof``, ``pvalue``, ``adjusted_pvalue``, by column."""


class McarFacts(NamedTuple):
    """Both tests, or why there is none."""

    little: LittleTest | Reason
    little_categories: bool
    """Whether flags of categories took part in Little's test."""
    logistic: LogisticByColumn | Reason
    any_categories: bool
    """Whether the table has some."""
    n_rows: int
    """Rows that were looked at."""
    absent: dict[str, str]
    """Columns that took no part, with the reason."""


def mcar_facts(subject: Subject, random: np.random.Generator) -> McarFacts:
    """Run both tests on numbers and flags; Little's without flags where they are collinear."""
    rows = some_rows(len(subject.frame), MOST_ROWS, random)
    features = read_features(subject, rows)
    little = attempt(lambda: little_mcar_test(features.frame()))
    with_categories = features.labels != features.columns
    any_categories = any(column.kind == "nominal" for column in subject.columns)
    if isinstance(little, Reason) and with_categories:
        numbers = read_features(subject, rows, categories=False)
        again = attempt(lambda: little_mcar_test(numbers.frame()))
        little, with_categories = again, False
    logistic = attempt(lambda: by_column(features))
    return McarFacts(little, with_categories, logistic, any_categories, len(rows), features.absent)


def by_column(features: Features) -> LogisticByColumn:
    """Run the logistic test and keep one line of those of a column's flags, which are equal."""
    tested = logistic_mcar_test(features.frame()).columns
    owner = [features.columns[features.owner[features.labels.index(name)]] for name in tested.index]
    lines: Any = tested.assign(owner=owner).drop_duplicates("owner").set_index("owner")
    lines["adjusted_pvalue"] = holm(lines["pvalue"].to_numpy())
    return LogisticByColumn(float(lines["adjusted_pvalue"].min()), lines)


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for their number (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
