"""A CSV or TSV file that keeps the original text of every cell.

Cells are held exactly as they stand in the file, quotes and spaces included, with the line
ending of each row. Writing joins them again, so a cell nobody filled comes back bit for bit.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sm_estimators.cli.columns import Column, Holes, read_column
from sm_estimators.cli.command_error import CommandError

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class TextTable:
    """Raw cells, line ending by line ending; ``rows`` are the positions that hold data."""

    path: Path
    separator: str
    prefix: str
    lines: list[list[str]]
    endings: list[str]
    rows: list[int]
    columns: list[Column]

    @property
    def n_rows(self) -> int:
        """Number of data rows."""
        return len(self.rows)

    def with_values(self, filled: dict[str, np.ndarray]) -> "TextTable":
        """Return the table with ``filled[name]`` (n,) written into the holes of each column."""
        lines = [list(line) for line in self.lines]
        for j, column in enumerate(self.columns):
            if column.name in filled:
                for i in np.flatnonzero(column.holes):
                    cell = column.spelled(filled[column.name][i])
                    lines[self.rows[i]][j] = quoted(cell, self.separator)
        return replace(self, lines=lines)

    def write(self, path: Path) -> None:
        """Write the cells as they are, compressed where the name ends in ``.gz``."""
        text = self.prefix + "".join(
            self.separator.join(line) + ending
            for line, ending in zip(self.lines, self.endings, strict=True)
        )
        data = text.encode("utf-8")
        path.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)


def read_text_table(
    path: Path, separator: str, holes: Holes, kinds: Mapping[str, str]
) -> TextTable:
    """Read a table and sort its columns into numbers and text, or into the kinds they have."""
    text = decoded(path)
    prefix = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    lines, endings = split(text[len(prefix) :], separator)
    if not lines or not any(cell.strip() for cell in lines[0]):
        raise CommandError(f"{path} is empty: a table starts with a line of column names.")
    names = [unquoted(cell).strip() for cell in lines[0]]
    refuse_other_separators(path, names)
    rows = data_rows(path, lines)
    columns = [
        read_column(name, (unquoted(lines[i][j]) for i in rows), holes, kinds.get(name))
        for j, name in enumerate(names)
    ]
    return TextTable(path, separator, prefix, lines, endings, rows, columns)


def refuse_other_separators(path: Path, names: list[str]) -> None:
    """Refuse a header that is one name only because something else separates the names."""
    other = next((mark for mark in ";\t|," if mark in names[0]), "")
    if len(names) == 1 and other:
        raise CommandError(
            f"{path} seems to be separated by {other!r}; .csv files are read with commas and .tsv "
            "files with tabs. Rewrite it, or rename it."
        )


def decoded(path: Path) -> str:
    """Return the text of a file, decompressed where its name ends in ``.gz``."""
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8 and try again."
        ) from None
    except (gzip.BadGzipFile, EOFError):
        raise CommandError(f"{path} is named .gz but is no complete gzip file.") from None


def split(text: str, separator: str) -> tuple[list[list[str]], list[str]]:
    """Split a text into raw cells and the ending of each line."""
    lines: list[list[str]] = [[]]
    endings: list[str] = []
    for cell, end in cells(text, separator):
        lines[-1].append(cell)
        if end != separator:
            endings.append(end)
            lines.append([])
    return lines[:-1], endings


def cells(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """Yield each raw cell with what ended it: the separator, a line ending, or nothing."""
    s = re.escape(separator)
    cell = re.compile(rf'((?:"[^"]*(?:""[^"]*)*")?[^{s}\r\n]*)({s}|\r\n|\n|\r|\Z)')
    end, position = "\n", 0
    while position < len(text) or end == separator:
        match = cell.match(text, position)
        assert match is not None  # the pattern accepts every text
        end, position = match.group(2), match.end()
        yield match.group(1), end


def unquoted(cell: str) -> str:
    """Return what a cell says, without the quotes around it."""
    if not cell.startswith('"'):
        return cell
    inside, _, rest = cell[1:].rpartition('"')
    return inside.replace('""', '"') + rest


def quoted(cell: str, separator: str) -> str:
    """Return a cell as it stands in a file."""
    if any(mark in cell for mark in (separator, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def data_rows(path: Path, lines: list[list[str]]) -> list[int]:
    """Return the positions of the data rows; refuse rows of another length than the header.

    An empty line is no row, except in a table of one column, where it is an empty cell.
    """
    width = len(lines[0])
    rows = [i for i in range(1, len(lines)) if width == 1 or lines[i] != [""]]
    for i in rows:
        if len(lines[i]) != width:
            raise CommandError(
                f"{path} is ragged: row {rows.index(i) + 1} has {len(lines[i])} cells, but the "
                f"header names {width} columns. Quote cells that contain the separator."
            )
    return rows
