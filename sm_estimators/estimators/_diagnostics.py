"""What a fit reports about its holes."""

from typing import Any

import numpy as np


def missing_diagnostics(fit, observed: np.ndarray, held_out: dict | None) -> dict[str, Any]:
    """Return the diagnostics of a fit; keys that do not apply are left out.

    ``effective_sample_size``
        Of the weights of every row with holes, with its median, its 5 % quantile and, in
        ``effective_sample_size_by_holes``, its median by the number of holes.
    ``rounds``
        One dict per refresh of the draws: effective sample sizes, change of the parameters, loss.
    ``never_together``
        Pairs of columns that no row shows together.
    ``least_supported``
        How many rows the worst pattern has beyond what its columns need; where it is negative the
        loss of marginal score matching has no lower bound without a ridge.
    ``co_observed``
        How many rows show each pair of columns, (d, d).
    ``held_out_loss``
        The mean held-out marginal loss of every ridge that was tried.
    """
    if observed.all():
        return {} if held_out is None else {"held_out_loss": held_out}
    from sm_estimators.missing.gaussian_marginal import least_supported

    together = observed.T.astype(float) @ observed.astype(float)
    pairs = np.argwhere(np.triu(together == 0, 1))
    found: dict[str, Any] = {
        "co_observed": together.astype(int),
        "never_together": [tuple(pair) for pair in pairs.tolist()],
        "least_supported": least_supported(observed),
    }
    if held_out is not None:
        found["held_out_loss"] = held_out
    if fit.rounds:
        found["rounds"] = [r._asdict() for r in fit.rounds]
    return found | effective_sizes(fit.effective_sample_size, fit.n_holes)


def effective_sizes(sizes: np.ndarray, n_holes: np.ndarray) -> dict[str, Any]:
    """Return the effective sample sizes and their summaries."""
    if len(sizes) == 0:
        return {}
    low, median = np.quantile(sizes, [0.05, 0.5])
    by_holes = {int(k): float(np.median(sizes[n_holes == k])) for k in np.unique(n_holes)}
    return {
        "effective_sample_size": sizes,
        "effective_sample_size_median": float(median),
        "effective_sample_size_5_percent": float(low),
        "effective_sample_size_by_holes": by_holes,
    }
