"""Several completed copies of a table, on their way through the chain."""

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.column_law import ColumnLaw
from sm_estimators.conditionals.coordinates import Coordinates, blocks_of


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

    def hidden(self, law: ColumnLaw, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions and inputs of ``rows`` of all tables, one after another."""
        p = self.linear.shape[-1]
        return law.hide(self.linear[:, rows].reshape(-1, p), self.ranked[:, rows].reshape(-1, p))

    def write(self, j: int, rows: np.ndarray, drawn: Float[np.ndarray, "m r"]) -> None:
        """Put values into ``rows`` of column ``j`` of every table."""
        column, block = self.coordinates[j], self.blocks[j]
        self.values[:, rows, j] = drawn
        self.linear[:, rows, block] = column.linear(drawn)
        self.ranked[:, rows, block] = column.ranked(drawn)

    def redraw(self, rng: np.random.Generator, law: ColumnLaw, j: int, rows: np.ndarray) -> None:
        """Draw the holes of column ``j``, which are in ``rows``, anew given the rest."""
        z, ranked = self.hidden(law, rows)
        self.write(j, rows, law.draw(rng, z, ranked).reshape(-1, len(rows)))
