"""Training a neural energy: our steps against the same steps in PyTorch.

Run ``python -m benchmarks.training_speed`` from the root of the repository, with ``--quick`` for
a minute's version. Same network, losses, batch and Adam on both sides; the losses are compared
number by number before anything is timed. PyTorch runs in every way of
:mod:`benchmarks.torch_energy`, the fastest with one and with two threads, and its best counts. The
sides take turns, and medians are reported.
"""

import time
from dataclasses import dataclass, field
from typing import Annotated, Any

import jax
import matplotlib as mpl
import numpy as np
import torch
import typer

from benchmarks import torch_energy
from benchmarks.machine import RESULTS, Time, describe, markdown_table, save, stopwatch
from benchmarks.our_training import OBJECTIVES, OurTraining, loss_and_noise

HIDDEN, BATCH_SIZE, N_ROWS, FIT_STEPS = (128, 128), 256, 9000, 1000

RATIOS = ["eager / ours", "compiled / ours", "best torch / ours"]
STEP_HEADER = ["objective", "d", "ours", "torch, eager", "torch, compiled", "eager way", *RATIOS]
FITS = ["fit, ours", "fit, eager", "fit, compiled", "best torch / ours"]
FIT_HEADER = ["objective", "d", "our compilation", "torch.compile", *FITS]


@dataclass
class Contender:
    """A way to train, with what it took: the first two steps, each later one, a held-out look."""

    name: str
    training: Any
    first: Time
    step: Time
    n_threads: int = 2
    looks: Time = field(default_factory=Time)

    def fit(self) -> Time:
        """Return the time of a fit of 1000 steps, compilation included."""
        return Time(
            self.first.wall + self.looks.wall + FIT_STEPS * self.step.wall,
            self.first.cpu + self.looks.cpu + FIT_STEPS * self.step.cpu,
        )


def check_same_loss(objective: str, d: int) -> None:
    """Raise unless every PyTorch loss equals ours at the same parameters, rows and noise."""
    generator = torch.Generator().manual_seed(0)
    params = torch_energy.initial_params(d, HIDDEN)
    for p in params.values():
        p += 0.1 * torch.randn(p.shape, generator=generator)
    X = torch.randn(64, d, generator=generator)
    ours, noise = loss_and_noise(objective, as_ours(params), X.numpy(), HIDDEN)
    for variant, loss in torch_energy.LOSSES[objective].items():
        theirs = float(loss(params, X, torch.as_tensor(np.array(noise))))
        if abs(theirs - ours) > 1e-3 * max(1.0, abs(ours)):
            raise AssertionError(f"{objective} ({variant}), d={d}: {theirs} is not our {ours}.")


def as_ours(params: torch_energy.Params):
    """Return PyTorch parameters in the layout of ``MLPEnergy``."""
    arrays = {name: p.numpy() for name, p in params.items()}
    layers = [
        {"weight": arrays[f"weight_{i}"], "bias": arrays[f"bias_{i}"]}
        for i in range(len(HIDDEN) + 1)
    ]
    gaussian = {name: arrays[name] for name in ("location", "log_diagonal", "lower")}
    return {"gaussian": gaussian, "layers": layers}


def timed(contender: Contender, n_steps: int) -> Time:
    """Return the time per step of one run."""
    torch.set_num_threads(contender.n_threads)
    time.sleep(0.02)  # the threads of the other side go to sleep
    with stopwatch() as taken:
        contender.training.run(n_steps)
    return Time(taken.wall / n_steps, taken.cpu / n_steps)


def started(name: str, training: Any, n_threads: int = 2) -> Contender:
    """Take the first two steps, in which everything is compiled."""
    torch.set_num_threads(n_threads)
    with stopwatch() as first:
        training.run(2)
    contender = Contender(name, training, first, Time(), n_threads)
    contender.step = timed(contender, 3)
    return contender


def our_contender(objective: str, X: np.ndarray) -> Contender:
    """Compile our side, and time what a fit does besides steps."""
    jax.clear_caches()
    training = OurTraining(objective, X, hidden=HIDDEN, batch_size=BATCH_SIZE)
    contender = started("ours", training)
    with stopwatch() as first:
        training.look()
    with stopwatch() as later:
        training.look()
    n_looks = FIT_STEPS // 50
    contender.looks = Time(first.wall + n_looks * later.wall, first.cpu + n_looks * later.cpu)
    return contender


def torch_contenders(objective: str, X: np.ndarray) -> list[Contender]:
    """Return the fastest way without compilation, and the compiled one."""
    rows = torch.as_tensor(X, dtype=torch.float32)

    def start(variant: str, n_threads: int) -> Contender:
        training = torch_energy.TorchTraining(
            objective, variant, rows, hidden=HIDDEN, batch_size=BATCH_SIZE
        )
        return started(variant, training, n_threads)

    alone = [start(v, 1) for v in torch_energy.LOSSES[objective]]
    fastest = min(alone, key=lambda c: c.step.wall)
    best = min(fastest, start(fastest.name, 2), key=lambda c: c.step.wall)
    torch.compiler.reset()
    return [best, start(torch_energy.COMPILED, best.n_threads)]


def compare(objective: str, d: int, *, n_repeats: int, seconds: float) -> list[Contender]:
    """Let the sides take turns; return ours, eager PyTorch and compiled PyTorch."""
    X = np.random.default_rng(0).normal(size=(N_ROWS, d))
    contenders = [our_contender(objective, X), *torch_contenders(objective, X)]
    counts = [int(np.clip(seconds / c.step.wall, 2, 200)) for c in contenders]
    turns = [
        [timed(c, n) for c, n in zip(contenders, counts, strict=True)] for _ in range(n_repeats)
    ]
    for contender, times in zip(contenders, zip(*turns, strict=True), strict=True):
        contender.step = Time(
            float(np.median([t.wall for t in times])), float(np.median([t.cpu for t in times]))
        )
    print(objective, d, *(f"{c.name}: {1e3 * c.step.wall:.2f} ms" for c in contenders), flush=True)
    return contenders


def step_row(objective: str, d: int, contenders: list[Contender]) -> list[str]:
    """Return a row of the table of steps."""
    ours, eager, compiled = contenders
    ratios = [c.step.wall / ours.step.wall for c in (eager, compiled)]
    times = [f"{1e3 * c.step.wall:.2f} ({1e3 * c.step.cpu:.2f})" for c in contenders]
    way = f"{eager.name}, {eager.n_threads} thread{'s' * (eager.n_threads > 1)}"
    return [objective, str(d), *times, way, *(f"{r:.2f}" for r in ratios), f"{min(ratios):.2f}"]


def fit_row(objective: str, d: int, contenders: list[Contender]) -> list[str]:
    """Return a row of the table of compilations and whole fits."""
    ours, _, compiled = contenders
    fits = [c.fit() for c in contenders]
    best = min(fits[1:], key=lambda t: t.wall)
    cells = [f"{t.wall:.1f} ({t.cpu:.1f})" for t in (ours.first, compiled.first, *fits)]
    return [objective, str(d), *cells, f"{best.wall / fits[0].wall:.2f}"]


def report(results: dict[tuple[str, int], list[Contender]]) -> str:
    """Return the tables as Markdown."""
    steps = markdown_table(
        STEP_HEADER,
        [step_row(*case, contenders) for case, contenders in results.items()],
    )
    fits = markdown_table(
        FIT_HEADER,
        [fit_row(*case, contenders) for case, contenders in results.items()],
    )
    return f"""# Training speed

{describe("jax", "jaxlib", "optax", "torch", "numpy")}

Gaussian backbone and SiLU perceptron {HIDDEN[0]} by {HIDDEN[1]}, batch {BATCH_SIZE}, Adam, float32,
at most two threads. Ours also clips, penalises and averages parameters; PyTorch does not.
Ratios above 1 say that ours is faster.

Milliseconds per step by the clock (of the processor):

{steps}

Seconds by the clock (of the processor) until the second step is done, and for {FIT_STEPS} steps
with compilation (put together from the measured parts; ours includes the held-out losses):

{fits}
"""


def draw(results: dict[tuple[str, int], list[Contender]]) -> None:
    """Save time per step against dimension."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    labels = ["sm_estimators", "PyTorch, best eager way", "PyTorch, compiled"]
    figure, axes = plt.subplots(1, len(OBJECTIVES), figsize=(10, 3.4), sharey=True)
    for ax, objective in zip(axes, OBJECTIVES, strict=True):
        dimensions = [d for name, d in results if name == objective]
        for k, (label, style) in enumerate(zip(labels, ("o-", "s--", "^:"), strict=True)):
            times = [1e3 * results[objective, d][k].step.wall for d in dimensions]
            ax.loglog(dimensions, times, style, label=label)
        ax.set(title=objective, xlabel="columns", xticks=dimensions)
        ax.set_xticks(dimensions, labels=[str(d) for d in dimensions])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds per step")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "training_speed.png", dpi=150)


def main(
    *, quick: Annotated[bool, typer.Option(help="Two dimensions, few steps.")] = False
) -> None:
    """Measure, write the table and draw the figure."""
    dimensions = (2, 8) if quick else (2, 8, 32, 128)
    effort = {"n_repeats": 3, "seconds": 0.1} if quick else {"n_repeats": 5, "seconds": 0.5}
    for objective in OBJECTIVES:
        check_same_loss(objective, 3)
    results = {(o, d): compare(o, d, **effort) for d in dimensions for o in OBJECTIVES}
    if quick:
        print(report(results))
        return
    save("training_speed.md", report(results))
    draw(results)


if __name__ == "__main__":
    typer.run(main)
