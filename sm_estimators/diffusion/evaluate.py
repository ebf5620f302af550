"""Scores of many rows at one noise scale."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import cast
from sm_estimators.densities.transforms import score_and_curvature
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.roles import Roles


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def score_chunk(denoiser: Denoiser, model: Model, noise_scale, chunk):
    """Return the scores of a chunk of rows."""
    return jax.vmap(lambda z, roles: denoiser.score(model, z, noise_scale, roles))(*chunk)


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def curvature_chunk(denoiser: Denoiser, model: Model, noise_scale, chunk):
    """Return scores and their derivatives, coordinate by coordinate."""

    def one(z, roles):
        s, h = score_and_curvature(lambda y: denoiser.score(model, y, noise_scale, roles), z)
        return s, jnp.where(roles.noised, h, 0.0)

    return jax.vmap(one)(*chunk)


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def energy_chunk(denoiser: Denoiser, model: Model, noise_scale, chunk):
    """Return log-densities, up to a constant."""
    return jax.vmap(lambda z, roles: denoiser.log_density(model, z, noise_scale, roles))(*chunk)


def scores(
    denoiser: Denoiser, model: Model, Z: Float[np.ndarray, "n d"], noise_scale: float, roles: Roles
) -> Float[np.ndarray, "n d"]:
    """Return ∇ log p_s of the noised columns given the given ones; zero elsewhere."""
    return mapped(score_chunk, denoiser, model, Z, noise_scale, roles)


def scores_and_curvatures(
    denoiser: Denoiser, model: Model, Z: Float[np.ndarray, "n d"], noise_scale: float, roles: Roles
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and the diagonal of their derivative, both (n, d)."""
    return mapped(curvature_chunk, denoiser, model, Z, noise_scale, roles)


def log_densities(
    denoiser: Denoiser, model: Model, Z: Float[np.ndarray, "n d"], noise_scale: float, roles: Roles
) -> Float[np.ndarray, " n"]:
    """Return the log-densities that an energy states, up to one constant per pattern of roles."""
    return mapped(energy_chunk, denoiser, model, Z, noise_scale, roles)


def mapped(function, denoiser, model, Z, noise_scale, roles):
    """Apply a compiled function to rows, in chunks, in float32; return float64."""
    inputs = cast((denoiser, model, np.asarray(noise_scale)), np.float32)
    most = min(rows_within(512 * Z.shape[1]), 4096)
    values = map_rows(partial(function, *inputs), (Z.astype(np.float32), roles), max_rows=most)
    return cast(values, np.float64)
