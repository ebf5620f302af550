"""From a table and specs to fitted parameters: the one entry of this folder."""

from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from sm_estimators._chunks import map_rows
from sm_estimators._precision import cast, double_precision, to_numpy
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity, AbstractExponentialFamily, Gaussian
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.fitting._base import Fit, Problem, Settings
from sm_estimators.fitting.gaussian import fit_gaussian
from sm_estimators.fitting.lbfgs import fit_lbfgs
from sm_estimators.fitting.minibatch import fit_minibatch
from sm_estimators.fitting.quadratic import fit_quadratic, normal_equations, solve
from sm_estimators.fitting.rounds import fit_rounds, within_support
from sm_estimators.missing import AbstractMissing, CompleteCase, Placed
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.objectives import AbstractObjective


class Table(NamedTuple):
    """A table with holes: values (n, d), what was seen (n, d), weights (n,).

    ``tilt`` (n, d) is what a mechanism adds to the score of the seen part of every row, or None.
    """

    X: np.ndarray
    observed: np.ndarray
    weight: np.ndarray
    tilt: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Table":
        """Return some of the rows."""
        tilt = None if self.tilt is None else self.tilt[rows]
        return Table(self.X[rows], self.observed[rows], self.weight[rows], tilt)


def fit_density(
    density: AbstractDensity,
    objective: AbstractObjective,
    rule: AbstractMissing,
    table: Table,
    *,
    seed: int,
    settings: Settings,
    initial: Params | None = None,
) -> Fit:
    """Fit a density to a table; ``initial`` overrides the starting point."""
    table = table.take(rule.keeps(table.observed) & (table.weight > 0))
    refuse_outside(density, table)
    objective = objective.in_scale(np.nanstd(np.where(table.observed, table.X, np.nan), axis=0))
    if table.observed.all() and not selects(rule):
        rule = CompleteCase()
    if isinstance(density, Gaussian) and table.tilt is None and not selects(rule):
        fit = fit_gaussian(rule, table, objective, settings)
        if fit is not None:
            return replace(fit, moments=density.moments(fit.params))
    moments = table_moments(table, settings)
    objective, rule, table, in_units, centre, scale = rescaled(
        density, objective, rule, table, moments
    )
    if initial is not None and density.standardised:
        initial = density.rescale(initial, -centre / scale, 1 / scale)
    problem = pose(density, objective, rule, distinct(table), in_units, seed, initial)
    check_finite(problem)
    fit = fit_rounds(problem, settings, solver(density, problem))
    fit = replace(fit, moments=moments)
    if density.standardised:
        fit = replace(fit, params=density.rescale(fit.params, centre, scale))
    return replace(fit, params=to_numpy(fit.params))


def selects(rule: AbstractMissing) -> bool:
    """Return whether the pattern of a row says something about its values: complete rows too."""
    return getattr(rule, "log_propensity", None) is not None


def refuse_outside(density: AbstractDensity, table: Table) -> None:
    """Raise `ValueError` for seen values outside the support of the density."""
    if density.support is None:
        return
    lower, upper = density.support.bounds(table.X.shape[1])
    outside = table.observed & ((lower > table.X) | (upper < table.X))
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise ValueError(
            f"`X` has {outside.sum()} values outside the support of the density, the first in "
            f"column {column}: {table.X[row, column]:g} is not between {lower[column]:g} and "
            f"{upper[column]:g}. Widen the support, or drop these rows."
        )


def table_moments(table: Table, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the Gaussian fitted to the table, never quite singular."""
    ridge = max(settings.ridge, 1e-8)
    em = gaussian_em(table.X, table.observed, weights=table.weight, ridge=ridge)
    return em.location, em.covariance


class Rescaled(NamedTuple):
    """What a fit is made of in the units (x − centre) / scale, with the moments of the table."""

    objective: AbstractObjective
    rule: AbstractMissing
    table: Table
    moments: tuple[np.ndarray, np.ndarray]
    centre: np.ndarray
    scale: np.ndarray


def rescaled(
    density: AbstractDensity,
    objective: AbstractObjective,
    rule: AbstractMissing,
    table: Table,
    moments: tuple[np.ndarray, np.ndarray],
) -> Rescaled:
    """Return objective, rule and table in the units in which the density is fitted."""
    centre, scale = units(density, moments)
    tilt = None if table.tilt is None else table.tilt * scale
    table = table._replace(X=(table.X - centre) / scale, tilt=tilt)
    in_units = (moments[0] - centre) / scale, moments[1] / np.outer(scale, scale)
    # A neural energy learns from standardised columns, and its noise is measured in them.
    objective = objective if density.neural else objective.rescale(scale, centre)
    if selects(rule):
        log_propensity = rule.log_propensity.in_units(centre, scale)  # type: ignore[attr-defined]
        rule = replace(rule, log_propensity=log_propensity)  # type: ignore[type-var]
    return Rescaled(objective, rule, table, in_units, centre, scale)


def units(density: AbstractDensity, moments) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and scale of the columns in which the density is fitted."""
    location, covariance = moments
    if not density.standardised:
        return np.zeros(len(location)), np.ones(len(location))
    scale = np.sqrt(np.diag(covariance))
    return location, np.where(scale > 0, scale, 1.0)


def distinct(table: Table) -> Table:
    """Merge equal rows and sort them: neither order nor repeats, only weights, reach a fit."""
    filled = np.where(table.observed, table.X, 0.0)
    _, first, group = np.unique(
        np.hstack([filled, table.observed]), axis=0, return_index=True, return_inverse=True
    )
    merged = table.take(first)
    return merged._replace(weight=np.bincount(np.ravel(group), weights=table.weight))


@double_precision
def pose(density, objective, rule, table: Table, moments, seed: int, initial) -> Problem:
    """Draw what the rule needs, find a starting point and state the problem."""
    density, objective, rule = cast((density, objective, rule), np.float64)
    rng, key = np.random.default_rng(seed), jax.random.key(seed)
    placed = Placed(table.X, table.observed, table.weight, moments, density.support, table.tilt)
    rows = rule.prepare(rng, placed)
    if initial is None:
        initial = first_guess(rng, key, density, objective, placed)
    problem = Problem(density, objective, rule, rows, cast(initial, np.float64), key, placed)
    return problem._replace(rows=within_support(problem, rows))


def first_guess(rng, key, density, objective, table: Placed) -> Params:
    """Return the parameters to start from: those of the table, filled by a Gaussian."""
    bounds = None if table.support is None else table.support.bounds(table.X.shape[1])
    draws, _ = GaussianConditional(*table.moments).propose(
        rng, table.X, table.observed, 1, inflation=1.0, bounds=bounds
    )
    filled = table._replace(X=draws[:, 0], observed=np.ones(table.X.shape, bool), tilt=None)
    if not isinstance(density, AbstractExponentialFamily):
        return density.warm_start(key, filled.X)
    rows = CompleteCase().prepare(rng, filled)
    return solve(normal_equations(density, objective, rows, key), ridge=1e-6)


@double_precision
def check_finite(problem: Problem) -> None:
    """Raise `ValueError` where the log-density is not finite at a complete row of the table."""
    X = problem.rows.X[problem.rows.observed.all(axis=1)]
    if len(X) == 0:
        return
    values = map_rows(lambda x: log_densities(problem.density, problem.initial, x), X)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"The log-density is {values[row]} at the row {X[row].tolist()}. Score matching needs "
            "a density that is positive on the whole space: transform bounded columns first (a "
            "logarithm for positive ones), or start from parameters whose support holds the table."
        )


@jax.jit
def log_densities(density, params, X):
    """Return the log-density of every row."""
    return jax.vmap(lambda x: density.log_density(params, x))(X)


def solver(density: AbstractDensity, problem: Problem):
    """Return the solver for the problem."""
    if density.neural:
        return fit_minibatch
    completed = problem.rule.fills_in or problem.rows.observed.all()
    plain = problem.rows.tilt is None and not (selects(problem.rule) and not problem.rule.fills_in)
    if isinstance(density, AbstractExponentialFamily) and completed and plain:
        return fit_quadratic
    return fit_lbfgs
