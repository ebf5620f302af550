"""Rows drawn side by side: the one module that batches samplers.

Rows start at draws of the Gaussian backbone with the largest noise added, which is what the
forward process makes of a Gaussian table. Sampling is imputation with nothing given.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from sm_estimators._chunks import map_rows
from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import cast
from sm_estimators._typing import PRNGKey
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.guidance import AbstractGuidance, Unguided
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.roles import Roles
from sm_estimators.diffusion.samplers import AbstractNoiseSampler

MAX_ROWS = 4096


class Drawing:
    """What draws are made with: model, process, sampler, moments of the table.

    Parameters
    ----------
    denoiser, model, process
        What was fitted.
    sampler : AbstractNoiseSampler
        How noise becomes data.
    moments : (ndarray, ndarray)
        Mean and covariance of the standardised columns.
    context : ndarray of bool, shape (d,)
        Columns that guidance without a classifier leaves out.
    guidance : AbstractGuidance, optional
        What draws are led by, in the units of the standardised columns.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        model: Model,
        process: AbstractProcess,
        sampler: AbstractNoiseSampler,
        *,
        moments: tuple[np.ndarray, np.ndarray],
        context: np.ndarray,
        guidance: AbstractGuidance | None = None,
    ):
        given = (denoiser, model, process, sampler, guidance or Unguided())
        self.specs = cast(given, np.float32)
        self.moments, self.context = moments, context

    def draw(
        self, rng: np.random.Generator, Z: Float[np.ndarray, "n d"], roles: Roles
    ) -> Float[np.ndarray, "n d"]:
        """Return rows whose noised columns are drawn given the given ones.

        Values in other columns come back as they were.
        """
        process: Any = self.specs[2]
        start = GaussianConditional(*self.moments).draw(
            rng, np.where(roles.given, Z, 0.0), roles.given
        )
        noise = float(process.last) * rng.standard_normal(Z.shape)
        Y = np.where(roles.noised, start + noise, np.where(roles.given, Z, 0.0))
        key = jax.random.key(int(rng.integers(2**31)))
        drawn = map_rows(
            partial(run_chunk, key, self.specs, self.context),
            (np.arange(len(Z)), Y.astype(np.float32), roles),
            max_rows=MAX_ROWS,
        )
        return np.where(roles.noised, drawn.astype(float), Z)

    def mean(self, Z: Float[np.ndarray, "n d"], roles: Roles) -> Float[np.ndarray, "n d"]:
        """Return E[noised | given]: one evaluation where the noise is largest."""
        known = np.where(roles.given, Z, 0.0)
        centre = GaussianConditional(*self.moments).mean(known, roles.given)
        Y = np.where(roles.noised, centre, known)
        mean = map_rows(
            partial(mean_chunk, self.specs, self.context),
            (Y.astype(np.float32), roles),
            max_rows=MAX_ROWS,
        )
        return np.where(roles.noised, mean.astype(float), Z)


def clean_function(specs, context, roles: Roles):
    """Return the guided E[z | y] of one row; columns that are not noised keep their values."""
    denoiser, model, _, _, guidance = specs

    def look(y, noise_scale, roles):
        clean = denoiser.look(model, y, noise_scale, roles).clean
        return jax.numpy.where(roles.noised, clean, y)

    return guidance.guided(look, roles, context)


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def run_chunk(key: PRNGKey, specs: Any, context, chunk):
    """Take a chunk of rows from noise to data."""
    _, _, process, sampler, _ = specs

    def one(i, y, roles):
        clean_fn = clean_function(specs, context, roles)
        moved = sampler.run(jax.random.fold_in(key, i), y, clean_fn, process)
        return jax.numpy.where(roles.noised, moved, y)

    return jax.vmap(one)(*chunk)


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def mean_chunk(specs: Any, context, chunk):
    """Return the denoised rows at the largest noise scale."""
    process = specs[2]
    scale = jax.numpy.asarray(process.last, jax.numpy.float32)
    return jax.vmap(lambda y, roles: clean_function(specs, context, roles)(y, scale))(*chunk)
