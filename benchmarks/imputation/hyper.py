"""HyperImpute 0.1.17, run by a Python of its own that `HYPERIMPUTE_PYTHON` names.

It wants old packages (with a current pandas it returns column means and says nothing): `pip install
hyperimpute==0.1.17 numpy==1.26.4 pandas==2.2.3 scikit-learn==1.5.2`. Tables go there and back in a
folder that is deleted, with the fitted imputer. `answer` is what that Python runs; it imports
nothing of ours.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

PYTHON = "HYPERIMPUTE_PYTHON"


@dataclass
class Automatic:
    """Point estimates by regressors that are chosen for each column.

    ``start_cpu`` and ``start_wall`` are the seconds that its Python took to start and to import,
    which are no part of the task.
    """

    X: np.ndarray
    seed: int
    folder: tempfile.TemporaryDirectory = field(default_factory=tempfile.TemporaryDirectory)
    filled: np.ndarray = field(init=False)
    start_cpu: float = 0.0
    start_wall: float = 0.0

    def __post_init__(self):
        self.filled = self._ask("fit", self.X)

    def mean(self, X: np.ndarray) -> np.ndarray:
        """Return point estimates."""
        return self.filled if np.array_equal(X, self.X, equal_nan=True) else self._ask("new", X)

    def draws(self, X: np.ndarray, k: int) -> None:
        """Return nothing: there are no draws."""

    def _ask(self, task: str, X: np.ndarray) -> np.ndarray:
        """Let the other Python complete a table."""
        folder = Path(self.folder.name)
        np.save(folder / "asked.npy", X)
        command = [os.environ[PYTHON], "-I", __file__, task, str(self.seed), str(folder)]
        before = os.times()
        wall = time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - wall
        spent = sum(os.times()[2:4]) - sum(before[2:4])
        answered = np.load(folder / "answered.npz")
        self.start_cpu += spent - float(answered["cpu"])
        self.start_wall += wall - float(answered["wall"])
        return answered["rows"]


def hyperimpute(X: np.ndarray, seed: int) -> Automatic:
    """Fit HyperImpute with its defaults."""
    return Automatic(X, seed)


def answer(task: str, seed: str, folder: str) -> None:
    """Complete the table in the folder, by a new fit or by the one that is kept there."""
    import cloudpickle
    import pandas as pd
    from hyperimpute.plugins.imputers import Imputers

    asked, kept = Path(folder, "asked.npy"), Path(folder, "imputer.pickle")
    X = np.load(asked)
    wall, cpu = time.perf_counter(), time.process_time()
    if task == "fit":
        imputer = Imputers().get("hyperimpute", random_state=int(seed))
        centre, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    else:
        imputer, centre, scale = cloudpickle.loads(kept.read_bytes())
    # In standardised columns, because its rule for stopping depends on the units.
    frame = pd.DataFrame((X - centre) / scale, columns=[f"x{j}" for j in range(X.shape[1])])
    complete = imputer.fit_transform if task == "fit" else imputer.transform
    rows = np.where(np.isnan(X), np.asarray(complete(frame), float) * scale + centre, X)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.savez(Path(folder, "answered.npz"), rows=rows, cpu=cpu, wall=wall)
    if task == "fit":
        kept.write_bytes(cloudpickle.dumps((imputer, centre, scale)))


if __name__ == "__main__":
    answer(*sys.argv[1:])
