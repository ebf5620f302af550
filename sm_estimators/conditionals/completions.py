"""Several completed copies of a table, on their way through the chain."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.column_law import ColumnLaw
from sm_estimators.conditionals.coordinates import Coordinates, blocks_of
from sm_estimators.conditionals.hidden_column import HiddenColumn


class Completions:
    """m completed tables, as values and in both kinds of coordinates.

    Parameters
    ----------
    coordinates : list
        Of the d columns.
    values : ndarray of shape (m, n, d)
        Completed tables; changed as holes are drawn anew.
    """

    def __init__(self, coordinates: list[Coordinates], values: Float[np.ndarray, "m n d"]):
        self.values = values
        self.blocks = blocks_of(coordinates)
        self.coordinates = coordinates
        shape = (*values.shape[:2], self.blocks[-1].stop)
        self.linear = np.empty(shape, np.float32)
        self.ranked = np.empty(shape, np.float32)
        for j, (column, block) in enumerate(zip(coordinates, self.blocks, strict=True)):
            self.linear[..., block] = column.linear(values[..., j])
            self.ranked[..., block] = column.ranked(values[..., j])

    @contextmanager
    def hidden(
        self, law: ColumnLaw, rows: np.ndarray, predict: Callable[..., np.ndarray] | None = None
    ) -> Iterator[HiddenColumn]:
        """Hide the column of a law in ``rows`` of all tables for a while.

        ``predict`` makes linear predictions of these rows, one table after another; by default the
        law does. Rows are not copied for trees, which look at few coordinates of each.
        """
        (m, n), p = self.values.shape[:2], self.ranked.shape[-1]
        row = (n * np.arange(m)[:, None] + rows).ravel()
        linear, ranked = self.linear.reshape(m * n, p), self.ranked.reshape(m * n, p)
        z = (predict or law.linear.predict)(linear[row])
        known = ranked[row, law.block]
        ranked[row, law.block] = law.coordinates.ranked_prediction(z)
        try:
            yield HiddenColumn(z, ranked, row)
        finally:
            ranked[row, law.block] = known

    def write(self, j: int, rows: np.ndarray, drawn: Float[np.ndarray, "m r"]) -> None:
        """Put values into ``rows`` of column ``j`` of every table."""
        column, block = self.coordinates[j], self.blocks[j]
        self.values[:, rows, j] = drawn
        self.linear[:, rows, block] = column.linear(drawn)
        self.ranked[:, rows, block] = column.ranked(drawn)

    def redraw(self, rng: np.random.Generator, law: ColumnLaw, j: int, rows: np.ndarray) -> None:
        """Draw the holes of column ``j``, which are in ``rows``, anew given the rest."""
        with self.hidden(law, rows) as hidden:
            drawn = law.draw(rng, hidden)
        self.write(j, rows, drawn.reshape(-1, len(rows)))
