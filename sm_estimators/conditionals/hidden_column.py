"""A column of completed tables that is hidden in some rows."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class HiddenColumn(NamedTuple):
    """What the rest of their rows says about some cells of a column.

    Completed tables follow each other: there are a rows in all of them together, and c cells.
    """

    z: Float[np.ndarray, "c w"]
    """Predictions of the cells' coordinates by the linear law."""
    ranked: Float[np.ndarray, "a p"]
    """Inputs of trees in all rows; in those of the cells, with these predictions in the place of
    the column."""
    row: Int[np.ndarray, " c"]
    """In which of the rows the cells are."""
