"""What the records say: medians, ratios to the best peer, ranks.

A frame has one line per run and a column per measure; smaller is better for rmse, crps and energy.
"""

from dataclasses import fields

import numpy as np
import pandas as pd

from benchmarks.imputation.methods import METHODS, OURS
from benchmarks.imputation.runs import Key
from benchmarks.imputation.tables import SOURCES

ERRORS = ("rmse", "crps", "energy")
KEY = [field.name for field in fields(Key)]


def frame_of(found: list[dict]) -> pd.DataFrame:
    """Return the records as a frame, the last one of every key, in the order of the study."""
    frame = pd.DataFrame(found, columns=_columns(found)).drop_duplicates(KEY, keep="last")
    frame["method"] = pd.Categorical(frame["method"], list(METHODS), ordered=True)
    frame["table"] = pd.Categorical(frame["table"], list(SOURCES), ordered=True)
    return frame.sort_values(["table", "method", "seed"])


def _columns(found: list[dict]) -> list[str]:
    """Return every name in the records, with those that a report needs."""
    wanted = [
        *KEY,
        "n",
        "d",
        "k",
        "cpu",
        "error",
        "versions",
        "nominal",
        "coverage",
        "coverage_new",
    ]
    wanted += [f"{name}{part}" for name in (*ERRORS, "variance_ratio") for part in ("", "_new")]
    return list(dict.fromkeys([*wanted, *(name for record in found for name in record)]))


def part(frame: pd.DataFrame, mechanism: str, rate: float) -> pd.DataFrame:
    """Return the runs of a mechanism and a rate that have measures."""
    chosen = (frame["mechanism"] == mechanism) & (frame["rate"] == rate) & frame["error"].isna()
    return frame[chosen]


def per_table(frame: pd.DataFrame, measure: str, how: str = "median") -> pd.DataFrame:
    """Return a measure by table (lines) and method (columns), over seeds."""
    values = frame.dropna(subset=[measure])
    grouped = values.groupby(["table", "method"], observed=True)[measure]
    return grouped.agg(how).unstack("method")


def shared_seeds(frame: pd.DataFrame, one: str) -> pd.DataFrame:
    """Return the runs of tables and seeds that the method ``one`` has measures of."""
    pairs = frame.loc[frame["method"] == one, ["table", "seed"]]
    return frame.merge(pairs, on=["table", "seed"])


def best_peer(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return, by table, the seed-mean of ours, of the best peer, its name and the ratio.

    The best peer is the one with the smallest seed-mean on that table: chosen afterwards, which
    nobody could. Peers count that have all the seeds that ours has.
    """
    shared = shared_seeds(frame, OURS).dropna(subset=[measure])
    means = per_table(shared, measure, "mean")
    counts = per_table(shared, measure, "count")
    if OURS not in means:
        return pd.DataFrame(columns=["ours", "best", "peer", "ratio"])
    means = means.where(counts.eq(counts[OURS], axis=0)).dropna(subset=[OURS])
    peers = means.drop(columns=OURS).dropna(how="all")
    table = pd.DataFrame({"ours": means[OURS], "best": peers.min(axis=1)}).dropna()
    table["peer"] = peers.idxmin(axis=1)
    table["ratio"] = table["ours"] / table["best"]
    return table


def mean_ranks(frame: pd.DataFrame, measure: str) -> pd.Series:
    """Return the mean rank of every method over tables and seeds; 1 is best.

    Ranked are the methods that have every table and seed of the most complete one.
    """
    wide = frame.pivot_table(measure, ["table", "seed"], "method", observed=True)
    if wide.empty:
        return pd.Series(dtype=float)
    complete = wide.count() == wide.count().max()
    return wide.loc[:, complete].dropna().rank(axis=1).mean().sort_values()


def ratios_to(frame: pd.DataFrame, measure: str, one: str) -> pd.DataFrame:
    """Return the quartiles over tables of every method's seed-mean over that of method ``one``."""
    means = per_table(shared_seeds(frame, one), measure, "mean")
    if one not in means:
        return pd.DataFrame(columns=[0.25, 0.5, 0.75])
    ratios = means.div(means[one], axis=0)
    return ratios.quantile([0.25, 0.5, 0.75]).T.dropna()


def geometric_mean(x: pd.Series) -> float:
    """Return the geometric mean, as is right for ratios."""
    return float(np.exp(np.log(x).mean())) if len(x) else float("nan")
