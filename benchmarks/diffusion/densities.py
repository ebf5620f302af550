"""Log-densities of known distributions, against tuned peers."""

from typing import Annotated

import numpy as np
import typer

from benchmarks.diffusion.designs import DESIGNS, Design
from benchmarks.diffusion.peers import fit_flow, fit_kde, fit_mixture
from benchmarks.machine import describe, markdown_table, save, stopwatch
from sm_estimators import ResidualMLP, ScoreDiffusion, VarianceExploding

N_DRAWS = 10_000


def model(max_iter: int, *, sharp: bool = False) -> ScoreDiffusion:
    """Return the model that is compared: trained for densities alone, and for finer structure.

    ``sharp`` is for edges: no mixture, more frequencies, and no early stopping.
    """
    edges = {"n_components": 1, "n_iter_no_change": 1000} if sharp else {}
    return ScoreDiffusion(
        ResidualMLP(n_frequencies=16 if sharp else 4),
        process=VarianceExploding(centre=0.3),
        joint=1.0,
        max_iter=max_iter,
        batch_size=256,
        random_state=0,
        **edges,
    )


def integral(estimator: ScoreDiffusion, X: np.ndarray) -> float:
    """Return the integral of a fitted density in the plane, by the trapezoidal rule."""
    low, high = X.min(axis=0) - X.std(axis=0), X.max(axis=0) + X.std(axis=0)
    axes = [np.linspace(a, b, 161) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    return float(np.exp(estimator.score_samples(grid)).sum() * cell)


def likelihoods(
    design: Design, n: int, max_iter: int, *, peers: bool, sharp: bool
) -> list[list[str]]:
    """Return, per method, how far the held-out log-likelihood is below the truth."""
    rng = np.random.default_rng(0)
    X, test = design.draw(rng, n), design.draw(rng, N_DRAWS)
    truth = design.log_density(test)
    with stopwatch() as taken:
        estimator = model(max_iter, sharp=sharp).fit(X)
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


def main(
    designs: Annotated[str, typer.Option(help="Names, with commas.")] = ",".join(DESIGNS),
    n: Annotated[int, typer.Option(help="Training rows.")] = 10_000,
    max_iter: Annotated[int, typer.Option(help="Steps of training.")] = 6000,
    peers: Annotated[bool, typer.Option(help="Fit the peers too.")] = True,
    sharp: Annotated[bool, typer.Option(help="Train for edges.")] = False,
    output: Annotated[str, typer.Option(help="Name of the result.")] = "diffusion_densities.md",
) -> None:
    """Measure and write the table."""
    rows = [
        row
        for name in designs.split(",")
        for row in likelihoods(DESIGNS[name], n, max_iter, peers=peers, sharp=sharp)
    ]
    header = ["design (rows)", "method", "nats below truth", "mean absolute", "integral", "CPU s"]
    text = f"""# Densities of noise-conditional models

{describe("jax", "numpy", "scikit-learn")}

How far the mean log-density of {N_DRAWS} held-out rows is below that of the truth, with its
standard error; the mean absolute difference; and the integral of the fitted density, by quadrature.

{markdown_table(header, rows)}
"""
    save(output, text)


if __name__ == "__main__":
    typer.run(main)
