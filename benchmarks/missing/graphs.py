"""Gaussian graphical models with holes: edges found along an L1 path, by AUC.

Run ``python -m benchmarks.missing.graphs`` from the root of the repository, with ``--quick`` for
two seeds. Star graphs with one to three centres and a dense random graph; an edge counts the
earlier, the larger the L1 weight at which it enters. Every method gets the same grid of weights
and the same ridge.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
import typer
from sklearn.metrics import roc_auc_score

from benchmarks.designs import completely_at_random
from benchmarks.machine import describe, markdown_table, save
from benchmarks.missing.methods import ISOTROPIC, Method, WideNormal, mean_filled
from benchmarks.missing.study import Found, draw_curves, measure, seconds, summary
from sm_estimators import CustomProposal, Importance, PairwiseGaussian, Variational, Zeroed
from sm_estimators.fitting import Settings, Table, fit_density
from sm_estimators.missing.gaussian_em import gaussian_em_path
from sm_estimators.missing.gaussian_marginal import gaussian_path
from sm_estimators.missing.penalty import l1_max
from sm_estimators.objectives import Explicit

N_ROWS, N_COLUMNS, N_DRAWS, N_WEIGHTS, RIDGE = 300, 10, 10, 8, 0.1
SHARES = (0.2, 0.3, 0.5, 0.7, 0.9)
STAR = [("star", 1, share) for share in SHARES]
SETTINGS = [*STAR, ("star", 2, 0.5), ("star", 3, 0.5), ("dense", 0, 0.3), ("dense", 0, 0.7)]


def graph(rng: np.random.Generator, kind: str, centres: int) -> np.ndarray:
    """Return a precision matrix: stars that share the columns, or edges with probability ½."""
    K = np.zeros((N_COLUMNS, N_COLUMNS))
    if kind == "star":
        for leaf in range(centres, N_COLUMNS):
            K[leaf % centres, leaf] = 1.0
    else:
        edges = np.triu(rng.random(K.shape) < 0.5, 1)
        K[edges] = rng.choice([-1.0, 1.0], edges.sum())
    K = K + K.T
    return np.eye(N_COLUMNS) + K * 0.8 / np.abs(np.linalg.eigvalsh(K)).max()


def methods() -> list[Method]:
    """Return the rules; names of the Gaussian routines stand for themselves."""
    wide = CustomProposal(WideNormal())
    published = Variational(
        N_DRAWS,
        replace(ISOTROPIC, n_steps=100),
        n_refreshes=4,
        self_normalised=False,
        bias_correction=False,
    )
    return [
        Method("full data", "exact", of_full_data=True),
        Method("complete cases", "complete_case"),
        Method("mean imputed", "exact", prepare=mean_filled, consistent=False),
        Method("zeroed", Zeroed(), consistent=False),
        Method("EM (imputation)", "em"),
        Method("exact marginals", "exact"),
        Method(
            "importance, N(0, 16 I), as published", Importance(N_DRAWS, wide, bias_correction=False)
        ),
        Method("importance, ours", Importance(N_DRAWS)),
        Method("variational, isotropic network, as published", published),
        Method("variational with weights, ours", Variational(N_DRAWS, n_refreshes=2)),
    ]


def path(rule, X: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Return the precision at every L1 weight, largest first."""
    observed = ~np.isnan(X)
    if rule == "complete_case":
        X, observed, rule = X[observed.all(axis=1)], observed[observed.all(axis=1)], "exact"
    if isinstance(rule, str):
        fit_path = gaussian_em_path if rule == "em" else gaussian_path
        fits = fit_path(X, observed, weights, ridge=RIDGE, tol=1e-4, max_iter=200)
        return [fit.precision for fit in fits]
    found, initial = [], None
    table = Table(X, observed, np.ones(len(X)))
    for l1 in weights:
        settings = Settings(ridge=RIDGE, l1=float(l1), tol=1e-4, max_iter=100)
        fit = fit_density(
            PairwiseGaussian(), Explicit(), rule, table, seed=0, settings=settings, initial=initial
        )
        initial = fit.params
        K = np.zeros((N_COLUMNS, N_COLUMNS))
        K[np.triu_indices(N_COLUMNS, 1)] = fit.params[2 * N_COLUMNS :]
        found.append(K + K.T)
    return found


def area(method: Method, full: np.ndarray, X: np.ndarray, truth: np.ndarray) -> float:
    """Return the area under the curve of the edges in the order in which they enter."""
    table = full if method.of_full_data else method.prepare(X)
    seen = ~np.isnan(table)
    if method.missing == "complete_case" and seen.all(axis=1).sum() < 3:
        raise ValueError("no complete cases")
    table = (table - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    top = l1_max(table, seen, ridge=RIDGE)
    weights = np.geomspace(top, top / 50, N_WEIGHTS)
    edges = np.triu_indices(N_COLUMNS, 1)
    sizes = np.abs([K[edges] for K in path(method.missing, table, weights)])
    # Edges that enter together are ordered by their size at the end of the path.
    entry = np.where(sizes > 1e-8, weights[:, None], 0.0).max(axis=0)
    return float(roc_auc_score(truth[edges] != 0, entry + 1e-9 * sizes[-1]))


def run(seeds: Iterable[int]) -> Iterator[Found]:
    """Yield areas and seconds of every method in every setting, after every seed."""
    found: Found = {}
    for seed in seeds:
        for kind, centres, share in SETTINGS:
            rng = np.random.default_rng([6, seed])
            K = graph(rng, kind, centres)
            full = rng.multivariate_normal(np.zeros(N_COLUMNS), np.linalg.inv(K), N_ROWS)
            X = completely_at_random(np.random.default_rng([7, seed]), full, share)
            X = X[~np.isnan(X).all(axis=1)]
            for method in methods():
                result = measure(lambda m=method, a=(full, X, K): area(m, *a))
                found.setdefault(((kind, centres, share), method.name), []).append(result)
        print(f"seed {seed} done", flush=True)
        yield found


def label(kind: str, centres: int, share: float) -> str:
    """Return the heading of a setting."""
    return f"{kind}{f' × {centres}' if centres > 1 else ''}, {share:.0%}"


def report(found: Found) -> str:
    """Return the table as Markdown."""
    names = [m.name for m in methods()]
    rows = [
        [name, *(summary(found[s, name], 2) for s in SETTINGS), seconds(found[STAR[2], name])]
        for name in names
    ]
    headers = ["method", *(label(*s) for s in SETTINGS), "seconds, star, 50 %"]
    n_seeds = len(found[SETTINGS[0], names[0]])
    return f"""# Gaussian graphical models, holes completely at random

{describe("scikit-learn", "numpy", "scipy", "jax")}

Area under the curve of edges found along an L1 path of {N_WEIGHTS} weights, d = {N_COLUMNS},
n = {N_ROWS}, ridge {RIDGE} for every method: median (quartiles) over {n_seeds} seeds, and median
seconds per path.

{markdown_table(headers, rows)}
"""


def write(found: Found) -> None:
    """Save the table and the figure."""
    save("missing_graphs.md", report(found))
    by_share = {(s[2], m.name): found[s, m.name] for s in STAR for m in methods()}
    draw_curves(
        by_share,
        list(SHARES),
        [m.name for m in methods()],
        xlabel="share of holes (star graph)",
        ylabel="area under the curve",
        path="missing_graphs.png",
        log=False,
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
