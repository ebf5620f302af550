"""What is missing where: counts by column, by row pattern and by pair of columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators._patterns import sort_by_pattern
from sm_estimators.missingness._report_text import report_text
from sm_estimators.missingness._table import as_frame

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class MissingnessReport:
    """Counts of what is missing in a table; ``print`` it for a summary."""

    n_rows: int
    n_columns: int
    n_missing: int
    """Cells without a value."""
    n_complete_rows: int
    n_empty_rows: int
    """Rows without any value."""
    columns: pd.DataFrame
    """One row per column, indexed by its name: ``kind`` ("float", "integer", "boolean", "text",
    "category", "datetime", "object"), ``n_missing``, ``rate`` (a fraction)."""
    patterns: pd.DataFrame
    """The distinct patterns, most frequent first, then most complete first: one boolean per
    column, True = seen."""
    pattern_counts: np.ndarray
    """Number of rows with each pattern, in the order of ``patterns``."""
    co_observed: pd.DataFrame
    """(d, d) number of rows in which both columns were seen; on the diagonal, one column."""

    @property
    def n_cells(self) -> int:
        """Number of cells, rows times columns."""
        return self.n_rows * self.n_columns

    @property
    def rate(self) -> float:
        """Fraction of all cells that is missing."""
        return self.n_missing / self.n_cells

    @property
    def n_incomplete_rows(self) -> int:
        """Rows with at least one hole."""
        return self.n_rows - self.n_complete_rows

    @property
    def n_patterns(self) -> int:
        """Number of distinct patterns, the complete one included."""
        return len(self.pattern_counts)

    @property
    def empty_columns(self) -> tuple[Any, ...]:
        """Names of the columns without any value."""
        return tuple(self.columns.index[self.columns["n_missing"].to_numpy() == self.n_rows])

    @property
    def never_co_observed(self) -> tuple[tuple[Any, Any], ...]:
        """Pairs of columns that no row shows together.

        The data say nothing about the association of such a pair: no method can learn their joint
        distribution without an assumption. A column without any value is in d − 1 pairs.
        """
        rows, columns = np.nonzero(np.triu(self.co_observed.to_numpy() == 0, k=1))
        names = self.columns.index
        return tuple((names[i], names[j]) for i, j in zip(rows, columns, strict=True))

    def __str__(self) -> str:
        return report_text(self)


def describe_missing(X: Any) -> MissingnessReport:
    """Count what is missing in a table: by column, by row pattern, by pair of columns.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        Columns of any type. Missing is what pandas calls so: NaN, None, NaT, ``pandas.NA``. An
        infinity is a value.

    Returns
    -------
    MissingnessReport
        Counts as numbers and DataFrames; ``print(report)`` shows the ten most frequent patterns.

    Raises
    ------
    ValueError
        If ``X`` is not two-dimensional, or has no row or no column.

    Notes
    -----
    Patterns are compared as packed bits and pairs are counted by blocks of rows: beyond a boolean
    per cell the memory does not grow with the number of rows, unless the patterns do.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"age": [40, None, 31], "city": ["Oslo", None, "Rome"]})
    >>> report = describe_missing(X)
    >>> report.n_missing, report.n_complete_rows, report.n_empty_rows
    (2, 2, 1)
    >>> print(report)
    3 rows by 2 columns, 2 of 6 cells missing (33.3 %)
    2 complete rows, 1 row with holes, 1 row without any value
    <BLANKLINE>
    Columns with holes
      age   float  1 missing (33.3 %)
      city  text   1 missing (33.3 %)
    <BLANKLINE>
    2 patterns
      2 rows (66.7 %)  nothing missing
      1 row  (33.3 %)  missing: age, city
    """
    frame = as_frame(X)
    observed = frame.notna().to_numpy()
    patterns, _, counts = distinct_patterns(observed)
    n_seen = patterns.sum(axis=1)
    n_missing = len(frame) - observed.sum(axis=0)
    return MissingnessReport(
        n_rows=len(frame),
        n_columns=frame.shape[1],
        n_missing=int(n_missing.sum()),
        n_complete_rows=int(counts[n_seen == frame.shape[1]].sum()),
        n_empty_rows=int(counts[n_seen == 0].sum()),
        columns=pd.DataFrame(
            {
                "kind": [_kind(dtype, frame.iloc[:, j]) for j, dtype in enumerate(frame.dtypes)],
                "n_missing": n_missing,
                "rate": n_missing / len(frame),
            },
            index=frame.columns,
        ),
        patterns=pd.DataFrame(patterns, columns=frame.columns),
        pattern_counts=counts,
        co_observed=pd.DataFrame(
            co_observed_counts(observed), index=frame.columns, columns=frame.columns
        ),
    )


def distinct_patterns(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct rows, the index of each row's pattern, and the counts.

    Most frequent first, then most complete first.
    """
    by_pattern, starts = sort_by_pattern(observed)
    counts = np.diff(starts)
    patterns = observed[by_pattern[starts[:-1]]]
    order = np.lexsort((-patterns.sum(axis=1), -counts))
    inverse = np.empty(len(observed), int)
    inverse[by_pattern] = np.repeat(np.argsort(order), counts)
    return patterns[order], inverse, counts[order]


def co_observed_counts(observed: np.ndarray) -> np.ndarray:
    """Return the (d, d) number of rows in which both columns are seen."""
    d = observed.shape[1]
    total = np.zeros((d, d))
    for start in range(0, len(observed), ROWS_AT_ONCE):
        block = observed[start : start + ROWS_AT_ONCE].astype(float)
        total += block.T @ block
    return total.astype(int)


def _kind(dtype: Any, column: pd.Series) -> str:
    """Name the type of a column in plain words."""
    kinds = {
        "boolean": pd.api.types.is_bool_dtype,
        "integer": pd.api.types.is_integer_dtype,
        "float": pd.api.types.is_float_dtype,
        "datetime": pd.api.types.is_datetime64_any_dtype,
    }
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    named = next((kind for kind, is_kind in kinds.items() if is_kind(dtype)), None)
    if named is not None:
        return named
    seen = column.dropna()
    return "text" if len(seen) and pd.api.types.is_string_dtype(seen) else "object"
