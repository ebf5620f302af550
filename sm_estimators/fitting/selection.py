"""The ridge, chosen by the held-out marginal score-matching loss."""

from dataclasses import replace

import numpy as np

from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity
from sm_estimators.fitting._base import Settings
from sm_estimators.fitting.evaluate import evaluate
from sm_estimators.fitting.fit import Table, fit_density
from sm_estimators.missing import AbstractMissing
from sm_estimators.objectives import AbstractObjective

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
N_FOLDS = 3
FOLD_TOLERANCE = 1e-4
"""Where the fits to compare may stop: far below the noise of their losses."""


def select_ridge(
    density: AbstractDensity,
    objective: AbstractObjective,
    rule: AbstractMissing,
    table: Table,
    *,
    seed: int,
    settings: Settings,
    initial: Params | None = None,
) -> tuple[Settings, dict[float, float]]:
    """Return the settings with the best ridge, and the mean held-out loss of every ridge tried.

    Three folds; from the largest ridge down, each fit starting where the last one ended, until
    the loss got worse twice. What is compared is the criterion of ``score``: the loss of the
    marginals of what was seen of held-out rows, weighted as the table is.
    """
    fold = np.random.default_rng(seed).permutation(len(table.X)) % N_FOLDS
    starts: list[Params | None] = [initial] * N_FOLDS
    losses: dict[float, float] = {}
    for ridge in reversed(RIDGES):
        tol = max(settings.tol, FOLD_TOLERANCE)
        chosen, total = replace(settings, ridge=ridge, tol=tol, verbose=0), 0.0
        for k in range(N_FOLDS):
            training, held_out = table.take(fold != k), table.take(fold == k)
            refuse_empty(training)
            fit = fit_density(
                density, objective, rule, training, seed=seed, settings=chosen, initial=starts[k]
            )
            starts[k] = fit.params
            total += held_out_loss(density, fit, held_out)
        losses[ridge] = total / N_FOLDS
        if len(losses) > 2 and min(list(losses.values())[-2:]) > min(losses.values()):
            break
    best = min(losses, key=losses.__getitem__)
    return replace(settings, ridge=best), losses


def refuse_empty(training: Table) -> None:
    """Raise `ValueError` where a column is seen so rarely that a fold has nothing of it."""
    empty = np.flatnonzero(~training.observed.any(axis=0))
    if len(empty):
        raise ValueError(
            f"`ridge='held_out'` splits the table into {N_FOLDS} folds, and columns "
            f"{empty.tolist()} were seen too rarely to be in all of them. Give `ridge` a number."
        )


def held_out_loss(density: AbstractDensity, fit, table: Table) -> float:
    """Return the weighted mean loss of the seen parts of the rows.

    A tilt g of the score adds s·g to the loss, and a constant.
    """
    seen = table.take(table.observed.any(axis=1) & (table.weight > 0))
    fitted = (density, fit.params, seen.X, seen.observed, fit.moments)
    losses = evaluate("loss", *fitted)
    if seen.tilt is not None:
        losses = losses + (evaluate("stein_score", *fitted) * seen.tilt).sum(axis=1)
    return float(np.average(losses, weights=seen.weight))
