"""A Parquet file whose schema comes back as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
            if column.name in filled and column.holes.any():
                values = fill_chunks(arrow.column(j), column, filled[column.name])
                arrow = arrow.set_column(j, arrow.schema.field(j), values)
        return replace(self, arrow=arrow)

    def write(self, path: Path) -> None:
        """Write the table with its schema and metadata."""
        from pyarrow import parquet

        parquet.write_table(self.arrow, path)


def read_parquet_table(path: Path, holes: Holes, kinds: Mapping[str, str]) -> ParquetTable:
    """Read a table and sort its columns into numbers and others, or into the kinds they have."""
    import pyarrow
    from pyarrow import parquet

    try:
        arrow = parquet.ParquetFile(path).read()
    except pyarrow.ArrowInvalid as error:
        raise CommandError(f"{path} is no Parquet file: {error}") from None
    index = (arrow.schema.pandas_metadata or {}).get("index_columns", [])
    columns = [
        read_arrow_column(
            field.name,
            arrow.column(j),
            holes,
            "index" if field.name in index else kinds.get(field.name),
        )
        for j, field in enumerate(arrow.schema)
    ]
    return ParquetTable(path, arrow, columns)


def read_arrow_column(name: str, chunks: Any, holes: Holes, declared: str | None) -> Column:
    """Read numbers with NaN in the holes, or note the type of a column that has none."""
    from pyarrow import types

    kind = chunks.type
    if declared == "index" or not (types.is_floating(kind) or types.is_integer(kind)):
        known = declared == "index" or (declared == "nominal" and not types.is_nested(kind))
        name_of_kind = declared if declared and known else str(kind)
        return Column(name, name_of_kind, chunks.null_count, other=chunks.to_pandas())
    values = chunks.cast("float64", safe=False).to_numpy(zero_copy_only=False).astype(float)
    values[np.isin(values, list(holes.numbers))] = np.nan
    n_holes = int(np.isnan(values).sum())
    if n_holes == len(values):
        return Column(name, "empty", n_holes, values)
    if declared == "nominal":
        return Column(name, declared, n_holes, other=pd.Series(values))
    return Column(name, str(kind), n_holes, values)


def fill_chunks(chunks: Any, column: Column, filled: np.ndarray) -> Any:
    """Return an Arrow column of the same type with ``filled`` in its holes."""
    import pyarrow as pa
    from pyarrow import compute

    holes = column.holes
    if pa.types.is_dictionary(chunks.type):
        return fill_categories(chunks, column, filled)
    if pa.types.is_floating(chunks.type) or pa.types.is_integer(chunks.type):
        dtype = np.dtype(chunks.type.to_pandas_dtype())
        new = np.where(holes, np.asarray(filled, float), 0.0)
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)
            new = np.clip(np.rint(new), limits.min, limits.max)
        new = pa.array(new.astype(dtype), chunks.type)
    else:
        new = pa.Array.from_pandas(filled, type=chunks.type, mask=~holes)
    return compute.call_function("if_else", [pa.array(holes), new, chunks])


def fill_categories(chunks: Any, column: Column, filled: np.ndarray) -> Any:
    """Return an Arrow column of categories with ``filled`` in its holes.

    Its levels stay as they came, those that no cell has too; levels that only the model knows
    follow them, unless the levels have an order.
    """
    import pyarrow as pa
    from pyarrow import compute

    kind, holes = chunks.type, column.holes
    whole = chunks.unify_dictionaries().combine_chunks()
    new = pa.Array.from_pandas(filled, type=kind.value_type, mask=~holes)
    levels = whole.dictionary
    known = set(levels.to_pylist())
    extra = [level for level in new.unique().drop_null().to_pylist() if level not in known]
    if extra and kind.ordered:
        raise CommandError(
            f"Column `{column.name}` has levels in an order, {levels.to_pylist()}, and the model "
            f"fills in {extra}, which are none of them; add them to the levels of the column."
        )
    levels = pa.concat_arrays([levels, pa.array(extra, kind.value_type)])
    codes = compute.call_function("index_in", [new], compute.SetLookupOptions(levels))
    codes = [pa.array(holes), codes.cast(kind.index_type), whole.indices]
    codes = compute.call_function("if_else", codes)
    return pa.DictionaryArray.from_arrays(codes, levels, ordered=kind.ordered)
