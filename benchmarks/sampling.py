"""Effective draws per second: our MALA, our NUTS and NumPyro's own NUTS.

Run ``python -m benchmarks.sampling`` from the root of the repository, with ``--quick`` for short
chains. Three targets: a correlated Gaussian (d = 10), three Gaussians at distance 4 in the plane,
a fitted neural energy (d = 3). Every sampler runs twice with different seeds; the difference
between the two runs is what was spent on compilation. NumPyro's sampler gets a dense mass matrix,
starts at rows of the data, and one ``jax.jit`` around the whole run, without which it compiles at
every call; 4 and 64 chains are tried and the better is reported.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.infer
import typer

from benchmarks.designs import correlated_design, mixture_design, ring_design
from benchmarks.machine import Time, describe, markdown_table, save, stopwatch
from sm_estimators import EnergyScoreMatching, ScoreMatchingEstimator
from sm_estimators.densities import Gaussian, GaussianMixture
from sm_estimators.numpyro_bridge import NUTS
from sm_estimators.samplers import MALA
from sm_estimators.samplers.chains import run_chains
from sm_estimators.samplers.diagnostics import diagnose

HEADER = [
    "target and sampler",
    "effective draws",
    "R-hat",
    "seconds",
    "compilation",
    "effective draws / s",
    "/ NumPyro",
]


class Target(NamedTuple):
    """A density with rows to start at and the Cholesky factor of their covariance."""

    density: Any
    params: Any
    starts: np.ndarray
    scale: np.ndarray


@dataclass
class Result:
    """Effective draws, R-hat, the time of a warm run and of what it took to compile."""

    effective: float
    r_hat: float
    warm: Time
    compilation: Time

    @property
    def rate(self) -> float:
        """Effective draws per second of a warm run."""
        return self.effective / self.warm.wall


def gaussian() -> Target:
    """Return a correlated Gaussian in ten columns."""
    X, K = correlated_design(np.random.default_rng(0), 1000)
    covariance = np.linalg.inv(K)
    params = Gaussian().from_moments(np.full(10, 0.5), covariance)
    return Target(Gaussian(), params, X, np.linalg.cholesky(covariance))


def mixture() -> Target:
    """Return a mixture fitted to three separate clusters."""
    X = mixture_design(np.random.default_rng(0), 3000)
    fitted = ScoreMatchingEstimator(GaussianMixture(3), random_state=0).fit(X)
    return Target(fitted.density_, fitted.params_, X, np.linalg.cholesky(np.cov(X.T)))


def energy() -> Target:
    """Return a neural energy fitted to a noisy ring."""
    X = ring_design(np.random.default_rng(0), 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = EnergyScoreMatching((64, 64), max_iter=1000, random_state=0).fit(X)
    return Target(fitted.density_, fitted.params_, X, np.linalg.cholesky(np.cov(X.T)))


TARGETS: dict[str, Callable[[], Target]] = {
    "Gaussian, d = 10": gaussian,
    "mixture of 3, d = 2": mixture,
    "neural energy, d = 3": energy,
}


def positions(target: Target, n_chains: int, seed: int) -> np.ndarray:
    """Return rows to start at."""
    rows = np.random.default_rng(seed).integers(len(target.starts), size=n_chains)
    return target.starts[rows]


def run_ours(sampler, n_kept: int, target: Target, seed: int) -> np.ndarray:
    """Return kept states (c, n_kept, d) of our chains."""
    return run_chains(
        jax.random.key(seed),
        sampler,
        density=target.density,
        params=target.params,
        positions=positions(target, sampler.n_chains, seed),
        scale=target.scale,
        n_kept=n_kept,
    ).positions


def run_numpyro(target: Target, *, n_chains: int, n_warmup: int, n_kept: int):
    """Return a function of the seed: NumPyro's NUTS in one compiled call."""

    def potential(params, x):
        return -target.density.log_density(params, x)

    @jax.jit
    def run(key, params, start):
        kernel = numpyro.infer.NUTS(potential_fn=partial(potential, params), dense_mass=True)
        mcmc = numpyro.infer.MCMC(
            kernel,
            num_warmup=n_warmup,
            num_samples=n_kept,
            num_chains=n_chains,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(key, init_params=start)
        return mcmc.get_samples(group_by_chain=True)

    def states(seed: int) -> np.ndarray:
        double = not target.density.neural
        with jax.enable_x64(double):
            dtype = jnp.float64 if double else jnp.float32
            params = jax.tree.map(lambda a: jnp.asarray(a, dtype), target.params)
            start = jnp.asarray(positions(target, n_chains, seed), dtype)
            return np.asarray(run(jax.random.key(seed), params, start), float)

    return states


def measure(states: Callable[[int], np.ndarray]) -> Result:
    """Run cold, then warm three times; report the warm run of median length."""
    with stopwatch() as cold:
        states(0)
    warm = []
    for seed in (1, 2, 3):
        with stopwatch() as taken:
            kept = states(seed)
        warm.append((taken.wall, seed, taken, diagnose(kept)))
    _, _, taken, found = sorted(warm, key=lambda run: run[:2])[1]
    spent = Time(cold.wall - taken.wall, cold.cpu - taken.cpu)
    return Result(found.effective_sample_size, found.r_hat, taken, spent)


def contenders(target: Target, effort: int) -> dict[str, Result]:
    """Measure every sampler on a target; chains get ``effort`` times 125 kept states or more."""
    numpyro_runs = [
        measure(run_numpyro(target, n_chains=c, n_warmup=300, n_kept=n))
        for c, n in ((4, 1000 * effort), (64, 125 * effort))
    ]
    ours = {
        "MALA, 64 chains": (MALA(), 500 * effort),
        "NUTS bridge, 4 chains": (NUTS(), 1000 * effort),
        "NUTS bridge, 64 chains": (NUTS(n_chains=64), 125 * effort),
    }
    results = {
        name: measure(partial(run_ours, sampler, n_kept, target))
        for name, (sampler, n_kept) in ours.items()
    }
    best = max(numpyro_runs, key=lambda r: r.rate)
    name = f"NumPyro NUTS, {(4, 64)[numpyro_runs.index(best)]} chains"
    return {**results, name: best}


def rows(target: str, results: dict[str, Result]) -> list[list[str]]:
    """Return the rows of one target; the last sampler is the peer."""
    peer = list(results.values())[-1]
    return [
        [
            f"{target}: {name}",
            f"{r.effective:,.0f}",
            f"{r.r_hat:.3f}",
            f"{r.warm.wall:.2f} ({r.warm.cpu:.2f})",
            f"{r.compilation.wall:.1f} ({r.compilation.cpu:.1f})",
            f"{r.rate:,.0f}",
            f"{r.rate / peer.rate:.2f}",
        ]
        for name, r in results.items()
    ]


def report(found: dict[str, dict[str, Result]]) -> str:
    """Return the table as Markdown."""
    table = markdown_table(
        HEADER,
        [row for target, results in found.items() for row in rows(target, results)],
    )
    return f"""# Sampling

{describe("jax", "numpyro", "numpy")}

Smallest effective sample size over columns; seconds by the clock (of the processor) of a warm run,
warm-up included, and of compilation apart. The last column is the rate over that of NumPyro's own
NUTS. Where R-hat is above 1.01 the chains disagree and the effective draws mean little.

{table}
"""


def main(*, quick: Annotated[bool, typer.Option(help="Short chains.")] = False) -> None:
    """Measure and write the table."""
    found = {name: contenders(target(), 1 if quick else 4) for name, target in TARGETS.items()}
    if quick:
        print(report(found))
        return
    save("sampling.md", report(found))


if __name__ == "__main__":
    typer.run(main)
