"""What an imputer puts into the holes, column by column, imputation by imputation."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from sm_estimators.pooling import pool
from sm_estimators.reporting.facts.reason import NotPossibleError
from sm_estimators.reporting.subject import Subject
from sm_estimators.tables import Column


class Filled(NamedTuple):
    """One column with holes: what was seen and what was put into its holes."""

    column: Column
    seen: np.ndarray
    """Coordinates (s,) of the seen cells."""
    imputed: np.ndarray
    """Coordinates (m, h) of the holes in every imputation."""
    missing_information: float
    """γ of Rubin's rules, of the mean or of the share of the commonest level."""

    @property
    def is_number(self) -> bool:
        """Whether the coordinates are numbers or times, no codes of levels."""
        return self.column.levels is None

    def shares(self, codes: np.ndarray) -> np.ndarray:
        """Return the share of each level among codes."""
        n_levels = self.column.n_levels
        return np.bincount(codes.astype(int).ravel(), minlength=n_levels) / max(codes.size, 1)

    @property
    def commonest(self) -> int:
        """Code of the most frequent level that was seen."""
        return int(self.shares(self.seen).argmax())


class Imputations(NamedTuple):
    """Several completed tables."""

    columns: list[Filled]
    """Those with holes, most holes first."""
    n_imputations: int
    shares: pd.DataFrame | None
    """Shares of the imputer's experts in the law of each column, where it has them."""
    imputer: str
    """How the imputer writes itself."""


def imputations(
    subject: Subject, imputer: Any, *, n_imputations: int, random_state: int
) -> Imputations:
    """Fit a clone of the imputer and draw completed tables."""
    fitted: Any = clone(imputer, safe=False)
    fitted.fit(subject.modelled)
    tables = fitted.impute(subject.modelled, n_imputations, random_state=random_state)
    stack = np.stack([coordinates(subject, table) for table in tables])
    columns = [filled(subject, stack, j) for j in subject.with_holes]
    return Imputations(columns, n_imputations, shares_of(fitted), repr(imputer))


def coordinates(subject: Subject, table: Any) -> np.ndarray:
    """Return the coordinates (n, d) of a completed table; refuse one that has holes."""
    frame = pd.DataFrame(table)
    frame.columns = subject.names
    values = subject.codec.encode(frame.reset_index(drop=True))[0]
    n_left = int(np.isnan(values).sum())
    if n_left:
        raise NotPossibleError(f"the imputer left {n_left:,} holes.")
    return values


def filled(subject: Subject, stack: np.ndarray, j: int) -> Filled:
    """Return the facts of one column."""
    hole = ~subject.observed[:, j]
    column = subject.columns[j]
    x = stack[:, :, j]
    of_levels = column.levels is not None
    commonest = np.bincount(x[0, ~hole].astype(int)).argmax() if of_levels else 0
    missing = fraction_missing((x == commonest).astype(float) if of_levels else x)
    return Filled(column, x[0, ~hole], x[:, hole], missing)


def fraction_missing(x: np.ndarray) -> float:
    """Return the fraction of the information about a mean that is missing, from tables (m, n)."""
    m, n = x.shape
    if m < 2 or n < 2 or not (x.var(axis=1) > 0).all():
        return np.nan
    scale = x.std()
    pooled = pool(x.mean(axis=1) / scale, (x / scale).var(axis=1, ddof=1) / n, df_complete=n - 1)
    return float(pooled.fraction_missing[0])


def shares_of(fitted: Any) -> pd.DataFrame | None:
    """Return the shares of experts with names that are text, None where there are none."""
    shares = getattr(fitted, "shares_", None)
    return shares.rename(index=str) if isinstance(shares, pd.DataFrame) else None
