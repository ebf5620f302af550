"""The report of the records, `results/imputation.md`."""

import numpy as np
import pandas as pd

from benchmarks.imputation import summaries
from benchmarks.imputation.holes import MECHANISMS
from benchmarks.imputation.methods import GAUSSIAN, METHODS, OURS
from benchmarks.imputation.runs import MAIN, TASK_DRAWS
from benchmarks.imputation.summaries import ERRORS
from benchmarks.machine import describe, markdown_table, save

TITLES = {
    "rmse": "RMSE of the point estimate (draws without one: their mean, corrected)",
    "crps": "CRPS of the draws, fair to their number",
    "energy": "Squared energy distance of the completed table, × 1000",
}
FACTORS = {"energy": 1000.0}
DASH = "—"


def write(found: list[dict]) -> None:
    """Write the report."""
    frame = summaries.frame_of(found)
    main = [(m, r) for m, r in sorted(MAIN, reverse=True) if len(summaries.part(frame, m, r))]
    others = [
        (m, r)
        for m in MECHANISMS
        for r in sorted(set(frame["rate"]))
        if (m, r) not in MAIN and len(summaries.part(frame, m, r))
    ]
    pieces = [opening(frame)]
    pieces += [section(summaries.part(frame, *which), *which) for which in main]
    if others:
        pieces.append(compact(frame, others))
    save("imputation.md", "\n\n".join([*pieces, failures(frame)]))


def opening(frame: pd.DataFrame) -> str:
    """Return what was measured and on what."""
    versions = sorted(set("; ".join(frame["versions"].dropna().unique()).split("; ")) - {""})
    return f"""# Imputation of numeric tables

{describe("numpy", "scikit-learn")} Versions in the runs: {"; ".join(versions)}. One core, one
thread.

Four fifths of the rows of a table are fitted, with holes; the others are new rows, with holes of
the same kind. Everything is in standard deviations of the complete fitted rows and over hidden
cells. CRPS, coverage and energy are of draws; a method without draws has its point estimates for
energy and variances. There are {draws(frame)}. What a finite number of draws adds to an error is
taken off. "Best peer" is the best on that table by its mean over seeds, chosen
afterwards: nobody could choose it. Ratios below one are in favour of `{OURS}`."""


def draws(frame: pd.DataFrame) -> str:
    """Return how many draws there are, by method."""
    of = frame[frame["crps"].notna()].groupby("method", observed=True)["k"].agg(["min", "max"])
    return "; ".join(f"{low:.0f} to {high:.0f} draws of {m}" for m, low, high in of.itertuples())


def section(frame: pd.DataFrame, mechanism: str, rate: float) -> str:
    """Return the tables of one mechanism and rate."""
    seeds = frame.groupby(["table", "method"], observed=True)["seed"].nunique()
    pieces = [
        f"## {mechanism.upper()}, {100 * rate:.0f} % hidden",
        f"Medians over seeds, of which there are {_range(seeds)}.",
    ]
    for measure in ERRORS:
        medians = summaries.per_table(frame, measure) * FACTORS.get(measure, 1.0)
        pieces += [f"### {TITLES[measure]}", _wide(medians, ".3f")]
    pieces += [against_best(frame), ranks(frame), new_rows(frame), spread(frame), seconds(frame)]
    return "\n\n".join(pieces)


def against_best(frame: pd.DataFrame) -> str:
    """Return ours over the best peer, and where ours loses, in words."""
    found = {measure: summaries.best_peer(frame, measure) for measure in ERRORS}
    tables = sorted(set().union(*(f.index for f in found.values())), key=list(frame["table"]).index)
    if not tables:
        return f"### Against the best peer\n\nThere are no runs of `{OURS}` yet."
    rows = [
        [str(t), *(_ratio(found[m].loc[t]) if t in found[m].index else DASH for m in ERRORS)]
        for t in tables
    ]
    means = [f"{summaries.geometric_mean(found[m]['ratio']):.3f}" for m in ERRORS]
    rows.append(["geometric mean", *means])
    lost = [f"by {m} {_lost(f['ratio'])}" for m, f in found.items()]
    table = markdown_table(["table", *(f"{m}: ratio, best peer" for m in ERRORS)], rows)
    return f"### Against the best peer\n\n{table}\n\n`{OURS}` loses " + "; ".join(lost) + "."


def _lost(ratios: pd.Series) -> str:
    """Return the tables where a ratio is above one."""
    worse = ratios[ratios > 1]
    return (
        "on " + ", ".join(f"{t} ({x:.2f})" for t, x in worse.items()) if len(worse) else "nowhere"
    )


def _ratio(line: pd.Series) -> str:
    return f"{line['ratio']:.3f}, {line['peer']}"


def ranks(frame: pd.DataFrame) -> str:
    """Return mean ranks, of fitted and of new rows."""
    names = [f"{m}{new}" for m in ERRORS for new in ("", "_new")]
    by = pd.DataFrame({name: summaries.mean_ranks(frame, name) for name in names})
    return "### Mean ranks, 1 is best\n\n" + _tall(by, dict.fromkeys(names, ".2f"))


def new_rows(frame: pd.DataFrame) -> str:
    """Return the measures of new rows over those of the fitted rows."""
    names = ("rmse", "crps")
    by = {m: _by_method(frame[f"{m}_new"] / frame[m], frame["method"], "median") for m in names}
    by = {f"{m}, new / fitted": values for m, values in by.items()}
    text = "### New rows against fitted rows\n\nMedians over tables and seeds.\n\n"
    return text + _tall(pd.DataFrame(by), dict.fromkeys(by, ".3f"))


def spread(frame: pd.DataFrame) -> str:
    """Return variance ratios and coverage."""
    excess = frame["coverage"] - frame["nominal"]
    by_table = excess.groupby([frame["method"], frame["table"]], observed=True).mean()
    columns = {
        "variance ratio": _by_method(frame["variance_ratio"], frame["method"], "median"),
        "coverage": _by_method(frame["coverage"], frame["method"], "mean"),
        "nominal": _by_method(frame["nominal"], frame["method"], "mean"),
        "lowest table": by_table.groupby("method", observed=True).min(),
        "highest table": by_table.groupby("method", observed=True).max(),
        "coverage, new rows": _by_method(frame["coverage_new"], frame["method"], "mean"),
    }
    text = (
        "### Spread of the draws\n\nIdeally the ratio is 1 (median over tables and seeds) and "
        "coverage is nominal (means); lowest and highest are coverage less nominal.\n\n"
    )
    return text + _tall(pd.DataFrame(columns), dict.fromkeys(columns, ".3f"))


def seconds(frame: pd.DataFrame) -> str:
    """Return the processor seconds of the task."""
    text = (
        f"### Processor seconds of a fit, its point estimates and {TASK_DRAWS} draws\n\n"
        "Medians over seeds.\n\n"
    )
    return text + _wide(summaries.per_table(frame, "cpu"), ".1f")


def compact(frame: pd.DataFrame, others: list[tuple[str, float]]) -> str:
    """Return ratios to the Gaussian and ranks for the other mechanisms and rates."""
    pieces = [
        "## Other rates and mechanisms",
        f"Median and quartiles over tables of the ratio to `{GAUSSIAN}`; mean rank after it.",
    ]
    for mechanism, rate in others:
        chosen = summaries.part(frame, mechanism, rate)
        cells = {m: _cells(chosen, m) for m in ERRORS}
        present = [m for m in METHODS if any(m in texts for texts in cells.values())]
        rows = [[m, *(texts.get(m, DASH) for texts in cells.values())] for m in present]
        pieces += [
            f"### {mechanism.upper()}, {100 * rate:.0f} %, {chosen['table'].nunique()} tables",
            markdown_table(["method", *ERRORS], rows),
            _against_best_in_words(chosen),
        ]
    return "\n\n".join(pieces)


def _against_best_in_words(frame: pd.DataFrame) -> str:
    """Return the geometric mean of ours over the best peer, and how often it is the better one."""
    ratios = {m: summaries.best_peer(frame, m)["ratio"].astype(float) for m in ERRORS}
    found = {m: r for m, r in ratios.items() if len(r)}
    if not found:
        return f"There are no runs of `{OURS}` yet."
    texts = [
        f"{m} {summaries.geometric_mean(r):.3f} (ahead on {(r < 1).sum()} of {len(r)})"
        for m, r in found.items()
    ]
    return f"`{OURS}` over the best peer of each table, geometric mean: {', '.join(texts)}."


def _cells(frame: pd.DataFrame, measure: str) -> dict[str, str]:
    """Return the text of a method: median, quartiles, rank."""
    ratios = summaries.ratios_to(frame, measure, GAUSSIAN)
    rank = summaries.mean_ranks(frame, measure)
    return {
        str(m): f"{q[0.5]:.3f} [{q[0.25]:.3f}, {q[0.75]:.3f}], {_number(rank.get(m), '.2f')}"
        for m, q in ratios.iterrows()
    }


def failures(frame: pd.DataFrame) -> str:
    """Return the runs without measures, counted by method and reason."""
    failed = frame[frame["error"].notna()]
    counts = failed.groupby(["method", "error"], observed=True).size()
    lines = [f"- {method}, {count}×: {error}" for (method, error), count in counts.items()]
    return "## Runs without an answer\n\n" + ("\n".join(lines) or "None.")


def _by_method(x: pd.Series, method: pd.Series, how: str) -> pd.Series:
    return x.groupby(method, observed=True).agg(how).dropna()


def _wide(by: pd.DataFrame, form: str) -> str:
    """Return tables as lines and methods as columns."""
    rows = [[str(t), *(_number(x, form) for x in by.loc[t])] for t in by.index]
    return markdown_table(["table", *map(str, by.columns)], rows)


def _tall(by: pd.DataFrame, forms: dict[str, str]) -> str:
    """Return methods as lines."""
    by = by.reindex([m for m in METHODS if m in by.index])
    rows = [[str(m), *(_number(by[c][m], f) for c, f in forms.items())] for m in by.index]
    return markdown_table(["method", *forms], rows)


def _number(x: float | None, form: str) -> str:
    """Return a number as text, or a dash where there is none."""
    return DASH if x is None or not np.isfinite(x) else format(x, form)


def _range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
