"""Real tables for generation: halves for training and testing, and holes in the first.

The files are not shipped. They lie in a folder given by an argument or by the environment variable
`SM_BENCHMARK_DATA`: copies of tables of the UCI repository and of the Californian census, with a
line of names and no holes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.designs import completely_at_random

FOLDER = "SM_BENCHMARK_DATA"


@dataclass(frozen=True)
class Source:
    """A file, the columns of it that are left out, and those that hold whole numbers.

    Integers are those that ForestDiffusion's own benchmark declares, translated to these files.
    """

    file: str
    left_out: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()


SOURCES = {
    "wine": Source("hi_wine.csv", integers=("quality",)),
    "concrete": Source("grape_concrete.csv", integers=("x7",)),
    "california": Source(
        "dp_california.csv",
        left_out=("ocean_proximity",),
        integers=(
            "housing_median_age",
            "total_rooms",
            "total_bedrooms",
            "population",
            "households",
        ),
    ),
    "bean": Source("dp_bean.csv", left_out=("Class",), integers=("Area", "ConvexArea")),
}
"""The tables by name: 12, 9, 9 and 16 numeric columns. Numeric outcomes (quality, strength) are
columns like any other; categories (the place by the ocean, the class) are left out."""


@dataclass(frozen=True)
class Table:
    """A complete numeric table, (n, d), in its own units, and the indices of integer columns."""

    name: str
    X: np.ndarray
    columns: tuple[str, ...]
    integers: tuple[int, ...]


@dataclass(frozen=True)
class Halves:
    """What a method sees and what it is judged by, in the units of the table.

    Attributes
    ----------
    holes : array of shape (n, d)
        Training rows with NaN in their holes: all that a method sees.
    complete : array of shape (n, d)
        The same rows before the holes were made: the oracle, and the scale of distances.
    test : array of shape (m, d)
        The other rows, complete.
    """

    holes: np.ndarray
    complete: np.ndarray
    test: np.ndarray


def load(name: str, folder: str | None = None) -> Table:
    """Read a table of `SOURCES` from ``folder``, by default the one `SM_BENCHMARK_DATA` names."""
    folder = folder or os.environ.get(FOLDER)
    if not folder:
        raise ValueError(f"`folder` or the environment variable {FOLDER} must name a folder.")
    source = SOURCES[name]
    frame = pd.read_csv(Path(folder, source.file)).drop(columns=list(source.left_out))
    X = frame.to_numpy(float)
    if not np.isfinite(X).all():
        raise ValueError(f"{source.file} must be complete, but it has {np.isnan(X).sum()} holes.")
    integers = tuple(frame.columns.get_loc(name) for name in source.integers)
    return Table(name, X, tuple(frame.columns), integers)


def halves(
    table: Table,
    seed: int,
    *,
    hole_share: float = 0.2,
    test_share: float = 0.5,
    n_max: int | None = None,
) -> Halves:
    """Split a table at random and make holes in the training rows, completely at random.

    Parameters
    ----------
    seed : int
        Decides the split and the holes.
    hole_share : float
        Share of all cells of the training rows; outcomes have holes too.
    test_share : float
        Share of the rows for the test. ForestDiffusion's own benchmark takes .2, and makes no
        holes in its outcomes.
    n_max : int, optional
        Rows at most in either part; the smaller problem is a random part of the larger.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table.X))
    n_test = round(test_share * len(order))
    test, train = table.X[order[:n_test][:n_max]], table.X[order[n_test:][:n_max]]
    return Halves(completely_at_random(rng, train, hole_share), train, test)
