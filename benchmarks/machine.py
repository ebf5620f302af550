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


def use_two_cores() -> None:
    """Run this process on two cores, where the system can; call before JAX is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


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
    return sum(os.times()[:4])


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table; the first column is text, the others are numbers."""
    rule = [":--"] + ["--:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])
