"""Halves of four tables that others amputed at random given what is seen, by energy.

The tables are those of FLOWGEM (Kremling and others): one half has holes, the other is complete
and is the test. Each method fits the holed half and completes it; rows are standardised by the
means and deviations of the test half, and the score of a completion X, n rows, against the test
half Y, as many, is n/2 (2 E|X − Y| − E|X − X′| − E|Y − Y′|) over all pairs, a row with itself
included: the energy statistic nm / (n + m) of two samples of one size (Székely and Rizzo 2013).
Of two samples of one distribution it has a law that does not depend on their size, so the halves
of the test half say what an oracle would get.

    python -m benchmarks.imputation.fg --methods mean,ice_posterior,miceforest,gaussian_em
"""

import argparse
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.imputation import methods, records
from benchmarks.imputation.__main__ import names, numbers
from benchmarks.imputation.measures import squared_energy
from benchmarks.imputation.runs import check_completed, timed
from benchmarks.imputation.tables import folder
from benchmarks.machine import RESULTS, describe, markdown_table, save

TABLES = ("concrete", "housing", "parkinsons", "forest")
N_DRAWS = 10
N_SPLITS = 200


@dataclass(frozen=True)
class Key:
    """What is run."""

    method: str
    table: str
    seed: int


def halves(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the half with holes and the complete test half."""
    files = (f"fg_{name}_mar_na.csv", f"fg_{name}_test.csv")
    holed, test = (pd.read_csv(folder() / file).to_numpy(float) for file in files)
    return holed, test


def score(X: np.ndarray, Y: np.ndarray, by: np.ndarray) -> float:
    """Return the energy statistic of two samples in columns standardised by ``by``."""
    X, Y = ((Z - by.mean(axis=0)) / by.std(axis=0) for Z in (X, Y))
    return squared_energy(X, Y) * len(X) * len(Y) / (len(X) + len(Y))


def oracle(test: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and the 2.5 and 97.5 % quantiles of the scores of random halves."""
    rng, m = np.random.default_rng(0), len(test) // 2
    orders = [rng.permutation(len(test)) for _ in range(N_SPLITS)]
    scores = [score(test[o[:m]], test[o[m:]], test) for o in orders]
    low, high = np.quantile(scores, [0.025, 0.975])
    return float(np.mean(scores)), float(low), float(high)


def run(key: Key, *, limit: float | None) -> dict:
    """Return the record of a method on a table: the score, averaged over draws."""
    method = methods.METHODS[key.method]
    holed, test = halves(key.table)
    record = asdict(key) | dict(zip(("n", "d"), holed.shape, strict=True))
    record |= {"versions": method.versions()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted, point, taken = timed(method, holed, key.seed, limit=limit, k=N_DRAWS)
            drawn = fitted.draws(holed, N_DRAWS)
            tables = point[None] if drawn is None else drawn
            check_completed(holed, tables)
        except Exception as error:
            return record | {"error": f"{type(error).__name__}: {error}"[:300]}
    scores = [score(X, test, test) for X in tables]
    record |= {"score": float(np.mean(scores)), "spread": float(np.std(scores))}
    return record | {"k": len(tables), "cpu": taken.cpu, "wall": taken.wall}


def report(found: list[dict]) -> None:
    """Write the table of scores, and of seconds."""
    frame = pd.DataFrame(found).drop_duplicates(["method", "table", "seed"], keep="last")
    tables = [name for name in TABLES if name in set(frame["table"])]
    limits = [oracle(halves(name)[1]) for name in tables]
    rows = [
        ["random halves of the test half", *(f"{m:.2f} [{a:.1f}, {b:.1f}]" for m, a, b in limits)]
    ]
    seconds = []
    for method in (name for name in methods.METHODS if name in set(frame["method"])):
        mine = frame[frame["method"] == method].groupby("table")[["score", "cpu"]].mean()
        mine = mine.reindex(tables)
        rows.append([method, *(_number(x, ".2f") for x in mine["score"])])
        seconds.append([method, *(_number(x, ".1f") for x in mine["cpu"])])
    sizes = frame.drop_duplicates("table").set_index("table")
    header = [f"{name} ({sizes['n'][name]}, {sizes['d'][name]})" for name in tables]
    seeds = ", ".join(map(str, sorted(set(frame["seed"]))))
    text = f"""# Pre-amputed halves, by energy

{describe("numpy", "scikit-learn")} One thread.

The lower the better; the first line is what rows of the truth get, with the 95 % range of
{N_SPLITS} splits. {N_DRAWS} draws per fit, averaged; seeds of fits and draws: {seeds}.
Methods without draws are scored by their point estimates, which energy does not favour.

{markdown_table(["score", *header], rows)}

Processor seconds of a fit, its point estimates and {N_DRAWS} draws:

{markdown_table(["CPU s", *header], seconds)}
"""
    save("imputation_fg.md", text)


def _number(x: float, form: str) -> str:
    """Return a number as text, or a dash where there is none."""
    return format(x, form) if np.isfinite(x) else "—"


def main() -> None:
    """Run what has no record yet, and report."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.imputation.fg")
    add = options.add_argument
    peers = [name for name in methods.METHODS if name not in ("hyperimpute", "forest_diffusion")]
    add("--methods", type=names, default=peers)
    add("--tables", type=names, default=list(TABLES))
    add("--seeds", type=numbers, default=[0])
    add("--limit", type=float, default=3600.0, help="seconds of a task; 0 for none")
    add("--records", type=Path, default=RESULTS / "imputation_fg.jsonl")
    add("--again", action="store_true", help="run once more what ended in an error")
    add("--report-only", action="store_true")
    chosen = options.parse_args()
    if not chosen.report_only:
        methods.check(chosen.methods)
        keys = [Key(m, t, s) for s in chosen.seeds for t in chosen.tables for m in chosen.methods]
        one = partial(run, limit=chosen.limit or None)
        records.complete(chosen.records, keys, one, again=chosen.again)
    report(records.read(chosen.records))


if __name__ == "__main__":
    main()
