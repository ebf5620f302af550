"""One run: a method, a table, a mechanism, a rate and a seed, and everything measured of it."""

import warnings
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.imputation.fitted import Fitted
from benchmarks.imputation.holes import Part, make_holes
from benchmarks.imputation.limit import time_limit
from benchmarks.imputation.measures import measure
from benchmarks.imputation.methods import METHODS, Method
from benchmarks.imputation.tables import load
from benchmarks.machine import Time, stopwatch

TASK_DRAWS = 5
"""Draws of what is timed: a fit, the point estimates and these."""
MAIN = {("mcar", 0.3), ("mar", 0.3)}
FITS: Counter[str] = Counter()
COSTLY = ("breast_cancer", "california", "sachs", "bean")


@dataclass(frozen=True)
class Key:
    """What is run."""

    method: str
    table: str
    mechanism: str
    rate: float
    seed: int


def wanted_draws(key: Key) -> int:
    """Return the draws that are measured: fifty of short tables in the main part, ten elsewhere.

    The measures have the same expectation whatever the number of draws: `Method.n_draws` lowers it
    where a draw takes long.
    """
    return 10 if (key.mechanism, key.rate) not in MAIN or key.table in COSTLY else 50


def run(key: Key, *, limit: float | None) -> dict:
    """Return the record of a run: its key with its measures, or with its error.

    Parameters
    ----------
    limit : float, optional
        Seconds that the timed task may take, and again the draws that only the measures need.

    Notes
    -----
    ``cpu`` and ``wall`` are the seconds of what a user does: the fit, the point estimates and five
    draws of the fitted rows, where the method has them; imports are done before. Compilation is
    part of it, so ``earlier`` counts the fits of the method that the process did before. Measures
    of new rows end in ``_new``.
    """
    method = METHODS[key.method]
    holes = make_holes(load(key.table), key.mechanism, key.rate, key.seed)
    n, d = holes.fitted.holed.shape
    record = asdict(key) | {"n": n, "d": d, "versions": method.versions()}
    record |= {"k": method.n_draws(wanted_draws(key)), "earlier": FITS[key.method]}
    if method.n_max is not None and n > method.n_max:
        return record | {"error": f"left out above {method.n_max} rows"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted, point, taken = timed(method, holes.fitted.holed, key.seed, limit=limit)
            record |= {"cpu": taken.cpu, "wall": taken.wall}
            by, k = holes.fitted.complete, record["k"]
            with time_limit(limit):
                record |= measured(fitted, holes.fitted, by, point=point, k=k)
                new = measured(fitted, holes.new, by, point=fitted.mean(holes.new.holed), k=k)
        except Exception as error:
            return record | {"error": f"{type(error).__name__}: {error}"[:300]}
    return record | {f"{name}_new": value for name, value in new.items()}


def timed(
    method: Method, X: np.ndarray, seed: int, *, limit: float | None, k: int = TASK_DRAWS
) -> tuple[Fitted, np.ndarray | None, Time]:
    """Return the fitted method, its point estimates, and the time of these and of k draws."""
    method.prepare()
    with time_limit(limit), stopwatch() as taken:
        fitted = method.fit(X, seed)
        point = fitted.mean(X)
        fitted.draws(X, k)
    taken.cpu -= getattr(fitted, "start_cpu", 0.0)
    taken.wall -= getattr(fitted, "start_wall", 0.0)
    FITS.update([name for name, known in METHODS.items() if known is method])
    return fitted, point, taken


def measured(
    fitted: Fitted, part: Part, by: np.ndarray, *, point: np.ndarray | None, k: int
) -> dict:
    """Return the measures of the rows of a part."""
    draws = fitted.draws(part.holed, k)
    for tables in (point, draws):
        if tables is not None:
            check_completed(part.holed, tables)
    return measure(part, point, draws, by)


def check_completed(X: np.ndarray, tables: np.ndarray) -> None:
    """Refuse completions, (n, d) or (k, n, d), with holes left or seen values changed."""
    if tables.shape[-2:] != X.shape:
        raise ValueError(f"the table is {X.shape} and its completion {tables.shape}")
    if not np.isfinite(tables).all():
        raise ValueError(f"{(~np.isfinite(tables)).sum()} completed cells are not finite")
    seen = ~np.isnan(X)
    if changed := int((tables[..., seen] != X[seen]).sum()):
        raise ValueError(f"{changed} seen cells were changed")
