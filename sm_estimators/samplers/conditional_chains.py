"""Imputation by chains: an ensemble per row, on its density given what was seen of the row.

All rows of a chunk run through one compiled loop, whatever they miss. Only running moments of the
chains are kept, never their history, so memory is that of a chunk's states and scales.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sm_estimators._chunks import row_chunks
from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators._precision import cast, to_numpy
from sm_estimators._typing import Observed, Params, PRNGKey
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.densities.transforms import condition
from sm_estimators.samplers._base import AbstractSampler, Scale
from sm_estimators.samplers.chains import (
    Ensemble,
    count_since,
    dtype_of,
    run_ensemble,
)


class Moments(NamedTuple):
    """Mean and sum of squared deviations of either half of every chain."""

    mean: Float[Array, "2 c d"]
    squares: Float[Array, "2 c d"]


class ConditionalChains(NamedTuple):
    """Last states of the chains of every row, and what is needed to judge them.

    ``positions`` is (c, n, d); ``mean`` and ``variance`` are (n, 2, c, d): the moments of the two
    halves, of ``n_half`` steps, of every chain; ``acceptance`` and ``step_size`` are (n,). Rows
    without holes have NaN in all but ``positions``.
    """

    positions: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    n_half: int
    acceptance: np.ndarray
    step_size: np.ndarray


def run_conditional_chains(
    key: PRNGKey,
    sampler: AbstractSampler,
    *,
    density: AbstractDensity,
    params: Params,
    positions: Float[np.ndarray, "c n d"],
    observed: Bool[np.ndarray, "n d"],
    scale: np.ndarray | Callable[[np.ndarray], np.ndarray],
    chunk_size: int = 256,
) -> ConditionalChains:
    """Run c chains per row on the density of its holes given what was seen of it.

    Every row tunes its own step size, because the best one depends on how many and which values
    the row misses, and because its draws then do not depend on the rows it is imputed with. Rows
    go through the compiled loop in chunks of equal shape; rows without holes are left alone.

    Parameters
    ----------
    key : PRNGKey
        Typed JAX key; row i uses ``fold_in(key, i)``, whatever the chunks.
    sampler : AbstractSampler
        What moves the chains: ``n_warmup`` steps, then ``n_steps`` steps.
    density, params
        The joint density of a complete row.
    positions : (c, n, d) array
        Completed rows, one completion per chain, the seen values equal in all of them.
    observed : (n, d) bool array
        True where the value was seen; it stays.
    scale : (n, d) or (n, d, d) array, or callable
        C^{1/2} per row; rows and columns of seen coordinates are set to zero. A callable takes
        row numbers and returns the scales of these rows, so that only a chunk's are in memory.
    chunk_size : int, default=256
        Largest number of rows at once.

    Returns
    -------
    ConditionalChains

    Examples
    --------
    >>> import jax, numpy as np
    >>> from sm_estimators.densities.gaussian import Gaussian
    >>> from sm_estimators.samplers.langevin import MALA
    >>> params = Gaussian().from_moments(np.zeros(2), np.eye(2))
    >>> chains = run_conditional_chains(
    ...     jax.random.key(0), MALA(n_warmup=20, n_steps=20), density=Gaussian(), params=params,
    ...     positions=np.full((3, 1, 2), 0.5), observed=np.array([[True, False]]),
    ...     scale=np.ones((1, 2)),
    ... )
    >>> chains.positions[:, 0, 0]
    array([0.5, 0.5, 0.5])
    """
    scale_of = scale if callable(scale) else scale.__getitem__
    model = cast((sampler, density, params), dtype_of(density))
    out = _unmoved(positions, int(sampler.n_steps) // 2)
    for chunk, count in row_chunks(np.flatnonzero(~observed.all(axis=1)), chunk_size):
        table = cast((positions[:, chunk], observed[chunk], scale_of(chunk)), dtype_of(density))
        with jax.enable_x64(not density.neural):
            run = to_numpy(_run_conditional(key, *model, chunk, *table))
        _store(out, run, chunk[:count])
    return out


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def _run_conditional(key, sampler, density, params, rows, positions, observed, scale) -> Ensemble:
    """Run an ensemble per row, all with running moments."""

    def one_row(row, positions: Float[Array, "c d"], observed: Observed, scale: Scale):
        hole = ~observed
        return run_ensemble(
            jax.random.fold_in(key, row),
            sampler,
            condition(partial(density.log_density, params), positions[0], observed),
            positions=positions,
            scale=jnp.where(hole if scale.ndim == 1 else hole & hole[:, None], scale, 0.0),
            n_steps=2 * (sampler.n_steps // 2),
            memory=Moments(*jnp.zeros((2, 2, *positions.shape), positions.dtype)),
            remember=partial(_update_moments, n_half=sampler.n_steps // 2),
        )

    return jax.vmap(one_row, in_axes=(0, 1, 0, 0))(rows, positions, observed, scale)


def _update_moments(moments: Moments, t: Any, positions: Array, *, n_half: Any) -> Moments:
    """Take one more state into the moments of its half (Welford, 1962).

    While the count is one, during warm-up and at the start of a half, the mean is the state
    itself and the squares stay zero: nothing is remembered.
    """
    half = (t >= n_half).astype(jnp.int32)
    count = count_since(t, half * n_half)
    before = positions - moments.mean[half]
    mean = moments.mean[half] + before / count
    squares = moments.squares[half] + before * (positions - mean)
    return Moments(moments.mean.at[half].set(mean), moments.squares.at[half].set(squares))


def _unmoved(positions: np.ndarray, n_half: int) -> ConditionalChains:
    """Return the result for a table without holes, to be filled in."""
    c, n, d = positions.shape
    return ConditionalChains(
        positions=np.array(positions, float),
        mean=np.full((n, 2, c, d), np.nan),
        variance=np.full((n, 2, c, d), np.nan),
        n_half=n_half,
        acceptance=np.full(n, np.nan),
        step_size=np.full(n, np.nan),
    )


def _store(out: ConditionalChains, run: Ensemble, rows: np.ndarray) -> None:
    """Write the ensembles of some rows into the arrays of ``out``."""
    k = len(rows)
    moved = run.states.position[:k].transpose(1, 0, 2)
    out.positions[:, rows] = moved
    out.mean[rows] = run.memory.mean[:k]
    out.variance[rows] = run.memory.squares[:k] / (out.n_half - 1)
    out.acceptance[rows] = run.acceptance[:k]
    out.step_size[rows] = run.step_size[:k]
