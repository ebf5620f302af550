"""What was measured, on what, and how long it took."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def describe(*packages: str) -> str:
    """Return a line on the machine, its load and the versions."""
    load = "/".join(f"{x:.1f}" for x in os.getloadavg())
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{platform.machine()}, {cores} cores used, load {load} (1/5/15 minutes) at the end of "
        f"the run; Python {platform.python_version()}, {versions}."
    )


@dataclass
class Time:
    """Seconds by the clock and of the processor, children included."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Time]:
    """Yield a time that is filled in at the end of the block."""
    taken, wall, cpu = Time(), time.perf_counter(), cpu_seconds()
    yield taken
    taken.wall, taken.cpu = time.perf_counter() - wall, cpu_seconds() - cpu


def cpu_seconds() -> float:
    """Return the processor time of this process and of the children it waited for."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def save(name: str, text: str) -> None:
    """Write a result and say where it is."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / name
    path.write_text(text.rstrip() + "\n")
    print(f"{text}\n\nwritten to {path}")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table; the first column is text, the others are numbers."""
    rule = [":--"] + ["--:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])
