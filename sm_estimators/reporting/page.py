"""The whole page: facts gathered one after another, each with random numbers of its own."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sm_estimators.missingness import MissingnessReport, describe_missing
from sm_estimators.reporting.facts.graph import graph
from sm_estimators.reporting.facts.hidden import hidden_facts
from sm_estimators.reporting.facts.imputations import imputations
from sm_estimators.reporting.facts.mcar import mcar_facts
from sm_estimators.reporting.facts.reason import attempt
from sm_estimators.reporting.markup import Html, join, paragraph, tag
from sm_estimators.reporting.pictures import inline
from sm_estimators.reporting.sections import checks, imputed, mcar
from sm_estimators.reporting.sections.foot import Making, foot_section
from sm_estimators.reporting.sections.graph import TITLE as GRAPH_TITLE
from sm_estimators.reporting.sections.graph import graph_section
from sm_estimators.reporting.sections.head import head_section
from sm_estimators.reporting.sections.holes import holes_section
from sm_estimators.reporting.style import STYLE
from sm_estimators.reporting.subject import Subject, read_subject

MOST_LEARNED, LEAST_LEARNED, MOST_CELLS = 2000, 500, 25_000
"""Rows, and cells, the default imputer learns from: more would take minutes."""
CONTENTS = {
    "holes": "What is missing, and where",
    "mcar": mcar.TITLE,
    "imputed": imputed.TITLE,
    "vary": checks.VARY,
    "hidden": checks.HONEST,
    "graph": GRAPH_TITLE,
}
Progress = Callable[[str], None]


def make_report(
    frame: Any,
    imputer: Any = None,
    *,
    name: str = "table",
    n_imputations: int = 10,
    random_state: int = 0,
    progress: Progress | None = None,
) -> str:
    """Return a page about a table with holes, as HTML that needs nothing else.

    It tells what is missing and where, whether the holes look random, what an imputer puts into
    them and how far to trust that, and which columns depend on each other.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
        Columns of any kind. Those that cannot be modelled, such as identifiers, are counted and
        then left out, with a sentence.
    imputer : object, default=None
        Has ``fit(frame)`` and ``impute(frame, n_imputations, random_state=...)``, which returns
        completed tables. It is cloned, not changed. By default ``ScoreMatchingImputer``, learning
        from at most 2000 rows, fewer where there are more than 12 columns.
    name : str, default="table"
        What the page calls the table.
    n_imputations : int, default=10
        Completed tables to draw.
    random_state : int, default=0
        Seed of everything that is drawn: equal tables have equal pages.
    progress : callable, optional
        Takes a few words before each slow step.

    Returns
    -------
    page : str

    Raises
    ------
    TypeError
        If ``frame`` is no DataFrame.
    ValueError
        If it has no row or no column, or names repeat, or ``n_imputations`` is below 2.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_estimators.reporting import make_report
    >>> page = make_report(pd.DataFrame({"a": [1.0, 2.0, 3.0]}), name="tiny.csv")
    >>> page[:15], "The table has no hole" in page
    ('<!DOCTYPE html>', True)
    """
    if n_imputations < 2:
        raise ValueError(
            f"`n_imputations` is {n_imputations}; at least 2 are needed to see how they vary."
        )
    subject = read_subject(frame, name)
    imputer = default_imputer(subject, random_state) if imputer is None else imputer
    with noted() as said:
        sections = body(
            subject,
            imputer,
            n_imputations=n_imputations,
            random_state=random_state,
            progress=progress or (lambda step: None),
        )
    making = Making(repr(imputer), n_imputations, random_state, said)
    return document(subject, describe_missing(subject.frame), sections, foot_section(making))


def default_imputer(subject: Subject, random_state: int) -> Any:
    """Return the imputer of the package, learning from a part of large tables."""
    from sm_estimators import ScoreMatchingImputer

    n_rows = MOST_CELLS // max(len(subject.columns), 1)
    n_rows = min(max(n_rows, LEAST_LEARNED), MOST_LEARNED)
    return ScoreMatchingImputer(max_samples=n_rows, random_state=random_state)


def body(
    subject: Subject, imputer: Any, *, n_imputations: int, random_state: int, progress: Progress
) -> Html:
    """Gather the facts of all sections and tell them."""
    report = describe_missing(subject.frame)
    if not subject.columns:
        none = paragraph("No column can be modelled, so the page ends here.")
        return join(holes_section(subject, report), none)
    spawned = np.random.default_rng(random_state).spawn(len(CONTENTS))
    randoms = dict(zip(CONTENTS, spawned, strict=True))
    progress("counting holes and testing whether they are random")
    parts = [holes_section(subject, report)]
    if subject.with_holes:
        tests = mcar_facts(subject, randoms["mcar"])
        progress(f"imputing {n_imputations} times")
        draws = attempt(
            lambda: imputations(
                subject, imputer, n_imputations=n_imputations, random_state=random_state
            )
        )
        parts += [mcar.mcar_section(tests), imputed.imputed_section(draws)]
        parts += [checks.vary_section(draws)]
    else:
        parts += [mcar.complete_section(), *no_imputations()]
    progress("imputing hidden cells")
    known = attempt(
        lambda: hidden_facts(subject, imputer, random=randoms["hidden"], random_state=random_state)
    )
    progress("fitting the graph")
    joined = attempt(lambda: graph(subject, randoms["graph"]))
    return join(*parts, checks.hidden_section(known), graph_section(joined))


def no_imputations() -> list[Html]:
    """Say, in place of two sections, that there was nothing to impute."""
    return [
        imputed.complete_section(title, anchor)
        for anchor, title in (("imputed", imputed.TITLE), ("vary", checks.VARY))
    ]


def document(subject: Subject, report: MissingnessReport, sections: Html, foot: Html) -> str:
    """Put the page together."""
    title = f"Holes of {subject.name}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(STYLE)),
        tag("link", rel="icon", href="data:,"),
    )
    links = [tag("li", tag("a", words_, href=f"#{anchor}")) for anchor, words_ in CONTENTS.items()]
    shown = tag("nav", tag("ul", *links), aria_label="Sections") if subject.columns else Html("")
    top = tag("header", tag("h1", title), head_section(subject, report), inline.warning(), shown)
    page = tag("html", head, tag("body", top, tag("main", sections), foot), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


@contextmanager
def noted() -> Iterator[list[str]]:
    """Collect warnings meant for users, each once, for the foot of the page."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    for one in caught:
        if not issubclass(one.category, UserWarning | RuntimeWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        elif (sentence := " ".join(str(one.message).split())) not in said:
            said.append(sentence)
