"""Consistency distillation: a network that takes one step where the probability flow takes many.

The student f(y, s) maps every point of a flow line to its end. At the smallest noise scale it is
the identity by construction, f(y, s) = q y + (1 − q) ẑ(y, s) with q = (first / s)² and ẑ a
denoiser; elsewhere it is trained to say at a point what it says itself one step of the teacher's
flow further down (Song, Dhariwal, Chen and Sutskever 2023; without the moving average of their
target, as Song and Dhariwal 2024 found better, and so did we).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import to_numpy
from sm_estimators._spec import spec, static
from sm_estimators._typing import Level, Point
from sm_estimators.diffusion.denoiser import Model
from sm_estimators.diffusion.losses import noisy
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.roles import draw_roles
from sm_estimators.diffusion.samplers import AbstractNoiseSampler, ProbabilityFlow
from sm_estimators.diffusion.samplers._base import check_positive, curved_grid
from sm_estimators.diffusion.training import (
    ROUND,
    WARM_UP,
    Recipe,
    Rows,
    Settings,
    State,
    begin,
    on_device,
    optimiser,
)

N_SCALES = 18
"""Noise scales between which the teacher takes its steps."""


@spec
class Consistency(AbstractNoiseSampler):
    """Draw in a few evaluations of a distilled network; see ``ScoreDiffusion.distill``.

    One step maps noise to a row. Each further one adds noise again, less of it, and maps back,
    which mends what the step before got wrong.

    Parameters
    ----------
    n_steps : int, default=2
        Evaluations.

    References
    ----------
    Song, Dhariwal, Chen and Sutskever (2023), Consistency models.

    Examples
    --------
    >>> Consistency(n_steps=1).n_steps
    1
    """

    n_steps: int = static(default=2)

    def __post_init__(self):
        check_positive(self, "n_steps")

    def grid(self, process: AbstractProcess):
        """Return the noise scales of the evaluations."""
        if self.n_steps == 1:
            return jnp.asarray(process.last)[None]
        return curved_grid(process, self.n_steps, 7.0)[:-1]

    def run(self, key, y, clean_fn, process) -> Point:
        """Map to a row, add less noise, map again; ``clean_fn`` is the student's denoiser."""
        grid, first = self.grid(process).astype(y.dtype), process.first
        row = end_of_line(y, clean_fn(y, grid[0]), grid[0], first)
        for i in range(1, self.n_steps):
            noise = jax.random.normal(jax.random.fold_in(key, i), y.shape, y.dtype)
            y = row + jnp.sqrt(grid[i] ** 2 - first**2) * noise
            row = end_of_line(y, clean_fn(y, grid[i]), grid[i], first)
        return row


def end_of_line(y: Point, clean: Point, scale: Level, first: Any) -> Point:
    """Return f(y, s): the row itself where the noise is least."""
    share = (first / scale) ** 2
    return share * y + (1 - share) * clean


def step_loss(key, recipe: Recipe, teacher: Model, weights, context, row: Rows, u):
    """Return the distance of what the student says at both ends of a step of the teacher."""
    role_key, noise_key = jax.random.split(key)
    roles = draw_roles(role_key, row.observed, context, recipe)
    grid = curved_grid(recipe.process, N_SCALES, 7.0)[::-1].astype(row.Z.dtype)
    i = jnp.minimum((u * N_SCALES).astype(int), N_SCALES - 1)
    lower, upper = grid[i], grid[i + 1]
    denoiser, first = recipe.denoiser, recipe.process.first

    def clean_fn(y, scale):
        return jnp.where(roles.noised, denoiser.look(teacher, y, scale, roles).clean, y)

    def said(weights, y, scale):
        look = denoiser.look(Model(teacher.backbone, weights), y, scale, roles)
        return end_of_line(y, look.clean, scale, first), look.deviation

    y = noisy(noise_key, row.Z, upper, roles)
    down = ProbabilityFlow().move(noise_key, y, upper, lower, clean_fn, recipe.process)
    target = jax.lax.stop_gradient(said(weights, down, lower)[0])
    end, unit = said(weights, y, upper)
    gap = jnp.where(roles.noised & row.counted, (end - target) / unit, 0.0)
    return jnp.sqrt(jnp.sum(gap**2) + 1e-4) - 1e-2


@partial(jax.jit, static_argnames="batch_size", compiler_options=QUICK_COMPILE)
def distil_round(
    key, recipe, teacher, context, rows, state, cumulative, numbers, steps, *, batch_size
):
    """Take steps; rows are drawn by the inverse of the cumulative weights."""
    learning_rate, ema_decay, max_iter = numbers

    def loss(weights, key, batch):
        keys = jax.random.split(key, batch_size)
        u = (jnp.arange(batch_size) + 0.5) / batch_size
        one = jax.vmap(step_loss, in_axes=(0, None, None, None, None, 0, 0))
        u = jax.random.permutation(key, u)
        return jnp.mean(one(keys, recipe, teacher, weights, context, batch, u))

    def step(i, state):
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, i))
        u = (jnp.arange(batch_size) + jax.random.uniform(draw_key, (batch_size,))) / batch_size
        chosen = jnp.searchsorted(cumulative, u * cumulative[-1], side="right")
        batch = jax.tree.map(lambda a: a[jnp.minimum(chosen, len(cumulative) - 1)], rows)
        gradient = jax.grad(loss)(state.weights, loss_key, batch)
        updates, memory = optimiser().update(gradient, state.optimiser, state.weights)
        rate = learning_rate * jnp.minimum(1.0, (1.0 + i) / WARM_UP)
        rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(i / max_iter, 1.0)))
        weights = optax.apply_updates(state.weights, jax.tree.map(lambda a: -rate * a, updates))
        average = optax.incremental_update(weights, state.average, 1 - ema_decay)
        return State(weights, average, memory)

    start, stop = steps
    return jax.lax.fori_loop(start, stop, step, state)


def distil(
    key, recipe: Recipe, teacher: Model, rows: Rows, context: np.ndarray, settings: Settings
) -> Model:
    """Return the student of a teacher, trained on noisy rows of a table."""
    placed, cumulative = on_device(rows)
    state = begin(teacher.weights)
    rates = settings.learning_rate, settings.ema_decay, settings.max_iter
    numbers = tuple(np.float32(number) for number in rates)
    n_rounds = -(-settings.max_iter // ROUND)
    for r in tqdm(range(n_rounds), desc="distilling", unit="round", disable=settings.verbose < 1):
        state = distil_round(
            key,
            recipe,
            teacher,
            jnp.asarray(context),
            placed,
            state,
            cumulative,
            numbers,
            (r * ROUND, min((r + 1) * ROUND, settings.max_iter)),
            batch_size=settings.batch_size,
        )
    return Model(teacher.backbone, to_numpy(state.average))
