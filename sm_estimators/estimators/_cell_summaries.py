"""Summaries of the draws of every cell, of some rows at a time, so that memory stays bounded."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

LARGEST_BLOCK = 2**24
"""Cells that are drawn at a time, over all tables: 128 MB."""


def summarise(
    filler: Any,
    values: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    summary: Callable[[np.ndarray], np.ndarray],
    *,
    n_tables: int,
    seed: int,
) -> np.ndarray:
    """Return the summary of what a filler draws for every row.

    A summary of draws (m, rows, d) has shape (…, rows, d).
    """
    n_rows = max(1, LARGEST_BLOCK // (n_tables * values.shape[1]))
    blocks = [slice(start, start + n_rows) for start in range(0, len(values) or 1, n_rows)]
    parts = [
        summary(filler.complete(values[rows], observed[rows], n_tables=n_tables, seed=seed + i))
        for i, rows in enumerate(blocks)
    ]
    return np.concatenate(parts, axis=-2)


def probabilities(q: Any) -> Float[np.ndarray, " q"]:
    """Return the asked probabilities, or say what is wrong with them."""
    try:
        found = np.atleast_1d(np.asarray(q, dtype=np.float64))
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or not len(found) or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"`q` must be probabilities, numbers from 0 to 1; got {q!r}.")
    return found


def quantiles(
    draws: Float[np.ndarray, "m n d"], q: Float[np.ndarray, " q"], unordered: Sequence[int]
) -> Float[np.ndarray, "q n d"]:
    """Return quantiles of every cell, NaN in columns without an order."""
    found = np.quantile(draws, q, axis=0)
    found[:, :, unordered] = np.nan
    return found


def deviations(
    draws: Float[np.ndarray, "m n d"], unordered: Sequence[int]
) -> Float[np.ndarray, "n d"]:
    """Return standard deviations, or how often the most frequent draw is not drawn."""
    found = np.where(np.ptp(draws, axis=0) > 0, draws.std(axis=0, ddof=1), 0.0)
    for j in unordered:
        column = draws[:, :, j]
        shares = [(column == value).mean(axis=0) for value in np.unique(column)]
        found[:, j] = 1 - np.max(shares, axis=0, initial=0.0)
    return found
