"""Rows generated from tables with holes, against ForestFlow and a Gaussian: distance and seconds.

Half of a table is trained on, with 20 % of its cells missing completely at random; the other half
is the test. The distance is that of :mod:`benchmarks.diffusion.distance`. Generated rows are
clipped to the range that was seen, as ForestFlow does by itself.
"""

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.diffusion.distance import wasserstein
from benchmarks.diffusion.forest import Forest, forest_flow
from benchmarks.diffusion.tables import Halves, halves, load
from benchmarks.machine import describe, markdown_table, save
from sm_estimators import Ancestral, GaussianScoreMatching, ScoreDiffusion

N_TABLES = 3
"""Generated tables per method."""
HEADER = ["table (rows, columns)", "method", "1-Wasserstein to the test half", "CPU s"]


def gaussian(X: np.ndarray, seed: int) -> np.ndarray:
    """Return tables drawn from a Gaussian fitted by EM."""
    estimator = GaussianScoreMatching().fit(X)
    return np.stack([estimator.sample(len(X), random_state=seed + i) for i in range(N_TABLES)])


def diffusion(X: np.ndarray, seed: int, **choices) -> np.ndarray:
    """Return tables drawn from a noise-conditional model."""
    estimator = ScoreDiffusion(random_state=seed, **choices).fit(X)
    return np.stack([estimator.sample(len(X), random_state=seed + i) for i in range(N_TABLES)])


METHODS: dict[str, dict] = {
    "ScoreDiffusion, hiding": {"missing": "hiding", "sampler": Ancestral()},
    "ScoreDiffusion, imputation": {"missing": "imputation", "sampler": Ancestral()},
    "the same, without a mixture": {
        "missing": "imputation",
        "sampler": Ancestral(),
        "n_components": 1,
    },
    "the same, by the probability flow": {"missing": "imputation"},
}


def forest(name: str, X: np.ndarray, seed: int, *, levels: int, folder: str | None) -> Forest:
    """Return what ForestFlow generates; kept in ``folder``, and not grown again where it is."""
    kept = None if folder is None else Path(folder, f"forest_{name}_{len(X)}_{levels}_{seed}.npz")
    if kept is not None and kept.exists():
        with np.load(kept) as found:
            return Forest(**{field: found[field] for field in Forest.__dataclass_fields__})
    integers = load(name).integers
    grown = forest_flow(X, n_tables=N_TABLES, integers=integers, n_levels=levels, seed=seed)
    if kept is not None:
        np.savez(kept, **asdict(grown))
    return grown


def distances(tables: np.ndarray, half: Halves) -> list[float]:
    """Return the distance of every generated table to the test half."""
    low, high = np.nanmin(half.holes, axis=0), np.nanmax(half.holes, axis=0)
    clipped = np.clip(tables, low, high)
    return [wasserstein(rows, half.test, scale_by=half.complete) for rows in clipped]


def measured(
    name: str, seed: int, n_max: int | None, *, forest_levels: int, folder: str | None
) -> list[list[str]]:
    """Return the rows of the report for one table."""
    half = halves(load(name), seed, n_max=n_max)
    X = half.holes[~np.isnan(half.holes).all(axis=1)]
    oracle = wasserstein(half.complete, half.test, scale_by=half.complete)
    found = [["the training half itself, complete", [oracle], 0.0]]
    runs = {"Gaussian": lambda: gaussian(X, seed)}
    runs |= {n: lambda c=c: diffusion(X, seed, **c) for n, c in METHODS.items()}
    for method, run in runs.items():
        start = time.process_time()
        tables = run()
        found.append([method, distances(tables, half), time.process_time() - start])
        print(name, found[-1], flush=True)
    if forest_levels:
        grown = forest(name, X, seed, levels=forest_levels, folder=folder)
        label = f"ForestFlow, {forest_levels} noise levels"
        found.append([label, distances(grown.rows, half), float(grown.cpu)])
        print(name, found[-1], flush=True)
    title = f"{name} ({len(X)}, {X.shape[1]})"
    return [
        [title if i == 0 else "", method, f"{np.mean(d):.3f}", f"{cpu:.0f}"]
        for i, (method, d, cpu) in enumerate(found)
    ]


def main(
    tables: Annotated[
        str, typer.Option(help="Names, with commas.")
    ] = "concrete,wine,california,bean",
    seed: Annotated[int, typer.Option(help="Of halves, holes, fits and draws.")] = 0,
    n_max: Annotated[int, typer.Option(help="Most rows to train on; 0 for all.")] = 500,
    forest_levels: Annotated[int, typer.Option(help="0 leaves ForestFlow out.")] = 50,
    folder: Annotated[str | None, typer.Option(help="Where forests are kept.")] = None,
    output: Annotated[str, typer.Option(help="Name of the result.")] = "diffusion_generation.md",
) -> None:
    """Measure and write the table."""
    if forest_levels and "FOREST_PYTHON" not in os.environ and folder is None:
        raise typer.BadParameter("set FOREST_PYTHON to a Python with ForestDiffusion, or use 0")
    rows = [
        row
        for name in tables.split(",")
        for row in measured(name, seed, n_max or None, forest_levels=forest_levels, folder=folder)
    ]
    text = f"""# Generation from tables with holes

{describe("jax", "numpy", "scikit-learn")} Seed {seed}, single-threaded.

Mean over {N_TABLES} generated tables; 20 % of the cells of the training half are missing
completely at random. Seconds are of the processor, compilation included.

{markdown_table(HEADER, rows)}
"""
    save(output, text)


if __name__ == "__main__":
    typer.run(main)
