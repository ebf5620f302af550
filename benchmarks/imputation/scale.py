"""Seconds and memory of long and of wide tables, each case in a process of its own.

    python -m benchmarks.imputation.scale --methods ours,miceforest --shapes 2500x20,10000x20

A table of five hidden factors, in columns that are linear, square and sine of them, with noise;
30 % MCAR. Cases that have a line in the records are not run again.
"""

import argparse
import json
import pickle
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.imputation import records
from benchmarks.imputation.__main__ import names
from benchmarks.imputation.measures import rmse, rmse_of_mean
from benchmarks.imputation.methods import METHODS
from benchmarks.machine import RESULTS, describe, markdown_table, save, stopwatch

RECORDS = RESULTS / "imputation_scale.jsonl"
N_DRAWS = 5
N_FACTORS = 5
HEADER = ["method", "rows", "columns", "fit", f"{N_DRAWS} draws", "means", "all, CPU s", "clock s"]
HEADER += ["peak GiB", "pickle MB", "RMSE"]


def table(n: int, d: int) -> np.ndarray:
    """Return the complete table."""
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(n, N_FACTORS)) @ rng.normal(size=(N_FACTORS, d)) / 2
    Y[:, 1::3] = Y[:, 1::3] ** 2
    Y[:, 2::3] = np.sin(2 * Y[:, 2::3])
    return Y + 0.3 * rng.normal(size=Y.shape)


def with_holes(Y: np.ndarray, rate: float = 0.3) -> np.ndarray:
    """Return it with holes, and something in every row."""
    rng = np.random.default_rng(1)
    hidden = rng.random(Y.shape) < rate
    hidden[hidden.all(axis=1), 0] = False
    return np.where(hidden, np.nan, Y)


@dataclass(frozen=True)
class Key:
    """What is run."""

    method: str
    n: int
    d: int


def run(key: Key) -> dict:
    """Return the record of a case."""
    method, Y = METHODS[key.method], table(key.n, key.d)
    X = with_holes(Y)
    hidden, centre, scale = np.isnan(X), Y.mean(axis=0), Y.std(axis=0)
    truth = ((Y - centre) / scale)[hidden]
    method.prepare()
    with stopwatch() as whole:
        with stopwatch() as fit:
            fitted = method.fit(X, 0)
        with stopwatch() as draws:
            tables = fitted.draws(X, N_DRAWS)
        with stopwatch() as means:
            point = fitted.mean(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if point is None:
        error = rmse_of_mean(np.stack([((t - centre) / scale)[hidden] for t in tables]), truth)
    else:
        error = rmse(((point - centre) / scale)[hidden], truth)
    parts = {"fit": fit.cpu, "draws": draws.cpu, "means": means.cpu, "cpu": whole.cpu}
    record = asdict(key) | parts | {"wall": whole.wall, "peak": peak}
    return record | {"pickle": len(pickle.dumps(fitted)) / 1e6, "rmse": error}


def line(r: dict) -> list[str]:
    """Return a line of the report."""
    seconds = [f"{r[k]:.1f}" for k in ("fit", "draws", "means", "cpu", "wall")]
    rest = [f"{r['peak']:.2f}", f"{r['pickle']:.0f}", f"{r['rmse']:.3f}"]
    return [r["method"], f"{r['n']}", f"{r['d']}", *seconds, *rest]


def alone(key: Key) -> dict:
    """Return the record of a case that a process of its own ran, whose peak of memory it is."""
    case = ["--methods", key.method, "--shapes", f"{key.n}x{key.d}"]
    command = [sys.executable, "-m", "benchmarks.imputation.scale", "--one", *case]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run the cases and write the report."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.imputation.scale")
    options.add_argument("--methods", type=names, default=["ours"])
    options.add_argument("--shapes", type=names, default=["2500x20", "10000x20"])
    options.add_argument("--one", action="store_true", help="run one case and print its record")
    chosen = options.parse_args()
    shapes = [tuple(map(int, shape.split("x"))) for shape in chosen.shapes]
    keys = [Key(name, n, d) for n, d in shapes for name in chosen.methods]
    if chosen.one:
        print(json.dumps(run(keys[0])))
        return
    records.complete(RECORDS, keys, alone)
    found = sorted(records.read(RECORDS), key=lambda r: (r["method"], r["d"], r["n"]))
    rows = [line(r) for r in found]
    save(
        "imputation_scale.md",
        f"""# Long and wide tables

{describe("numpy", "scikit-learn")} One thread. Processor seconds of a fit, of {N_DRAWS} draws and
of the point estimates of the same rows; miceforest fits while it draws and has no other point
estimates than means of draws. `ours` learns from 20 000 rows at most and fills all. Every size is a
table of its own: errors compare methods, not sizes.

{markdown_table(HEADER, rows)}""",
    )


if __name__ == "__main__":
    main()
