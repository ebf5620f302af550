"""Which columns are mapped by their curve: those of which the others know more after it."""

import numpy as np
from jaxtyping import Bool, Float

RIDGE = 1e-4
"""Of the Gaussian that compares."""
MARGIN = 0.1
"""Of the log-likelihood per row that a curve must gain."""
PASSES = 2
"""Times that every column is looked at."""
MAX_COORDINATES = 150
"""Beyond which all curves are taken as they are."""


def chosen_curves(
    straight: Float[np.ndarray, "n p"],
    curved: Float[np.ndarray, "n p"],
    gain: Float[np.ndarray, " p"],
    weight: Float[np.ndarray, " n"],
) -> Bool[np.ndarray, " p"]:
    """Return which coordinates are curved, by the Gaussian likelihood of whole rows.

    A curve that makes a column alone more Gaussian may bend what was straight: a column that is a
    sum of others. With S the covariance of the chosen coordinates, the log-likelihood per row is
    Σ_chosen gain_j − ½ log det S. The better of none and all is changed one coordinate at a time,
    where that helps.

    Parameters
    ----------
    straight, curved : ndarray of shape (n, p)
        Standardised coordinates.
    gain : ndarray of shape (p,)
        Mean logarithm of the slope of the curved coordinate in the straight one; 0 where they are
        the same.
    weight : ndarray of shape (n,)
        Of the rows.
    """
    p = straight.shape[1]
    gain = np.where(gain == 0, 0.0, gain - MARGIN)
    if p > MAX_COORDINATES:
        return gain != 0
    both = np.concatenate([straight, curved], axis=1).astype(np.float64)
    covariance = np.cov(both, rowvar=False, aweights=weight, ddof=0)
    covariance[np.diag_indices(2 * p)] *= 1 + RIDGE
    covariance[np.diag_indices(2 * p)] += 1e-9
    choices = [np.zeros(p, bool), gain != 0]
    chosen = max(choices, key=lambda choice: height(covariance, gain, choice)).copy()
    for j in PASSES * np.flatnonzero(gain).tolist():
        chosen[j] = prefers_curve(covariance, float(gain[j]), chosen, j)
    return chosen


def height(covariance: np.ndarray, gain: np.ndarray, chosen: np.ndarray) -> float:
    """Return the log-likelihood per row of a choice, up to a constant."""
    index = np.arange(len(gain)) + len(gain) * chosen
    return float(gain[chosen].sum() - 0.5 * np.linalg.slogdet(covariance[np.ix_(index, index)])[1])


def prefers_curve(covariance: np.ndarray, gain: float, chosen: np.ndarray, j: int) -> bool:
    """Return whether the others, as they are chosen, know a coordinate better when it is curved."""
    p = len(chosen)
    rest = np.delete(np.arange(p) + p * chosen, j)
    pair = np.array([j, p + j])
    slopes = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[np.ix_(rest, pair)])
    left = np.diag(covariance)[pair] - (covariance[np.ix_(rest, pair)] * slopes).sum(axis=0)
    straight, curved = -0.5 * np.log(np.maximum(left, 1e-12))
    return bool(curved + gain > straight)
