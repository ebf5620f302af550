"""Whether chains have arrived, and how much their draws are worth.

Split R-hat compares halves of chains with each other: 1 when all tell the same story; aim below
1.01. The effective sample size is the number of independent draws with the same standard error of
the mean. Both are NumPyro's for kept draws (Gelman et al., Bayesian Data Analysis, 3rd ed.);
imputation chains keep running moments only, from which both are computed here.
"""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sm_estimators.samplers.conditional_chains import ConditionalChains


class SamplingWarning(UserWarning):
    """Chains that have not converged, or draws that are worth little."""


class Diagnostics(NamedTuple):
    """What is known about draws of Markov chains; ``_asdict()`` makes a dict of it.

    For kept draws ``r_hat`` is the largest over columns and ``effective_sample_size`` the
    smallest; ``r_hats`` and ``effective_sample_sizes`` are (d,). For imputation chains ``r_hats``
    is (n, d), NaN where nothing is missing, ``r_hat`` its 95 % quantile over holes,
    ``effective_sample_size`` the mean number of independent states behind a hole, and
    ``effective_sample_sizes`` (d,) the same per column. ``acceptance`` and ``step_size`` are
    those of the sampling phase, medians over rows for imputation chains.
    """

    r_hat: float
    effective_sample_size: float
    r_hats: np.ndarray
    effective_sample_sizes: np.ndarray
    acceptance: float = np.nan
    step_size: float = np.nan


def diagnose(
    draws: Float[np.ndarray, "c n d"], *, acceptance: float = np.nan, step_size: float = np.nan
) -> Diagnostics:
    """Judge kept draws.

    Parameters
    ----------
    draws : (c, n, d) array
        n kept states of c chains, in order; n at least 4.
    acceptance, step_size : float, optional
        Passed on into the result.

    Returns
    -------
    Diagnostics

    Raises
    ------
    FloatingPointError
        When a draw is not finite.
    ValueError
        When ``draws`` has fewer than 4 states per chain.

    Examples
    --------
    >>> import numpy as np
    >>> independent = np.random.default_rng(0).normal(size=(4, 1000, 2))
    >>> diagnose(independent).r_hat < 1.01
    True
    """
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    if draws.ndim != 3 or draws.shape[1] < 4:
        raise ValueError(
            "`draws` must have the shape (chains, states, columns) with at least 4 states, but "
            f"its shape is {draws.shape}; keep more states."
        )
    check_finite(draws)
    # Column by column: the autocovariances of all columns at once can be larger than the draws.
    columns = [draws[:, :, j] for j in range(draws.shape[2])]
    with np.errstate(invalid="ignore", divide="ignore"):
        r_hats = _frozen_is_bad(np.array([split_gelman_rubin(x) for x in columns]))
        sizes = np.nan_to_num(np.array([effective_sample_size(x) for x in columns]))
    # Negative correlation can make the estimated time between independent draws zero or less.
    total = draws.shape[0] * draws.shape[1]
    sizes = np.where(sizes < 0, np.inf, sizes).clip(max=total * np.log10(total))
    return Diagnostics(
        float(r_hats.max()), float(sizes.min()), r_hats, sizes, acceptance, step_size
    )


def diagnose_conditional(chains: ConditionalChains, observed: np.ndarray) -> Diagnostics:
    """Judge imputation chains from the moments of their halves.

    With h halves of n_half states, mean within-half variance W and variance B of the half means,
    R-hat is √((n_half − 1) / n_half + B / W), and B / W estimates the reciprocal of the number
    of independent states in a half. The first is noisy in one hole with few chains, which is why
    it is summarised by a quantile, and the second is averaged over holes.

    Parameters
    ----------
    chains : ConditionalChains
        Result of :func:`~sm_estimators.samplers.conditional_chains.run_conditional_chains`.
    observed : (n, d) bool array
        True where the value was seen.

    Returns
    -------
    Diagnostics

    Raises
    ------
    FloatingPointError
        When a state is not finite.
    """
    check_finite(chains.positions)
    if observed.all():
        nothing = np.full(observed.shape, np.nan), np.full(observed.shape[1], np.nan)
        return Diagnostics(np.nan, np.nan, *nothing)
    n_halves = chains.mean.shape[1] * chains.mean.shape[2]
    with np.errstate(invalid="ignore", divide="ignore"):
        within = chains.variance.mean(axis=(1, 2))
        ratio = chains.mean.var(axis=(1, 2), ddof=1) / within
    r_hats = _frozen_is_bad(np.sqrt(1 - 1 / chains.n_half + ratio))
    r_hats[observed] = np.nan
    ratio[observed] = np.nan
    return Diagnostics(
        float(np.nanquantile(r_hats, 0.95, method="higher")),
        float(n_halves / np.mean(_frozen_is_bad(ratio[~observed]))),
        r_hats,
        np.array([_size(column, n_halves) for column in ratio.T]),
        float(np.nanmedian(chains.acceptance)),
        float(np.nanmedian(chains.step_size)),
    )


def warn_if_bad(
    diagnostics: Diagnostics, *, highest_r_hat: float = 1.05, least_size: float = 400.0
) -> None:
    """Warn about chains that disagree and about draws that are worth little.

    Parameters
    ----------
    diagnostics : Diagnostics
        What to judge.
    highest_r_hat : float, default=1.05
        Largest R-hat without a warning; 1.01 is what to aim at.
    least_size : float, default=400
        Smallest effective sample size without a warning (Vehtari et al., 2021).

    Warns
    -----
    SamplingWarning
        What came, what was expected, what to do. Nothing is said about the size of draws when
        the chains disagree: it means nothing then.

    Examples
    --------
    >>> import numpy as np
    >>> warn_if_bad(diagnose(np.random.default_rng(0).normal(size=(4, 1000, 2))))
    """
    if diagnostics.r_hat > highest_r_hat:
        _warn(
            f"The chains disagree: R-hat is {diagnostics.r_hat:.3g}, and more than "
            f"{highest_r_hat:g} is not to be trusted (below 1.01 is good). Raise `n_warmup` and "
            "`thinning` (`n_steps` for imputation), start at rows of the data, and check whether "
            "the density has separated modes."
        )
    elif diagnostics.effective_sample_size < least_size:
        _warn(
            f"The chains hold only {diagnostics.effective_sample_size:.3g} effective draws, "
            f"fewer than {least_size:g}. Raise `thinning` (`n_steps` for imputation), or "
            "give a `scale` nearer to the covariance of the density."
        )


def check_finite(draws: np.ndarray) -> None:
    """Raise FloatingPointError when a chain has left the numbers."""
    bad = ~np.isfinite(draws).all(axis=-1)
    if bad.any():
        raise FloatingPointError(
            f"{int(bad.sum())} of {bad.size} states of the chains are not finite: the chains "
            "diverged. Reduce `step_size`, or use MALA, which rejects such steps; if it happens "
            "with MALA, the chains were started outside the support of the density."
        )


def _warn(sentence: str) -> None:
    """Warn at the place that asked for draws."""
    warnings.warn(sentence, SamplingWarning, stacklevel=3)


def _frozen_is_bad(ratio: np.ndarray) -> np.ndarray:
    """Read 0/0, which means that no chain ever moved, as infinity."""
    return np.where(np.isnan(ratio), np.inf, ratio)


def _size(ratio: np.ndarray, n_halves: int) -> float:
    """Return the mean effective sample size of a column, NaN when it has no holes."""
    return float(n_halves / np.nanmean(ratio)) if np.isfinite(ratio).any() else np.nan
