"""Neural energies: minibatches, a held-out loss, averaged parameters.

Explicit and sliced losses of a flexible energy have no lower bound on a finite table, so training
without a stop diverges. A share of the rows is held out; every ``ROUND`` steps their loss is
computed at the exponential moving average of the parameters, and the best average is what the fit
returns. A round is one compiled call whatever its length.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

from sm_estimators._chunks import pad_rows, padded_length
from sm_estimators._precision import cast
from sm_estimators.fitting._base import Fit, Problem, Settings
from sm_estimators.fitting.course import Course
from sm_estimators.fitting.empirical_loss import empirical_loss, expected_rows, loss_chunks
from sm_estimators.missing import Rows

ROUND = 50
"""Steps between two looks at the held-out loss."""
MAX_HELD_OUT = 8192
"""Held-out rows beyond this number would cost time and tell nothing more."""


class State(NamedTuple):
    """Parameters, their moving average and the optimiser's memory."""

    params: optax.Params
    average: optax.Params
    optimiser: optax.OptState


def optimiser() -> optax.GradientTransformation:
    """Return Adam without its learning rate, which is an argument of the compiled round."""
    return optax.chain(optax.clip_by_global_norm(10.0), optax.scale_by_adam())


@partial(jax.jit, static_argnames="batch_size")
def train_round(key, problem: Problem, state: State, cumulative, settings, n_steps, *, batch_size):
    """Take ``n_steps`` steps; rows are drawn by the inverse of the cumulative weights."""
    learning_rate, ema_decay, ridge = settings
    rule, objective, density, rows = problem.rule, problem.objective, problem.density, problem.rows

    def loss(params, key, batch):
        batch = expected_rows(rule, density, params, batch)._replace(weight=jnp.ones(batch_size))
        index = jnp.arange(batch_size)
        mean = empirical_loss(key, index, rule, objective, density, params, batch) / batch_size
        return mean + ridge * density.penalty(params)

    def step(i, state):
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, i))
        # One uniform per stratum: every batch covers the sorted table evenly.
        u = (jnp.arange(batch_size) + jax.random.uniform(draw_key, (batch_size,))) / batch_size
        chosen = jnp.searchsorted(cumulative, u * cumulative[-1], side="right")
        batch = jax.tree.map(lambda a: a[jnp.minimum(chosen, len(cumulative) - 1)], rows)
        gradient = jax.grad(loss)(state.params, loss_key, batch)
        updates, memory = optimiser().update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(
            state.params, jax.tree.map(lambda u: -learning_rate * u, updates)
        )
        # A short memory at first, so that the average does not remember the initial parameters.
        decay = jnp.minimum(ema_decay, (1.0 + i) / (10.0 + i))
        average = optax.incremental_update(params, state.average, 1.0 - decay)
        return State(params, average, memory)

    start, stop = n_steps
    return jax.lax.fori_loop(start, stop, step, state)


@jax.jit
def held_out_chunk(key, index, problem: Problem, params, rows: Rows):
    """Return the summed loss of held-out rows."""
    rule, objective, density = problem.rule, problem.objective, problem.density
    rows = expected_rows(rule, density, params, rows)
    return empirical_loss(key, index, rule, objective, density, params, rows)


def fit_minibatch(problem: Problem, settings: Settings) -> Fit:
    """Train until the held-out loss has not improved for ``n_iter_no_change`` rounds."""
    problem = cast(problem._replace(key=None, table=None), np.float32)._replace(key=problem.key)
    training, held_out = split(problem, settings.validation_fraction)
    batch_size = min(settings.batch_size, len(training.rows.X))
    weights = np.asarray(training.rows.weight, np.float64)
    cumulative = np.cumsum(weights).astype(np.float32)
    numbers = (
        np.float32(settings.learning_rate),
        np.float32(settings.ema_decay),
        np.float32(settings.ridge),
    )
    params = jax.tree.map(jnp.asarray, cast(problem.initial, np.float32))
    state = State(params, params, optimiser().init(params))
    course = Course(settings.n_iter_no_change)
    course.see(0, held_out(state.average), state.average)
    n_rounds = -(-settings.max_iter // ROUND)
    try:
        for r in tqdm(range(n_rounds), desc="training", unit="round", disable=settings.verbose < 1):
            steps = (r * ROUND, min((r + 1) * ROUND, settings.max_iter))
            state = train_round(
                problem.key, training, state, cumulative, numbers, steps, batch_size=batch_size
            )
            if course.see(steps[1], held_out(state.average), state.average):
                return ended(course, True, "the held-out loss no longer improves")
    except KeyboardInterrupt:
        return ended(course, False, "interrupted: the best parameters so far are kept")
    return ended(course, False, "`max_iter` was reached")


def ended(course: Course, converged: bool, message: str) -> Fit:
    """Return the best parameters."""
    losses, interrupted = np.array(course.losses), message.startswith("interrupted")
    best = cast(course.best, np.float64)
    return Fit(best, course.steps[-1], converged, losses, message, interrupted)


def split(problem: Problem, fraction: float):
    """Return the problem of the training rows, and the loss of the others as a function."""
    rows = problem.rows
    n = len(rows.X)
    n_held_out = min(max(1, round(fraction * n)), MAX_HELD_OUT, n - 1)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(problem.key)))
    order = rng.permutation(n)
    chosen, rest = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    length = padded_length(len(rest))
    training = jax.tree.map(lambda a: pad_rows(a[rest], length), rows)
    training.weight[len(rest) :] = 0.0
    bare = problem._replace(rows=None, initial=None)
    held_rows = jax.tree.map(lambda a: a[chosen], rows)
    chunks = [jax.device_put(chunk) for chunk in loss_chunks(held_rows)]
    total = float(held_rows.weight.sum())

    def loss(params) -> float:
        sums = [held_out_chunk(problem.key, i, bare, params, r) for i, r in chunks]
        return float(sum(float(s) for s in sums)) / total

    return problem._replace(rows=jax.tree.map(jnp.asarray, training), initial=None), loss
