"""ForestFlow: the trees of ForestDiffusion (Jolicoeur-Martineau, Fatras and Kachman, 2024).

It is run by a Python of its own, `FOREST_PYTHON`, because it wants packages that our benchmarks do
not need: `pip install ForestDiffusion==1.0.6` brings xgboost, lightgbm and catboost. Tables go
there and back in a folder that is deleted. `answer` is what that Python runs; it imports nothing of
ours.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_LEVELS = 50
N_REPEATS = 100
"""Noise levels and noise draws per row, by the documentation; the rest is the package's default."""


@dataclass(frozen=True)
class Forest:
    """Rows that a forest generated, and what it took.

    Attributes
    ----------
    rows : array of shape (n_tables, n, d)
        Generated tables.
    cpu, wall : float
        Seconds of fitting and generating, without the start of Python; the processor's are of
        the whole process, which has ``n_threads`` threads and no children.
    settings : str
    """

    rows: np.ndarray
    cpu: float
    wall: float
    settings: str


def forest_flow(
    X_train: np.ndarray,
    *,
    n: int | None = None,
    n_tables: int = 1,
    integers: Sequence[int] = (),
    n_levels: int = N_LEVELS,
    n_repeats: int = N_REPEATS,
    n_threads: int = 1,
    seed: int = 0,
    timeout: float | None = None,
    python: str | None = None,
) -> Forest:
    """Fit ForestFlow to a table with NaN in its holes, (n, d), and generate tables from it.

    Parameters
    ----------
    X_train : array of shape (n, d)
    n, n_tables : int
        Rows in a generated table, by default as many as in ``X_train``, and the number of tables.
    integers : sequence of int
        Columns that the forest rounds. It cuts every column at the range of the table.
    n_levels, n_repeats : int
        The package's ``n_t`` and ``duplicate_K``. At least two repeats: with one, xgboost pairs the
        noise of one pass over the rows with the labels of another, and nothing is learned.
    n_threads : int
        Threads of xgboost, which fits one model after the other (``n_jobs=1``): nothing is lost
        to threads that wait, and no child process escapes the clock.
    timeout : float, optional
        Seconds after which `subprocess.TimeoutExpired` is raised.
    python : str, optional
        The interpreter that has ForestDiffusion; by default that of the environment variable.
    """
    python = python or os.environ.get("FOREST_PYTHON")
    if not python:
        raise ValueError(
            "`python` or the environment variable FOREST_PYTHON must name an interpreter that has "
            "ForestDiffusion; make one with `python -m venv` and `pip install ForestDiffusion`."
        )
    settings = {"n_t": n_levels, "duplicate_K": n_repeats, "nthread": n_threads, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.npz"), Path(folder, "answered.npz")
        shape = np.array([n_tables, n or len(X_train)])
        columns = np.array(integers, int)
        np.savez(asked, X=X_train, shape=shape, integers=columns, **settings)
        environment = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
        command = [python, "-I", __file__, str(asked), str(answered)]
        subprocess.run(command, check=True, timeout=timeout, env=environment, cwd=folder)
        with np.load(answered) as found:
            described = ", ".join(f"{key}={value}" for key, value in settings.items())
            versions = str(found["versions"])
            seconds = float(found["cpu"]), float(found["wall"])
            return Forest(found["rows"], *seconds, f"{versions}; {described}")


def answer(asked: str, answered: str) -> None:
    """Fit the forest to the table in ``asked`` and write what it generates to ``answered``."""
    from importlib.metadata import version

    from ForestDiffusion import ForestDiffusionModel

    with np.load(asked) as given:
        settings = {key: int(given[key]) for key in ("n_t", "duplicate_K", "nthread", "seed")}
        X, shape, integers = given["X"], given["shape"], [int(i) for i in given["integers"]]
    wall, cpu = time.perf_counter(), time.process_time()
    model = ForestDiffusionModel(
        X, diffusion_type="flow", int_indexes=integers, n_jobs=1, **settings
    )
    rows = model.generate(batch_size=int(shape.prod())).reshape(*shape, X.shape[1])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    names = ("ForestDiffusion", "xgboost", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    np.savez(answered, rows=rows, cpu=cpu, wall=wall, versions=versions)


if __name__ == "__main__":
    answer(*sys.argv[1:])
