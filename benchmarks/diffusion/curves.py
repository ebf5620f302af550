"""Quality against time: classifier-free guidance, and draws in few steps after distillation.

Quality is the energy distance between draws and fresh rows of the truth. Seconds are of draws that
follow a first call, which compiles.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import typer
from numpy.random import Generator

from benchmarks.diffusion.densities import model
from benchmarks.diffusion.designs import DESIGNS
from benchmarks.diffusion.distance import energy_distance
from benchmarks.machine import RESULTS, describe, markdown_table, save, stopwatch
from sm_estimators import Ancestral, ClassifierFree, Consistency, ProbabilityFlow, ScoreDiffusion

N_ROWS, N_DRAWS, N_REPEATS = 10_000, 4000, 3
STEPS = (4, 8, 16, 32, 64, 128)
FEW_STEPS = (1, 2, 4, 8)
GUIDED_STEPS = (4, 8, 16, 32, 64)
WEIGHTS = (1.0, 1.5, 2.0, 3.0, 5.0)
LABELS = np.array(["left", "middle", "right"])
CENTRES = np.array([[-1.5, 0.0], [0.0, 1.0], [1.5, 0.0]])
GUIDED = "left"
"""The label that is asked for."""


def labelled(rng: Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of three equally likely, overlapping Gaussians and their labels."""
    which = rng.integers(3, size=n)
    return CENTRES[which] + 0.8 * rng.standard_normal((n, 2)), LABELS[which]


def best_guess(X: np.ndarray) -> np.ndarray:
    """Return the most likely label of every row, under the truth."""
    return LABELS[((X[:, None] - CENTRES) ** 2).sum(axis=2).argmin(axis=1)]


def spread(X: np.ndarray) -> float:
    """Return the root of the mean variance of the columns."""
    return float(np.sqrt(X.var(axis=0).mean()))


def drawn(estimator: ScoreDiffusion, **how: Any) -> tuple[list[np.ndarray], float]:
    """Return draws with several seeds, and the median of the seconds they took."""
    estimator.sample(N_DRAWS, random_state=0, **how)
    draws, seconds = [], []
    for seed in range(1, N_REPEATS + 1):
        with stopwatch() as taken:
            draws.append(estimator.sample(N_DRAWS, random_state=seed, **how))
        seconds.append(taken.wall)
    return draws, float(np.median(seconds))


def distance(draws: list[np.ndarray], truth: np.ndarray) -> float:
    """Return 1000 times the mean energy distance to rows of the truth."""
    return float(1e3 * np.mean([energy_distance(X, truth) for X in draws]))


def guidance(max_iter: int) -> Iterator[tuple[float, int, float, float, float, float]]:
    """Yield weight, steps, seconds, distance to the rows of the label, share of them, spread."""
    rng = np.random.default_rng(0)
    X, label = labelled(rng, N_ROWS)
    truth, names = labelled(rng, 3 * N_DRAWS)
    truth = truth[names == GUIDED][:N_DRAWS]
    estimator = model(max_iter).fit(X, label)
    print("truth", np.mean(best_guess(truth) == GUIDED), spread(truth))
    for weight in WEIGHTS:
        for n_steps in GUIDED_STEPS:
            how = {} if weight == 1 else {"guidance": ClassifierFree(weight)}
            estimator.set_params(sampler=ProbabilityFlow(n_steps))
            draws, seconds = drawn(estimator, y=GUIDED, **how)
            every = np.concatenate(draws)
            share = float(np.mean(best_guess(every) == GUIDED))
            yield weight, n_steps, seconds, distance(draws, truth), share, spread(every)


def few_steps(max_iter: int) -> Iterator[tuple[str, int, float, float]]:
    """Yield sampler, steps, seconds and distance to the truth, on the rings."""
    rng = np.random.default_rng(0)
    design = DESIGNS["rings"]
    X, truth = design.draw(rng, N_ROWS), design.draw(rng, N_DRAWS)
    with stopwatch() as fitting:
        estimator = model(max_iter).fit(X)
    with stopwatch() as distilling:
        estimator.distill(X)
    print(f"fit {fitting.cpu:.0f} s, distillation {distilling.cpu:.0f} s of CPU", flush=True)
    yield "fresh rows of the truth", 0, 0.0, distance([design.draw(rng, N_DRAWS)], truth)
    samplers = [
        *(("consistency", Consistency(n), n) for n in FEW_STEPS),
        *(("probability flow", ProbabilityFlow(n), n) for n in STEPS),
        *(("ancestral", Ancestral(n), n) for n in STEPS),
    ]
    for name, sampler, n_steps in samplers:
        draws, seconds = drawn(estimator.set_params(sampler=sampler))
        yield name, n_steps, seconds, distance(draws, truth)


def draw_curves(guided: list, fast: list) -> None:
    """Draw both studies, side by side."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for weight in WEIGHTS:
        _, _, seconds, distances, shares, spreads = zip(
            *(row for row in guided if row[0] == weight), strict=True
        )
        left.plot(seconds, distances, marker="o", markersize=3, label=f"weight {weight:g}")
        middle.plot(spreads[-1], shares[-1], marker="o", label=f"weight {weight:g}")
    left.set(xscale="log", xlabel=f"seconds for {N_DRAWS} rows", ylabel="energy distance × 1000")
    left.set_title("guidance: distance to the label's rows", loc="left", fontsize=10)
    middle.set(xlabel="standard deviation", ylabel=f"share with best guess “{GUIDED}”")
    middle.set_title("guidance: typical against diverse", loc="left", fontsize=10)
    middle.legend(frameon=False, fontsize=8, loc="lower left")
    for name in dict.fromkeys(row[0] for row in fast if row[1]):
        _, _, seconds, distances = zip(*(row for row in fast if row[0] == name), strict=True)
        right.plot(seconds, distances, marker="o", markersize=3, label=name)
    right.axhline(fast[0][3], color="#999999", linewidth=1, linestyle=":")
    right.set(xscale="log", yscale="log", xlabel=f"seconds for {N_DRAWS} rows")
    right.set_ylabel("energy distance × 1000")
    right.set_title("rings: few steps against many", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "diffusion_curves.png", dpi=150)


def main(
    max_iter: Annotated[int, typer.Option(help="Steps of training.")] = 6000,
) -> None:
    """Measure, draw, and write the tables."""
    guided, fast = [], []
    for found, measured in ((fast, few_steps(max_iter)), (guided, guidance(max_iter))):
        for row in measured:
            found.append(row)
            print(row, flush=True)
    draw_curves(guided, fast)
    of_guidance = [
        [f"{w:g}", str(n), f"{s:.2f}", f"{e:.0f}", f"{share:.3f}", f"{deviation:.2f}"]
        for w, n, s, e, share, deviation in guided
    ]
    of_steps = [
        [name, str(n or "–"), f"{s:.3f}" if n else "–", f"{e:.0f}"] for name, n, s, e in fast
    ]
    text = f"""# Guidance and few steps: quality against time

{describe("jax", "numpy", "scikit-learn")}

Energy distances between {N_DRAWS} draws and as many fresh rows of the truth, means of {N_REPEATS}
sets of draws, and the seconds by the clock for one set, after compilation. A step takes one
evaluation of the network, of the probability flow two. Rings, {N_ROWS} rows:

{markdown_table(["sampler", "steps", "seconds", "energy distance × 1000"], of_steps)}

Classifier-free guidance towards one of three labels whose rows overlap: the distance to the rows
of the label, the share of draws that the truth would guess to be of the label, and their standard
deviation. Weight 1 is the model itself; other weights take twice the evaluations.

{
        markdown_table(
            [
                "weight",
                "steps",
                "seconds",
                "energy distance × 1000",
                "best guess",
                "standard deviation",
            ],
            of_guidance,
        )
    }
"""
    save("diffusion_curves.md", text)


if __name__ == "__main__":
    typer.run(main)
