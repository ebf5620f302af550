"""Files a command writes: refused before any work, written all or none."""

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sm_estimators.cli.command_error import USAGE, CommandError

PICTURES = (".png", ".pdf", ".svg")
Writer = Callable[[Path], None]


def check_outputs(
    outputs: Mapping[str, list[Path | None]], *, force: bool, table: Path | None = None
) -> None:
    """Refuse files that exist, folders that do not, and writing over the table or one file twice.

    Parameters
    ----------
    outputs : dict
        From the option that names them, such as ``--output``, to the files it asks for; None
        where it asks for none.
    force : bool
        Whether existing files may be replaced.
    table : Path, default=None
        The table the command reads.
    """
    named = [(option, path) for option, paths in outputs.items() for path in paths if path]
    options: dict[Any, str] = {}
    for option, path in named:
        check_output(option, path, force=force, table=table)
        first = options.setdefault(file_of(path), option)
        if first is not option:
            raise CommandError(
                f"`{first}` and `{option}` are one file, {path}, which can keep only one of them; "
                "name another file.",
                USAGE,
            )
    for picture in outputs.get("--plot", []):
        check_picture(picture)


def file_of(path: Path) -> Any:
    """Return what two names of one file, which need not exist yet, have in common."""
    if path.exists():
        found = path.stat()
        return found.st_dev, found.st_ino
    return path.resolve()


def check_output(option: str, path: Path, *, force: bool, table: Path | None) -> None:
    """Refuse one file that cannot or must not be written."""
    if not path.parent.is_dir():
        raise CommandError(f"`{option}` is {path}, but there is no folder {path.parent}.", USAGE)
    if path.is_dir():
        raise CommandError(f"`{option}` is {path}, which is a folder; name a file in it.", USAGE)
    if not os.access(path.parent, os.W_OK):
        raise CommandError(f"`{option}` is {path}, but {path.parent} cannot be written to.", USAGE)
    if table is not None and path.exists() and table.exists() and path.samefile(table):
        raise CommandError(
            f"`{option}` is the table itself; its holes would be lost: name another file.", USAGE
        )
    if path.exists() and not force:
        raise CommandError(
            f"`{option}` would overwrite {path}; name another file, or allow it with --force.",
            USAGE,
        )


def check_picture(path: Path | None) -> None:
    """Refuse a picture in an unknown format, or without matplotlib."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise CommandError(
            f"`--plot` must end in one of {', '.join(PICTURES)}, but is {path}.", USAGE
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandError(
            "`--plot` needs matplotlib, which is not installed; "
            'install it with `pip install "sm_estimators[plots]"`.'
        )


def write_all(writers: dict[Path, Writer]) -> None:
    """Write every file beside its place, then move all of them there."""
    beside = {path: path.with_name(f".{os.getpid()}-{path.name}") for path in writers}
    try:
        for path, write in writers.items():
            write(beside[path])
        for path, temporary in beside.items():
            os.replace(temporary, path)
    finally:
        for temporary in beside.values():
            temporary.unlink(missing_ok=True)
