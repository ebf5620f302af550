"""The words of ``describe``."""

import numpy as np
import pandas as pd

from sm_estimators.cli.columns import Column
from sm_estimators.cli.modelled import odd
from sm_estimators.cli.tables import Table, listed
from sm_estimators.missingness import LittleTest, describe_missing, little_mcar_test

AGAINST = (
    "Such a value speaks against holes that are missing completely at random (or against rows "
    "that are independent draws); no test can tell missing at random from missing not at random."
)
NOT_AGAINST = (
    "Such a value is no evidence that the holes are random: the test only sees differences of "
    "means between patterns, and has little power in small tables."
)
LEVEL = 0.05


def report_text(table: Table) -> str:
    """Describe a table: holes, patterns, complete columns, pairs never seen together, a test."""
    report = describe_missing(everything(table))
    mixed = odd(table.columns).strip()
    blocks = [str(report), complete_columns(table.columns), mixed, mcar_test(table)]
    return "\n\n".join(block for block in blocks if block)


def everything(table: Table) -> pd.DataFrame:
    """Return every column with its kind and its holes; whole numbers stand as zeros."""
    return pd.DataFrame({column.name: marks(column) for column in table.columns})


def marks(column: Column) -> pd.Series:
    """Return a series of the column's kind with holes where the column has them."""
    if column.values is None:
        return pd.Series(column.other)
    if "int" not in column.kind:
        return pd.Series(column.values)
    return pd.Series(np.where(np.isnan(column.values), np.nan, 0.0)).astype("Int64")


def complete_columns(columns: list[Column]) -> str:
    """List the columns without holes, with their kinds."""
    complete = [column for column in columns if column.n_holes == 0]
    width = max((len(column.name) for column in complete), default=0)
    lines = [f"  {column.name.ljust(width)}  {column.kind}" for column in complete]
    return "\n".join(["Columns without holes", *lines]) if complete else ""


def mcar_test(table: Table) -> str:
    """Write Little's test on the numeric columns, or why there is none."""
    numeric = {column.name: column.values for column in table.columns if column.values is not None}
    if not numeric:
        return "Little's test: not possible, there is no numeric column."
    try:
        return result_text(little_mcar_test(pd.DataFrame(numeric)))
    except ValueError as reason:
        return f"Little's test: not possible. {reason}"


def result_text(test: LittleTest) -> str:
    """Write the result of the test and one sentence on what it shows."""
    p = "< 0.0001" if test.pvalue < 1e-4 else f"= {test.pvalue:.4f}"
    reasons = [f"{listed([name])}: {reason}" for name, reason in test.dropped.items()]
    left_out = f" Left out: {'; '.join(reasons)}." if reasons else ""
    return (
        f'Little\'s test of "missing completely at random": chi-squared {test.statistic:.1f} on '
        f"{test.dof} degrees of freedom, p {p}.{left_out}\n"
        f"{AGAINST if test.pvalue < LEVEL else NOT_AGAINST}"
    )
