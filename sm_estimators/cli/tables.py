"""Tables on disk: reading by suffix, and refusing what no command can work with."""

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sm_estimators.cli.columns import Holes
from sm_estimators.cli.command_error import USAGE, CommandError
from sm_estimators.cli.parquet_table import ParquetTable, read_parquet_table
from sm_estimators.cli.text_table import TextTable, read_text_table

SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
Table = TextTable | ParquetTable
SUFFIXES = (*SEPARATORS, ".parquet")


def suffix(path: Path, argument: str = "TABLE") -> str:
    """Return the table suffix of a path, or refuse it."""
    for known in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(known) and len(path.name) > len(known):
            refuse_without_pyarrow(known)
            return known
    raise CommandError(
        f"`{argument}` must end in one of {', '.join(SUFFIXES)}, but is {path}.", USAGE
    )


def refuse_without_pyarrow(kind: str) -> None:
    """Refuse Parquet files where nothing can read or write them."""
    if kind == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise CommandError(
            "Parquet files need pyarrow, which is not installed; "
            'install it with `pip install "sm_estimators[parquet]"`.'
        )


def read_table(path: Path, na: Iterable[str] = (), kinds: Mapping[str, str] | None = None) -> Table:
    """Read a table and refuse what no command can work with.

    ``kinds`` calls columns numeric or nominal; the others are what their cells look like.
    """
    kind = suffix(path)
    if not path.is_file():
        raise CommandError(f"There is no file {path}; check the name.", USAGE)
    if path.stat().st_size == 0:
        raise CommandError(f"{path} is empty: a table starts with a line of column names.")
    holes = Holes(tuple(na))
    separator = SEPARATORS.get(kind)
    if separator:
        table = read_text_table(path, separator, holes, kinds or {})
    else:
        table = read_parquet_table(path, holes, kinds or {})
    check(table)
    return table


def listed(names: Iterable[str]) -> str:
    """Join column names for a sentence."""
    return ", ".join(f"`{name}`" for name in names)


def check(table: Table) -> None:
    """Refuse duplicated names, tables without a row, and infinities."""
    import numpy as np

    names = [column.name for column in table.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CommandError(
            f"{table.path} has more than one column named {listed(twice)}; rename them."
        )
    if table.n_rows == 0:
        raise CommandError(f"{table.path} has column names but no rows.")
    for column in table.columns:
        if column.values is not None and np.isinf(column.values).any():
            row = int(np.flatnonzero(np.isinf(column.values))[0]) + 1
            raise CommandError(
                f"Column `{column.name}` is infinite in row {row}; replace it by a number, "
                "or by NA where it was not seen."
            )


def numbered(path: Path, n_files: int) -> list[Path]:
    """Return ``filled.csv`` itself for one file, ``filled-1.csv``, ``filled-2.csv``, … for more."""
    kind = suffix(path, "--output")
    if n_files == 1:
        return [path]
    stem, end = path.name[: -len(kind)], path.name[-len(kind) :]
    return [path.with_name(f"{stem}-{i + 1}{end}") for i in range(n_files)]


def check_same_kind(table: Path, output: Path) -> None:
    """Refuse an output of another format, in which cells could not come back as they were."""
    if SEPARATORS.get(suffix(table)) != SEPARATORS.get(suffix(output, "--output")):
        raise CommandError(
            f"`--output` is {output.name}, but {table.name} has another format; cells come back "
            "unchanged only in the format they came in.",
            USAGE,
        )


def write_frame(frame: Any, path: Path) -> None:
    """Write a new table, without its index, in the format its name asks for."""
    kind = suffix(path, "--output")
    if kind == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        packed = {"method": "gzip", "mtime": 0} if kind.endswith(".gz") else None
        frame.to_csv(path, sep=SEPARATORS[kind], index=False, compression=packed)
