"""The same questions to several imputers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sm_estimators.judging.comparison import ImputerComparison, compare
from sm_estimators.judging.completing import fresh_seeds, refuse_no_imputer
from sm_estimators.judging.i_score import (
    EnergyIScore,
    Projection,
    find_projections,
    score_projections,
)
from sm_estimators.judging.masked_cells import (
    MaskedCellScores,
    check_counts,
    check_level,
    plan,
    score_masks,
)
from sm_estimators.judging.saying_once import saying_once
from sm_estimators.judging.table import Table, read_table


@dataclass(frozen=True, eq=False)
class Task:
    """What every imputer is asked."""

    table: Table
    masks: list[np.ndarray]
    seeds: list[int]
    projections: list[Projection]
    n_imputations: int
    level: float
    i_seeds: list[int]


def evaluate(
    imputers: Any,
    X: Any,
    *,
    n_repeats: int = 5,
    rate: float = 0.1,
    columns: Sequence[Any] | None = None,
    n_imputations: int = 20,
    level: float = 0.9,
    i_score: bool = True,
    error_score: Any = "raise",
    random_state: Any = None,
) -> ImputerComparison:
    """Judge several imputers by the same hidden cells and by the energy-I-Score.

    What the measures are is said at :func:`masked_cell_scores` and :func:`energy_i_score`. Numbers
    are in units of the standard deviation of their column. An imputer that does not draw, such as
    SimpleImputer or KNNImputer, is judged by its points: its CRPS is its absolute error.

    Parameters
    ----------
    imputers : dict of imputers by name, or sequence of imputers
        Objects with ``fit`` and ``impute`` or ``transform``; copies are fitted. IterativeImputer
        draws when it has ``sample_posterior=True``, by ``n_imputations`` fits. In a sequence they
        are named by their classes.
    X : DataFrame or array of shape (n, d)
        The table with its holes.
    n_repeats : int, default=5
        How often cells are hidden, and how often the energy-I-Score completes the table.
    rate, columns, level : float, sequence, float
        As for :func:`masked_cell_scores`.
    n_imputations : int, default=20
        Draws per cell.
    i_score : bool, default=True
        Compute the energy-I-Score too, where at least one column has 10 holes and a predictor.
    error_score : "raise" or nan, default="raise"
        What to do when an imputer raises an error, for instance because it does not take
        categories: raise it, or record it in the table and go on.
    random_state : int, RandomState instance or None, default=None
        Of the hidden cells and the draws.

    Returns
    -------
    comparison : ImputerComparison
        ``table``, ``by_column``, ``differences()``, ``plot()``.

    Raises
    ------
    ValueError
        For no imputers, equal names, and as :func:`masked_cell_scores`.
    TypeError
        For something that is no imputer.

    Examples
    --------
    >>> from sklearn.impute import SimpleImputer
    >>> from sm_estimators import ScoreMatchingImputer
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.judging import evaluate
    >>> buoys = load_oceanbuoys()[["sea_temp_c", "air_temp_c", "humidity", "wind_ew"]]
    >>> imputers = {"gaussian": ScoreMatchingImputer(engine="gaussian"), "mean": SimpleImputer()}
    >>> comparison = evaluate(imputers, buoys, random_state=0)
    >>> comparison.table[["rmse", "crps", "energy_i_score"]].round(1).to_dict(orient="list")
    {'rmse': [0.6, 1.0], 'crps': [0.3, 0.9], 'energy_i_score': [0.4, 0.9]}
    """
    named = name_imputers(imputers)
    if error_score != "raise" and not _is_nan(error_score):
        raise ValueError(f"`error_score` must be 'raise' or nan, but is {error_score!r}.")
    check_counts(n_imputations=n_imputations, n_repeats=n_repeats)
    check_level(level)
    table, random = read_table(X), check_random_state(random_state)
    masks, seeds = plan(table, n_repeats, rate, columns, random)
    projections = find_projections(table, 10) if i_score else []
    i_seeds = fresh_seeds(n_repeats, random)
    task = Task(table, masks, seeds, projections, n_imputations, level, i_seeds)
    with saying_once():
        masked, i_scores, errors = judge_all(named, task, go_on=error_score != "raise")
    return compare(list(named), masked, i_scores, errors, level)


def _is_nan(value: Any) -> bool:
    """Whether a value is the number nan."""
    return isinstance(value, float) and bool(np.isnan(value))


def name_imputers(imputers: Any) -> dict[str, Any]:
    """Return imputers by name; classes name those of a sequence, numbered where they repeat."""
    if not isinstance(imputers, Mapping):
        if not isinstance(imputers, Sequence):
            raise TypeError(
                f"`imputers` is a {type(imputers).__name__}; expected a dict of imputers by name, "
                "or a list of them. For a single one, use `masked_cell_scores`."
            )
        kinds = [type(imputer).__name__ for imputer in imputers]
        counts = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
        names = [k if n == 0 else f"{k}-{n + 1}" for k, n in zip(kinds, counts, strict=True)]
        imputers = dict(zip(names, imputers, strict=True))
    if not imputers:
        raise ValueError("`imputers` is empty; expected at least one imputer to judge.")
    for imputer in imputers.values():
        refuse_no_imputer(imputer)
    return {str(name): imputer for name, imputer in imputers.items()}


def judge_all(
    named: dict[str, Any], task: Task, *, go_on: bool
) -> tuple[dict[str, MaskedCellScores], dict[str, EnergyIScore], dict[str, Exception]]:
    """Judge one imputer after another."""
    masked, i_scores, errors = {}, {}, {}
    for name, imputer in named.items():
        try:
            scores, i_score = judge(imputer, task)
        except Exception as error:
            if not go_on:
                raise
            errors[name] = error
            if len(errors) == len(named):
                raise ValueError(
                    f"All of {list(named)} failed, the last with {type(error).__name__}: {error}"
                ) from error
            continue
        masked[name] = scores
        if i_score is not None:
            i_scores[name] = i_score
    return masked, i_scores, errors


def judge(imputer: Any, task: Task) -> tuple[MaskedCellScores, EnergyIScore | None]:
    """Return both kinds of scores of one imputer."""
    n = task.n_imputations
    scores = score_masks(
        imputer, task.table, task.masks, task.seeds, n_imputations=n, level=task.level
    )
    if not task.projections:
        return scores, None
    i_score = score_projections(
        imputer,
        task.table,
        task.projections,
        n_imputations=n,
        standardise=True,
        seeds=task.i_seeds,
    )
    return scores, i_score
