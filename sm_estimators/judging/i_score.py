"""The energy-I-Score of Näf, Grzesiak and Scornet (2025)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sm_estimators.judging.cells import codes, numbers
from sm_estimators.judging.completing import complete, draws, fresh_seeds, refuse_no_imputer
from sm_estimators.judging.masked_cells import check_counts
from sm_estimators.judging.row_means import RowMean, average, row_mean
from sm_estimators.judging.saying_once import saying_once
from sm_estimators.judging.scoring_rules import brier, crps
from sm_estimators.judging.table import Table, empty, read_table


@dataclass(frozen=True, eq=False)
class EnergyIScore:
    """How well what was put into the holes predicts what was seen; see :func:`energy_i_score`.

    Attributes
    ----------
    score : float
        The lower, the better.
    standard_error : float
        Of the rows and of the chance of the completed tables.
    by_column : DataFrame
        For each judged column its ``score``, its ``weight`` (they add to 1), ``n_test`` rows in
        which it was seen, ``n_train`` rows in which it was imputed, and the names of its
        ``predictors``.
    cells : DataFrame
        Every judged cell: repeat, row, column (positions), score and weight.
    """

    score: float
    standard_error: float
    by_column: pd.DataFrame
    cells: pd.DataFrame
    mean: RowMean = field(repr=False)

    def __float__(self) -> float:
        return self.score


@dataclass(frozen=True, eq=False)
class Projection:
    """What is asked of one column: to be predicted from others where it was seen."""

    column: int
    predictors: np.ndarray
    """Positions of O_j, ascending."""
    test: np.ndarray
    """Rows of L_j: the column and its predictors were seen."""
    train: np.ndarray
    """Rows in which the column was not seen."""
    weight: float


def energy_i_score(
    imputer: Any,
    X: Any,
    *,
    n_imputations: int = 20,
    n_repeats: int = 5,
    min_holes: int = 10,
    standardise: bool = True,
    random_state: Any = None,
) -> EnergyIScore:
    """Judge an imputer by whether the values it puts into holes predict the seen ones.

    Nobody knows what belongs into a hole. But if the imputer is right about column j, and column j
    depends on the others in the same way whether or not it was seen, then what it puts into the
    holes of j teaches how j depends on others, and that can be checked where j was seen. For every
    column j with holes, with L_j the rows in which it was seen:

    1. The predictors O_j are the columns that were seen in all rows of L_j. Where there is none,
       the one that was seen in most of them becomes the predictor, and rows without it leave L_j.
    2. The imputer completes the whole table once.
    3. Of the completed table the columns j and O_j are kept, and j is hidden in the rows of L_j.
       So what is left of j is what was imputed. The imputer is fitted to that and draws N values
       x̃ for every hidden cell x.
    4. The energy score S_j: the distance of the draws x̃_k from x, averaged over k and L_j, minus
       half of their distance from each other, averaged over pairs.

    The score is Σ_j w_j S_j / Σ_j w_j with w_j = n_j m_j / n², n_j the rows of L_j, in which j is
    judged, and m_j those in which j was not seen, from which it is learned; the lower the better.
    In expectation the true conditional distribution has the lowest one, under the assumption above.
    The rank of imputers is what it is for; its size means little. With few holes it depends much on
    what chance put into them, and more so where j is missing for other values of its predictors
    than it was seen with; ``standard_error`` knows that part from ``n_repeats``.

    It differs from the authors' R package (Iscores, before that miceDRF) in these points.
    Averages over pairs k ≠ l make the score unbiased for any N, where the package averages over all
    pairs. Steps 2 to 4 are repeated. Columns are divided by the standard deviation of their seen
    values by default, so that a column does not count more for its units. Categories have distance
    1 from one another, where the package has √2 between indicators. An imputer with ``impute`` is
    fitted once per column and then draws N times; the package fits N times. Rows that leave L_j for
    want of the predictor do not become training rows, and do not count in w_j. The paper orients
    its score the other way round.

    Parameters
    ----------
    imputer : object with ``fit`` and ``impute`` or ``transform``
        As for :func:`masked_cell_scores`. An imputer that does not draw has N = 1, and S_j is its
        mean absolute error.
    X : DataFrame or array of shape (n, d)
        The table with its holes.
    n_imputations : int, default=20
        N.
    n_repeats : int, default=5
        How often steps 2 to 4 are done, and averaged over. Once for imputers that do not draw.
    min_holes : int, default=10
        Columns with fewer holes are not judged: they would be learned from as few rows.
    standardise : bool, default=True
        Divide numbers by the standard deviation of what was seen of their column.
    random_state : int, RandomState instance or None, default=None
        Of the completed table and the draws.

    Returns
    -------
    score : EnergyIScore
        ``score``, ``standard_error``, ``by_column``.

    Raises
    ------
    ValueError
        When no column has ``min_holes`` holes and a predictor.
    TypeError
        For something that is no imputer.

    References
    ----------
    Näf, Grzesiak and Scornet (2025), How to rank imputation methods?

    Examples
    --------
    >>> from sklearn.impute import SimpleImputer
    >>> from sm_estimators import ScoreMatchingImputer
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.judging import energy_i_score
    >>> buoys = load_oceanbuoys()[["sea_temp_c", "air_temp_c", "humidity", "wind_ew"]]
    >>> gaussian = energy_i_score(ScoreMatchingImputer(engine="gaussian"), buoys, random_state=0)
    >>> gaussian.score < energy_i_score(SimpleImputer(), buoys, random_state=0).score
    True
    >>> gaussian.by_column[["n_test", "n_train"]].to_dict(orient="index")["humidity"]
    {'n_test': 643, 'n_train': 93}
    """
    refuse_no_imputer(imputer)
    check_counts(n_imputations=n_imputations, n_repeats=n_repeats, min_holes=min_holes)
    table = read_table(X)
    projections = require_projections(table, min_holes)
    seeds = fresh_seeds(n_repeats, check_random_state(random_state))
    with saying_once():
        return score_projections(
            imputer,
            table,
            projections,
            n_imputations=n_imputations,
            standardise=standardise,
            seeds=seeds,
        )


def require_projections(table: Table, min_holes: int) -> list[Projection]:
    """Return what is asked of each column, or say that nothing can be."""
    found = find_projections(table, min_holes)
    if not found:
        holes = {n: int(h) for n, h in zip(table.names, (~table.seen).sum(axis=0), strict=True)}
        raise ValueError(
            f"No column of `X` can be judged: one needs at least `min_holes` = {min_holes} holes, "
            f"and another column that was seen with it. There are these holes: {holes}. Lower "
            "`min_holes`, or use `masked_cell_scores`."
        )
    return found


def find_projections(table: Table, min_holes: int) -> list[Projection]:
    """Return what is asked of each column that has enough holes and a predictor."""
    n_holes = (~table.seen).sum(axis=0)
    asked = [project(table.seen, int(j)) for j in np.flatnonzero(n_holes >= min_holes)]
    return [p for p in asked if len(p.predictors) and len(p.test)]


def project(seen: np.ndarray, j: int) -> Projection:
    """Find the predictors of a column and the rows in which it is judged."""
    n, others = len(seen), np.delete(np.arange(seen.shape[1]), j)
    test, train = np.flatnonzero(seen[:, j]), np.flatnonzero(~seen[:, j])
    predictors = others[seen[np.ix_(test, others)].all(axis=0)]
    if not len(predictors) and len(others):
        best = others[seen[np.ix_(test, others)].sum(axis=0).argmax()]
        test = test[seen[test, best]]
        predictors = others[seen[np.ix_(test, others)].all(axis=0)]
    return Projection(j, predictors, test, train, len(test) * len(train) / n**2)


def score_projections(
    imputer: Any,
    table: Table,
    projections: list[Projection],
    *,
    n_imputations: int,
    standardise: bool,
    seeds: list[int],
) -> EnergyIScore:
    """Judge an imputer by chosen columns."""
    parts = []
    for repeat, seed in enumerate(seeds if draws(imputer) else seeds[:1]):
        first, *others = fresh_seeds(1 + len(projections), check_random_state(seed))
        whole = complete(imputer, table.given(table.frame), n_imputations=1, seed=first)[0]
        completed = table.read_back(whole)
        for asked, other in zip(projections, others, strict=True):
            cells = score_projection(
                imputer, table, completed, asked, n_imputations=n_imputations, seed=other
            )
            parts.append(cells.assign(repeat=repeat))
    return gather(pd.concat(parts, ignore_index=True), table, projections, standardise)


def gather(
    cells: pd.DataFrame, table: Table, projections: list[Projection], standardise: bool
) -> EnergyIScore:
    """Return what the scores of all cells come to."""
    if standardise:
        cells["score"] /= table.scale[cells["column"]]
    cells["weight"] /= cells["weight"].sum()
    means = [
        row_mean(*part[["score", "row", "weight"]].to_numpy().T, n_rows=len(table.seen))
        for _, part in cells.groupby("repeat")
    ]
    mean = average(means)
    columns = describe_columns(cells, table, projections)
    return EnergyIScore(mean.value, mean.standard_error, columns, cells, mean)


def score_projection(
    imputer: Any,
    table: Table,
    completed: pd.DataFrame,
    asked: Projection,
    *,
    n_imputations: int,
    seed: int,
) -> pd.DataFrame:
    """Return the score of every seen cell of a column, predicted from what was imputed."""
    columns = np.sort(np.append(asked.predictors, asked.column))
    rows = np.sort(np.concatenate([asked.test, asked.train]))
    j, test = int(np.searchsorted(columns, asked.column)), np.searchsorted(rows, asked.test)
    hide = np.zeros((len(rows), len(columns)), dtype=bool)
    hide[test, j] = True
    frame = completed.iloc[rows, columns]
    artificial = read_table(table.given(frame))
    given = table.given(empty(frame, hide))
    found = complete(imputer, given, n_imputations=n_imputations, seed=seed)
    score = energy([artificial.read_back(c) for c in found], artificial, test, j)
    weight = asked.weight / len(test)
    return pd.DataFrame(
        {"row": asked.test, "column": asked.column, "score": score, "weight": weight}
    )


def energy(completed: list[pd.DataFrame], truth: Table, rows: np.ndarray, j: int) -> np.ndarray:
    """Return the energy score of each cell: of numbers, or with distance 1 between categories."""
    if truth.numeric[j]:
        return crps(
            np.stack([numbers(c, rows, j) for c in completed]), numbers(truth.frame, rows, j)
        )
    return brier(*codes(truth, completed, rows, j)) / 2


def describe_columns(
    cells: pd.DataFrame, table: Table, projections: list[Projection]
) -> pd.DataFrame:
    """Return the judged columns with their scores."""
    by = cells.groupby("column")
    frame = pd.DataFrame(
        {
            "score": by["score"].mean(),
            "weight": by["weight"].sum(),
            "n_test": [len(p.test) for p in projections],
            "n_train": [len(p.train) for p in projections],
            "predictors": [[table.names[k] for k in p.predictors] for p in projections],
        }
    )
    return frame.set_axis([table.names[p.column] for p in projections]).rename_axis("column")
