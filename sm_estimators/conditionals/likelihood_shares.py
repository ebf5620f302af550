"""Shares of the parts of a mixture, by the likelihood of rows that the parts did not see."""

import numpy as np
from jaxtyping import Float

LEAST_SHARE = 0.02
"""Of a part that is kept."""
PRIOR = 1e-3
"""Rows that count as if each part had produced an equal share of them."""
MAX_STEPS = 300
SMALL_STEP = 1e-5


def likelihood_shares(
    parts: Float[np.ndarray, "c r"], weight: Float[np.ndarray, " r"], *, always: int
) -> Float[np.ndarray, " c"]:
    """Maximise Σ_i weight_i log Σ_c share_c parts_ci over shares, by EM.

    Parts that would have a small share get none, except the one called ``always``. The shares that
    are left have a weak prior, so that they are positive.
    """
    shares = maximised(parts, weight)
    kept = (shares >= LEAST_SHARE) | (np.arange(len(shares)) == always)
    shares[:] = 0.0
    shares[kept] = maximised(parts[kept], weight)
    return shares


def maximised(parts: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return positive shares of all parts."""
    c, r = parts.shape
    shares = np.full(c, 1 / c)
    weight = weight * r / max(weight.sum(), np.finfo(float).tiny)
    for _ in range(MAX_STEPS):
        joint = shares[:, None] * np.maximum(parts, np.finfo(float).tiny)
        found = ((joint / joint.sum(axis=0)) @ weight + PRIOR / c) / (r + PRIOR)
        step, shares = np.abs(found - shares).max(), found
        if step < SMALL_STEP:
            break
    return shares / shares.sum()
