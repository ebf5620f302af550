"""How well a Gaussian is recovered from a table with holes.

Run ``python -m benchmarks.gaussian_missing`` from the root of the repository, with ``--quick``
for two seeds. The error is ‖K̂ − K‖ / ‖K‖ in the Frobenius norm, K the true precision.
"""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from sklearn.covariance import EmpiricalCovariance
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.pipeline import make_pipeline

from benchmarks.designs import completely_at_random, correlated_design, mar_design
from benchmarks.machine import RESULTS, describe, markdown_table, save
from sm_estimators import ExponentialFamilyScoreMatching, GaussianScoreMatching
from sm_estimators.densities import Gaussian
from sm_estimators.fitting import Settings, Table, fit_density
from sm_estimators.missing import Exact, Importance, Imputation
from sm_estimators.objectives import Explicit

Method = Callable[[np.ndarray], np.ndarray]
FRACTIONS = (0.2, 0.3, 0.5)
COMPLETE = "complete data (no holes)"
SLOW = "importance, 10 draws"


def ours(missing, X: np.ndarray) -> np.ndarray:
    """Return the precision of our Gaussian under a rule for holes."""
    return GaussianScoreMatching(missing=missing, random_state=0).fit(X).precision_


def filled_in(imputer, X: np.ndarray) -> np.ndarray:
    """Return the inverse sample covariance of the completed table."""
    return make_pipeline(imputer, EmpiricalCovariance()).fit(X)[-1].precision_


METHODS: dict[str, Method] = {
    "complete cases": partial(ours, "complete_case"),
    "imputation (EM), the default": partial(ours, "imputation"),
    "exact marginals": partial(ours, "exact"),
    SLOW: partial(ours, Importance(n_draws=10)),
    "scikit-learn IterativeImputer, means": lambda X: filled_in(
        IterativeImputer(random_state=0), X
    ),
    "scikit-learn IterativeImputer, draws": lambda X: filled_in(
        IterativeImputer(sample_posterior=True, random_state=0), X
    ),
    "scikit-learn mean imputation": lambda X: filled_in(SimpleImputer(), X),
}


def measure(method: Method, X: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return error and seconds; infinity where the method has no answer."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            error = np.linalg.norm(method(X) - truth) / np.linalg.norm(truth)
        except ValueError:
            error = np.inf
    return float(error), time.perf_counter() - start


def mcar_study(n_seeds: int, n_slow_seeds: int) -> dict[tuple[float, str], np.ndarray]:
    """Return errors and seconds, (n_seeds, 2), of every method at every share of holes."""
    found: dict[tuple[float, str], list] = {}
    for seed in range(n_seeds):
        full, truth = correlated_design(np.random.default_rng([0, seed]), 1000)
        for fraction in FRACTIONS:
            X = completely_at_random(np.random.default_rng([1, seed]), full, fraction)
            complete = measure(METHODS["imputation (EM), the default"], full, truth)
            found.setdefault((fraction, COMPLETE), []).append(complete)
            for name, method in METHODS.items():
                if name == SLOW and seed >= n_slow_seeds:
                    continue
                found.setdefault((fraction, name), []).append(measure(method, X, truth))
    return {case: np.array(values) for case, values in found.items()}


def exact_ignoring_mechanism(X: np.ndarray) -> np.ndarray:
    """Return the precision of a rule that the estimators refuse under MAR."""
    observed = np.isfinite(X)
    table = Table(np.where(observed, X, 0.0), observed, np.ones(len(X)))
    fit = fit_density(Gaussian(), Explicit(), Exact(), table, seed=0, settings=Settings())
    return Gaussian().precision(fit.params)


def from_pairwise_family(X: np.ndarray) -> np.ndarray:
    """Return the precision of the pairwise family, fitted without knowing it is Gaussian."""
    family = ExponentialFamilyScoreMatching(
        missing=Imputation(n_draws=10), mechanism="mar", tol=1e-4, random_state=0
    )
    d = X.shape[1]
    theta = family.fit(X).natural_parameters_
    K = np.diag(theta[d : 2 * d])
    K[np.triu_indices(d, 1)] = theta[2 * d :]
    return K + np.triu(K, 1).T


MAR_METHODS: dict[str, Method] = {
    "imputation (EM), the default": lambda X: (
        GaussianScoreMatching(mechanism="mar").fit(X).precision_
    ),
    "imputation, pairwise family, 10 draws": from_pairwise_family,
    "exact marginals, mechanism ignored": exact_ignoring_mechanism,
    "complete cases, mechanism ignored": partial(ours, "complete_case"),
}


def mar_study(n: int, n_seeds: int) -> dict[str, np.ndarray]:
    """Return errors and seconds, (n_seeds, 2), under a mechanism that is MAR."""
    tables = [mar_design(np.random.default_rng([2, seed]), n) for seed in range(n_seeds)]
    return {
        name: np.array([measure(method, X, truth) for X, truth in tables])
        for name, method in MAR_METHODS.items()
    }


def summary(values: np.ndarray) -> str:
    """Return median and quartiles, in words where there was often no answer."""
    if np.isinf(values).mean() >= 0.5:
        return "impossible"
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75], method="nearest")
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def report(mcar: dict[tuple[float, str], np.ndarray], mar: dict[str, np.ndarray], n: int) -> str:
    """Return the tables as Markdown."""
    names = [COMPLETE, *METHODS]
    rows = [
        [name]
        + [summary(mcar[fraction, name][:, 0]) for fraction in FRACTIONS]
        + [f"{np.median([mcar[f, name][:, 1] for f in FRACTIONS]):.3f}"]
        for name in names
    ]
    share = [f"{fraction:.0%} holes" for fraction in FRACTIONS]
    mcar_table = markdown_table(["method", *share, "seconds"], rows)
    mar_rows = [
        [name, summary(values[:, 0]), f"{np.median(values[:, 1]):.2f}"]
        for name, values in mar.items()
    ]
    n_seeds, n_slow = len(mcar[FRACTIONS[0], COMPLETE]), len(mcar[FRACTIONS[0], SLOW])
    return f"""# Gaussian with holes

{describe("scikit-learn", "numpy", "scipy", "jax")}

Relative Frobenius error of the precision, median (quartiles) over {n_seeds} seeds
({n_slow} for importance), and median seconds per fit (what is compiled on first use is paid once
and not in the median).

Completely at random, correlated design, d = 10, n = 1000:

{mcar_table}

At random (MAR): d = 3, n = {n:,}, columns 2 and 3 missing with a chance that depends on column 1,
{len(next(iter(mar.values())))} seed(s):

{markdown_table(["method", "error", "seconds"], mar_rows)}
"""


def draw(mcar: dict[tuple[float, str], np.ndarray]) -> None:
    """Save the errors of every seed by method."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = [COMPLETE, *METHODS]
    figure, axes = plt.subplots(1, len(FRACTIONS), figsize=(10, 3.4), sharey=True, sharex=True)
    for ax, fraction in zip(axes, FRACTIONS, strict=True):
        for i, name in enumerate(names):
            errors = mcar[fraction, name][:, 0]
            errors = errors[np.isfinite(errors)]
            ax.plot(errors, np.full(len(errors), i), "o", alpha=0.4, color=f"C{i}")
            if len(errors):
                ax.plot(np.median(errors), i, "|", color="black", markersize=14)
            else:
                ax.text(0.1, i, "impossible", va="center", fontsize=8)
        ax.set(title=f"{fraction:.0%} holes", xscale="log", xlabel="relative error")
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(names)), labels=names, fontsize=8)
    axes[0].invert_yaxis()
    figure.tight_layout()
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "gaussian_missing.png", dpi=150)


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Two seeds, fewer rows.")] = False,
    slow_seeds: Annotated[int, typer.Option(help="Seeds for importance, ~20 s a fit.")] = 10,
) -> None:
    """Measure, write the tables and draw the figure."""
    n = 20_000 if quick else 200_000
    mcar = mcar_study(2 if quick else 10, 1 if quick else slow_seeds)
    mar = mar_study(n, 1 if quick else 3)
    if quick:
        print(report(mcar, mar, n))
        return
    save("gaussian_missing.md", report(mcar, mar, n))
    draw(mcar)


if __name__ == "__main__":
    typer.run(main)
