"""Exact marginal score matching for a Gaussian: our gradient against automatic differentiation.

Run ``python -m benchmarks.missing.exact_gaussian`` from the root of the repository, with
``--quick`` for the small sizes. 30 % of the cells are holes, completely at random, and all
patterns are distinct. The peer is the loss of one row written down naively, a factorisation of
its Σ_oo, under ``jax.vmap`` and ``jax.value_and_grad`` in float64, compiled, in chunks of rows; by
LAPACK, and by an elimination in plain arithmetic. Batches of LAPACK calls can hang on two cores,
which is why the peer is also kept on one. Every peer runs in a process of its own with a time
limit, and so does every fit, whose memory is measured in a second run.
"""

import json
import os
import subprocess
import sys
import time
import tracemalloc
from functools import partial
from typing import Annotated

import numpy as np
import typer

from benchmarks.designs import completely_at_random, correlated_design
from benchmarks.machine import Time, describe, markdown_table, save, stopwatch
from sm_estimators._patterns import group_by_pattern
from sm_estimators.missing.gaussian_em import gaussian_em, gaussian_em_path
from sm_estimators.missing.gaussian_marginal import fit_gaussian_marginal, gaussian_path
from sm_estimators.missing.marginal_loss import gaussian_marginal_gradient
from sm_estimators.missing.penalty import l1_max

HOLES, N_REPEATS, PATIENCE, TIME_LIMIT = 0.3, 15, 20, 300
SIZES = ((10, 500), (20, 1000), (50, 1000))
CLOCKS = "(of the processor)"
CHUNK = 128
"""Rows that the peer differentiates at a time."""
FITS = {
    "EM": gaussian_em,
    "exact": fit_gaussian_marginal,
    "exact, l1 = 0.02": partial(fit_gaussian_marginal, l1=0.02, tol=1e-6),
}
app = typer.Typer(add_completion=False)


def distinct_table(d: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` rows with distinct patterns of holes, and what was seen."""
    rng = np.random.default_rng([d, n])
    observed = rng.random((20 * n, d)) >= HOLES
    _, first = np.unique(observed, axis=0, return_index=True)
    observed = observed[np.sort(first)[:n]]
    X, _ = correlated_design(rng, n, d)
    return np.where(observed, X, np.nan), observed


def somewhere(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a location and a precision, not those of the table."""
    W = np.random.default_rng(d).standard_normal((d, 2 * d))
    return np.full(d, 0.4), W @ W.T / (2 * d) + 0.1 * np.eye(d)


def least_time(evaluate) -> Time:
    """Return the least times of a call, after a first one: what other processes took is no part."""
    evaluate()
    times, start = [], time.perf_counter()
    while len(times) < N_REPEATS and time.perf_counter() - start < PATIENCE:
        with stopwatch() as taken:
            evaluate()
        times.append(taken)
    return Time(min(t.wall for t in times), min(t.cpu for t in times))


# --- the loss, ours and by automatic differentiation ------------------------------------------


def by_cholesky(location, K, x, seen):
    """Return the loss of one row by a factorisation of Σ_oo, with ones in the holes."""
    import jax
    import jax.numpy as jnp

    both = seen[:, None] & seen
    covariance = jnp.where(both, jnp.linalg.inv(K), jnp.eye(len(x)))
    factor = jax.scipy.linalg.cho_factor(covariance)
    A = jnp.where(both, jax.scipy.linalg.cho_solve(factor, jnp.eye(len(x))), 0.0)
    score = A @ jnp.where(seen, x - location, 0.0)
    return 0.5 * score @ score - jnp.trace(A)


def by_elimination(location, K, x, seen):
    """Return the loss of one row by eliminating its holes from K, one after the other."""
    import jax
    import jax.numpy as jnp

    def eliminate(j, A):
        update = jnp.outer(A[:, j], A[j]) / A[j, j]
        return A - jnp.where(seen[j], 0.0, update)

    both = seen[:, None] & seen
    A = jnp.where(both, jax.lax.fori_loop(0, len(x), eliminate, K), 0.0)
    score = A @ jnp.where(seen, x - location, 0.0)
    return 0.5 * score @ score - jnp.trace(A)


PEERS = {
    "LAPACK": (by_cholesky, 2),
    "LAPACK, one core": (by_cholesky, 1),
    "elimination": (by_elimination, 2),
}
"""Losses and the cores they run on."""


@app.command()
def peer(name: str, d: int, n: int) -> None:
    """Differentiate the loss of a table; print value, gradients and times as JSON."""
    loss, n_cores = PEERS[name]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    X, observed = distinct_table(d, n)
    pad = -n % CHUNK
    shape = (-1, CHUNK, d)
    rows = np.pad(np.where(observed, X, 0.0), ((0, pad), (0, 0))).reshape(shape)
    seen = np.pad(observed, ((0, pad), (0, 0))).reshape(shape)

    def mean_loss(location, K, rows, seen):
        one = partial(loss, location, (K + K.T) / 2)
        losses = jax.lax.map(lambda chunk: jax.vmap(one)(*chunk), (rows, seen))
        return losses.sum() / n  # rows of padding see nothing and add zero

    arguments = tuple(jnp.asarray(a) for a in (*somewhere(d), rows, seen))
    start = time.perf_counter()
    compiled = jax.jit(jax.value_and_grad(mean_loss, argnums=(0, 1))).lower(*arguments).compile()
    compilation = time.perf_counter() - start
    taken = least_time(lambda: jax.block_until_ready(compiled(*arguments)))
    value, gradients = compiled(*arguments)
    location, K = (np.asarray(g).tolist() for g in gradients)
    told = {"value": float(value), "location": location, "precision": K}
    print(json.dumps({**told, "wall": taken.wall, "cpu": taken.cpu, "compilation": compilation}))


def in_a_child(*arguments: str) -> dict | None:
    """Run a command of this file in a process of its own; None where it does not end in time."""
    command = [sys.executable, "-m", "benchmarks.missing.exact_gaussian", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def difference(a, b) -> float:
    """Return the relative difference in the largest norm."""
    return float(np.abs(np.subtract(a, b)).max() / np.abs(b).max())


def evaluation_rows(d: int, n: int) -> list[list[str]]:
    """Return our time of one evaluation, and per peer its time, ratio and differences."""
    X, observed = distinct_table(d, n)
    table = group_by_pattern(X, observed)
    ours = gaussian_marginal_gradient(*somewhere(d), table)
    taken = least_time(lambda: gaussian_marginal_gradient(*somewhere(d), table))
    size = f"d = {d}, n = {n:,}, {1 - observed.mean():.0%} holes"
    rows = [[f"{size}: ours", milliseconds(taken.wall, taken.cpu), "—", "1", "—", "—"]]
    for name in PEERS:
        found = in_a_child("peer", name, str(d), str(n))
        if found is None:
            rows.append([f"JAX, {name}", f"none in {TIME_LIMIT} s", "—", "—", "—", "—"])
            continue
        rows.append(
            [
                f"JAX, {name}",
                milliseconds(found["wall"], found["cpu"]),
                f"{found['compilation']:.1f}",
                f"{found['wall'] / taken.wall:.1f} ({found['cpu'] / taken.cpu:.1f})",
                f"{difference(found['value'], ours.value):.0e}",
                f"{gradient_difference(found, ours):.0e}",
            ]
        )
    return rows


def milliseconds(wall: float, cpu: float) -> str:
    """Return both times in milliseconds."""
    return f"{1e3 * wall:.1f} ({1e3 * cpu:.1f})"


def gradient_difference(found: dict, ours) -> float:
    """Return the larger relative difference of the gradients in μ and in K."""
    return max(
        difference(found["location"], ours.location), difference(found["precision"], ours.precision)
    )


# --- whole fits and their memory --------------------------------------------------------------


def holed_table(d: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n`` rows of the correlated design with holes, and what was seen."""
    full, _ = correlated_design(np.random.default_rng([0, d]), n, d)
    X = completely_at_random(np.random.default_rng([1, d]), full, HOLES)
    return X, np.isfinite(X)


def paths(X: np.ndarray, observed: np.ndarray) -> dict:
    """Return the paths over 30 penalties, from none joined to a twentieth of that."""
    l1s = np.geomspace(1.0, 0.05, 30) * l1_max(X, observed)
    return {
        "exact, path of 30 l1": lambda: gaussian_path(X, observed, l1s),
        "EM, path of 30 l1": lambda: gaussian_em_path(X, observed, l1s),
    }


@app.command()
def fit(name: str, d: int, n: int, memory: Annotated[bool, typer.Option()] = False) -> None:
    """Fit a table; print seconds, steps and, instead, the peak of memory as JSON."""
    X, observed = holed_table(d, n)
    run = partial(FITS[name], X, observed) if name in FITS else paths(X, observed)[name]
    if memory:
        tracemalloc.start()
    with stopwatch() as taken:
        result = run()
    fits = result if isinstance(result, list) else [result]
    told = {"steps": sum(f.n_iter for f in fits), "settled": sum(f.converged for f in fits)}
    peak = tracemalloc.get_traced_memory()[1] if memory else 0
    told |= {"wall": taken.wall, "cpu": taken.cpu, "fits": len(fits), "peak": peak}
    print(json.dumps(told))


def fit_row(name: str, d: int, n: int) -> list[str]:
    """Return time, steps and peak memory of a fit."""
    arguments = ("fit", name, str(d), str(n))
    timed, traced = in_a_child(*arguments), in_a_child(*arguments, "--memory")
    label = f"d = {d}, n = {n:,}: {name}"
    if timed is None or traced is None:
        return [label, f"over {TIME_LIMIT}", "—", "—", "—"]
    return [
        label,
        f"{timed['wall']:.2f} ({timed['cpu']:.2f})",
        f"{timed['steps']}",
        f"{timed['settled']} of {timed['fits']}",
        f"{traced['peak'] / 1e6:.1f}",
    ]


def memory_row(d: int, n: int) -> list[str]:
    """Return the peak memory of one evaluation on a table, and that of the table itself."""
    X, observed = holed_table(d, n)
    table = group_by_pattern(X, observed)
    point = somewhere(d)
    tracemalloc.start()
    gaussian_marginal_gradient(*point, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = f"d = {d}, n = {n:,}, {len(table.weight):,} patterns"
    return [size, f"{X.nbytes / 1e6:.1f}", f"{peak / 1e6:.1f}", f"{peak / X.nbytes:.1f}"]


def report(sizes: list, fits: list, tables: list) -> str:
    """Return the tables as Markdown."""
    evaluations = markdown_table(
        [
            "",
            "ms (of the processor)",
            "compilation, s",
            "times ours",
            "difference, value",
            "gradient",
        ],
        [row for d, n in sizes for row in evaluation_rows(d, n)],
    )
    whole = markdown_table(
        ["", "s (of the processor)", "steps", "converged", "peak, MB"],
        [fit_row(*case) for case in fits],
    )
    memory = markdown_table(
        ["", "the table, MB", "peak, MB", "peak / table"], [memory_row(*case) for case in tables]
    )
    return f"""# Exact marginals of a Gaussian

{describe("numpy", "scipy", "jax")}

One evaluation of the loss and its gradients in μ and K, all patterns of holes distinct; least of
{N_REPEATS} (or of {PATIENCE} s), without compilation. Differences are relative, to ours. "None"
means that the process did not end in time: batches of LAPACK calls were seen to stand still in XLA
on two cores, but one that is merely slow looks the same:

{evaluations}

Whole fits, {HOLES:.0%} holes, without a ridge; peak of the memory that NumPy allocated, from a
second run. The penalties of a path go from that which leaves no pair joined to a twentieth of it:

{whole}

Memory of one evaluation beside the table that was grouped by pattern. Blocks of patterns hold
2 million numbers (16 MB) per array at most, so that what grows with n is a few vectors per row:

{memory}
"""


@app.command()
def main(*, quick: Annotated[bool, typer.Option(help="Small sizes only.")] = False) -> None:
    """Measure and write the tables."""
    both = ("EM", "exact")
    path_names = ("exact, path of 30 l1", "EM, path of 30 l1")
    if quick:
        fits = [(name, 10, 1000) for name in (*FITS, *path_names)]
        print(report([SIZES[0]], fits, [(10, 1000), (10, 10_000)]))
        return
    fits = [(name, 10, 1000) for name in both]
    fits += [(name, 20, 1000) for name in (*FITS, *path_names)]
    fits += [(name, 50, 20_000) for name in FITS]
    text = report(list(SIZES), fits, [(50, n) for n in (5_000, 20_000, 80_000)])
    save("missing_exact_gaussian.md", text)


if __name__ == "__main__":
    # without the name of a command, measure
    commands = {"peer", "fit", "main"}
    app(sys.argv[1:] if commands & set(sys.argv[1:2]) else ["main", *sys.argv[1:]])
