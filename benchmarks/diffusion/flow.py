"""One coupling flow of flowjax: its size, its training, its density."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import paramax
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import StandardNormal
from flowjax.flows import coupling_flow
from flowjax.train import fit_to_data

KNOTS = 8
INTERVAL = 5.0
"""A spline has this many knots on this many standard deviations, and is the identity outside."""

DEPTH = 2
"""Hidden layers of a conditioner."""

HELD_OUT = 0.1
ROWS = 4096
"""Rows that are evaluated at once."""


@dataclass(frozen=True)
class Flow:
    """A trained flow; ``held_out`` is its mean log-density of the rows that stopped it."""

    log_density: Callable[[np.ndarray], np.ndarray]
    held_out: float
    chosen: dict
    n_parameters: int


def build(key: jax.Array, d: int, *, transformer: str, layers: int, width: int):
    """Return an untrained flow on ``d`` columns; ``transformer`` is affine or spline."""
    spline = RationalQuadraticSpline(knots=KNOTS, interval=INTERVAL)
    return coupling_flow(
        key,
        base_dist=StandardNormal((d,)),
        transformer={"affine": None, "spline": spline}[transformer],
        flow_layers=layers,
        nn_width=width,
        nn_depth=DEPTH,
    )


def is_inexact(leaf) -> bool:
    """Return whether a leaf, or the shape of one, is an array of floats."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)


def size(flow) -> int:
    """Return the number of parameters that are trained."""
    frozen = lambda leaf: isinstance(leaf, paramax.NonTrainable)  # noqa: E731
    trained = eqx.filter(flow, is_inexact, is_leaf=frozen)
    return sum(leaf.size for leaf in jax.tree.leaves(trained))


def fitting_width(d: int, n_parameters: int, *, transformer: str, layers: int) -> int:
    """Return the largest width with which the flow has at most ``n_parameters`` numbers."""

    def size_at(width: int) -> int:
        make = partial(build, d=d, transformer=transformer, layers=layers, width=width)
        return size(eqx.filter_eval_shape(make, jax.random.key(0)))

    low, high = 1, 4096
    while high - low > 1:
        width = (low + high) // 2
        low, high = (width, high) if size_at(width) <= n_parameters else (low, width)
    return low


def held_out_rows(n: int, batch_size: int) -> int:
    """Return how many rows stop the training: about a tenth, in whole batches.

    flowjax drops the last part of a batch. With whole batches every epoch is judged by the same
    rows, and none wins by a lucky draw of them.
    """
    return max(1, round(HELD_OUT * n / batch_size)) * batch_size if n > 2 * batch_size else n // 4


def train_flow(
    Z: np.ndarray,
    *,
    transformer: str,
    n_parameters: int,
    layers: int,
    learning_rate: float,
    max_epochs: int,
    batch_size: int,
    seed: int,
) -> Flow:
    """Train one flow on standardised rows, until the rows held out gain nothing for 20 epochs."""
    d = Z.shape[1]
    width = fitting_width(d, n_parameters, transformer=transformer, layers=layers)
    first, second = jax.random.split(jax.random.key(seed))
    flow = build(first, d, transformer=transformer, layers=layers, width=width)
    n_held_out = held_out_rows(len(Z), batch_size)
    steps = max_epochs * ((len(Z) - n_held_out) // batch_size)
    schedule = optax.cosine_decay_schedule(learning_rate, max(steps, 1))
    optimizer = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule))
    fitted, losses = fit_to_data(
        second,
        flow,
        jnp.asarray(Z, jnp.float32),
        optimizer=optimizer,
        max_epochs=max_epochs,
        max_patience=20,
        batch_size=batch_size,
        val_prop=n_held_out / len(Z),
        show_progress=False,
    )
    chosen = {
        "layers": layers,
        "width": width,
        "learning_rate": learning_rate,
        "epochs": len(losses["val"]),
    }
    best = -float(np.nanmin(losses["val"]))
    return Flow(evaluator(fitted), best, chosen, size(flow))


def evaluator(flow) -> Callable[[np.ndarray], np.ndarray]:
    """Return the log-density of rows, compiled for one number of rows at a time."""
    log_prob = eqx.filter_jit(paramax.unwrap(flow).log_prob)

    def log_density(Z: np.ndarray) -> np.ndarray:
        padded = np.concatenate([Z, np.zeros((-len(Z) % ROWS, Z.shape[1]))])
        chunks = padded.reshape(-1, ROWS, Z.shape[1]).astype(np.float32)
        return np.concatenate([np.asarray(log_prob(chunk)) for chunk in chunks])[: len(Z)]

    return log_density
