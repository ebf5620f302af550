"""Closed forms: a Gaussian against scikit-learn's, and a pairwise exponential family.

Run ``python -m benchmarks.closed_form_speed`` from the root of the repository. The sides take
turns, and medians are reported; ``EmpiricalCovariance`` computes the same covariance and its
inverse. The exponential family is fitted twice: the first fit compiles.
"""

import numpy as np
import typer
from sklearn.covariance import EmpiricalCovariance

from benchmarks.designs import correlated_design
from benchmarks.machine import Time, describe, markdown_table, save, stopwatch
from sm_estimators import ExponentialFamilyScoreMatching, GaussianScoreMatching

N_ROWS, N_REPEATS = 10_000, 15


def timed_fit(estimator, X: np.ndarray) -> Time:
    """Return the time of a fit."""
    with stopwatch() as taken:
        estimator.fit(X)
    return taken


def gaussian_row(d: int) -> list[str]:
    """Return our time, the peer's and their ratio, in milliseconds."""
    X, _ = correlated_design(np.random.default_rng(d), N_ROWS, d)
    ours, peer = GaussianScoreMatching(ridge=0.0), EmpiricalCovariance()
    first = timed_fit(ours, X).wall
    difference = np.abs(ours.precision_ - peer.fit(X).precision_).max()
    if difference > 1e-6 * np.abs(peer.precision_).max():
        raise AssertionError(f"d={d}: the two precisions differ by {difference}.")
    turns = [(timed_fit(ours, X).wall, timed_fit(peer, X).wall) for _ in range(N_REPEATS)]
    a, b = np.median(turns, axis=0)
    return [f"d = {d}", *(f"{1e3 * t:.2f}" for t in (a, b)), f"{b / a:.3f}", f"{first:.2f}"]


def family_row(d: int) -> list[str]:
    """Return the time of the first and of later fits of the pairwise family, in seconds."""
    X, _ = correlated_design(np.random.default_rng(d), N_ROWS, d)
    family = ExponentialFamilyScoreMatching()
    first = timed_fit(family, X)
    later = [timed_fit(family, X + 0.01 * k) for k in range(5)]
    wall, cpu = np.median([(t.wall, t.cpu) for t in later], axis=0)
    return [f"d = {d}", f"{first.wall:.2f} ({first.cpu:.2f})", f"{wall:.3f} ({cpu:.3f})"]


def main() -> None:
    """Measure and write the tables."""
    gaussian = markdown_table(
        ["Gaussian", "ours, ms", "EmpiricalCovariance, ms", "peer / ours", "first fit, s"],
        [gaussian_row(d) for d in (10, 50)],
    )
    family = markdown_table(
        ["pairwise family", "first fit, s (of the processor)", "later fits, s (of the processor)"],
        [family_row(10)],
    )
    text = f"# Closed forms\n\n{describe('scikit-learn', 'numpy', 'scipy', 'jax')}\n\n"
    save("closed_form_speed.md", f"{text}n = {N_ROWS:,} rows.\n\n{gaussian}\n\n{family}")


if __name__ == "__main__":
    typer.run(main)
