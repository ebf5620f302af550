"""Scores of K draws against the truth, one cell at a time.

Every rule is unbiased for infinitely many draws of the same distribution ("fair"; Ferro 2014), so
that imputers can be compared whatever the number of draws, and draws of the true distribution have
the least expected score. One draw is a point, and scored as a point.
"""

import numpy as np


def crps(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score, the energy score in one dimension.

        (1/K) Σ_k |x_k - y| - 1/(2K(K - 1)) Σ_kl |x_k - x_l|

    It is in the units of the values, and the absolute error for one draw (Gneiting and Raftery
    2007).

    Parameters
    ----------
    draws : ndarray of shape (K, c)
        Draws for c cells.
    truth : ndarray of shape (c,)
        What was there.

    Returns
    -------
    score : ndarray of shape (c,)
        The lower, the better; single scores can be negative.

    Examples
    --------
    >>> import numpy as np
    >>> crps(np.array([[0.0], [2.0]]), np.array([1.0]))
    array([0.])
    """
    n = len(draws)
    error = np.abs(draws - truth).mean(axis=0)
    if n == 1:
        return error
    # Σ_k<l (x_(l) - x_(k)) counts the k-th smallest draw 2k - K - 1 times.
    counts = 2 * np.arange(1, n + 1) - n - 1
    return error - counts @ np.sort(draws, axis=0) / (n * (n - 1))


def squared_error(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the squared error of the mean of infinitely many draws, without bias.

    (x̄ - y)² - s²/K: what chance adds to the mean of K draws is taken off again. The plain squared
    error for one draw.
    """
    n = len(draws)
    error = (draws.mean(axis=0) - truth) ** 2
    return error if n == 1 else error - draws.var(axis=0, ddof=1) / n


def covered(draws: np.ndarray, truth: np.ndarray, level: float) -> np.ndarray:
    """Return whether the truth lies in the central interval of the draws, or how nearly.

    If truth and draws come from the same continuous distribution, the truth lies between the r-th
    smallest and the r-th largest of K draws with probability 1 - 2r/(K + 1), exactly. ``level``
    mostly asks for an r that is no whole number; the answers for the two next to it are then
    weighted so that the expected value is ``level``. The interval of r = 0 is everything, that of
    r = (K + 1)/2, whole or not, nothing. NaN for one draw.
    """
    n = len(draws)
    if n == 1:
        return np.full(truth.shape, np.nan)
    rank = (1 - level) * (n + 1) / 2
    whole = min(int(rank), n // 2)
    step = min(1.0, (n + 1) / 2 - whole)  # to the next rank, or to that of nothing
    part, ordered = (rank - whole) / step, np.sort(draws, axis=0)
    return (1 - part) * _within(ordered, truth, whole) + part * _within(ordered, truth, whole + 1)


def _within(ordered: np.ndarray, truth: np.ndarray, rank: int) -> np.ndarray:
    """Return whether the truth lies between the rank-th smallest and largest draw."""
    if rank == 0:
        return np.ones(truth.shape)
    if 2 * rank > len(ordered):
        return np.zeros(truth.shape)
    return ((ordered[rank - 1] <= truth) & (truth <= ordered[-rank])).astype(float)


def brier(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the Brier score Σ_c (p_c - 1[y = c])² of categories, p their share among the draws.

    Without the bias of shares among K draws: (2/K) Σ_k 1[x_k ≠ y] - 1/(K(K - 1)) Σ_kl 1[x_k ≠ x_l].
    It lies about [0, 2]; half of it is the energy score with distance 1 between categories.

    Parameters
    ----------
    draws : ndarray of shape (K, c)
        Codes of categories.
    truth : ndarray of shape (c,)
        Codes of what was there.

    Returns
    -------
    score : ndarray of shape (c,)
        The lower, the better.
    """
    n = len(draws)
    wrong = 2 * (draws != truth).mean(axis=0)
    if n == 1:
        return wrong
    return wrong - sum((draws != one).sum(axis=0) for one in draws) / (n * (n - 1))


def hit(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return whether the commonest category among the draws is the true one.

    Of equally common ones, the one with the smallest code counts.
    """
    n_codes = 1 + int(max(draws.max(initial=0), truth.max(initial=0)))
    counts = np.stack([(draws == code).sum(axis=0) for code in range(n_codes)])
    return (counts.argmax(axis=0) == truth).astype(float)
