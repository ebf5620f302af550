"""Tables of numbers and categories: how often imputed levels are right.

    python -m benchmarks.imputation.mixed --tables penguins,health --seeds 0-2

A fifth of the seen cells is hidden, MCAR, beside the holes that are there. Imputers fill all holes
of the same table: by modes and means of columns; by miceforest, the mode or mean of its five
datasets; and by `ScoreMatchingImputer`, its most probable levels and means. Draws are judged too:
one completed table. Cases that have a line in the records are not run again.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.imputation import records
from benchmarks.imputation.__main__ import names, numbers
from benchmarks.imputation.tables import folder
from benchmarks.machine import RESULTS, describe, markdown_table, save, stopwatch

RECORDS = RESULTS / "imputation_mixed.jsonl"
FILES = {
    "penguins": "penguins_na.csv",
    "health": "naniar_riskfactors_na.csv",
    "adult": "adult_8k_na.csv",
}
SHARE = 0.2
N_TABLES = 5
Tables = list[pd.DataFrame]


def load(name: str) -> pd.DataFrame:
    """Read a table; text is categorical. Columns without two seen values are left out."""
    frame = pd.read_csv(folder() / FILES[name])
    for column in frame.select_dtypes(["object", "string", "bool"]):
        frame[column] = frame[column].astype("category")
    return frame.loc[:, frame.nunique() > 1]


def hide(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Hide a fifth of the seen cells; every level stays seen, and something in every row."""
    rng = np.random.default_rng(seed)
    holed = frame.copy()
    for column in frame:
        seen = np.flatnonzero(frame[column].notna())
        chosen = rng.permutation(seen)[: round(SHARE * len(seen))]
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            first = frame[column].iloc[np.setdiff1d(seen, chosen)]
            chosen = chosen[frame[column].iloc[chosen].isin(first).to_numpy()]
        holed.iloc[chosen, holed.columns.get_loc(column)] = np.nan
    empty = np.flatnonzero(holed.isna().all(axis=1))
    holed.iloc[empty] = frame.iloc[empty]
    return holed


class Answer(NamedTuple):
    """What an imputer makes of a table."""

    point: pd.DataFrame
    draw: pd.DataFrame


def by_columns(frame: pd.DataFrame, seed: int) -> Answer:
    """Fill in modes and means."""
    del seed
    point = frame.copy()
    for column, x in frame.items():
        categorical = isinstance(x.dtype, pd.CategoricalDtype)
        point[column] = x.fillna(x.mode().iloc[0] if categorical else x.mean())
    return Answer(point, point)


def by_miceforest(frame: pd.DataFrame, seed: int) -> Answer:
    """Fill in the modes and means of five datasets.

    Its mean matching looks for neighbours in log-odds, and stops where a level is so certain that
    they are infinite. Then levels are drawn with the predicted probabilities instead, which is what
    its documentation calls "fast".
    """
    from miceforest import ImputationKernel

    renamed = frame.set_axis([f"x{j}" for j in range(frame.shape[1])], axis=1)
    asked = {"num_datasets": N_TABLES, "random_state": seed}
    try:
        kernel = ImputationKernel(renamed, **asked)
        kernel.mice(5, num_threads=1)
    except ValueError:
        levels = renamed.select_dtypes("category").columns
        matching = {name: "fast" if name in levels else "normal" for name in renamed}
        kernel = ImputationKernel(renamed, mean_match_strategy=matching, **asked)
        kernel.mice(5, num_threads=1)
    completed = [kernel.complete_data(i).set_axis(frame.columns, axis=1) for i in range(N_TABLES)]
    return Answer(middle(completed), completed[0])


def middle(completed: Tables) -> pd.DataFrame:
    """Return the modes and means of several tables; of equally frequent levels the first."""
    point = completed[0].copy()
    for column in point:
        cells = pd.concat([t[column].reset_index(drop=True) for t in completed], axis=1)
        if isinstance(point[column].dtype, pd.CategoricalDtype):
            codes = np.stack([t[column].cat.codes for t in completed])
            most = [np.bincount(c).argmax() for c in codes.T]
            levels = point[column].cat.categories
            point[column] = pd.Categorical(levels[most], categories=levels)
        else:
            point[column] = cells.mean(axis=1).to_numpy()
    return point


def by_ours(frame: pd.DataFrame, seed: int) -> Answer:
    """Fill in most probable levels and means, and draw once."""
    from sm_estimators import ScoreMatchingImputer

    imputer = ScoreMatchingImputer(random_state=seed).fit(frame)
    completed = imputer.impute(frame, N_TABLES, random_state=seed)
    check(frame, completed[0])
    return Answer(imputer.transform(frame), completed[0])


def check(frame: pd.DataFrame, completed: pd.DataFrame) -> None:
    """Refuse other dtypes, changed cells, and holes left."""
    assert (completed.dtypes == frame.dtypes).all(), "dtypes changed"
    assert completed.notna().all(axis=None), "holes left"
    for column, x in frame.items():
        seen = x.notna().to_numpy()
        assert (completed.loc[seen, column] == x[seen]).all(), f"{column}: seen cells changed"


METHODS: dict[str, Callable[[pd.DataFrame, int], Answer]] = {
    "columns": by_columns,
    "miceforest": by_miceforest,
    "ours": by_ours,
}


def measures(truth: pd.DataFrame, holed: pd.DataFrame, answer: Answer) -> dict[str, float]:
    """Return accuracy of levels, RMSE of numbers in standard deviations, and both of the draw."""
    hidden = truth.notna() & holed.isna()
    right, cells, squares, drawn, levels = [], 0, [], [], []
    for column, x in truth.items():
        at = hidden[column].to_numpy()
        if isinstance(x.dtype, pd.CategoricalDtype):
            right.append((answer.point.loc[at, column] == x[at]).sum())
            drawn.append((answer.draw.loc[at, column] == x[at]).sum())
            shares = [t.loc[at, column].value_counts(normalize=True) for t in (answer.draw, truth)]
            levels.append(at.sum() * 0.5 * float((shares[0] - shares[1]).abs().sum()))
            cells += at.sum()
        elif at.any():
            difference = (answer.point.loc[at, column].astype(float) - x[at]) / x.std()
            squares.append((difference**2).to_numpy())
    return {
        "accuracy": float(sum(right) / cells),
        "rmse": float(np.sqrt(np.mean(np.concatenate(squares)))),
        "accuracy of a draw": float(sum(drawn) / cells),
        "levels apart": float(sum(levels) / cells),
    }


MEASURES = ("accuracy", "rmse", "accuracy of a draw", "levels apart", "cpu")


@dataclass(frozen=True)
class Key:
    """What is run."""

    method: str
    table: str
    seed: int


def run(key: Key) -> dict:
    """Return the record of a case."""
    truth = load(key.table)
    holed = hide(truth, key.seed)
    with warnings.catch_warnings(), stopwatch() as taken:
        warnings.simplefilter("ignore")
        answer = METHODS[key.method](holed.copy(), key.seed)
    return asdict(key) | {"cpu": taken.cpu} | measures(truth, holed, answer)


def page(found: list[dict]) -> str:
    """Return the report."""
    frame = pd.DataFrame(found)
    rows = []
    for table, method in product(FILES, METHODS):
        part = frame[(frame["table"] == table) & (frame["method"] == method)]
        if len(part):
            texts = [
                f"{part[m].mean():.3f} ({part[m].min():.3f} to {part[m].max():.3f})"
                for m in MEASURES[:4]
            ]
            rows.append([table, method, f"{len(part)}", *texts, f"{part['cpu'].median():.1f}"])
    header = ["table", "method", "seeds", *MEASURES[:4], "CPU s"]
    return f"""# Imputation of tables of all kinds

{describe("numpy", "pandas", "scikit-learn")} One thread. A fifth of the seen cells is hidden, MCAR,
beside the holes that are there. Accuracy: share of hidden levels that the point estimate has right.
RMSE of numbers, in standard deviations of their columns. "Levels apart": total variation between
the levels of one draw and the true ones, mean over hidden cells. Means over seeds, and ranges.
`columns` fills in modes and means; miceforest 6.0.5 with lightgbm 4.5, the mode or mean of
{N_TABLES} datasets; `ours` also draws {N_TABLES} tables in its time, and is checked to keep dtypes
and seen cells.

{markdown_table(header, rows)}"""


def main() -> None:
    """Run the cases and write the report."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.imputation.mixed")
    options.add_argument("--tables", type=names, default=list(FILES))
    options.add_argument("--methods", type=names, default=list(METHODS))
    options.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    chosen = options.parse_args()
    order = product(chosen.tables, chosen.seeds, chosen.methods)
    records.complete(RECORDS, (Key(method, table, seed) for table, seed, method in order), run)
    save("imputation_mixed.md", page(records.read(RECORDS)))


if __name__ == "__main__":
    main()
