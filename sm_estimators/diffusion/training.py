"""Training a noise-conditional model: minibatches, a held-out loss, averaged weights.

Every look at a row draws a noise scale, roles of its columns and noise. A share of the rows is
held out; every ``ROUND`` steps their loss is computed at the exponential moving average of the
weights, with the same draws every time, and the best average is what the fit returns. A round is
one compiled call. The learning rate falls to zero along a cosine over ``max_iter`` steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

from sm_estimators._chunks import pad_rows, padded_length
from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import to_numpy
from sm_estimators._spec import spec
from sm_estimators.diffusion.backbone import alone
from sm_estimators.diffusion.checkpoint import Checkpoint
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.looks import drawn_looks
from sm_estimators.diffusion.losses import AbstractDiffusionLoss
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.stacking import shares_of_mixture
from sm_estimators.fitting.course import Course

ROUND = 100
"""Steps between two looks at the held-out loss."""
WARM_UP = 50
"""Steps in which the learning rate grows to its full size."""
LOOKS = 4096
"""Looks at held-out rows that make a held-out loss."""
FEWEST = 1024
"""Rows that a smaller table is padded to, so that small tables share compiled code."""
SLACK = 1e-3
"""Relative differences of held-out losses that are noise."""


@spec
class Recipe:
    """What is trained, on which loss, at which noise scales, in which roles.

    ``joint`` is the chance that a look asks for all columns at once, ``context_drop`` the chance
    that it is not told the context.
    """

    denoiser: Denoiser
    loss: AbstractDiffusionLoss
    process: AbstractProcess
    joint: Any = 0.5
    context_drop: Any = 0.2


class Rows(NamedTuple):
    """A standardised table: values (zeros in holes), what counts as seen, what is asked for.

    ``counted`` differs from ``observed`` only where a baseline pretends to have seen holes.
    """

    Z: Any
    observed: Any
    counted: Any
    weight: Any


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train."""

    max_iter: int = 5000
    learning_rate: float = 2e-3
    batch_size: int = 128
    validation_fraction: float = 0.1
    n_iter_no_change: int = 20
    ema_decay: float = 0.999
    verbose: int = 0


class State(NamedTuple):
    """Weights, their moving average and the optimiser's memory."""

    weights: Any
    average: Any
    optimiser: Any


@dataclass
class Trained:
    """Where training got; the fields are those of :class:`sm_estimators.fitting.Fit`."""

    model: Model
    n_iter: int
    converged: bool
    losses: np.ndarray
    message: str
    interrupted: bool = False


def optimiser() -> optax.GradientTransformation:
    """Return Adam without its learning rate, which is an argument of the compiled round."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())


def mean_loss(key, recipe: Recipe, model: Model, context, rows: Rows):
    """Return the weighted mean loss per column of one look at every row."""

    def loss(key, looks):
        z, noise_scale, roles, counted = looks
        look = lambda y: recipe.denoiser.look(model, y, noise_scale, roles)  # noqa: E731
        return recipe.loss(key, look, z, noise_scale, roles, counted)

    losses = jax.vmap(loss)(*drawn_looks(key, recipe, context, rows))
    seen = jnp.where(rows.weight > 0, rows.weight * losses, 0.0)
    return jnp.sum(seen) / (jnp.sum(rows.weight) * context.size)


@partial(jax.jit, static_argnames="batch_size", compiler_options=QUICK_COMPILE)
def train_round(
    key, recipe, backbone, context, rows, state, cumulative, numbers, steps, *, batch_size
):
    """Take steps; rows are drawn by the inverse of the cumulative weights."""
    learning_rate, ema_decay, max_iter = numbers

    def loss(weights, key, batch):
        return mean_loss(key, recipe, Model(backbone, weights), context, batch)

    def step(i, state):
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, i))
        u = (jnp.arange(batch_size) + jax.random.uniform(draw_key, (batch_size,))) / batch_size
        chosen = jnp.searchsorted(cumulative, u * cumulative[-1], side="right")
        batch = jax.tree.map(lambda a: a[jnp.minimum(chosen, len(cumulative) - 1)], rows)
        batch = batch._replace(weight=jnp.ones(batch_size))
        gradient = jax.grad(loss)(state.weights, loss_key, batch)
        updates, memory = optimiser().update(gradient, state.optimiser, state.weights)
        rate = learning_rate * jnp.minimum(1.0, (1.0 + i) / WARM_UP)
        rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(i / max_iter, 1.0)))
        weights = optax.apply_updates(state.weights, jax.tree.map(lambda a: -rate * a, updates))
        # A short memory at first, so that the average does not remember the first weights.
        decay = jnp.minimum(ema_decay, (1.0 + i) / (10.0 + i))
        average = optax.incremental_update(weights, state.average, 1.0 - decay)
        return State(weights, average, memory)

    start, stop = steps
    return jax.lax.fori_loop(start, stop, step, state)


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def held_out_loss(key, recipe, model, context, rows):
    """Return the loss of held-out rows."""
    return mean_loss(key, recipe, model, context, rows)


def train(
    key,
    recipe: Recipe,
    model: Model,
    rows: Rows,
    context: np.ndarray,
    settings: Settings,
    *,
    refresh: Callable[[Model, np.ndarray, int], np.ndarray] | None = None,
    n_refreshes: int = 0,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train until the held-out loss has not improved for ``n_iter_no_change`` rounds.

    With ``refresh``, the values of the table are replaced by ``refresh(model, values, round)`` at
    ``n_refreshes`` evenly spaced rounds. With ``checkpoint``, the state is kept on disk, and taken
    up from there.
    """
    run = Run(key, recipe, model, rows, context, settings)
    n_rounds = -(-settings.max_iter // ROUND)
    every = -(-n_rounds // (n_refreshes + 1))
    course, first = Course(settings.n_iter_no_change, SLACK), 0
    state = begin(model.weights)
    if checkpoint is not None and (kept := checkpoint.load(state, course, rows.Z)) is not None:
        state, first, values = kept
        run.place(values)
    elif first == 0:
        course.see(0, run.held_out(state.average), state.average)
    rounds = tqdm(
        range(first, n_rounds), desc="training", unit="round", disable=settings.verbose < 1
    )
    try:
        for r in rounds:
            if refresh is not None and r > 0 and r % every == 0:
                run.place(refresh(run.stacked(state.average), run.values, r))
                course.start_anew()
            steps = (r * ROUND, min((r + 1) * ROUND, settings.max_iter))
            state = run.round(state, steps)
            stop = course.see(steps[1], run.held_out(state.average), state.average)
            if checkpoint is not None:
                checkpoint.keep(state, course, r + 1, run.values)
            last_stretch = refresh is None or r >= every * n_refreshes
            if stop and last_stretch:
                message = "the held-out loss no longer improves"
                return ended(run, course, True, message)
    except KeyboardInterrupt:
        return ended(
            run,
            course,
            False,
            "interrupted: the best parameters so far are kept",
            interrupted=True,
        )
    return ended(run, course, True, "all steps were taken")


def train_pass(key, recipe, backbone, rows, context, settings: Settings, state: State, steps):
    """Take steps on all rows, at a learning rate that does not fall; return the state."""
    placed, cumulative = on_device(rows)
    rates = settings.learning_rate, settings.ema_decay, np.inf
    numbers = tuple(np.float32(number) for number in rates)
    context = jnp.asarray(context)
    size = settings.batch_size
    return train_round(
        key, recipe, backbone, context, placed, state, cumulative, numbers, steps, batch_size=size
    )


def on_device(rows: Rows) -> tuple[Rows, np.ndarray]:
    """Return rows in float32, padded with weight 0, and their cumulative weights."""
    n, length = len(rows.Z), max(padded_length(len(rows.Z)), FEWEST)
    padded = jax.tree.map(lambda a: pad_rows(a, length), rows)
    weight = padded.weight.astype(np.float32)
    weight[n:] = 0.0
    cumulative = np.cumsum(weight, dtype=np.float64).astype(np.float32)
    padded = padded._replace(Z=padded.Z.astype(np.float32), weight=weight)
    return jax.tree.map(jnp.asarray, padded), cumulative


def begin(weights) -> State:
    """Return the state before the first step."""
    weights = jax.tree.map(jnp.asarray, weights)
    return State(weights, weights, optimiser().init(weights))


def ended(run: "Run", course, converged, message, *, interrupted=False) -> Trained:
    """Return the best average of the weights."""
    return Trained(
        run.stacked(course.best),
        course.steps[-1],
        converged,
        np.array(course.losses),
        message,
        interrupted,
    )


def drawn_out(key, n: int, share: float) -> np.ndarray:
    """Return flags of the rows that are held out of a fit with this key: at least one, not all."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    held_out = np.zeros(n, bool)
    held_out[rng.permutation(n)[: min(max(1, round(share * n)), LOOKS, n - 1)]] = True
    return held_out


class Run:
    """The rows of a training run on the device, split into those trained on and those held out."""

    def __init__(self, key, recipe, model, rows: Rows, context, settings: Settings):
        self.key, self.held_key = jax.random.split(key)
        self.recipe, self.context = recipe, jnp.asarray(context)
        self.backbone, self.trained_on = model.backbone, alone(model.backbone)
        self.rows = rows
        self.values = rows.Z
        held_out = drawn_out(key, len(rows.Z), settings.validation_fraction)
        self.held, self.kept = np.flatnonzero(held_out), np.flatnonzero(~held_out)
        self.batch_size = settings.batch_size
        self.numbers = tuple(
            np.float32(v) for v in (settings.learning_rate, settings.ema_decay, settings.max_iter)
        )
        self.place(rows.Z)

    def place(self, values: np.ndarray) -> None:
        """Put the table with these values on the device."""
        self.values = values
        rows = self.rows._replace(Z=values)
        self.training, self.cumulative = on_device(jax.tree.map(lambda a: a[self.kept], rows))
        looks = np.resize(
            self.held, LOOKS
        )  # round and round, up to a shape that is always the same
        held = jax.tree.map(lambda a: a[looks], rows)
        self.held_rows = on_device(held)[0]

    def round(self, state: State, steps: tuple[int, int]) -> State:
        """Take some steps."""
        return train_round(
            self.key,
            self.recipe,
            self.trained_on,
            self.context,
            self.training,
            state,
            self.cumulative,
            self.numbers,
            steps,
            batch_size=self.batch_size,
        )

    def held_out(self, weights) -> float:
        """Return the held-out loss."""
        model = Model(self.trained_on, weights)
        return float(held_out_loss(self.held_key, self.recipe, model, self.context, self.held_rows))

    def stacked(self, weights) -> Model:
        """Return the network with these weights, joined by the mixture where there is one."""
        model = Model(self.backbone, to_numpy(weights))
        if len(self.backbone.log_weights) == 1:
            return model
        shares = shares_of_mixture(self.held_key, self.recipe, model, self.context, self.held_rows)
        return model._replace(backbone=self.backbone._replace(shares=shares.astype(np.float32)))
