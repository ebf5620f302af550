"""Training a noise-conditional network: our steps against the same steps in plain PyTorch.

Same network, backbone, losses, batch, clipping, Adam, schedule and moving average on both sides;
the losses are compared number by number before anything is timed. PyTorch is eager, in the fastest
of the ways of :mod:`benchmarks.diffusion.torch_denoiser` to compute posterior, derivatives and
updates, with one thread or two. The sides take turns, and medians are reported.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
import typer

from benchmarks.diffusion import torch_denoiser, torch_posterior
from benchmarks.diffusion.torch_training import ADAMS, TorchTraining, Way
from benchmarks.machine import Time, describe, markdown_table, save, stopwatch
from sm_estimators import ResidualMLP, VarianceExploding
from sm_estimators.diffusion.backbone import backbone_of
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.losses import MultiscaleDenoising, MultiscaleSliced
from sm_estimators.diffusion.roles import Roles
from sm_estimators.diffusion.training import Recipe, Rows, Run, Settings, begin
from sm_estimators.missing.mixture_em import single

BATCH_SIZE, N_ROWS, FIT_STEPS, N_TURNS, ROUND = 128, 9000, 5000, 5, 100
CASES = [
    ("denoising", 8, True),
    *itertools.product(("denoising", "sliced"), (8, 32, 128), (False,)),
]
OBJECTIVES = {"denoising": MultiscaleDenoising(), "sliced": MultiscaleSliced()}
HEADER = [
    "objective, columns, backbone",
    "ours, ms",
    "PyTorch, ms",
    "way",
    "PyTorch / ours",
    "our products alone, ms",
    "our compilation, s",
    f"{FIT_STEPS} steps, ours, s",
    "PyTorch, s",
    "ratio",
]


def correlated(d: int) -> np.ndarray:
    """Return correlations .5 to the power of the distance of two columns."""
    return 0.5 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))


def problem(objective: str, d: int, *, full: bool) -> tuple[Recipe, Model, Rows]:
    """Return what is trained, and on which rows."""
    rng = np.random.default_rng(0)
    process = VarianceExploding(0.01, 10.0, centre=None)
    recipe = Recipe(Denoiser(ResidualMLP()), OBJECTIVES[objective], process)
    moments = np.zeros(d), correlated(d)
    backbone = backbone_of(single(*moments), moments, full=full)
    X = rng.multivariate_normal(*moments, size=N_ROWS)
    seen = np.ones(X.shape, bool)
    return recipe, recipe.denoiser.init(rng, backbone), Rows(X, seen, seen, np.ones(N_ROWS))


def as_torch(weights) -> dict[str, torch.Tensor]:
    """Return our weights under the names of the other side."""
    flat = {name: w for name, w in weights.items() if name != "blocks"}
    for i, block in enumerate(weights["blocks"]):
        flat |= {f"{name}{i}": w for name, w in block.items()}
    return {name: torch.as_tensor(np.array(w)) for name, w in flat.items()}


def torch_problem(recipe: Recipe, model: Model, way: str) -> torch_denoiser.Problem:
    """Return the same problem for the other side."""
    backbone = torch_posterior.backbone_of(model.backbone.covariance[0])
    return torch_denoiser.problem_of(backbone, way, recipe)


def check_same_loss(objective: str, d: int, *, full: bool) -> None:
    """Raise unless every way of PyTorch gives our loss for the same rows, noise and roles."""
    recipe, model, _ = problem(objective, d, full=full)
    rng = np.random.default_rng(1)
    weights = jax.tree.map(
        lambda w: (w + 0.1 * rng.standard_normal(w.shape)).astype(np.float32), model.weights
    )
    model = Model(model.backbone, weights)
    n = 32
    Z, part = rng.standard_normal((n, d)).astype(np.float32), rng.random((n, d))
    scale = np.geomspace(0.05, 5.0, n).astype(np.float32)
    noised, given = part < 0.6, part > 0.8
    noised[:, 0], given[:, 0] = True, False
    keys = jax.random.split(jax.random.key(0), n)
    losses, noise, direction = jax.vmap(our_loss(recipe, model))(keys, Z, scale, noised, given)
    arrays = (scale[:, None], noised, given, noise, direction)
    draws = torch_denoiser.Draws(*(torch.as_tensor(np.array(a)) for a in arrays))
    ours = float(np.mean(losses) / d)
    for name, way in itertools.product(ways(model), torch_denoiser.LOSSES[objective]):
        loss = torch_denoiser.LOSSES[objective][way]
        other = torch_problem(recipe, model, name)
        theirs = float(loss(as_torch(weights), other, torch.as_tensor(Z), draws).detach())
        if abs(theirs - ours) > 1e-3 * max(1.0, abs(ours)):
            raise AssertionError(f"{objective}, d={d}, {name}, {way}: {theirs} is not our {ours}.")


def our_loss(recipe: Recipe, model: Model) -> Callable:
    """Return a function of one row that gives our loss, and the noise and direction in it."""

    def loss(key, z, scale, noised, given):
        roles = Roles(noised, given)
        look = lambda y: recipe.denoiser.look(model, y, scale, roles)  # noqa: E731
        value = recipe.loss(key, look, z, scale, roles, noised)
        if isinstance(recipe.loss, MultiscaleDenoising):
            return value, jax.random.normal(key, z.shape, z.dtype), 0 * z
        noise_key, slice_key = jax.random.split(key)
        slice_key = jax.random.split(slice_key, 1)[0]
        direction = jax.random.rademacher(slice_key, z.shape, z.dtype)
        return value, jax.random.normal(noise_key, z.shape, z.dtype), direction

    return loss


def ways(model: Model) -> dict[str, Callable]:
    """Return PyTorch's ways to find the posterior."""
    return torch_posterior.ways_of(torch_posterior.backbone_of(model.backbone.covariance[0]))


class Ours:
    """Our training, a compiled round of steps at a time."""

    def __init__(self, recipe: Recipe, model: Model, rows: Rows):
        settings = Settings(max_iter=FIT_STEPS, batch_size=BATCH_SIZE)
        context = np.zeros(rows.Z.shape[1], bool)
        self.training = Run(jax.random.key(0), recipe, model, rows, context, settings)
        self.state, self.n_steps = begin(model.weights), 0

    def run(self, n_steps: int) -> None:
        """Take steps, and wait for them."""
        steps = self.n_steps, self.n_steps + n_steps
        self.state = jax.block_until_ready(self.training.round(self.state, steps))
        self.n_steps += n_steps


def fastest_torch(
    objective: str, recipe: Recipe, model: Model, rows: Rows
) -> tuple[str, int, TorchTraining]:
    """Return the fastest way of PyTorch, from some steps of each, and its threads."""
    Z, weights = torch.as_tensor(rows.Z, dtype=torch.float32), as_torch(model.weights)
    found = []
    derivatives = torch_denoiser.LOSSES[objective]
    for posterior, derivative, adam, n_threads in itertools.product(
        ways(model), derivatives, ADAMS, (1, 2)
    ):
        torch.set_num_threads(n_threads)
        other = torch_problem(recipe, model, posterior)
        training = TorchTraining(objective, Way(posterior, derivative, adam), other, weights, Z)
        training.run(3, BATCH_SIZE)
        with stopwatch() as taken:
            training.run(10, BATCH_SIZE)
        name = f"{posterior}, {derivative}, {adam}, {n_threads} threads"
        found.append((taken.wall, name, n_threads, training))
    _, name, n_threads, training = min(found, key=lambda entry: entry[0])
    return name, n_threads, training


def seconds_of_products(d: int) -> float:
    """Return the time of a step that has nothing but the matrix products of network and gradient.

    The floor under both sides: two noises per row, no activations, draws, losses or Adam.
    """
    rng = np.random.default_rng(0)
    weights = ResidualMLP().init(rng, d)
    x, noise = (
        rng.standard_normal((2 * BATCH_SIZE, n)).astype(np.float32)
        for n in (len(weights["in"]), len(weights["blocks"][0]["noise"]))
    )

    def output(weights, x):
        h = x @ weights["in"]
        for block in weights["blocks"]:
            h = h + (h @ block["first"] + noise @ block["noise"]) @ block["second"]
        return jnp.sum(h @ weights["out"])

    def step(_, point):
        return jax.tree.map(lambda a, g: a - 1e-9 * g, point, jax.grad(output, (0, 1))(*point))

    steps = jax.jit(lambda *point: jax.lax.fori_loop(0, ROUND, step, point))
    jax.block_until_ready(steps(weights, x))
    turns = []
    for _ in range(N_TURNS):
        with stopwatch() as taken:
            jax.block_until_ready(steps(weights, x))
        turns.append(taken.wall / ROUND)
    return float(np.median(turns))


def compare(objective: str, d: int, *, full: bool) -> list[str]:
    """Let the sides take turns; return a row of the table."""
    check_same_loss(objective, d, full=full)
    recipe, model, rows = problem(objective, d, full=full)
    way, n_threads, theirs = fastest_torch(objective, recipe, model, rows)
    torch.set_num_threads(n_threads)
    jax.clear_caches()
    ours = Ours(recipe, model, rows)
    with stopwatch() as first:
        ours.run(ROUND)
    turns: list[tuple[Time, Time]] = []
    for _ in range(N_TURNS):
        with stopwatch() as our_time:
            ours.run(ROUND)
        with stopwatch() as their_time:
            theirs.run(ROUND, BATCH_SIZE)
        turns.append((our_time, their_time))
    mine, other = (
        float(np.median([t.wall for t in side])) / ROUND for side in zip(*turns, strict=True)
    )
    compilation = max(first.wall - ROUND * mine, 0.0)
    fits = compilation + FIT_STEPS * mine, FIT_STEPS * other
    row = [
        f"{objective}, {d}, {'full' if full else 'diagonal'}",
        f"{1e3 * mine:.2f}",
        f"{1e3 * other:.2f}",
        way,
        f"{other / mine:.2f}",
        f"{1e3 * seconds_of_products(d):.2f}",
        f"{compilation:.1f}",
        *(f"{fit:.0f}" for fit in fits),
        f"{fits[1] / fits[0]:.2f}",
    ]
    print(row, flush=True)
    return row


def main() -> None:
    """Measure and write the table."""
    rows = [compare(objective, d, full=full) for objective, d, full in CASES]
    text = f"""# Training speed of noise-conditional networks

{describe("jax", "jaxlib", "optax", "torch", "numpy")}

`ResidualMLP()` (128 wide, three blocks), batch {BATCH_SIZE}, two mirrored noises per row for
denoising, Adam, float32. Milliseconds per step by the clock, medians of {N_TURNS} turns of
{ROUND} steps; seconds for {FIT_STEPS} steps with our compilation. Ratios above 1 say that ours is
faster. "Products alone" is the time of the matrix products of network and gradient at this size of
batch, in our compiled loop: a floor under both sides.

{markdown_table(HEADER, rows)}
"""
    save("diffusion_training_speed.md", text)


if __name__ == "__main__":
    typer.run(main)
