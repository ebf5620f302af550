"""Draw the holes of rows in turn, each given the rest of its row."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators.conditionals.column_law import ColumnLaw
from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import Coordinates
from sm_estimators.conditionals.sequence import Sequence
from sm_estimators.conditionals.widened import narrowed, widened
from sm_estimators.densities.gaussian_conditional import GaussianConditional

CHUNK = 200_000
"""Rows, counted in every table, that are completed at once."""
FEW_LEVELS = 10
"""Of a nominal column, whose probabilities are held for every cell; with k times as many levels,
chunks are smaller by k."""
LOOKED_AT = 2
"""Sweeps that means are averaged over."""


@dataclass(frozen=True)
class Chain:
    """Laws of all columns, and where a chain starts."""

    coordinates: list[Coordinates]
    start: GaussianConditional
    """Of all coordinates."""
    laws: list[ColumnLaw]
    n_sweeps: int
    sequence: Sequence | None = None
    """What draws and scores whole rows."""

    def complete(
        self,
        rng: np.random.Generator,
        values: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        n_tables: int,
    ) -> Float[np.ndarray, "m n d"]:
        """Return completed tables, each drawn by a chain of its own."""
        completed = np.empty((n_tables, *values.shape))
        for rows in self._chunks(observed, n_tables):
            tables = self._started(rng, values[rows], observed[rows], n_tables)
            for _ in range(self.n_sweeps):
                self.sweep(rng, tables, observed[rows])
            completed[:, rows] = tables.values
        completed[:, observed] = values[observed]
        return completed

    def means(
        self,
        rng: np.random.Generator,
        values: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        n_tables: int = 40,
        n_looks: int = 4,
    ) -> Float[np.ndarray, "n d"]:
        """Return the table with conditional means in its holes, most probable levels if nominal.

        An average over ``n_tables`` chains and their last ``LOOKED_AT`` sweeps, each time of
        ``n_looks`` looks at the trees.
        """
        filled = np.where(observed, values, 0.0)
        for rows in self._chunks(observed, n_tables):
            tables = self._started(rng, values[rows], observed[rows], n_tables)
            for _ in range(self.n_sweeps - LOOKED_AT):
                self.sweep(rng, tables, observed[rows])
            sums: dict[int, np.ndarray] = {}
            for _ in range(LOOKED_AT):
                for j, means in self._looking_sweep(rng, tables, observed[rows], n_looks):
                    sums[j] = sums.get(j, 0) + means
            for j, total in sums.items():
                holes = rows[~observed[rows, j]]
                filled[holes, j] = self._pointed(j, total, n_tables)
        return filled

    def sweep(self, rng: np.random.Generator, tables: Completions, observed: np.ndarray) -> None:
        """Draw every hole anew, column by column."""
        for j, rows in holes_by_column(observed):
            tables.redraw(rng, self.laws[j], j, rows)

    def _looking_sweep(
        self, rng: np.random.Generator, tables: Completions, observed: np.ndarray, n_looks: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Sweep, and yield the summed means of each column's holes on the way."""
        for j, rows in holes_by_column(observed):
            with tables.hidden(self.laws[j], rows) as hidden:
                means = self.laws[j].means(rng, hidden, n_looks)
                drawn = self.laws[j].draw(rng, hidden)
            tables.write(j, rows, drawn.reshape(-1, len(rows)))
            yield j, means.reshape(-1, len(rows), *means.shape[1:]).sum(axis=0)

    def _pointed(self, j: int, total: np.ndarray, n_tables: int) -> np.ndarray:
        """Return the point estimate of summed means or probabilities."""
        column = self.coordinates[j]
        if column.nominal:
            return column.values[np.argmax(total, axis=-1)]
        return total / (n_tables * LOOKED_AT)

    def _chunks(self, observed: np.ndarray, n_tables: int) -> Iterator[np.ndarray]:
        """Yield rows with holes, not too many at once."""
        rows = np.flatnonzero(~observed.all(axis=1))
        levels = max((len(c.values) for c in self.coordinates if c.nominal), default=1)
        size = max(CHUNK // (n_tables * max(levels // FEW_LEVELS, 1)), 1)
        for begin in range(0, len(rows), size):
            yield rows[begin : begin + size]

    def _started(
        self, rng: np.random.Generator, values: np.ndarray, observed: np.ndarray, n_tables: int
    ) -> Completions:
        """Return tables with holes drawn from the Gaussian of all coordinates."""
        return start_tables(rng, self.coordinates, self.start, values, observed, n_tables)


def holes_by_column(observed: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield columns that have holes, with their rows, fewest holes first."""
    for j in np.argsort((~observed).sum(axis=0), kind="stable"):
        rows = np.flatnonzero(~observed[:, j])
        if len(rows):
            yield int(j), rows


def start_tables(
    rng: np.random.Generator,
    coordinates: list[Coordinates],
    gaussian: GaussianConditional,
    values: np.ndarray,
    observed: np.ndarray,
    n_tables: int,
) -> Completions:
    """Return tables whose holes are drawn from a Gaussian and moved to values that were seen."""
    wide, seen = widened(coordinates, values, observed)
    drawn = [narrowed(rng, coordinates, gaussian.draw(rng, wide, seen)) for _ in range(n_tables)]
    return Completions(coordinates, np.where(observed, values, np.stack(drawn)))
