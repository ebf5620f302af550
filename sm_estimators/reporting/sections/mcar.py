"""Whether the holes look random: two tests, and what they do not say."""

from typing import Any

from sm_estimators.missingness import LittleTest
from sm_estimators.reporting import words
from sm_estimators.reporting.facts.mcar import LEVEL, LogisticByColumn, McarFacts
from sm_estimators.reporting.facts.reason import Reason
from sm_estimators.reporting.markup import Html, join, note, paragraph, part, section, table, tag

TITLE = "Are the holes random?"
AGAINST = (
    "The tests speak against holes that are completely random: rows with a hole differ, in what "
    "was seen of them, from rows without. Dropping rows with holes, or filling in column means, "
    "would then give biased answers in general."
)
NOT_AGAINST = (
    "No evidence against holes that are completely random was found. That is no proof: the tests "
    "see differences of means only, and see little in small tables and where holes are few."
)
NEVER = (
    "No test can tell holes that depend on what was seen (missing at random, which imputation can "
    "repair) from holes that depend on the hidden values themselves (missing not at random, which "
    "it cannot). That has to come from knowledge of how the data were collected."
)


def mcar_section(facts: McarFacts) -> Html:
    """Tell what the tests say."""
    return section(
        "mcar",
        TITLE,
        verdict(facts),
        part("Little's test, all columns together", little(facts)),
        part("Logistic test, column by column", logistic(facts.logistic)),
        took_no_part(facts),
    )


def complete_section() -> Html:
    """Say why a table without holes is not tested."""
    return section("mcar", TITLE, paragraph("There is no hole, so there is nothing to test."))


def verdict(facts: McarFacts) -> Html:
    """Sum both tests up."""
    found = [test.pvalue for test in (facts.little, facts.logistic) if not isinstance(test, Reason)]
    if not found:
        first = "Neither test can be run on this table, so nothing is said about this."
    else:
        first = AGAINST if min(found) < LEVEL else NOT_AGAINST
    return tag("div", paragraph(first), paragraph(NEVER), class_="says")


def little(facts: McarFacts) -> Html:
    """Tell Little's test."""
    test = facts.little
    if isinstance(test, Reason):
        return paragraph(f"Little's test cannot be run. {test}")
    return join(paragraph(little_sentence(test, facts.n_rows)), note(little_columns(facts)))


def little_sentence(test: LittleTest, n_rows: int) -> str:
    """Write the numbers of the test and what they mean."""
    meaning = (
        "were the holes completely random, the means of the patterns would hardly differ so much"
        if test.pvalue < LEVEL
        else "the means of the patterns differ no more than chance allows"
    )
    p = words.probability(test.pvalue)
    return (
        f"Chi-squared {test.statistic:,.1f} on {test.dof:,} degrees of freedom, "
        f"p {p if p.startswith('<') else f'= {p}'} ({words.count(test.n_patterns, 'pattern')}, "
        f"{words.count(n_rows, 'row')}): {meaning}."
    )


def little_columns(facts: McarFacts) -> str:
    """Say how categories took part."""
    rare = "Patterns of a few rows each make its p-value rough."
    if facts.little_categories:
        return f"Categories took part as flags of their frequent levels. {rare}"
    return f"Categories took no part in this test. {rare}" if facts.any_categories else rare


def logistic(test: LogisticByColumn | Reason) -> Html:
    """Tell the logistic test."""
    if isinstance(test, Reason):
        return paragraph(f"The logistic test cannot be run. {test}")
    lines: Any = test.columns.sort_values("pvalue")
    found = [str(name) for name, p in lines["adjusted_pvalue"].items() if p < LEVEL]
    first = (
        f"Whether a cell is missing depends on values seen in other columns for "
        f"{words.listed(found)}."
        if found
        else "For no column does it show that holes depend on values seen in other columns."
    )
    rows = [
        (
            str(name),
            f"{int(line.n_missing):,}",
            f"{line.statistic:,.1f}",
            f"{int(line.dof)}",
            words.probability(line.pvalue),
            words.probability(line.adjusted_pvalue),
        )
        for name, line in zip(lines.index, lines.itertuples(), strict=True)
    ]
    heads = ["holes of", "holes", "chi-squared", "df", "p", "p, adjusted"]
    caption = "Holes and the values of other columns; adjusted by Holm's method"
    return join(paragraph(first), table(caption, heads, rows))


def took_no_part(facts: McarFacts) -> Html:
    """Name the columns that took no part, and the rows that were looked at."""
    reasons = [f"{name} ({why})" for name, why in facts.absent.items()]
    named = f"Took no part: {words.listed(reasons)}. " if reasons else ""
    return note(f"{named}Rows looked at: {facts.n_rows:,}.")
