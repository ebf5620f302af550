"""The correlated Gaussian: error of the precision under every rule.

Run ``python -m benchmarks.missing.correlated`` from the root of the repository, with ``--quick``
for two seeds. The error is ‖K̂ − K‖ / ‖K‖ in the Frobenius norm, K the true precision.
"""

from typing import Annotated

import numpy as np
import typer

from benchmarks.designs import completely_at_random, correlated_design
from benchmarks.machine import describe, markdown_table, save
from benchmarks.missing.methods import Method, methods
from benchmarks.missing.study import Found, draw_curves, measure, seconds, summary
from sm_estimators import GaussianScoreMatching

FRACTIONS = (0.2, 0.3, 0.5)
EXACT = [
    Method("exact marginals", "exact"),
    Method("exact marginals, ridge held out", "exact"),
]


def error(method: Method, full: np.ndarray, X: np.ndarray, truth: np.ndarray) -> float:
    """Return the relative error of the precision."""
    ridge = "held_out" if "held out" in method.name else 1e-6
    missing = "imputation" if method.name.startswith("EM") else method.missing
    estimator = GaussianScoreMatching(missing=missing, ridge=ridge, random_state=0)
    table = full if method.of_full_data else method.prepare(X)
    estimator.fit(table)
    return float(np.linalg.norm(estimator.precision_ - truth) / np.linalg.norm(truth))


def run(n_seeds: int) -> Found:
    """Return errors and seconds of every method at every share of holes."""
    found: Found = {}
    for seed in range(n_seeds):
        full, truth = correlated_design(np.random.default_rng([0, seed]), 1000)
        for fraction in FRACTIONS:
            X = completely_at_random(np.random.default_rng([1, seed]), full, fraction)
            X = X[~np.isnan(X).all(axis=1)]
            for method in [*methods(), *EXACT]:
                result = measure(lambda m=method, a=(full, X, truth): error(m, *a))
                found.setdefault((fraction, method.name), []).append(result)
        print(f"seed {seed} done", flush=True)
    return found


def report(found: Found) -> str:
    """Return the table as Markdown."""
    names = [m.name for m in [*methods(), *EXACT]]
    rows = [
        [name, *(summary(found[f, name]) for f in FRACTIONS), seconds(found[0.3, name])]
        for name in names
    ]
    headers = ["method", *(f"{f:.0%} holes" for f in FRACTIONS), "seconds at 30 %"]
    n_seeds = len(found[FRACTIONS[0], names[0]])
    return f"""# Correlated Gaussian, holes completely at random

{describe("scikit-learn", "numpy", "scipy", "jax")}

Relative Frobenius error of the precision, d = 10, n = 1000, ten draws per row: median (quartiles)
over {n_seeds} seeds, and median seconds per fit.

{markdown_table(headers, rows)}
"""


def main(*, quick: Annotated[bool, typer.Option(help="Two seeds.")] = False) -> None:
    """Measure, write the table and draw the figure."""
    found = run(2 if quick else 20)
    if quick:
        print(report(found))
        return
    save("missing_correlated.md", report(found))
    names = [m.name for m in [*methods(), *EXACT]]
    draw_curves(
        found,
        list(FRACTIONS),
        names,
        xlabel="share of holes",
        ylabel="relative error of the precision",
        path="missing_correlated.png",
    )


if __name__ == "__main__":
    typer.run(main)
