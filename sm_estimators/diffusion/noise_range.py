"""The noise scales that a table asks for."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist

MOST_ROWS = 2000
"""Rows that are looked at."""
SHARE_OF_SPACING = 0.1
BOUNDS = (2e-3, 2e-2)
"""Bounds of the smallest scale: ties would make it zero, and more would blur the columns."""
LEAST_LAST = 10.0
"""Least value of the largest scale."""


def noise_range(rng: np.random.Generator, Z: Float[np.ndarray, "n d"]) -> tuple[float, float]:
    """Return the smallest and largest noise scale for a complete, standardised table.

    The smallest is a tenth of the spacing of nearest neighbours per column (their 10 % quantile
    divided by √d), within 0.002 and 0.02: noise below the spacing teaches nothing, noise above it
    blurs. The largest is the largest distance of two rows, as Song and Ermon (2020), Improved
    techniques for training score-based generative models, advise.

    Parameters
    ----------
    rng : Generator
        Chooses rows where there are many.
    Z : array (n, d)
        Rows in standard deviations of the columns.

    Returns
    -------
    first, last : float
        In standard deviations.

    Examples
    --------
    >>> Z = np.random.default_rng(0).normal(size=(500, 2))
    >>> first, last = noise_range(np.random.default_rng(0), Z)
    >>> 0.002 <= first < 0.02, last >= 10
    (True, True)
    """
    some = Z[rng.permutation(len(Z))[:MOST_ROWS]]
    spacing = KDTree(Z).query(some, k=2)[0][:, 1]
    first = SHARE_OF_SPACING * np.quantile(spacing, 0.1) / np.sqrt(Z.shape[1])
    last = max(float(pdist(some).max()), LEAST_LAST)
    return float(np.clip(first, *BOUNDS)), last
