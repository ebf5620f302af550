"""A density far from Gaussian, log q = −Σ θ_ij x_i² x_j²: over columns and over shares of holes.

Run ``python -m benchmarks.missing.quartic`` from the root of the repository, with ``--quick`` for
two seeds. The error is ‖θ̂ − θ‖ / ‖θ‖. With ``ridge="held_out"`` the ridge is chosen by the
held-out marginal loss, three folds; nothing is chosen in hindsight.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import typer

from benchmarks.designs import completely_at_random
from benchmarks.machine import describe, markdown_table, save
from benchmarks.missing.methods import ISOTROPIC, Method, mean_filled
from benchmarks.missing.study import Found, draw_curves, measure, seconds, summary
from sm_estimators import (
    MALA,
    ExponentialFamily,
    ExponentialFamilyScoreMatching,
    Importance,
    Imputation,
    Variational,
)
from sm_estimators.samplers import draw

N_ROWS, N_DRAWS = 1000, 10
OVER_COLUMNS = [(3, 0.5), (6, 0.5), (10, 0.5)]
OVER_SHARES = [(10, 0.2), (10, 0.5), (10, 0.7)]
HELD_OUT = ", ridge held out"


def squared_products(x):
    """Return −x_i² x_j², i ≤ j."""
    rows, columns = jnp.triu_indices(x.size)
    return -(x[rows] ** 2) * x[columns] ** 2


def quartic_design(seed: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of the density, by Langevin chains, and θ: U[.5, 1] for i = j, else U[0, .5]."""
    rng = np.random.default_rng([4, seed])
    rows, columns = np.triu_indices(d)
    theta = np.where(
        rows == columns, rng.uniform(0.5, 1, len(rows)), rng.uniform(0, 0.5, len(rows))
    )
    X, _ = draw(
        jax.random.key(seed),
        MALA(n_warmup=1000),
        density=ExponentialFamily(squared_products),
        params=theta,
        starts=0.5 * rng.standard_normal((64, d)),
        scale=0.5 * np.ones(d),
        n_samples=n,
    )
    return X, theta


def chosen_at(d: int, share: float) -> bool:
    """Return whether the ridge is held out in this setting: most of a minute for ten columns."""
    return d < 10 or share == 0.5


def methods() -> list[Method]:
    """Return the rules; those with a chosen ridge say so in their names."""
    published = Variational(N_DRAWS, ISOTROPIC, self_normalised=False, bias_correction=False)
    plain = Variational(N_DRAWS, self_normalised=False)
    return [
        Method("full data", "complete_case", of_full_data=True),
        Method("complete cases", "complete_case"),
        Method("mean imputed", "complete_case", prepare=mean_filled, consistent=False),
        Method("zeroed", "zeroed", consistent=False),
        Method("EM (imputation)", Imputation(N_DRAWS)),
        Method("EM (imputation)" + HELD_OUT, Imputation(N_DRAWS)),
        Method("importance", Importance(N_DRAWS)),
        Method("importance" + HELD_OUT, Importance(N_DRAWS)),
        Method("variational, isotropic network, as published", published),
        Method("variational, Gaussian, unweighted", plain),
        Method("variational with weights", Variational(N_DRAWS)),
    ]


def error(method: Method, full: np.ndarray, X: np.ndarray, theta: np.ndarray) -> float:
    """Return the relative error of θ."""
    ridge = "held_out" if method.name.endswith(HELD_OUT) else 1e-6
    estimator = ExponentialFamilyScoreMatching(
        squared_products, missing=method.missing, ridge=ridge, max_iter=300, random_state=0
    )
    estimator.fit(full if method.of_full_data else method.prepare(X))
    gap = estimator.natural_parameters_ - theta
    return float(np.linalg.norm(gap) / np.linalg.norm(theta))


def run(seeds: Iterable[int]) -> Iterator[Found]:
    """Yield errors and seconds of every method in every setting, after every seed."""
    found: Found = {}
    for seed in seeds:
        for d, fraction in sorted({*OVER_COLUMNS, *OVER_SHARES}):
            full, theta = quartic_design(seed, N_ROWS, d)
            X = completely_at_random(np.random.default_rng([5, seed]), full, fraction)
            X = X[~np.isnan(X).all(axis=1)]
            for method in methods():
                if method.name.endswith(HELD_OUT) and not chosen_at(d, fraction):
                    continue
                result = measure(lambda m=method, a=(full, X, theta): error(m, *a))
                found.setdefault(((d, fraction), method.name), []).append(result)
        print(f"seed {seed} done", flush=True)
        yield found


def report(found: Found) -> str:
    """Return the table as Markdown."""
    settings = sorted({*OVER_COLUMNS, *OVER_SHARES})
    rows = [
        [
            m.name,
            *(summary(found[s, m.name], 2) if (s, m.name) in found else "–" for s in settings),
            seconds(found[(10, 0.5), m.name]),
        ]
        for m in methods()
    ]
    headers = [
        "method",
        *(f"d = {d}, {share:.0%}" for d, share in settings),
        "seconds at d = 10, 50 %",
    ]
    n_seeds = len(found[(10, 0.5), "full data"])
    return f"""# Squared products, holes completely at random

{describe("scikit-learn", "numpy", "scipy", "jax")}

Relative error of θ in log q = −Σ θ_ij x_i² x_j², n = {N_ROWS}, {N_DRAWS} draws per row: median
(quartiles) over {n_seeds} seeds, and median seconds per fit. "Ridge held out" chooses the ridge by
the held-out marginal loss (–: not run); the others have the default of 1e-6.

{markdown_table(headers, rows)}
"""


def write(found: Found) -> None:
    """Save the table and the figure."""
    save("missing_quartic.md", report(found))
    names = [m.name for m in methods() if not m.name.endswith(HELD_OUT)]
    by_share = {
        (share, name): found[(d, share), name] for d, share in OVER_SHARES for name in names
    }
    draw_curves(
        by_share,
        [share for _, share in OVER_SHARES],
        names,
        xlabel="share of holes (d = 10)",
        ylabel="relative error of θ",
        path="missing_quartic.png",
    )


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Two seeds.")] = False,
    seeds: Annotated[int, typer.Option(help="Seeds.")] = 20,
) -> None:
    """Measure, write the table and draw the figure."""
    for found in run(range(2 if quick else seeds)):
        print(report(found)) if quick else write(found)  # a study that is stopped has its seeds


if __name__ == "__main__":
    typer.run(main)
