"""Log-densities by the probability flow, and the latent codes at its end.

Along dy/d log s = y − E[z | y] the log-density of a point changes by minus the divergence, so
log p(z | given) is the log-density of the Gaussian at the largest noise plus the integral of the
divergence on the way there (Chen, Rubanova, Bettencourt and Duvenaud 2018; Song et al. 2021). The
flow is a bijection whatever the network, so the density integrates to one up to the error of the
solver. It is that of rows with noise of the smallest scale.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import cast
from sm_estimators._typing import Point, PRNGKey, Scalar
from sm_estimators.diffusion.backbone import log_densities
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.roles import Roles
from sm_estimators.diffusion.samplers.probability_flow import adaptive


class Flow(NamedTuple):
    """Where the flow of each row ended, and the log-density of the row, by direction."""

    latent: np.ndarray
    log_density: np.ndarray


def flow_row(
    denoiser: Denoiser,
    model: Model,
    process: AbstractProcess,
    n_projections: int | None,
    n_steps: int,
    tolerance: Any,
    key: PRNGKey,
    z: Point,
    roles: Roles,
) -> Flow:
    """Follow one row to the largest noise scale; the log-density has an entry per direction."""
    directions = probes(key, z, roles, n_projections)

    def slope(log_scale: Scalar, state):
        y, _ = state
        scale = jnp.exp(log_scale)

        def velocity(y):
            clean = denoiser.look(model, y, scale, roles).clean
            return jnp.where(roles.noised, y - clean, 0.0)

        v, jvp = jax.linearize(velocity, y)
        traces = jnp.sum(directions * jax.vmap(jvp)(directions), axis=1)
        return v, jnp.sum(traces, keepdims=True) if n_projections is None else traces

    ends = jnp.log(process.first).astype(z.dtype), jnp.log(process.last).astype(z.dtype)
    start = z, jnp.zeros(1 if n_projections is None else n_projections, z.dtype)
    solve = fixed if tolerance is None else adaptive
    y, change = solve(slope, start, ends, n_steps if tolerance is None else tolerance)
    prior = log_densities(model.backbone, y, jnp.asarray(process.last, z.dtype), roles)[0]
    return Flow(y, prior + change)


def probes(key: PRNGKey, z: Point, roles: Roles, n: int | None) -> Float[Array, "m d"]:
    """Return unit vectors, or random signs (Hutchinson 1990), in the noised columns."""
    if n is None:
        return jnp.where(roles.noised, jnp.eye(z.size, dtype=z.dtype), 0.0)
    return jnp.where(roles.noised, jax.random.rademacher(key, (n, z.size), z.dtype), 0.0)


def fixed(slope, start, ends, n_steps: int):
    """Solve d(state)/dt = slope(t, state) by steps of Runge and Kutta's fourth-order rule."""
    first, last = ends
    h = (last - first) / n_steps

    def along(state, rate, step):
        return jax.tree.map(lambda a, b: a + step * b, state, rate)

    def step(i, state):
        t = first + i * h
        k1 = slope(t, state)
        k2 = slope(t + h / 2, along(state, k1, h / 2))
        k3 = slope(t + h / 2, along(state, k2, h / 2))
        k4 = slope(t + h, along(state, k3, h))
        rate = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
        return along(state, rate, h)

    return jax.lax.fori_loop(0, n_steps, step, start)


@partial(jax.jit, static_argnames=("n_projections", "n_steps"), compiler_options=QUICK_COMPILE)
def flow_chunk(denoiser, model, process, tolerance, key, chunk, *, n_projections, n_steps):
    """Follow a chunk of rows."""

    # All rows share the random directions: what a row gets does not depend on its place.
    def one(z, roles):
        return flow_row(denoiser, model, process, n_projections, n_steps, tolerance, key, z, roles)

    return jax.vmap(one)(*chunk)


def flow(
    key: PRNGKey,
    denoiser: Denoiser,
    model: Model,
    process: AbstractProcess,
    Z: Float[np.ndarray, "n d"],
    roles: Roles,
    *,
    n_projections: int | None,
    n_steps: int,
    tolerance: float | None = None,
) -> Flow:
    """Follow the flow of many rows to the largest noise scale.

    Parameters
    ----------
    key : PRNGKey
        For random directions.
    denoiser, model, process
        What was fitted.
    Z : (n, d) array
        Standardised rows; zeros where columns are absent.
    roles : Roles of (n, d) arrays
        The density is that of the noised columns given the given ones.
    n_projections : int or None
        Random directions for the divergence; None for the exact one, at the cost of a derivative
        per column.
    n_steps : int
        Steps of Runge and Kutta in log s.
    tolerance : float, optional
        Adaptive steps with this error in place of ``n_steps``.

    Returns
    -------
    Flow
        Of arrays (n, d) and (n, m), with m the number of random directions, or 1.
    """
    inputs = cast((denoiser, model, process, tolerance), np.float32)
    run = partial(flow_chunk, *inputs, key, n_projections=n_projections, n_steps=n_steps)
    chunk_rows = min(rows_within(512 * (n_projections or Z.shape[1])), 4096)
    followed = map_rows(run, (Z.astype(np.float32), roles), max_rows=chunk_rows)
    return cast(followed, np.float64)


@partial(jax.jit, static_argnames="n_steps", compiler_options=QUICK_COMPILE)
def back_chunk(denoiser, model, process, chunk, *, n_steps):
    """Take a chunk of rows from the largest noise scale to the smallest."""

    def one(y, roles):
        def slope(log_scale, y):
            clean = denoiser.look(model, y, jnp.exp(log_scale), roles).clean
            return jnp.where(roles.noised, y - clean, 0.0)

        ends = jnp.log(process.last).astype(y.dtype), jnp.log(process.first).astype(y.dtype)
        return fixed(slope, y, ends, n_steps)

    return jax.vmap(one)(*chunk)


def flow_back(
    denoiser: Denoiser,
    model: Model,
    process: AbstractProcess,
    Y: Float[np.ndarray, "n d"],
    roles: Roles,
    *,
    n_steps: int,
) -> Float[np.ndarray, "n d"]:
    """Return where the flow of :func:`flow` came from."""
    inputs = cast((denoiser, model, process), np.float32)
    run = partial(back_chunk, *inputs, n_steps=n_steps)
    return cast(map_rows(run, (Y.astype(np.float32), roles), max_rows=4096), np.float64)
