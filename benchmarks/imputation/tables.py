"""Complete numeric tables, in which holes are made.

Files are not shipped. They lie in the folder that the environment variable `SM_BENCHMARK_DATA`
names; four tables come with scikit-learn. Columns of text and constant columns are left out, and a
numeric outcome is a column like any other.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

FOLDER = "SM_BENCHMARK_DATA"
SUBSAMPLE_SEED = 20240607


@dataclass(frozen=True)
class File:
    """A file of the folder, and how many rows of it are used at most, chosen at random once."""

    name: str
    n_max: int | None = None

    def __call__(self) -> np.ndarray:
        """Read the numeric columns."""
        frame = pd.read_csv(folder() / self.name).select_dtypes("number")
        if self.n_max is not None:
            frame = frame.sample(min(self.n_max, len(frame)), random_state=SUBSAMPLE_SEED)
        return frame.to_numpy(float)


def _diabetes() -> np.ndarray:
    """Return ten measurements and the progress of the disease a year later."""
    X, progress = datasets.load_diabetes(return_X_y=True, scaled=False)
    return np.column_stack([X, progress])


SOURCES: dict[str, Callable[[], np.ndarray]] = {
    "iris": lambda: datasets.load_iris().data,
    "wine178": lambda: datasets.load_wine().data,
    "yacht": File("hi_yacht.csv"),
    "diabetes": _diabetes,
    "breast_cancer": lambda: datasets.load_breast_cancer().data,
    "energy": File("grape_energy.csv"),
    "concrete": File("grape_concrete.csv"),
    "airfoil": File("hi_airfoil.csv"),
    "wine": File("hi_wine.csv"),
    "california": File("dp_california.csv", n_max=3000),
    "sachs": File("sachs.csv", n_max=3000),
    "bean": File("dp_bean.csv", n_max=3000),
    "california_full": File("dp_california.csv"),
    "bean_full": File("dp_bean.csv"),
}
"""The tables by name, short ones first. Classes (of iris, wines, tumours and beans) are left out.
The last two are for timing."""

STUDY = tuple(name for name in SOURCES if not name.endswith("_full"))


def folder() -> Path:
    """Return the folder of the files."""
    named = os.environ.get(FOLDER)
    if not named:
        raise ValueError(f"the environment variable {FOLDER} must name the folder of the tables.")
    return Path(named)


def load(name: str) -> np.ndarray:
    """Return the complete table, (n, d), in its own units."""
    X = SOURCES[name]()
    if not np.isfinite(X).all():
        raise ValueError(f"the table {name!r} must be complete; {np.isnan(X).sum()} cells are not.")
    return X[:, np.ptp(X, axis=0) > 0]
