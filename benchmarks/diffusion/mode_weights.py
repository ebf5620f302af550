"""Weights of four separate Gaussians, by sampler, against a loss at one noise scale.

Langevin chains of the latter start away from the modes.
"""

import jax
import numpy as np
import typer

from benchmarks.diffusion.densities import N_DRAWS, model
from benchmarks.diffusion.designs import DESIGNS
from benchmarks.machine import describe, markdown_table, save
from sm_estimators import (
    Ancestral,
    AnnealedLangevin,
    EnergyScoreMatching,
    PredictorCorrector,
    ProbabilityFlow,
    ReverseSDE,
)
from sm_estimators.samplers import ULA
from sm_estimators.samplers.chains import run_chains

CENTRES = np.array([[-2, -2], [-2, 2], [2, -2], [2, 2]])
HEADER = ["four Gaussians", "(−2, −2)", "(−2, 2)", "(2, −2)", "(2, 2)", "largest error"]
N_ROWS, MAX_ITER = 10_000, 6000
SAMPLERS = {
    "probability flow": ProbabilityFlow(),
    "ancestral": Ancestral(200),
    "reverse SDE": ReverseSDE(),
    "predictor-corrector": PredictorCorrector(),
    "annealed Langevin": AnnealedLangevin(),
}


def weights(X: np.ndarray) -> np.ndarray:
    """Return the share of rows nearest to each of the four centres."""
    nearest = ((X[:, None] - CENTRES) ** 2).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=4) / len(X)


def one_scale(X: np.ndarray) -> np.ndarray:
    """Return the weights that Langevin chains from a wide Gaussian find in a local fit."""
    estimator = EnergyScoreMatching(random_state=0).fit(X)
    rng = np.random.default_rng(0)
    chains = run_chains(
        jax.random.key(0),
        ULA(n_chains=1000, n_warmup=2000, thinning=50),
        density=estimator.density_,
        params=estimator.params_,
        positions=X.mean(axis=0) + 3 * X.std(axis=0) * rng.standard_normal((1000, 2)),
        scale=0.1 * X.std(axis=0),
        n_kept=10,
    )
    return weights(chains.positions.reshape(-1, 2))


def mode_weights() -> list[list[str]]:
    """Return the weights of the four Gaussians under every sampler."""
    X = DESIGNS["four"].draw(np.random.default_rng(0), N_ROWS)
    found = {
        "truth": np.array([0.3, 0.2, 0.4, 0.1]),
        "training rows": weights(X),
        "one noise scale, Langevin": one_scale(X),
    }
    estimator = model(MAX_ITER).fit(X)
    for name, sampler in SAMPLERS.items():
        estimator.set_params(sampler=sampler)
        found[name] = weights(estimator.sample(N_DRAWS, random_state=0))
        print(name, found[name], flush=True)
    truth = found["truth"]
    return [
        [name, *(f"{v:.3f}" for v in values), f"{np.abs(values - truth).max():.3f}"]
        for name, values in found.items()
    ]


def main() -> None:
    """Measure and write the table."""
    text = f"""# Weights of modes

{describe("jax", "numpy", "scikit-learn")}

Weights of the modes among {N_DRAWS} draws, after training on {N_ROWS} rows.

{markdown_table(HEADER, mode_weights())}
"""
    save("diffusion_weights.md", text)


if __name__ == "__main__":
    typer.run(main)
