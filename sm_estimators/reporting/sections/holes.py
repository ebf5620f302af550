"""What is missing, and where."""

from typing import Any

import pandas as pd

from sm_estimators.missingness import MissingnessReport
from sm_estimators.reporting import words
from sm_estimators.reporting.markup import Html, chips, join, note, paragraph, part, section, table
from sm_estimators.reporting.pictures.holes import MOST_NAMED, draw_holes
from sm_estimators.reporting.pictures.inline import picture
from sm_estimators.reporting.sections.head import PLAIN
from sm_estimators.reporting.subject import Subject

TOP_PATTERNS = 12
TOP_APART = 12
BANDS = 400


def holes_section(subject: Subject, report: MissingnessReport) -> Html:
    """Tell the holes by cell, by column, by pattern and by pair of columns."""
    if report.n_missing == 0:
        lead = paragraph("The table has no hole. What follows about its columns needs none.")
        return section("holes", "What is missing, and where", lead, column_table(subject, report))
    return section(
        "holes",
        "What is missing, and where",
        empty_rows(report),
        matrix(subject.frame),
        part("By column", column_table(subject, report)),
        part("By row: the most frequent patterns", pattern_table(report)),
        apart(report),
    )


def empty_rows(report: MissingnessReport) -> Html:
    """Say how many rows show nothing."""
    if not report.n_empty_rows:
        return Html("")
    return paragraph(
        f"{words.count(report.n_empty_rows, 'row')} without any value: nothing but the other "
        "rows says what could be there."
    )


def matrix(frame: pd.DataFrame) -> Html:
    """Draw the matrix of holes."""
    n_rows, n_columns = frame.shape
    bands = " Each line stands for several rows, shaded by their share of holes."
    unnamed = " There are too many columns to name them."
    about = (
        f"Rows run downwards, columns across; orange cells were not seen."
        f"{bands if n_rows > BANDS else ''}{unnamed if n_columns > MOST_NAMED else ''}"
    )
    return picture(
        lambda: draw_holes(frame),
        title="The matrix of holes.",
        about=about,
        alt=f"Matrix of the holes of {n_rows} rows and {n_columns} columns; the table below has "
        "the share of holes of each column.",
        wide=n_columns > 8,
    )


def column_table(subject: Subject, report: MissingnessReport) -> Html:
    """List the columns: kind, holes, distinct values."""
    kinds = {str(column.name): PLAIN[column.kind] for column in subject.columns}
    lines: Any = report.columns.itertuples()
    rows = [
        (
            str(name),
            kinds.get(str(name), "left out"),
            f"{line.n_missing:,}",
            words.percent(line.rate),
            f"{distinct(subject.frame[name]):,}",
        )
        for name, line in zip(report.columns.index, lines, strict=True)
    ]
    heads = ["column", "kind", "holes", "share", "distinct"]
    return table("Columns in the order of the table", heads, rows, words=(1,))


def distinct(series: Any) -> int:
    """Count distinct seen values, of any type."""
    try:
        return int(series.nunique())
    except TypeError:
        return int(series.dropna().astype(str).nunique())


def pattern_table(report: MissingnessReport) -> Html:
    """List the most frequent patterns by the columns that they miss."""
    names = [str(name) for name in report.patterns.columns]
    shown = report.patterns.to_numpy()[:TOP_PATTERNS]
    rows = [
        (
            f"{int(n):,}",
            words.percent(n / report.n_rows),
            chips([name for name, seen in zip(names, flags, strict=True) if not seen])
            or "nothing missing",
        )
        for flags, n in zip(shown, report.pattern_counts, strict=False)
    ]
    caption = f"{words.count(report.n_patterns, 'pattern')} of holes"
    if report.n_patterns > TOP_PATTERNS:
        n_rows = int(report.pattern_counts[:TOP_PATTERNS].sum())
        caption += (
            f", the {TOP_PATTERNS} most frequent, which are "
            f"{words.percent(n_rows / report.n_rows)} of the rows"
        )
    return table(caption, ["rows", "share", "missing"], rows, words=(2,))


def apart(report: MissingnessReport) -> Html:
    """Name the pairs of columns that no row shows together."""
    pairs = [
        (str(a), str(b))
        for a, b in report.never_co_observed
        if a not in report.empty_columns and b not in report.empty_columns
    ]
    if not pairs:
        return Html("")
    named = chips([f"{a} & {b}" for a, b in pairs], most=TOP_APART)
    return part(
        "Never seen together",
        paragraph(
            f"No row shows both columns of {words.count(len(pairs), 'pair')}. The table "
            "says nothing about how they are related; whatever an imputation puts there comes "
            "from the model and from other columns alone."
        ),
        join(Html("<p>"), named, Html("</p>")),
        note("Columns without any value are not counted here.") if report.empty_columns else "",
    )
