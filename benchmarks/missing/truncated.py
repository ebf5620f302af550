"""The truncated Gaussian of Givens, Liu and Reeve (2025): Fisher divergence against n.

Run ``python -m benchmarks.missing.truncated`` from the root of the repository, with ``--quick``
for two seeds. Ten correlated columns, the first three cut at their 10 % quantile, 20 % of the
cells missing completely at random. The error is E‖ŝ − s‖² over fresh rows.
"""

from typing import Annotated

import numpy as np
import typer

from benchmarks.designs import completely_at_random, correlated_design
from benchmarks.machine import describe, markdown_table, save
from benchmarks.missing.methods import Method, methods
from benchmarks.missing.study import Found, draw_curves, measure, seconds, summary
from sm_estimators import Box, ExponentialFamilyScoreMatching

SIZES = (200, 500, 1000)
N_CUT, N_TEST, N_DRAWS, FRACTION = 3, 5000, 20, 0.2


def truncated_design(seed: int, n: int):
    """Return n rows, as many for a test as are needed, the true (K, μ) and the box."""
    X, K = correlated_design(np.random.default_rng([2, seed]), 4 * (n + N_TEST))
    location, covariance = np.full(10, 0.5), np.linalg.inv(K)
    cut = location[:N_CUT] - 1.2815515655446004 * np.sqrt(np.diag(covariance)[:N_CUT])
    lower = (*cut.tolist(), *[-np.inf] * (10 - N_CUT))
    X = X[(lower <= X).all(axis=1)]
    return X[:n], X[n : n + N_TEST], (K, location), lower


def as_precision(theta: np.ndarray, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return K and Kμ of natural parameters."""
    K = np.diag(theta[d : 2 * d])
    K[np.triu_indices(d, 1)] = theta[2 * d :]
    return np.triu(K) + np.triu(K, 1).T, theta[:d]


def error(method: Method, full, X, test, truth, lower) -> float:
    """Return the Fisher divergence E‖ŝ − s‖²."""
    estimator = ExponentialFamilyScoreMatching(
        support=Box(lower=lower), missing=method.missing, random_state=0
    )
    estimator.fit(full if method.of_full_data else method.prepare(X))
    K_hat, shift_hat = as_precision(estimator.natural_parameters_)
    K, location = truth
    gap = shift_hat - test @ K_hat - (K @ location - test @ K)
    return float((gap**2).sum(axis=1).mean())


def run(n_seeds: int) -> Found:
    """Return divergences and seconds of every method at every size."""
    found: Found = {}
    for seed in range(n_seeds):
        for n in SIZES:
            full, test, truth, lower = truncated_design(seed, n)
            X = completely_at_random(np.random.default_rng([3, seed]), full, FRACTION)
            X = X[~np.isnan(X).all(axis=1)]
            for method in methods(lower, N_DRAWS):
                result = measure(lambda m=method, a=(full, X, test, truth, lower): error(m, *a))
                found.setdefault((n, method.name), []).append(result)
        print(f"seed {seed} done", flush=True)
    return found


def report(found: Found) -> str:
    """Return the table as Markdown."""
    names = [m.name for m in methods()]
    rows = [
        [name, *(summary(found[n, name], 2) for n in SIZES), seconds(found[SIZES[-1], name])]
        for name in names
    ]
    headers = ["method", *(f"n = {n}" for n in SIZES), f"seconds at n = {SIZES[-1]}"]
    n_seeds = len(found[SIZES[0], names[0]])
    return f"""# Truncated Gaussian, 20 % holes completely at random

{describe("scikit-learn", "numpy", "scipy", "jax")}

Fisher divergence E‖ŝ − s‖² over fresh rows, d = 10, the first three columns cut at their 10 %
quantile, 20 draws per row (10 as published): median (quartiles) over {n_seeds} seeds, and median
seconds per fit.

{markdown_table(headers, rows)}
"""


def main(*, quick: Annotated[bool, typer.Option(help="Two seeds.")] = False) -> None:
    """Measure, write the table and draw the figure."""
    found = run(2 if quick else 20)
    if quick:
        print(report(found))
        return
    save("missing_truncated.md", report(found))
    draw_curves(
        found,
        list(SIZES),
        [m.name for m in methods()],
        xlabel="rows",
        ylabel="Fisher divergence",
        path="missing_truncated.png",
    )


if __name__ == "__main__":
    typer.run(main)
