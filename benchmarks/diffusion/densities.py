"""Log-densities and weights of modes of known distributions, against tuned peers.

For the four Gaussians also what a loss at one noise scale, with Langevin chains started away from
the modes, makes of their weights.
"""

from typing import Annotated

import jax
import numpy as np
import typer

from benchmarks.diffusion.designs import DESIGNS, Design
from benchmarks.diffusion.peers import fit_flow, fit_kde, fit_mixture
from benchmarks.machine import describe, markdown_table, save, stopwatch
from sm_estimators import (
    Ancestral,
    AnnealedLangevin,
    EnergyScoreMatching,
    PredictorCorrector,
    ProbabilityFlow,
    ResidualMLP,
    ReverseSDE,
    ScoreDiffusion,
    VarianceExploding,
)
from sm_estimators.samplers import ULA
from sm_estimators.samplers.chains import run_chains

CENTRES = np.array([[-2, -2], [-2, 2], [2, -2], [2, 2]])
N_DRAWS = 10_000
SAMPLERS = {
    "probability flow": ProbabilityFlow(),
    "ancestral": Ancestral(200),
    "reverse SDE": ReverseSDE(),
    "predictor-corrector": PredictorCorrector(),
    "annealed Langevin": AnnealedLangevin(),
}


def model(max_iter: int) -> ScoreDiffusion:
    """Return the model that is compared: trained for densities alone, and for finer structure."""
    return ScoreDiffusion(
        ResidualMLP(),
        process=VarianceExploding(centre=0.3),
        joint=1.0,
        max_iter=max_iter,
        batch_size=256,
        random_state=0,
    )


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


def integral(estimator: ScoreDiffusion, X: np.ndarray) -> float:
    """Return the integral of a fitted density in the plane, by the trapezoidal rule."""
    low, high = X.min(axis=0) - X.std(axis=0), X.max(axis=0) + X.std(axis=0)
    axes = [np.linspace(a, b, 161) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    return float(np.exp(estimator.score_samples(grid)).sum() * cell)


def likelihoods(design: Design, n: int, max_iter: int, *, peers: bool) -> list[list[str]]:
    """Return, per method, how far the held-out log-likelihood is below the truth."""
    rng = np.random.default_rng(0)
    X, test = design.draw(rng, n), design.draw(rng, N_DRAWS)
    truth = design.log_density(test)
    with stopwatch() as taken:
        estimator = model(max_iter).fit(X)
    found = [("ScoreDiffusion", estimator.score_samples(test), taken.cpu)]
    if peers:
        for fit in (fit_kde, fit_mixture, fit_flow):
            with stopwatch() as taken:
                peer = fit(X)
            found.append((peer.name, peer.log_density(test), taken.cpu))
    extra = f"{integral(estimator, X):.4f}" if design.d == 2 else "–"
    rows = []
    for i, (name, values, cpu) in enumerate(found):
        gap = truth - values
        error = gap.std() / np.sqrt(len(gap))
        rows.append(
            [
                f"{design.name} ({n})" if i == 0 else "",
                name,
                f"{gap.mean():.4f} ± {error:.4f}",
                f"{np.abs(gap).mean():.3f}",
                extra if i == 0 else "",
                f"{cpu:.0f}",
            ]
        )
        print(rows[-1], flush=True)
    return rows


def mode_weights(n: int, max_iter: int) -> list[list[str]]:
    """Return the weights of the four Gaussians under every sampler."""
    X = DESIGNS["four"].draw(np.random.default_rng(0), n)
    found = {
        "truth": np.array([0.3, 0.2, 0.4, 0.1]),
        "training rows": weights(X),
        "one noise scale, Langevin": one_scale(X),
    }
    estimator = model(max_iter).fit(X)
    for name, sampler in SAMPLERS.items():
        estimator.set_params(sampler=sampler)
        found[name] = weights(estimator.sample(N_DRAWS, random_state=0))
        print(name, found[name], flush=True)
    truth = found["truth"]
    return [
        [name, *(f"{v:.3f}" for v in values), f"{np.abs(values - truth).max():.3f}"]
        for name, values in found.items()
    ]


def main(
    designs: Annotated[str, typer.Option(help="Names, with commas.")] = ",".join(DESIGNS),
    n: Annotated[int, typer.Option(help="Training rows.")] = 10_000,
    max_iter: Annotated[int, typer.Option(help="Steps of training.")] = 6000,
    peers: Annotated[bool, typer.Option(help="Fit the peers too.")] = True,
    output: Annotated[str, typer.Option(help="Name of the result.")] = "diffusion_densities.md",
) -> None:
    """Measure and write the tables."""
    rows = [
        row
        for name in designs.split(",")
        for row in likelihoods(DESIGNS[name], n, max_iter, peers=peers)
    ]
    header = ["design (rows)", "method", "nats below truth", "mean absolute", "integral", "CPU s"]
    modes = ["four Gaussians", "(−2, −2)", "(−2, 2)", "(2, −2)", "(2, 2)", "largest error"]
    text = f"""# Densities of noise-conditional models

{describe("jax", "numpy", "scikit-learn")}

How far the mean log-density of {N_DRAWS} held-out rows is below that of the truth, with its
standard error; the mean absolute difference; and the integral of the fitted density, by quadrature.

{markdown_table(header, rows)}

"""
    if "four" in designs.split(","):
        table = markdown_table(modes, mode_weights(n, max_iter))
        text += f"\nWeights of modes among {N_DRAWS} draws:\n\n{table}\n"
    save(output, text)


if __name__ == "__main__":
    typer.run(main)
