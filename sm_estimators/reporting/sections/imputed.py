"""Imputed values against seen ones."""

import numpy as np

from sm_estimators.plotting._figure import ADDED, OBSERVED
from sm_estimators.reporting import words
from sm_estimators.reporting.facts.imputations import Filled, Imputations
from sm_estimators.reporting.facts.reason import Reason
from sm_estimators.reporting.markup import Html, join, note, paragraph, part, section, table, tag
from sm_estimators.reporting.pictures.imputed import draw_filled
from sm_estimators.reporting.pictures.inline import picture

MOST_PICTURES = 60
TITLE = "Imputed against seen"


def imputed_section(facts: Imputations | Reason) -> Html:
    """Tell and draw what was put into the holes."""
    if isinstance(facts, Reason):
        return section("imputed", TITLE, paragraph(f"There are no imputations: {facts}"))
    numbers = [one for one in facts.columns if one.is_number]
    levels = [one for one in facts.columns if not one.is_number]
    lead = (
        f"The holes were filled {facts.n_imputations} times, each time with other draws. Imputed "
        "values need not look like seen ones, since holes may sit in rows that differ; but each "
        "difference should have a reason."
    )
    return section(
        "imputed",
        TITLE,
        paragraph(lead),
        pictures(facts),
        part("Numbers", number_table(numbers)) if numbers else "",
        part("Categories", level_table(levels)) if levels else "",
        experts(facts),
    )


def complete_section(title: str, anchor: str) -> Html:
    """Say why a table without holes has no such section."""
    return section(anchor, title, paragraph("There is no hole, so nothing is imputed."))


def pictures(facts: Imputations) -> Html:
    """Draw the columns, most holes first."""
    shown = facts.columns[:MOST_PICTURES]
    panels = [
        picture(
            lambda one=one: draw_filled(one),
            title=str(one.column.name),
            about=words.count(one.imputed.shape[1], "hole"),
            alt=f"Seen and imputed values of {one.column.name}; the tables below have the numbers.",
        )
        for one in shown
    ]
    if not any(panels):
        return Html("")
    more = len(facts.columns) - len(shown)
    rest = note(f"{more} more columns, with fewer holes, are in the tables.") if more else Html("")
    return join(legend(), tag("div", *panels, class_="grid"), rest)


def legend() -> Html:
    """Explain both colours."""
    seen = tag("span", class_="key", style=f"background:{OBSERVED}")
    imputed = tag("span", class_="key", style=f"border:2px solid {ADDED}")
    return tag("p", seen, "seen ", Html("&emsp;"), imputed, "imputed", class_="note")


def number_table(columns: list[Filled]) -> Html:
    """List means and deviations."""
    heads = ["column", "holes", "seen: mean", "sd", "imputed: mean", "sd", "difference, in sd"]
    return table("Means and standard deviations", heads, [number_row(one) for one in columns])


def number_row(one: Filled) -> tuple[str, ...]:
    """Write the line of a column of numbers."""
    mean, sd = float(one.seen.mean()), float(one.seen.std())
    imputed = float(one.imputed.mean())
    difference = (imputed - mean) / sd if sd > 0 else np.nan
    return (
        str(one.column.name),
        f"{one.imputed.shape[1]:,}",
        words.value(one.column, mean),
        words.spread(one.column, sd),
        words.value(one.column, imputed),
        words.spread(one.column, float(one.imputed.std())),
        words.signed(difference),
    )


def level_table(columns: list[Filled]) -> Html:
    """List the most frequent levels."""
    heads = [
        "column",
        "holes",
        "most frequent, seen",
        "seen",
        "imputed",
        "most frequent, imputed",
        "imputed",
    ]
    return table("Shares of the most frequent levels", heads, map(level_row, columns), words=(2, 5))


def level_row(one: Filled) -> tuple[str, ...]:
    """Write the line of a column of levels."""
    seen, imputed = one.shares(one.seen), one.shares(one.imputed)
    first, other = one.commonest, int(imputed.argmax())
    return (
        str(one.column.name),
        f"{one.imputed.shape[1]:,}",
        words.level(one.column, first),
        words.percent(seen[first]),
        words.percent(imputed[first]),
        words.level(one.column, other),
        words.percent(imputed[other]),
    )


def experts(facts: Imputations) -> Html:
    """List the shares of the imputer's experts, where it has them."""
    if facts.shares is None:
        return Html("")
    here = [str(one.column.name) for one in facts.columns]
    shares = facts.shares.loc[[name for name in here if name in facts.shares.index]]
    kinds = [str(kind) for kind in shares.columns]
    rows = [(str(name), *map(words.percent, line)) for name, line in shares.iterrows()]
    about = (
        "Each column with holes is drawn from a mixture of experts; rows that an expert did not "
        "see decided their shares. Much weight on trees speaks of curves, thresholds and "
        "interactions; much on the Gaussian of straight lines, or of few rows."
    )
    caption = "Shares of the experts"
    return part(
        "What the draws come from", paragraph(about), table(caption, ["column", *kinds], rows)
    )
