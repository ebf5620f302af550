"""How far to trust the imputations: how they vary, and cells whose values are known."""

import numpy as np

from sm_estimators.reporting import words
from sm_estimators.reporting.facts.hidden import N_DRAWS, RANKS, SHARE, HiddenFacts
from sm_estimators.reporting.facts.imputations import Filled, Imputations
from sm_estimators.reporting.facts.reason import Reason
from sm_estimators.reporting.markup import Html, join, note, paragraph, part, section, table, tag
from sm_estimators.reporting.pictures.checks import (
    MOST_LINES,
    draw_courses,
    draw_coverage,
    draw_ranks,
)
from sm_estimators.reporting.pictures.inline import picture

VARY = "Convergence: how much do imputations vary?"
TIES = (
    "Ties between draws and hidden values, as with whole numbers, are broken by chance, so that "
    "the nominal shares are exact. Standard errors are those of the nominal shares for as many "
    "independent cells."
)
HONEST = "Calibration: would known cells have been found?"


def vary_section(facts: Imputations | Reason) -> Html:
    """Tell how imputations differ from each other."""
    if isinstance(facts, Reason):
        return section("vary", VARY, paragraph(f"There are no imputations: {facts}"))
    numbers = [one for one in facts.columns if one.is_number]
    lead = (
        f"Each of the {facts.n_imputations} completed tables is one dot. Dots should scatter "
        "around one place; a dot far from the others would speak of a chain that has not forgotten "
        "its start, a wide scatter of holes about which little is known."
    )
    return section(
        "vary",
        VARY,
        paragraph(lead) if numbers else "",
        courses(numbers),
        part("Missing information", information(facts)),
    )


def courses(numbers: list[Filled]) -> Html:
    """Draw means and deviations of the imputed values of each imputation."""
    if not numbers:
        return Html("")
    many = f" The {MOST_LINES} columns with most holes." if len(numbers) > MOST_LINES else ""
    panels = [
        picture(
            lambda moment=moment: draw_courses(numbers, moment),
            title=title,
            about=f"{about}{many}",
            alt=f"{title} {about} The table below has the ranges of the means.",
        )
        for moment, title, about in (
            ("mean", "Means of the imputed values,", "less the mean of the seen ones."),
            ("spread", "Their deviations,", "divided by the deviation of the seen values."),
        )
    ]
    return tag("div", *panels, class_="pair") if any(panels) else Html("")


def information(facts: Imputations) -> Html:
    """List by column how much of the information about its mean is missing."""
    rows = [information_row(one) for one in facts.columns]
    spreads = ["lowest", "highest", "sd between", "sd within"]
    heads = ["column", "of", "holes", *spreads, "missing information"]
    about = (
        "Lowest, highest and the deviation between are those of the mean, or of the share, of the "
        "imputed values of one completed table; the deviation within is that of the values. By "
        "Rubin's "
        "rules, the missing information is the fraction of what is to be known about the mean, or "
        "about the share of the most frequent level, of the whole column that the holes took away. "
        "Less than the share of holes means that other columns tell about this one. Estimated from "
        f"{facts.n_imputations} imputations of one fit, it is rough."
    )
    caption = "Imputed values, imputation by imputation"
    return join(paragraph(about), table(caption, heads, rows, words=(1,)))


def information_row(one: Filled) -> tuple[str, ...]:
    """Write the line of one column."""
    column, n_holes = one.column, one.imputed.shape[1]
    start = (str(column.name),)
    missing = words.percent(one.missing_information)
    if one.is_number:
        means = one.imputed.mean(axis=1)
        ends = [words.value(column, float(x)) for x in (means.min(), means.max())]
        within = float(np.sqrt(one.imputed.var(axis=1).mean()))
        spreads = [words.spread(column, x) for x in (float(means.std(ddof=1)), within)]
        return (*start, "mean", f"{n_holes:,}", *ends, *spreads, missing)
    shares = (one.imputed == one.commonest).mean(axis=1)
    ends = [words.percent(float(x)) for x in (shares.min(), shares.max())]
    between = words.percent(float(shares.std(ddof=1)))
    what = f"share of {words.level(column, one.commonest)}"
    return (*start, what, f"{n_holes:,}", *ends, between, "–", missing)


def hidden_section(facts: HiddenFacts | Reason) -> Html:
    """Tell how the imputer did on cells that were hidden from it."""
    if isinstance(facts, Reason):
        return section("hidden", HONEST, paragraph(f"The check cannot be made: {facts}"))
    lead = (
        f"{SHARE:.0%} of the seen cells ({facts.n_hidden:,}, of {words.count(facts.n_rows, 'row')})"
        f" were hidden at random, the imputer was fitted to the rest, and each hidden cell was "
        f"drawn {N_DRAWS} times. Cells hidden at random are easier than real holes where those "
        "depend on something: this checks the draws, not the reason for the holes."
    ).replace("%", " %")
    return section(
        "hidden",
        HONEST,
        paragraph(lead),
        numbers_part(facts),
        levels_part(facts) if facts.levels else "",
    )


def numbers_part(facts: HiddenFacts) -> Html:
    """Tell coverage and ranks of columns of numbers."""
    if not facts.numbers:
        return paragraph("No column of numbers has a hidden cell.")
    about = (
        "An interval that claims to hold 80 % of the hidden values should hold 80 %, give or take "
        "two standard errors. Less means draws that are too sure of themselves, more means draws "
        "that are too wide."
    )
    return part(
        "Intervals of numbers",
        paragraph(about),
        tag("div", coverage_picture(facts), rank_picture(facts), class_="pair"),
        coverage_table(facts),
        note(TIES),
    )


def coverage_picture(facts: HiddenFacts) -> Html:
    """Draw the coverage by column."""
    names = words.listed([str(one.column.name) for one in facts.numbers])
    return picture(
        lambda: draw_coverage(facts.numbers),
        title="Coverage.",
        about="Dashed: what is claimed. Bands: two standard errors to each side.",
        alt=f"Coverage of intervals for {names}; the table below has the numbers.",
    )


def rank_picture(facts: HiddenFacts) -> Html:
    """Draw the ranks of all columns of numbers."""
    ranks = facts.pooled_ranks()
    return picture(
        lambda: draw_ranks(ranks),
        title="Ranks of the hidden values among their draws,",
        about=f"all columns of numbers ({words.count(len(ranks), 'cell')}). Flat within the band "
        "is right; a valley: draws too narrow; a hill: too wide; a slope: too high or too low.",
        alt=f"Histogram of {len(ranks)} ranks, {words.percent(float((ranks < 10).mean()))} of "
        "them in the lower half.",
    )


def coverage_table(facts: HiddenFacts) -> Html:
    """List coverage with its standard error."""
    rows = [
        (
            str(one.column.name),
            f"{len(one.ranks):,}",
            *(
                f"{100 * one.coverage(level):.0f} ± {100 * one.standard_error(level):.0f}"
                for level in RANKS
            ),
        )
        for one in facts.numbers
    ]
    heads = ["column", "hidden", *(f"{100 * level:.0f} % interval" for level in RANKS)]
    return table("Coverage in per cent ± one standard error", heads, rows)


def levels_part(facts: HiddenFacts) -> Html:
    """Tell how often categories were right."""
    rows = [
        (
            str(one.column.name),
            f"{one.n:,}",
            f"{100 * one.right:.0f} ± {100 * one.standard_error:.0f} %",
            words.percent(one.most_frequent),
            words.percent(one.with_truth),
            words.percent(one.with_another),
        )
        for one in facts.levels
    ]
    heads = [
        "column",
        "hidden",
        "right",
        "right by the most frequent level",
        "a draw is right",
        "two draws agree",
    ]
    about = (
        "Right, given with its standard error, is a cell whose commonest draw is the hidden level; "
        "always guessing the column's most frequent level is what to beat. Draws are honest where "
        "a draw is right about as often as two draws agree; they are too sure where they agree "
        "more often."
    )
    return part("Categories", paragraph(about), table("Hidden categories", heads, rows))
