"""How the page was made."""

from typing import NamedTuple

from sm_estimators import __version__
from sm_estimators.reporting import words
from sm_estimators.reporting.facts.hidden import MOST_ROWS, N_DRAWS, SHARE
from sm_estimators.reporting.markup import Html, join, tag

MOST_WARNINGS = 12


class Making(NamedTuple):
    """Settings of a page, and what was said on the way."""

    imputer: str
    n_imputations: int
    random_state: int
    warnings: list[str]


def foot_section(making: Making) -> Html:
    """Tell the settings and the warnings."""
    sentences = [
        f"Made by sm_estimators {__version__} with seed {making.random_state}: the same table, "
        "seed and versions give the same page.",
        f"Imputer: {making.imputer}, {words.count(making.n_imputations, 'imputation')}. Hidden "
        f"cells: {100 * SHARE:g} % of those of at most {MOST_ROWS:,} rows, {N_DRAWS} draws each.",
    ]
    paragraphs = [tag("p", sentence) for sentence in sentences]
    return tag("footer", tag("h2", "How this page was made"), *paragraphs, said(making.warnings))


def said(warnings: list[str]) -> Html:
    """List the warnings that came while the page was made."""
    if not warnings:
        return Html("")
    items = [tag("li", one) for one in warnings[:MOST_WARNINGS]]
    return join(tag("p", "Warnings on the way:"), tag("ul", *items))
