"""Draws that can be used like independent ones: chains, thinned until they are, and judged."""

from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Bool, Float

from sm_estimators._typing import Params, PRNGKey
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.samplers._base import AbstractSampler
from sm_estimators.samplers.chains import run_chains
from sm_estimators.samplers.conditional_chains import run_conditional_chains
from sm_estimators.samplers.diagnostics import (
    Diagnostics,
    diagnose,
    diagnose_conditional,
    warn_if_bad,
)

LEAST_KEPT = 128
"""Kept states per chain, at least: with fewer, R-hat of independent draws exceeds 1.01."""
GOOD_EFFICIENCY = 0.7
"""Effective draws per kept state above which thinning is not raised any further."""
MOST_THINNING = 16
"""The factor by which thinning may be raised."""


def draw(
    key: PRNGKey,
    sampler: AbstractSampler,
    *,
    density: AbstractDensity,
    params: Params,
    starts: Float[np.ndarray, "k d"],
    scale: np.ndarray,
    n_samples: int,
) -> tuple[Float[np.ndarray, "{n_samples} d"], Diagnostics]:
    """Draw nearly independent rows from a density known up to a constant.

    ``sampler.n_chains`` chains start at randomly chosen rows of ``starts``. Each keeps a power of
    two of states, 128 at least, so that different ``n_samples`` share compiled code. If kept
    states are worth less than 0.7 independent ones each, the chains go on with a larger thinning,
    at most 16 times that of the sampler. The draws are a random choice among the kept states, in
    random order; the same key gives the same draws.

    Parameters
    ----------
    key : PRNGKey
        Typed JAX key.
    sampler : AbstractSampler
        ``MALA()`` unless there is a reason.
    density, params
        The target, log q(x) = ``density.log_density(params, x)``.
    starts : (k, d) array
        Complete rows where the density is positive; rows of the data serve best.
    scale : (d,) or (d, d) array
        C^{1/2} of the preconditioner: standard deviations, or the lower Cholesky factor of the
        covariance of the data.
    n_samples : int
        Rows to draw, at least 1.

    Returns
    -------
    draws : (n_samples, d) array
        float64.
    diagnostics : Diagnostics
        Of all kept states, not only of those returned.

    Raises
    ------
    ValueError
        When ``starts`` is not finite.
    FloatingPointError
        When chains diverged.

    Warns
    -----
    SamplingWarning
        When R-hat or the effective sample size is bad.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from sm_estimators.densities.gaussian import Gaussian
    >>> from sm_estimators.samplers.langevin import MALA
    >>> params = Gaussian().from_moments(np.zeros(2), np.eye(2))
    >>> draws, diagnostics = draw(
    ...     jax.random.key(0), MALA(), density=Gaussian(), params=params,
    ...     starts=np.zeros((1, 2)), scale=np.ones(2), n_samples=10,
    ... )
    >>> draws.shape, diagnostics.r_hat < 1.01
    ((10, 2), True)
    """
    _check_starts(starts)
    keys = jax.random.split(key, 2 + MOST_THINNING.bit_length())
    rng = np.random.default_rng(np.asarray(jax.random.key_data(keys[0])))
    per_chain = -(-n_samples // sampler.n_chains)
    n_kept = max(LEAST_KEPT, 1 << (per_chain - 1).bit_length())
    positions = starts[rng.integers(len(starts), size=sampler.n_chains)]
    limit = int(sampler.thinning) * MOST_THINNING
    for round_key in keys[1:]:
        chains = run_chains(
            round_key,
            sampler,
            density=density,
            params=params,
            positions=positions,
            scale=scale,
            n_kept=n_kept,
        )
        kept = chains.positions
        diagnostics = diagnose(kept, acceptance=chains.acceptance, step_size=chains.step_size)
        efficiency = diagnostics.effective_sample_size / (kept.shape[0] * n_kept)
        if efficiency >= GOOD_EFFICIENCY or sampler.thinning >= limit:
            break
        sampler = _thin_more(sampler, efficiency, chains.step_size, limit)
        positions = kept[:, -1]
    warn_if_bad(diagnostics)
    return rng.permutation(kept.reshape(-1, kept.shape[2]))[:n_samples], diagnostics


def draw_conditional(
    key: PRNGKey,
    sampler: AbstractSampler,
    *,
    density: AbstractDensity,
    params: Params,
    starts: Float[np.ndarray, "m n d"],
    observed: Bool[np.ndarray, "n d"],
    scale: np.ndarray | Callable[[np.ndarray], np.ndarray],
    chunk_size: int = 256,
) -> tuple[Float[np.ndarray, "m n d"], Diagnostics]:
    """Draw the holes of every row given what was seen of it, m times.

    One chain per row and completion, run for ``n_warmup + n_steps`` steps; its last state is the
    draw. Parameters are those of
    :func:`~sm_estimators.samplers.conditional_chains.run_conditional_chains`, with
    ``starts`` for positions.

    Parameters
    ----------
    key : PRNGKey
        Typed JAX key.
    sampler : AbstractSampler
        ``n_chains`` and ``thinning`` play no part here.
    density, params
        The joint density of a complete row.
    starts : (m, n, d) array
        m completions of the table, spread at least as widely as the draws should be: draws of a
        Gaussian conditional, say. The seen values are equal in all m.
    observed : (n, d) bool array
        True where the value was seen; it stays.
    scale : (n, d) or (n, d, d) array, or callable
        C^{1/2} per row, or a function from row numbers to those of the rows.
    chunk_size : int, default=256
        Largest number of rows at once.

    Returns
    -------
    draws : (m, n, d) array
        Completed tables, float64; seen values are returned bit for bit.
    diagnostics : Diagnostics
        NaN when nothing is missing.

    Raises
    ------
    ValueError
        When ``starts`` is not finite.
    FloatingPointError
        When chains diverged.

    Warns
    -----
    SamplingWarning
        When more than a twentieth of the holes have R-hat above 1.1, or a hole has fewer than
        20 independent states behind it on average.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from sm_estimators.densities.gaussian import Gaussian
    >>> from sm_estimators.samplers.langevin import MALA
    >>> params = Gaussian().from_moments(np.zeros(2), np.eye(2))
    >>> draws, diagnostics = draw_conditional(
    ...     jax.random.key(0), MALA(), density=Gaussian(), params=params,
    ...     starts=np.full((5, 1, 2), 0.5), observed=np.array([[True, False]]),
    ...     scale=np.ones((1, 2)),
    ... )
    >>> draws.shape
    (5, 1, 2)
    """
    _check_starts(starts)
    chains = run_conditional_chains(
        key,
        sampler,
        density=density,
        params=params,
        positions=starts,
        observed=observed,
        scale=scale,
        chunk_size=chunk_size,
    )
    diagnostics = diagnose_conditional(chains, observed)
    warn_if_bad(diagnostics, highest_r_hat=1.1, least_size=20.0)
    return np.where(observed, starts, chains.positions), diagnostics


def _thin_more(
    sampler: AbstractSampler, efficiency: float, step_size: float, limit: int
) -> AbstractSampler:
    """Return the sampler to go on with: tuned, warm, thinned until states are worth one draw."""
    factor = 1 / max(efficiency, 1 / MOST_THINNING)
    thinning = min(limit, max(2 * sampler.thinning, int(np.ceil(factor * sampler.thinning))))
    return replace(sampler, n_warmup=0, thinning=thinning, step_size=step_size)  # type: ignore[type-var]


def _check_starts(starts: np.ndarray) -> None:
    """Refuse places from which no chain can run."""
    if not (finite := np.isfinite(starts)).all():
        raise ValueError(
            f"`starts` must hold finite numbers, but {int((~finite).sum())} of its "
            f"{starts.size} values are not; fill the holes first, for example with column means."
        )
