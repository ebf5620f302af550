"""Rows grouped by their pattern of holes.

Gaussian statistics see a table only through its patterns. With K the precision matrix and m the
holes of a pattern, everything a conditional or a marginal needs is the inverse of the block
``K[m, m]``; patterns with equally many holes are therefore inverted together, a
:class:`HoleBlock` at a time. A pattern with more rows than it has numbers to say is compressed
once (:func:`group_by_pattern`), so that repeated passes cost the same for a million rows as for
a hundred, and memory never exceeds that of the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

BLOCK_SIZE = 2_000_000
"""Doubles that the arrays of one block may hold."""


@dataclass(frozen=True)
class HoleBlock:
    """Patterns with equally many holes k, and the rows that belong to them.

    Parameters
    ----------
    patterns, rows : slice
        Where the patterns and their rows lie in the sorted table.
    owner : ndarray of shape (m,)
        The pattern of each row, counted from the start of the block.
    holes : ndarray of shape (c, k)
        Columns of the holes of each pattern, in increasing order.
    """

    patterns: slice
    rows: slice
    owner: Int[np.ndarray, " m"]
    holes: Int[np.ndarray, "c k"]

    @property
    def row_holes(self) -> Int[np.ndarray, "m k"]:
        """Columns of the holes of each row."""
        return self.holes[self.owner]

    def submatrices(self, Q: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c k k"]:
        """Cut ``Q[m, m]`` out for the holes m of every pattern."""
        return Q[self.holes[:, :, None], self.holes[:, None, :]]

    def embedded_sum(self, M: Float[np.ndarray, "c k k"], d: int) -> Float[np.ndarray, "d d"]:
        """Add up matrices that live on the holes, each at its own place in (d, d)."""
        places = self.holes[:, :, None] * d + self.holes[:, None, :]
        return np.bincount(places.ravel(), M.ravel(), d * d).reshape(d, d).astype(float)

    def rowwise(
        self, M: Float[np.ndarray, "c k k"], T: Float[np.ndarray, "m r k"]
    ) -> Float[np.ndarray, "m r k"]:
        """Multiply the vectors of every row by the transpose of its pattern's matrix."""
        if len(T) <= 4 * len(M):
            return T @ M[self.owner].swapaxes(1, 2)
        ends = np.searchsorted(self.owner, np.arange(len(M) + 1))
        products = [T[a:b] @ matrix.T for a, b, matrix in zip(ends[:-1], ends[1:], M, strict=True)]
        return np.concatenate(products)


@dataclass(frozen=True)
class PatternTable:
    """A table reduced to what its first two moments per pattern carry.

    Row i stands for ``rows[i] - root_weight[i] * location``; the outer products of these
    vectors add up to the weighted scatter of a pattern about any location. An original row x of
    weight w is such a row itself, with ``rows[i] = √w x`` and ``root_weight[i] = √w``.

    Parameters
    ----------
    observed : ndarray of shape (n_patterns, d)
        Distinct patterns, those with fewest holes first.
    weight : ndarray of shape (n_patterns,)
        Total weight of the rows of each pattern.
    rows : ndarray of shape (m, d)
        Scaled rows, zero in the holes, pattern after pattern.
    root_weight : ndarray of shape (m,)
        The multiple of the location that belongs to each row.
    starts : ndarray of shape (n_patterns + 1,)
        The rows of pattern l are ``rows[starts[l]:starts[l + 1]]``.
    """

    observed: Bool[np.ndarray, "P d"]
    weight: Float[np.ndarray, " P"]
    rows: Float[np.ndarray, "m d"]
    root_weight: Float[np.ndarray, " m"]
    starts: Int[np.ndarray, " P1"]

    @property
    def row_observed(self) -> Bool[np.ndarray, "m d"]:
        """What was seen of each row."""
        return np.repeat(self.observed, np.diff(self.starts), axis=0)

    def residuals(self, location: Float[np.ndarray, " d"]) -> Float[np.ndarray, "m d"]:
        """Return vectors whose outer products add up to the scatter about ``location``."""
        shift = np.where(self.row_observed, location, 0.0)
        shift *= self.root_weight[:, None]
        return self.rows - shift

    def blocks(self) -> Iterator[HoleBlock]:
        """Yield the patterns in blocks of bounded size."""
        return hole_blocks(self.observed, self.starts)

    def seen_moments(self) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
        """Return the mean and the standard deviation of what was seen of each column.

        Raises
        ------
        ValueError
            If a column was never seen.
        """
        total = self.weight @ self.observed
        if (total <= 0).any():
            raise ValueError(
                f"`X` was expected to have a seen value in every column, but column(s) "
                f"{np.flatnonzero(total <= 0).tolist()} are empty. Drop them before fitting."
            )
        location = self.root_weight @ self.rows / total
        return location, np.sqrt((self.residuals(location) ** 2).sum(axis=0) / total)

    def standardised(
        self,
    ) -> tuple["PatternTable", Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
        """Return the table in units of its columns, their locations and their scales.

        A column that does not vary beyond rounding keeps the scale 1.
        """
        location, scale = self.seen_moments()
        scale = np.where(scale <= 1e-12 * np.abs(location), 1.0, scale)
        return replace(self, rows=self.residuals(location) / scale), location, scale


def sort_by_pattern(
    observed: Bool[np.ndarray, "n d"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " P1"]]:
    """Return an order of the rows by number of holes and pattern, and where each pattern starts.

    Examples
    --------
    >>> observed = np.array([[True, False], [True, True], [True, False]])
    >>> order, starts = sort_by_pattern(observed)
    >>> order.tolist(), starts.tolist()
    ([1, 0, 2], [0, 1, 3])
    """
    n, d = observed.shape
    padded = np.zeros((n, -(-d // 64) * 64), bool)
    padded[:, :d] = observed
    words = np.packbits(padded, axis=1).view(np.uint64)
    n_seen = observed.sum(axis=1)
    order = np.lexsort((*words.T, -n_seen))
    changes = (np.diff(words[order], axis=0) != 0).any(axis=1)
    return order, np.concatenate([[0] if n else [], np.flatnonzero(changes) + 1, [n]]).astype(int)


def hole_blocks(
    observed: Bool[np.ndarray, "P d"], starts: Int[np.ndarray, " P1"], width: int = 1
) -> Iterator[HoleBlock]:
    """Cut sorted patterns into blocks of equal hole count and bounded size.

    ``width`` is the number of vectors per row that the caller multiplies.
    """
    n_holes = (~observed).sum(axis=1)
    rows_per_pattern = np.diff(starts)
    # a pattern of many rows is multiplied in place, without a matrix per row
    cost = n_holes * (n_holes * (1 + np.minimum(rows_per_pattern, 4)) + width * rows_per_pattern)
    chunk = np.cumsum(cost) // BLOCK_SIZE
    breaks = np.flatnonzero((np.diff(n_holes) != 0) | (np.diff(chunk) != 0)) + 1
    edges = np.concatenate([[0], breaks, [len(observed)]]) if len(observed) else np.zeros(1)
    edges = edges.astype(int)
    for a, b in pairwise(edges.tolist()):
        holes = np.nonzero(~observed[a:b])[1].reshape(b - a, n_holes[a])
        owner = np.repeat(np.arange(b - a), rows_per_pattern[a:b])
        yield HoleBlock(slice(a, b), slice(int(starts[a]), int(starts[b])), owner, holes)


def group_by_pattern(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> PatternTable:
    """Reduce a table with holes to its patterns.

    A pattern with p seen columns and more than p + 1 rows is replaced by the p + 1 rows of the
    triangular factor of ``√w [1, x]``: the same total weight, mean and scatter, exactly. Rows
    with nothing seen, or with weight 0, carry nothing and are dropped.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows; values in holes are ignored.
    observed : ndarray of shape (n, d)
        True where a value was seen.
    weights : ndarray of shape (n,), optional
        Non-negative row weights; by default 1.

    Returns
    -------
    PatternTable

    Examples
    --------
    >>> X = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, np.nan], [np.nan, np.nan]])
    >>> table = group_by_pattern(X, ~np.isnan(X))
    >>> table.observed.tolist(), table.weight.tolist()
    ([[True, True], [True, False]], [1.0, 2.0])
    """
    if weights is None:
        weights = np.ones(len(X))
    kept = np.flatnonzero(observed.any(axis=1) & (weights > 0))
    order, starts = sort_by_pattern(observed[kept])
    kept = kept[order]
    patterns = observed[kept[starts[:-1]]]
    root = np.sqrt(weights[kept])
    rows = np.where(observed[kept], X[kept], 0.0) * root[:, None]
    total = np.add.reduceat(weights[kept], starts[:-1]) if len(kept) else np.zeros(0)
    return PatternTable(patterns, total, *_compress(patterns, rows, root, starts))


def _compress(
    patterns: np.ndarray, rows: np.ndarray, root: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Replace the rows of every crowded pattern by a triangular factor of them."""
    sizes = np.diff(starts)
    kept = np.ones(len(rows), bool)
    for i in np.flatnonzero(sizes > patterns.sum(axis=1) + 1):
        segment = slice(starts[i], starts[i + 1])
        columns = np.flatnonzero(patterns[i])
        R = np.linalg.qr(np.column_stack([root[segment], rows[segment][:, columns]])).R
        first = slice(starts[i], starts[i] + len(R))
        root[first] = R[:, 0]
        rows[np.arange(first.start, first.stop)[:, None], columns] = R[:, 1:]
        kept[first.stop : segment.stop] = False
        sizes[i] = len(R)
    return rows[kept], root[kept], np.concatenate([[0], np.cumsum(sizes)])
