"""A Parquet file whose schema comes back as it was."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sm_estimators.cli.columns import Column, Holes
from sm_estimators.cli.command_error import CommandError


@dataclass(frozen=True)
class ParquetTable:
    """An Arrow table and what its columns hold."""

    path: Path
    arrow: Any
    columns: list[Column]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.arrow.num_rows

    def with_values(self, filled: dict[str, np.ndarray]) -> "ParquetTable":
        """Return the table with ``filled[name]`` (n,) in the holes of each column.

        Only holes are written; integers are rounded to the column's own type.
        """
        arrow = self.arrow
        for j, column in enumerate(self.columns):
            if column.name in filled:
                values = fill_chunks(arrow.column(j), column.holes, filled[column.name])
                arrow = arrow.set_column(j, arrow.schema.field(j), values)
        return replace(self, arrow=arrow)

    def write(self, path: Path) -> None:
        """Write the table with its schema and metadata."""
        from pyarrow import parquet

        parquet.write_table(self.arrow, path)


def read_parquet_table(path: Path, holes: Holes) -> ParquetTable:
    """Read a table and sort its columns into numbers and others."""
    import pyarrow
    from pyarrow import parquet

    try:
        arrow = parquet.ParquetFile(path).read()
    except pyarrow.ArrowInvalid as error:
        raise CommandError(f"{path} is no Parquet file: {error}") from None
    index = (arrow.schema.pandas_metadata or {}).get("index_columns", [])
    columns = [
        read_arrow_column(field.name, arrow.column(j), holes, field.name in index)
        for j, field in enumerate(arrow.schema)
    ]
    return ParquetTable(path, arrow, columns)


def read_arrow_column(name: str, chunks: Any, holes: Holes, is_index: bool) -> Column:
    """Read numbers with NaN in the holes, or note the type of a column that has none."""
    from pyarrow import types

    kind = chunks.type
    if is_index or not (types.is_floating(kind) or types.is_integer(kind)):
        name_of_kind = "index" if is_index else str(kind)
        return Column(name, name_of_kind, chunks.null_count, other=chunks.to_pandas())
    values = chunks.cast("float64", safe=False).to_numpy(zero_copy_only=False).astype(float)
    values[np.isin(values, list(holes.numbers))] = np.nan
    n_holes = int(np.isnan(values).sum())
    return Column(name, "empty" if n_holes == len(values) else str(kind), n_holes, values)


def fill_chunks(chunks: Any, holes: np.ndarray, filled: np.ndarray) -> Any:
    """Return an Arrow column of the same type with ``filled`` in its holes."""
    import pyarrow as pa
    from pyarrow import compute

    if not (pa.types.is_floating(chunks.type) or pa.types.is_integer(chunks.type)):
        return fill_others(chunks, holes, filled)
    dtype = np.dtype(chunks.type.to_pandas_dtype())
    new = np.where(holes, filled, 0.0)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        new = np.clip(np.rint(new), limits.min, limits.max)
    new = pa.array(new.astype(dtype), chunks.type)
    return compute.call_function("if_else", [pa.array(holes), new, chunks])


def fill_others(chunks: Any, holes: np.ndarray, filled: np.ndarray) -> Any:
    """Return an Arrow column of flags, text, categories or times with ``filled`` in its holes."""
    import pyarrow as pa
    from pyarrow import compute

    kind = chunks.type
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    new = pa.Array.from_pandas(filled, type=plain, mask=~holes)
    cells = compute.call_function("if_else", [pa.array(holes), new, chunks.cast(plain)])
    return cells.cast(kind) if kind != plain else cells
