"""Coverage of pooled 95 % intervals after imputation, with a truth that is known.

    python -m benchmarks.imputation.coverage --designs gaussian,curved --sizes 200 --seeds 0-99

A design is a population: a table with many rows, whose means, regression and correlations are the
truth. Rows are drawn from it, holes are made, the holes are imputed twenty times, every completed
table is analysed, and the analyses are pooled by Rubin's rules. The analysis of the drawn rows
without holes shows what is due to the analysis itself. Every replicate is a line of the records,
and is not run again; seeds come first in the order, so that all methods grow together.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.imputation import forests, records, shelf
from benchmarks.imputation.__main__ import names, numbers
from benchmarks.imputation.analysis import KINDS, analyse, intervals, kinds, truth_of
from benchmarks.imputation.populations import DESIGNS, population
from benchmarks.machine import RESULTS, describe, markdown_table, save
from sm_estimators import ScoreMatchingImputer
from sm_estimators.missingness import ampute
from sm_estimators.pooling.completion import draw_tables

M = 20
"""Completed tables."""
Draw = Callable[[np.ndarray, int], np.ndarray]


def imputed(X: np.ndarray, seed: int, *, engine: str, bootstrap: bool) -> np.ndarray:
    """Return tables completed by our imputer, fitted once or to resampled rows for each table."""
    imputer = ScoreMatchingImputer(engine=engine, random_state=seed)
    drawn = draw_tables(imputer, X, n_imputations=M, bootstrap=bootstrap, random_state=seed)
    return np.stack(drawn[1])


METHODS: dict[str, Draw] = {
    "complete": lambda X, seed: X[None],
    "auto": partial(imputed, engine="auto", bootstrap=False),
    "auto_refitted": partial(imputed, engine="auto", bootstrap=True),
    "gaussian": partial(imputed, engine="gaussian", bootstrap=False),
    "gaussian_refitted": partial(imputed, engine="gaussian", bootstrap=True),
    "ice_posterior": lambda X, seed: shelf.ice_posterior(X, seed).draws(X, M),
    "miceforest": lambda X, seed: forests.miceforest(X, seed).draws(X, M),
}
EXPENSIVE = ("auto_refitted", "miceforest")


@dataclass(frozen=True)
class Key:
    """One replicate of one method."""

    method: str
    design: str
    mechanism: str
    n: int
    seed: int


def run(key: Key) -> dict:
    """Return the record of a replicate: estimates, half widths of the intervals, seconds."""
    rng = np.random.default_rng([key.seed, key.n, list(DESIGNS).index(key.design)])
    everyone = population(key.design)
    holed = everyone[rng.choice(len(everyone), key.n, replace=False)]
    if key.method != "complete":
        holed = np.asarray(ampute(holed, key.mechanism, 0.3, random_state=key.seed).X)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = METHODS[key.method](holed, key.seed)
    seconds = time.perf_counter() - start
    estimates, half_widths = intervals([analyse(table) for table in drawn])
    numbers = {"estimates": estimates, "half_widths": half_widths}
    return (
        asdict(key)
        | {k: [float(f"{x:.6g}") for x in v] for k, v in numbers.items()}
        | {"seconds": round(seconds, 3)}
    )


def read(path: Path) -> dict[Key, dict]:
    """Return the records of a file by their keys."""
    fields = Key.__dataclass_fields__
    return {Key(**{f: record[f] for f in fields}): record for record in records.read(path)}


def complete(path: Path, keys: Iterable[Key]) -> None:
    """Run what has no record yet, a line for each."""
    known = read(path)
    for key in keys:
        if key not in known:
            records.append(path, run(key))


class Summary(NamedTuple):
    """What the replicates of a method say, by quantity."""

    coverage: np.ndarray
    error: float
    """Monte-Carlo standard error of the mean coverage."""
    bias: np.ndarray
    """Mean difference from the estimates of the same rows without holes, in their deviations."""
    width: np.ndarray
    """Mean width of the intervals over that from complete rows."""
    seconds: float
    n: int


def summarise(found: list[dict], without_holes: list[dict], truth: np.ndarray) -> Summary:
    """Compare the replicates of a method with those without holes."""
    estimates, half = columns(found)
    whole, whole_half = columns(without_holes)
    of_seed = {r["seed"]: r["estimates"] for r in without_holes}
    same = np.array([of_seed[r["seed"]] for r in found])
    covered = np.abs(estimates - truth) <= half
    return Summary(
        coverage=covered.mean(axis=0),
        error=_error(covered.mean(axis=1)),
        bias=(estimates - same).mean(axis=0) / whole.std(axis=0, ddof=1),
        width=half.mean(axis=0) / whole_half.mean(axis=0),
        seconds=float(np.mean([r["seconds"] for r in found])),
        n=len(found),
    )


def columns(found: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates and half widths of all replicates."""
    return tuple(np.array([r[name] for r in found]) for name in ("estimates", "half_widths"))


HEADER = ["method", "tables", "coverage", "± MC", *(f"of {k}s" for k in KINDS)]
HEADER += ["lowest", "bias, mean of sizes", "largest", "width", "seconds"]


def row(method: str, found: Summary, kind: np.ndarray) -> list[str]:
    """Return a line of the table."""
    size = np.abs(found.bias)
    return [
        method,
        f"{found.n}",
        f"{found.coverage.mean():.1%}",
        f"{found.error:.1%}",
        *(f"{found.coverage[kind == k].mean():.1%}" for k in range(len(KINDS))),
        f"{found.coverage.min():.0%}",
        f"{size.mean():.2f}",
        f"{size.max():.2f}",
        f"{found.width.mean():.2f}",
        f"{found.seconds:.2g}",
    ]


def sections(known: dict[Key, dict]) -> Iterator[str]:
    """Yield the part of every design, mechanism and size with at least two tables per method."""
    parts = sorted({(k.design, k.mechanism, k.n) for k in known}, key=lambda p: (p[0], p[2], p[1]))
    for design, mechanism, n in parts:
        here = [k for k in known if (k.design, k.mechanism, k.n) == (design, mechanism, n)]
        by = {m: [known[k] for k in here if k.method == m] for m in METHODS}
        if len(by["complete"]) < 2:
            continue
        truth = truth_of(design)
        kind = kinds(population(design).shape[1])
        lines = [
            row(m, summarise(found, by["complete"], truth), kind)
            for m, found in by.items()
            if len(found) > 1
        ]
        yield f"## {design}, {mechanism.upper()}, n = {n}\n\n{markdown_table(HEADER, lines)}\n"


def overall(known: dict[Key, dict]) -> str:
    """Return coverage by kind over all designs and mechanisms, of replicates all methods have."""
    present = [m for m in METHODS if any(key.method == m for key in known)]
    places = [{replace(key, method="") for key in known if key.method == m} for m in present]
    shared = sorted(set.intersection(*places), key=astuple)
    if len(shared) < 2:
        return ""
    kind = kinds(population(shared[0].design).shape[1])
    lines = []
    for method in present:
        covered = [is_covered(known[replace(place, method=method)]) for place in shared]
        of = [np.mean(covered, axis=1)]
        of += [np.mean(covered, axis=1, where=kind == k) for k in range(len(KINDS))]
        lines.append([method, *(f"{x.mean():.1%} ± {_error(x):.1%}" for x in of)])
    header = ["method", "all", *(f"{k}s" for k in KINDS)]
    return f"""## All of them

{len(shared)} replicates that all methods have; mean coverage with its Monte-Carlo standard error.

{markdown_table(header, lines)}
"""


def is_covered(record: dict) -> np.ndarray:
    """Whether the intervals of a replicate hold the truth, by quantity."""
    wrong = np.abs(np.array(record["estimates"]) - truth_of(record["design"]))
    return wrong <= np.array(record["half_widths"])


def _error(x: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(x.std(ddof=1) / np.sqrt(len(x)))


def report(known: dict[Key, dict]) -> str:
    """Return the page."""
    return f"""# Coverage of pooled intervals after imputation

{describe("numpy", "scikit-learn")}

30 % of the cells are hidden, under MAR 30 % of the columns that decide nothing; {M} completed
tables, Rubin's rules with the degrees of freedom of Barnard and Rubin. Quantities: all means, the
slopes of the first column on the others (variances HC3), all correlations (Fisher's z, variances
by influence). Coverage: of nominal 95 % intervals, mean over the quantities, with its Monte-Carlo
standard error, by kind, and of the worst quantity. Bias: mean difference from the estimates of the
same rows without holes, in standard deviations of these estimates. Width: of intervals, over that
without holes. "auto" and "gaussian" are engines of `ScoreMatchingImputer`, fitted once;
"_refitted": to a resample of the rows for every table, as `fit_pooled` does. Seconds are of the
{M} completed tables.

{overall(known)}
{chr(10).join(sections(known))}"""


def main() -> None:
    """Run what is missing and write the page."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.imputation.coverage")
    add = options.add_argument
    add("--designs", type=names, default=list(DESIGNS))
    add("--mechanisms", type=names, default=["mcar", "mar"])
    add("--sizes", type=numbers, default=[200, 500])
    add("--seeds", type=numbers, default=list(range(200)))
    add("--methods", type=names, default=[m for m in METHODS if m not in EXPENSIVE])
    add("--records", type=Path, default=RESULTS / "imputation_coverage.jsonl")
    add("--print", action="store_true", help="print the page instead of saving it")
    add("--report-only", action="store_true", help="write the page of the records there are")
    chosen = options.parse_args()
    if chosen.report_only:
        chosen.seeds = []
    order = product(chosen.seeds, chosen.sizes, chosen.designs, chosen.mechanisms, chosen.methods)
    complete(chosen.records, (Key(m, d, mech, n, s) for s, n, d, mech, m in order))
    text = report(read(chosen.records))
    print(text) if chosen.print else save("imputation_coverage.md", text)


if __name__ == "__main__":
    main()
