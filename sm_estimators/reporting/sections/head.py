"""What table this is."""

from collections import Counter

from sm_estimators.missingness import MissingnessReport
from sm_estimators.reporting import words
from sm_estimators.reporting.markup import Html, join, note, tag
from sm_estimators.reporting.subject import Subject

PLAIN = {
    "numeric": "numeric",
    "integer": "whole numbers",
    "boolean": "yes or no",
    "ordinal": "ordered categories",
    "nominal": "categories",
    "datetime": "times",
}
"""What the page calls the kinds of columns."""


def head_section(subject: Subject, report: MissingnessReport) -> Html:
    """Tell size, share of holes and kinds of columns."""
    cells = tag("small", f" of {report.n_cells:,}")
    complete = tag("small", f" of {report.n_rows:,}")
    cards = [
        ("Rows", f"{report.n_rows:,}"),
        ("Columns", f"{report.n_columns:,}"),
        ("Missing cells", join(f"{report.n_missing:,}", cells)),
        ("Share missing", words.percent(report.rate)),
        ("Complete rows", join(f"{report.n_complete_rows:,}", complete)),
        ("Patterns of holes", f"{report.n_patterns:,}"),
    ]
    boxes = [tag("div", tag("dt", name), tag("dd", fact)) for name, fact in cards]
    return join(tag("dl", *boxes, class_="cards"), tag("p", kinds(subject)), left_out(subject))


def kinds(subject: Subject) -> str:
    """Count the kinds of columns in a sentence."""
    found = Counter(PLAIN[column.kind] for column in subject.columns)
    if not found:
        return "No column can be modelled."
    counted = [f"{kind} in {n:,}" for kind, n in found.most_common()]
    return f"Kinds of columns: {', '.join(counted)}."


def left_out(subject: Subject) -> Html:
    """Say which columns are counted but not modelled, and why."""
    if not subject.left_out:
        return Html("")
    items = [
        tag("li", tag("span", name, class_="chip"), f" {reason}")
        for name, reason in list(subject.left_out.items())[:20]
    ]
    more = len(subject.left_out) - len(items)
    rest = note(f"And {words.count(more, 'more column')}.") if more > 0 else Html("")
    lead = "Counted below, but left out of tests, imputations and the graph:"
    return join(tag("p", lead), tag("ul", *items), rest)
