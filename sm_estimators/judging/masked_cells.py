"""Masked-cell cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sm_estimators.judging.cells import score_column, summarise, summarise_columns
from sm_estimators.judging.completing import complete, fresh_seeds, refuse_no_imputer
from sm_estimators.judging.hiding import hide_cells
from sm_estimators.judging.row_means import RowMean
from sm_estimators.judging.saying_once import saying_once
from sm_estimators.judging.table import Table, column_positions, read_table


@dataclass(frozen=True, eq=False)
class MaskedCellScores:
    """How well an imputer recovered hidden cells; made by :func:`masked_cell_scores`.

    Attributes
    ----------
    table : DataFrame
        A row for each measure that applies, columns ``value`` and ``standard_error``.
    by_column : DataFrame
        The same measures for each column, and ``n_cells``, how many cells were hidden.
    cells : DataFrame
        Every hidden cell: repeat, row, column (positions) and its scores.
    n_draws : int
        Draws per cell; 1 for imputers that do not draw.
    """

    table: pd.DataFrame
    by_column: pd.DataFrame
    cells: pd.DataFrame
    n_draws: int
    means: dict[str, RowMean] = field(repr=False)


def masked_cell_scores(
    imputer: Any,
    X: Any,
    *,
    n_repeats: int = 5,
    rate: float = 0.1,
    columns: Sequence[Any] | None = None,
    n_imputations: int = 20,
    level: float = 0.9,
    random_state: Any = None,
) -> MaskedCellScores:
    """Hide seen cells, impute them, and compare.

    In each repeat a share of the seen cells is hidden at random, the imputer is fitted to what is
    left and draws K values for each hidden cell. Cells of all columns count equally, numbers in
    units of the standard deviation of what was seen of their column:

    ============  ================================================================================
    rmse          root mean squared error of the mean of the draws; what chance adds to a mean of K
                  draws is taken off
    crps          mean|x_k - y| - mean|x_k - x_l|/2, the continuous ranked probability score,
                  without bias for K draws
    coverage      how often the truth lies in the central interval of the draws; right is ``level``
    accuracy      how often the commonest draw is the true category
    brier         Σ_c (p_c - 1[y = c])² for categories, p their share among the draws, without bias
    ============  ================================================================================

    CRPS and Brier score are least for draws of the true distribution; the root mean squared error
    and accuracy do not see whether draws vary as they should. An imputer that does not draw has one
    value, K = 1: its CRPS is its absolute error, and it has no coverage.

    The hidden cells are a random part of the *seen* ones. Where holes depend on the values of other
    columns, the cells that matter may be harder or easier to tell (Näf, Grzesiak and Scornet 2025);
    :func:`energy_i_score` judges by other cells.

    Parameters
    ----------
    imputer : object with ``fit`` and ``impute`` or ``transform``
        Copies of it are fitted. With ``impute(X, n_imputations, random_state=)`` it draws; with a
        parameter ``sample_posterior=True``, as IterativeImputer has it, it is fitted K times; any
        other gives a point.
    X : DataFrame or array of shape (n, d)
        The table. Columns of a DataFrame that are not numbers are judged as categories.
    n_repeats : int, default=5
        How often cells are hidden.
    rate : float, default=0.1
        Share of the seen cells that is hidden each time. Every row keeps one, every column two.
    columns : sequence of names (positions in an array), optional
        Whose cells may be hidden; by default those of the columns that have holes, or of all
        columns when none has any.
    n_imputations : int, default=20
        K.
    level : float, default=0.9
        Of the central intervals.
    random_state : int, RandomState instance or None, default=None
        Of the hidden cells and the draws. Two imputers are judged by the same cells with the same
        integer.

    Returns
    -------
    scores : MaskedCellScores
        ``table``, ``by_column`` and ``cells``. Standard errors are those of a mean over rows, cells
        of a row taken together: what another table of as many rows might change, with the imputer
        as it was fitted.

    Raises
    ------
    ValueError
        When no cell can be hidden, a column is unknown, or the imputer leaves hidden cells empty.
    TypeError
        For something that is no imputer.

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and estimation.
    Ferro (2014), Fair scores for ensemble forecasts.

    Examples
    --------
    >>> from sm_estimators import ScoreMatchingImputer
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.judging import masked_cell_scores
    >>> gaussian = ScoreMatchingImputer(engine="gaussian")
    >>> scores = masked_cell_scores(gaussian, load_oceanbuoys(), random_state=0)
    >>> scores.table["value"].round(1).to_dict()
    {'rmse': 0.5, 'crps': 0.2, 'coverage': 0.9}
    """
    refuse_no_imputer(imputer)
    check_counts(n_imputations=n_imputations, n_repeats=n_repeats)
    check_level(level)
    table = read_table(X)
    masks, seeds = plan(table, n_repeats, rate, columns, check_random_state(random_state))
    with saying_once():
        return score_masks(imputer, table, masks, seeds, n_imputations=n_imputations, level=level)


def plan(
    table: Table, n_repeats: int, rate: float, columns: Any, random: np.random.RandomState
) -> tuple[list[np.ndarray], list[int]]:
    """Choose the cells to hide and a seed for the draws of each repeat."""
    if not 0 < rate < 1:
        raise ValueError(f"`rate` must lie between 0 and 1, but is {rate}; try 0.1.")
    positions = column_positions(table, columns)
    seeds = fresh_seeds(2 * n_repeats, random)
    masks = [
        hide_cells(table.seen, positions, rate, np.random.default_rng(seed))
        for seed in seeds[:n_repeats]
    ]
    return masks, seeds[n_repeats:]


def check_counts(**counts: Any) -> None:
    """Raise `ValueError` for what is no positive whole number."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"`{name}` must be a whole number above 0, but is {value}.")


def check_level(level: float) -> None:
    """Raise `ValueError` for what is no probability."""
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1, but is {level}; try 0.9.")


def score_masks(
    imputer: Any,
    table: Table,
    masks: list[np.ndarray],
    seeds: list[int],
    *,
    n_imputations: int,
    level: float,
) -> MaskedCellScores:
    """Judge an imputer by chosen cells."""
    parts, n_draws = [], 1
    for repeat, (hide, seed) in enumerate(zip(masks, seeds, strict=True)):
        found = complete(imputer, table.hidden(hide), n_imputations=n_imputations, seed=seed)
        completed, n_draws = [table.read_back(c) for c in found], len(found)
        for j in np.flatnonzero(hide.any(axis=0)):
            scored = score_column(table, completed, np.flatnonzero(hide[:, j]), int(j), level=level)
            parts.append(scored.assign(repeat=repeat))
    cells = pd.concat([part.dropna(axis="columns", how="all") for part in parts], ignore_index=True)
    cells = cells.reindex(columns=["repeat", *parts[0].columns.drop("repeat")])
    means = summarise(cells, len(table.seen))
    return MaskedCellScores(as_frame(means), summarise_columns(cells, table), cells, n_draws, means)


def as_frame(means: dict[str, RowMean]) -> pd.DataFrame:
    """Return the measures that apply with their standard errors."""
    rows = {name: (mean.value, mean.standard_error) for name, mean in means.items()}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "standard_error"])
    return frame.dropna(subset=["value"]).rename_axis("measure")
