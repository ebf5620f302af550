"""From a table and specs to a noise-conditional model: the one entry of training."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from sm_estimators._typing import Params
from sm_estimators.diffusion.backbone import backbone_of
from sm_estimators.diffusion.checkpoint import Checkpoint, fingerprint
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.draws import Drawing
from sm_estimators.diffusion.losses import AbstractDiffusionLoss
from sm_estimators.diffusion.noise_range import noise_range
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.roles import Roles
from sm_estimators.diffusion.samplers import ProbabilityFlow
from sm_estimators.diffusion.training import Recipe, Rows, Settings, Trained, drawn_out, train
from sm_estimators.fitting.fit import Table, distinct
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.missing.mixture_em import Mixture, grown_mixture, mixture_em, single

RIDGE = 1e-4
"""Added to the variances of the backbone, in units of each column's: columns may be collinear."""
MOST_COMPONENTS = 48
"""Gaussians in a backbone at most."""
MOST_OPERATIONS = 150_000
"""Components times cubed columns, at most: about what the network costs per look."""
MOST_ROWS = 20_000
"""Rows that a mixture is fitted to at most."""


class Units(NamedTuple):
    """Mean and covariance of the columns, and with them their standardised form."""

    location: np.ndarray
    covariance: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """Standard deviations of the columns."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the standardised columns."""
        return np.zeros_like(self.location), self.covariance / np.outer(self.scale, self.scale)

    def standardise(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return standardised rows with zeros in holes."""
        return np.where(observed, (X - self.location) / self.scale, 0.0)


@dataclass(frozen=True)
class Plan:
    """What is to be fitted, and how.

    ``rule`` is a name of :mod:`sm_estimators.diffusion.hole_rules`; ``n_components`` the number of
    Gaussians in the backbone, None for the number that rows held out ask for.
    """

    denoiser: Denoiser
    loss: AbstractDiffusionLoss
    process: AbstractProcess
    rule: str = "hiding"
    full_backbone: bool = True
    n_components: int | None = None
    joint: float = 0.5
    context_drop: float = 0.2
    n_refreshes: int = 5


class DiffusionFit(NamedTuple):
    """A recipe whose noise scales are set, the units of the table, and where training got."""

    recipe: Recipe
    units: Units
    trained: Trained


def fit_diffusion(
    plan: Plan,
    table: Table,
    context: np.ndarray,
    *,
    seed: int,
    settings: Settings,
    initial: Params | None = None,
    checkpoint: Path | None = None,
) -> DiffusionFit:
    """Fit a model to a table with holes.

    Parameters
    ----------
    plan : Plan
        What and how.
    table : Table
        Columns and, after them, context columns.
    context : ndarray of bool, shape (d,)
        Columns that are given or absent, never modelled.
    seed : int
        Of everything random.
    settings : Settings
        How long and hard.
    initial : pytree, optional
        Weights of the network to start from.
    checkpoint : Path, optional
        File to keep the state of training in, and to take it up from.
    """
    table = table.take(keeps(plan.rule, table.observed, context) & (table.weight > 0))
    table = distinct(table)
    refuse_one_row(table)
    held_out = drawn_out(jax.random.key(seed), len(table.X), settings.validation_fraction)
    recipe, units, model, completed = posed(plan, table, context, seed, initial, held_out)
    Z = units.standardise(table.X, table.observed)
    rows = training_rows(plan.rule, table, Z, completed, context)
    key, refresh = jax.random.key(seed), None
    if plan.rule == "imputation" and not table.observed[:, ~context].all():
        refresh = Refresh(recipe, units, table.observed, context, seed)
    kept = None
    if checkpoint is not None:
        kept = Checkpoint(checkpoint, fingerprint(recipe, model, rows, settings_of(settings), seed))
    trained = train(
        key,
        recipe,
        model,
        rows,
        context,
        settings,
        refresh=refresh,
        n_refreshes=0 if refresh is None else plan.n_refreshes,
        checkpoint=kept,
    )
    return DiffusionFit(recipe, units, trained)


def refuse_one_row(table: Table) -> None:
    """Raise `ValueError` where all rows are the same."""
    if len(table.X) < 2:
        raise ValueError(
            "All rows of `X` that can be used are equal, but a density at several noise scales "
            "needs rows at a distance. Look for a column that should vary and does not."
        )


def posed(
    plan: Plan,
    table: Table,
    context: np.ndarray,
    seed: int,
    initial: Params | None,
    held_out: np.ndarray,
) -> tuple[Recipe, Units, Model, np.ndarray]:
    """Return recipe, units, untrained model, and the standardised table completed by its backbone.

    A mixture in the backbone is not fitted to rows that are ``held_out``.
    """
    units = units_of(table)
    Z = units.standardise(table.X, table.observed)
    rng = np.random.default_rng(seed)
    mixture = mixture_of(plan, rng, table, Z, units, held_out)
    completed = mixture.draw(rng, Z, table.observed)
    process = plan.process.with_range(*noise_range(rng, completed[:, ~context]))
    recipe = Recipe(plan.denoiser, plan.loss, process, plan.joint, plan.context_drop)
    backbone = backbone_of(mixture, units.moments, full=plan.full_backbone)
    model = plan.denoiser.init(rng, backbone)
    if initial is not None:
        model = Model(model.backbone, initial)
    return recipe, units, model, completed


def mixture_of(
    plan: Plan, rng: np.random.Generator, table: Table, Z, units: Units, held_out: np.ndarray
) -> Mixture:
    """Return the Gaussian, or the mixture of some, that rows which are not held out ask for."""
    d = Z.shape[1]
    most = min(MOST_COMPONENTS, MOST_OPERATIONS // d**3) if plan.full_backbone else 1
    unused = plan.denoiser.parameterisation == "noise"
    if unused or plan.n_components == 1 or (plan.n_components is None and most < 2):
        return single(*units.moments)
    order = rng.permutation(len(Z))
    some = np.concatenate([order[held_out[order]], order[~held_out[order]][:MOST_ROWS]])
    rows = Z[some], table.observed[some]
    held_out, weights = held_out[some], table.weight[some]
    if plan.n_components is None:
        return grown_mixture(
            rng, *rows, held_out, pooled=units.moments, weights=weights, most=most, ridge=RIDGE
        )
    kept = ~held_out
    return mixture_em(
        rng,
        rows[0][kept],
        rows[1][kept],
        min(plan.n_components, int(kept.sum())),
        pooled=units.moments,
        weights=weights[kept],
        ridge=RIDGE,
    )


def settings_of(settings: Settings) -> str:
    """Return what of the settings decides on the result."""
    return repr(replace(settings, verbose=0))


def keeps(rule: str, observed: np.ndarray, context: np.ndarray) -> np.ndarray:
    """Return which rows train: those with something to ask for."""
    seen = observed[:, ~context]
    return np.asarray(seen.all(axis=1) if rule == "complete_case" else seen.any(axis=1))


def units_of(table: Table) -> Units:
    """Return the moments of a Gaussian fitted to the table, holes and all."""
    em = gaussian_em(table.X, table.observed, weights=table.weight, ridge=RIDGE)
    return Units(em.location, em.covariance)


def training_rows(rule: str, table: Table, Z, completed, context) -> Rows:
    """Return the rows as the rule shows them to the network."""
    observed, columns = table.observed, ~context
    if rule == "imputation":
        Z = np.where(columns, completed, Z)
        observed = observed | columns
        return Rows(Z, observed, observed, table.weight)
    if rule == "zeroed":
        return Rows(Z, observed | columns, observed, table.weight)
    return Rows(Z, observed, observed, table.weight)


class Refresh:
    """New completions of a table from the model, for an EM."""

    def __init__(self, recipe: Recipe, units: Units, observed, context, seed: int):
        self.recipe, self.units, self.seed = recipe, units, seed
        self.observed, self.context = observed, context

    def __call__(self, model: Model, values: np.ndarray, round_: int) -> np.ndarray:
        """Return the table with its holes drawn given the rest."""
        drawing = Drawing(
            self.recipe.denoiser,
            model,
            self.recipe.process,
            ProbabilityFlow(),
            moments=self.units.moments,
            context=self.context,
        )
        rng = np.random.default_rng([self.seed, round_])
        holes = ~self.observed & ~self.context
        some = holes.any(axis=1)
        completed = values.copy()
        completed[some] = drawing.draw(rng, values[some], Roles(holes[some], self.observed[some]))
        return completed
