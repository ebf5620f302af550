"""Kinds of columns that are not read off their cells: declared by the user or learnt by a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sm_estimators.cli.command_error import USAGE, CommandError
from sm_estimators.cli.tables import Table, listed, read_table

KINDS = ("numeric", "nominal")


def read_table_as(
    path: Path, na: Iterable[str] | None, types: Iterable[str] | None, model: Any = None
) -> Table:
    """Read a table whose columns are what ``--type`` says, or what a loaded model learnt."""
    if model is not None:
        return read_table(path, na or (), kinds_of(model))
    kinds = declared_kinds(types or ())
    table = read_table(path, na or (), kinds)
    check_kinds(table, kinds)
    return table


def declared_kinds(entries: Iterable[str]) -> dict[str, str]:
    """Return the kinds in entries such as ``zip=nominal`` by column."""
    kinds = {}
    for entry in entries:
        name, _, kind = entry.rpartition("=")
        if not name or kind not in KINDS or kinds.get(name, kind) != kind:
            raise CommandError(
                f"`--type` is {entry}; expected COLUMN=KIND, once for a column, where KIND is one "
                f"of {', '.join(KINDS)}.",
                USAGE,
            )
        kinds[name] = kind
    return kinds


def kinds_of(model: Any) -> dict[str, str]:
    """Return what the columns of a fitted model are, where a file of text could mean both."""
    ours = {"nominal": "nominal", "numeric": "numeric", "integer": "numeric"}
    return {str(column.name): ours[column.kind] for column in model.columns_ if column.kind in ours}


def check_kinds(table: Table, kinds: dict[str, str]) -> None:
    """Refuse kinds of columns that are not there or cannot be what they are called."""
    here = {column.name: column for column in table.columns}
    unknown = [name for name in kinds if name not in here]
    if unknown:
        raise CommandError(
            f"`--type` names {listed(unknown)}, but {table.path} has {listed(here)}.", USAGE
        )
    for name, kind in kinds.items():
        column = here[name]
        fits = column.values is not None if kind == "numeric" else column.kind in (kind, "empty")
        if not fits:
            raise CommandError(
                f"`--type` calls `{name}` {kind}, but it holds {column.stray or column.kind}; "
                "declare another kind, or none."
            )
