"""Training that goes on as rows come in."""

from dataclasses import replace

import jax
import numpy as np

from sm_estimators._precision import to_numpy
from sm_estimators.diffusion.denoiser import Model
from sm_estimators.diffusion.fit import (
    DiffusionFit,
    Plan,
    Units,
    keeps,
    posed,
    refuse_one_row,
    training_rows,
)
from sm_estimators.diffusion.training import (
    Recipe,
    Settings,
    State,
    Trained,
    begin,
    train_pass,
)
from sm_estimators.fitting.fit import Table, distinct


def first_fit(plan: Plan, table: Table, context: np.ndarray, seed: int) -> DiffusionFit:
    """Return the untrained model whose units and noise scales are those of the first rows.

    It has no mixture: its share is found from rows held out, and here are none.
    """
    refuse_one_row(distinct(table))
    plan, none = replace(plan, n_components=1), np.zeros(len(table.X), bool)
    recipe, units, model, _ = posed(plan, table, context, seed, None, none)
    return DiffusionFit(recipe, units, Trained(model, 0, True, np.zeros(0), "not trained yet"))


def n_batches(table: Table, settings: Settings) -> int:
    """Return the steps of one pass."""
    return -(-len(table.X) // settings.batch_size)


def take_pass(
    recipe: Recipe,
    model: Model,
    units: Units,
    table: Table,
    context: np.ndarray,
    *,
    rule: str,
    settings: Settings,
    seed: int,
    state: State | None,
    start: int,
) -> tuple[Model, State]:
    """Take as many steps as there are batches of new rows; return where training stands."""
    steps = start, start + n_batches(table, settings)
    table = table.take(keeps(rule, table.observed, context) & (table.weight > 0))
    now = begin(model.weights) if state is None else jax.tree.map(jax.numpy.asarray, state)
    if len(table.X):
        Z = units.standardise(table.X, table.observed)
        rows = training_rows(rule, table, Z, Z, context)
        now = train_pass(
            jax.random.key(seed), recipe, model.backbone, rows, context, settings, now, steps
        )
    kept = to_numpy(now)
    return Model(model.backbone, kept.average), kept
