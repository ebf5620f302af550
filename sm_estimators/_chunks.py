"""Rows in chunks of a few repeated shapes, so that compiled code is found again.

A table of n rows is cut into chunks of at most ``max_rows``; the last one is padded up to a
power of two of at least 64 by repeating its first row. Tables of 70 and of 120 rows then run the
same compiled code, and no more than one chunk is in memory at a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

SMALLEST = 64


def padded_length(n_rows: int, max_rows: int = 2**62) -> int:
    """Return the smallest power of two, at least 64 and at most ``max_rows``, that holds them."""
    return min(max(SMALLEST, 1 << max(n_rows - 1, 0).bit_length()), max_rows)


def pad_rows(array: np.ndarray, length: int) -> np.ndarray:
    """Repeat the first row at the end until there are ``length`` rows."""
    extra = length - len(array)
    return array if extra == 0 else np.concatenate([array, np.repeat(array[:1], extra, axis=0)])


def row_chunks(rows: Any, max_rows: int) -> Iterator[tuple[Any, int]]:
    """Cut a pytree of arrays (n, ...) into padded chunks; yield each with its true length."""
    n = len(jax.tree.leaves(rows)[0])
    size = padded_length(n, max_rows)
    for start in range(0, n, size):
        chunk = jax.tree.map(lambda a, s=start: np.asarray(a[s : s + size]), rows)
        count = min(size, n - start)
        yield jax.tree.map(lambda a: pad_rows(a, size), chunk), count


def map_rows(function: Callable[[Any], Any], rows: Any, *, max_rows: int = 4096) -> Any:
    """Apply ``function`` to padded chunks of rows and join what it returns, as NumPy arrays."""
    parts = [
        jax.tree.map(lambda a, c=count: np.asarray(a)[:c], function(chunk))
        for chunk, count in row_chunks(rows, max_rows)
    ]
    return jax.tree.map(lambda *blocks: np.concatenate(blocks), *parts)


def rows_within(numbers_per_row: int, budget: int = 2**22) -> int:
    """Return a power of two of rows, at least 64, that keeps a chunk within ``budget`` numbers."""
    return max(SMALLEST, 1 << (budget // max(numbers_per_row, 1)).bit_length() >> 1)
