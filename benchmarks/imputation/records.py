"""Runs kept as lines of JSON, so that a study can be stopped and taken up again."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

Recorded = dict[str, Any]


def read(path: Path) -> list[Recorded]:
    """Return the records of a file; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def append(path: Path, record: Recorded) -> None:
    """Write one line and flush it; numbers keep six digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({k: _short(v) for k, v in record.items()}) + "\n")
        file.flush()


def complete(
    path: Path, keys: Iterable[Any], run: Callable[[Any], Recorded], *, again: bool = False
) -> None:
    """Run every key that has no record yet and write what it gives, one after the other.

    Parameters
    ----------
    keys : iterable of dataclass instances
        Their fields are part of the record.
    run : callable
        From a key to a record.
    again : bool
        Run those once more that ended in an error. The last record of a key counts.
    """
    for key in keys:
        kept = [known for known in read(path) if asdict(key).items() <= known.items()]
        if not kept or (again and "error" in kept[-1]):
            record = run(key)
            append(path, record)
            print(" ".join(f"{k}={_short(v)}" for k, v in record.items()), flush=True)


def _short(value: Any) -> Any:
    """Return a number to six digits, and anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
