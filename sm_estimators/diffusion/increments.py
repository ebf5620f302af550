"""Training that goes on as rows come in."""

import jax
import numpy as np

from sm_estimators._precision import to_numpy
from sm_estimators.diffusion.denoiser import Model
from sm_estimators.diffusion.fit import DiffusionFit, Plan, Units, keeps, posed, training_rows
from sm_estimators.diffusion.training import Recipe, Settings, State, Trained, begin, train_pass
from sm_estimators.fitting.fit import Table


def first_fit(plan: Plan, table: Table, context: np.ndarray, seed: int) -> DiffusionFit:
    """Return the untrained model whose units and noise scales are those of the first rows."""
    recipe, units, model, _ = posed(plan, table, context, seed, None)
    state = begin(model.weights)
    trained = Trained(model, to_numpy(state), 0, True, np.zeros(0), "not trained yet")
    return DiffusionFit(recipe, units, trained)


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
) -> tuple[Trained, State]:
    """Take as many steps as there are batches of new rows; return where training stands."""
    table = table.take(keeps(rule, table.observed, context) & (table.weight > 0))
    now = begin(model.weights) if state is None else jax.tree.map(jax.numpy.asarray, state)
    n_steps = -(-len(table.X) // settings.batch_size)
    if len(table.X):
        Z = units.standardise(table.X, table.observed)
        rows = training_rows(rule, table, Z, Z, context)
        steps = start, start + n_steps
        now = train_pass(
            jax.random.key(seed), recipe, model.backbone, rows, context, settings, now, steps
        )
    kept = to_numpy(now)
    trained = Trained(
        Model(model.backbone, kept.average), kept, start + n_steps, True, np.zeros(0), "a pass"
    )
    return trained, kept
