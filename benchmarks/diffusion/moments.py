"""Moments of a Gaussian, as drawn by every published sampler after training.

Errors are of draws against the training rows, in standard errors of the draws: the largest over
means and over covariances. With the exact score in the place of a network, the tests hold all
samplers to four.
"""

from typing import Annotated

import numpy as np
import typer

from benchmarks.diffusion.mode_weights import SAMPLERS
from benchmarks.machine import describe, markdown_table, save
from sm_estimators import NoiseConditionalScore, ScoreDiffusion

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.8, -0.3], [0.8, 2.0, 0.2], [-0.3, 0.2, 0.5]])
N_ROWS, N_DRAWS = 10_000, 4000
PROCESSES = ("variance_exploding", "variance_preserving", "sub_variance_preserving")
TIMED = ("reverse SDE", "predictor-corrector")
"""Samplers whose steps depend on more of a process than its noise scales."""


def errors(draws: np.ndarray, X: np.ndarray) -> tuple[float, float]:
    """Return the largest errors of means and covariances, in standard errors."""
    n, S = len(draws), np.cov(X.T)
    variances = np.diag(S)
    of_means = np.abs(draws.mean(axis=0) - X.mean(axis=0)) / np.sqrt(variances / n)
    of_covariances = np.abs(np.cov(draws.T) - S) / np.sqrt(
        (S**2 + np.outer(variances, variances)) / n
    )
    return float(of_means.max()), float(of_covariances.max())


def main(
    max_iter: Annotated[int, typer.Option(help="Steps of training.")] = 5000,
) -> None:
    """Measure and write the table."""
    X = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, N_ROWS)
    rows = []

    def measure(label: str, estimator: ScoreDiffusion | NoiseConditionalScore, name: str) -> None:
        found = errors(estimator.sample(N_DRAWS, random_state=0), X)
        rows.append([label, name, *(f"{error:.1f}" for error in found)])
        print(rows[-1], flush=True)

    for process in PROCESSES:
        estimator = ScoreDiffusion(
            process=process, n_components=1, max_iter=max_iter, random_state=0
        ).fit(X)
        for name, sampler in SAMPLERS.items():
            if process == PROCESSES[0] or name in TIMED:
                measure(process.replace("_", " "), estimator.set_params(sampler=sampler), name)
    published = NoiseConditionalScore(max_iter=max_iter, random_state=0).fit(X)
    measure("noise ladder, no Gaussian", published, "annealed Langevin")
    header = ["model", "sampler", "means", "covariances"]
    text = f"""# Moments of a Gaussian after training

{describe("jax", "numpy", "scikit-learn")}

Three columns, {N_ROWS} rows, {N_DRAWS} draws; the largest error of the draws against the training
rows, in standard errors of the draws. `NoiseConditionalScore` is a network with nothing behind it.

{markdown_table(header, rows)}
"""
    save("diffusion_moments.md", text)


if __name__ == "__main__":
    typer.run(main)
