"""Seen cells to hide."""

import numpy as np

LEAST_SEEN = 2
"""Values that stay in every column: nothing can be learned from fewer."""


def hide_cells(
    seen: np.ndarray, columns: np.ndarray, rate: float, random: np.random.Generator
) -> np.ndarray:
    """Choose seen cells of some columns at random.

    Every row keeps a seen cell, every column two.

    Parameters
    ----------
    seen : ndarray of bool, shape (n, d)
        True where a value was seen.
    columns : ndarray of int
        Whose cells may be hidden.
    rate : float
        Share of their seen cells.
    random : Generator
        Where chance comes from.

    Returns
    -------
    hide : ndarray of bool, shape (n, d)
        True for the chosen ones.

    Raises
    ------
    ValueError
        When not one cell can be hidden.

    Examples
    --------
    >>> import numpy as np
    >>> seen = np.ones((10, 2), dtype=bool)
    >>> int(hide_cells(seen, np.array([1]), 0.3, np.random.default_rng(0)).sum())
    3
    """
    candidates = np.zeros(seen.shape, dtype=bool)
    candidates[:, columns] = seen[:, columns]
    order = random.permutation(np.flatnonzero(candidates))
    chosen = order[: max(1, round(rate * len(order)))]
    hide = np.zeros(seen.shape, dtype=bool)
    left_in_row, left_in_column = seen.sum(axis=1), seen.sum(axis=0)
    for i, j in zip(*np.unravel_index(chosen, seen.shape), strict=True):
        if left_in_row[i] > 1 and left_in_column[j] > LEAST_SEEN:
            hide[i, j] = True
            left_in_row[i] -= 1
            left_in_column[j] -= 1
    if not hide.any():
        raise ValueError(
            f"No cell of `X` can be hidden: every row has to keep a seen cell and every column "
            f"{LEAST_SEEN}. The table has {int(seen.sum())} seen cells in {seen.shape[0]} rows and "
            f"{seen.shape[1]} columns; judge a larger one."
        )
    return hide
