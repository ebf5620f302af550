"""Coverage of pooled 95 % intervals after imputation, with a truth that is known.

    python -m benchmarks.imputation.coverage --designs gaussian,curved --sizes 200 --seeds 0-99

A design is a population: a table with many rows, whose means, regression and correlations are the
truth. Rows are drawn from it, holes are made, the holes are imputed twenty times, every completed
table is analysed, and the analyses are pooled by Rubin's rules. The analysis of the drawn rows
without holes shows what is due to the analysis itself. Every replicate is a line of the records,
and is not run again; seeds come first in the order, so that all methods grow together.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from benchmarks.imputation import forests, records, shelf, tables
from benchmarks.imputation.__main__ import names, numbers
from benchmarks.machine import describe, markdown_table, save
from sm_estimators import ScoreMatchingImputer
from sm_estimators.missingness import ampute
from sm_estimators.pooling import pool
from sm_estimators.pooling.completion import draw_tables

M = 20
"""Completed tables."""
POPULATION = 200_000
REAL = ("median_house_value", "median_income", "households", "total_rooms", "housing_median_age")
Draw = Callable[[np.ndarray, int], np.ndarray]


def gaussian(rng: np.random.Generator) -> np.ndarray:
    """Return correlated normal columns; correlations are between 0.2 and 0.8."""
    factor = rng.standard_normal((POPULATION, 1))
    loadings = np.array([0.9, 0.85, 0.7, 0.6, 0.4])
    return factor * loadings + rng.standard_normal((POPULATION, 5)) * np.sqrt(1 - loadings**2)


def curved(rng: np.random.Generator) -> np.ndarray:
    """Return an outcome with an interaction, two normal columns, a square, and a skewed column."""
    a, c = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], POPULATION).T
    e = rng.standard_normal((3, POPULATION))
    square = a**2 + 0.5 * c + 0.7 * e[0]
    skewed = np.exp(0.4 * a - 0.3 * c + 0.4 * e[1])
    outcome = a + 0.5 * c + 0.7 * a * c + 0.5 * skewed + e[2]
    return np.column_stack([outcome, a, c, square, skewed])


def real(rng: np.random.Generator) -> np.ndarray:
    """Return five columns of the districts of California; all districts are the population."""
    import pandas as pd

    del rng
    return pd.read_csv(tables.folder() / "dp_california.csv")[list(REAL)].to_numpy(float)


DESIGNS = {"gaussian": gaussian, "curved": curved, "real": real}


@cache
def population(design: str) -> np.ndarray:
    """Return the population of a design, the same in every process."""
    return DESIGNS[design](np.random.default_rng(20240607))


class Analysis(NamedTuple):
    """Means, coefficients of column 0 on the others, and correlations on Fisher's scale.

    Variances are robust, so that the analysis without holes is valid for any population.
    """

    estimates: np.ndarray
    variances: np.ndarray
    df: np.ndarray


KINDS = ("mean", "coefficient", "correlation")


def kinds(d: int) -> np.ndarray:
    """Return the kind of every quantity, as a position in `KINDS`."""
    return np.repeat([0, 1, 2], [d, d - 1, d * (d - 1) // 2])


def analyse(X: np.ndarray) -> Analysis:
    """Analyse a complete table, (n, d)."""
    n, d = X.shape
    parts = [(X.mean(axis=0), X.var(axis=0, ddof=1) / n), _regression(X), _correlations(X)]
    df = np.array([n - 1, n - d, np.inf])[kinds(d)]
    return Analysis(*(np.concatenate(both) for both in zip(*parts, strict=True)), df)


def _regression(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return least-squares slopes, and the variances HC3 of MacKinnon and White (1985)."""
    Z = np.column_stack([np.ones(len(X)), X[:, 1:]])
    inverse = np.linalg.pinv(Z)
    beta = inverse @ X[:, 0]
    residual = (X[:, 0] - Z @ beta) / (1 - np.einsum("ni,in->n", Z, inverse))
    return beta[1:], ((inverse * residual) ** 2).sum(axis=1)[1:]


def _correlations(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return artanh r of all pairs; variances by influence, (uv − r(u² + v²)/2)/(1 − r²)."""
    U = (X - X.mean(axis=0)) / X.std(axis=0)
    i, j = np.array(list(combinations(range(X.shape[1]), 2))).T
    r = (U[:, i] * U[:, j]).mean(axis=0)
    influence = (U[:, i] * U[:, j] - r * (U[:, i] ** 2 + U[:, j] ** 2) / 2) / (1 - r**2)
    return np.arctanh(r), (influence**2).mean(axis=0) / (len(X) - 3)


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


def intervals(analyses: list[Analysis]) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates and half widths of 95 % intervals, pooled where there are several."""
    estimates, variances, df = (np.stack(part) for part in zip(*analyses, strict=True))
    if len(analyses) == 1:
        return estimates[0], t.ppf(0.975, df[0]) * np.sqrt(variances[0])
    pooled = pool(estimates, variances, df_complete=df[0])
    return pooled.estimate, t.ppf(0.975, pooled.df) * pooled.standard_error


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
        error=covered.mean(axis=1).std(ddof=1) / np.sqrt(len(covered)),
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
        truth = analyse(population(design)).estimates
        kind = kinds(population(design).shape[1])
        lines = [
            row(m, summarise(found, by["complete"], truth), kind)
            for m, found in by.items()
            if len(found) > 1
        ]
        yield f"## {design}, {mechanism.upper()}, n = {n}\n\n{markdown_table(HEADER, lines)}\n"


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
"_refitted": to resampled rows for every table. Seconds are of the {M} completed tables.

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
    add("--records", type=Path, default=Path(tempfile.gettempdir()) / "imputation_coverage.jsonl")
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
