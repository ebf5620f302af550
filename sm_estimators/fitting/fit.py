"""From a table and specs to fitted parameters: the one entry of this folder."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._precision import cast, double_precision, to_numpy
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity, AbstractExponentialFamily, Gaussian
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.fitting._base import Fit, Problem, Settings
from sm_estimators.fitting.gaussian import fit_gaussian
from sm_estimators.fitting.lbfgs import fit_lbfgs
from sm_estimators.fitting.minibatch import fit_minibatch
from sm_estimators.fitting.quadratic import fit_quadratic, normal_equations, solve
from sm_estimators.missing import AbstractMissing, CompleteCase, Rows, log_density_ratios
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.objectives import AbstractObjective


class Table(NamedTuple):
    """A table with holes: values (n, d), what was seen (n, d), weights (n,)."""

    X: np.ndarray
    observed: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> "Table":
        """Return some of the rows."""
        return Table(self.X[rows], self.observed[rows], self.weight[rows])


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
    if table.observed.all():
        rule = CompleteCase()
    if isinstance(density, Gaussian):
        fit = fit_gaussian(rule, table, objective, settings)
        if fit is not None:
            return replace(fit, moments=density.moments(fit.params))
    moments = table_moments(table, settings)
    centre, scale = units(density, moments)
    table = distinct(table._replace(X=(table.X - centre) / scale))
    if initial is not None and density.standardised:
        initial = density.rescale(initial, -centre / scale, 1 / scale)
    in_units = (moments[0] - centre) / scale, moments[1] / np.outer(scale, scale)
    # A neural energy learns from standardised columns, and its noise is measured in them.
    objective = objective if density.neural else objective.rescale(scale)
    problem = pose(density, objective, rule, table, in_units, seed, initial)
    check_finite(problem)
    fit = solver(density, problem)(problem, settings)
    fit = replace(fit, moments=moments, effective_sample_size=draws_left(problem, fit.params))
    if density.standardised:
        fit = replace(fit, params=density.rescale(fit.params, centre, scale))
    return replace(fit, params=to_numpy(fit.params))


def table_moments(table: Table, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the Gaussian fitted to the table, never quite singular."""
    ridge = max(settings.ridge, 1e-8)
    em = gaussian_em(table.X, table.observed, weights=table.weight, ridge=ridge)
    return em.location, em.covariance


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
    rows = rule.prepare(rng, *table, moments)
    if initial is None:
        X = GaussianConditional(*moments).draw(rng, table.X, table.observed)
        if isinstance(density, AbstractExponentialFamily):
            filled = CompleteCase().prepare(rng, X, np.ones(X.shape, bool), table.weight, moments)
            initial = solve(normal_equations(density, objective, filled, key), ridge=1e-6)
        else:
            initial = density.warm_start(key, X)
    return Problem(density, objective, rule, rows, cast(initial, np.float64), key)


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
    has_draws = problem.rows.completions.shape[1] > 0
    if isinstance(density, AbstractExponentialFamily) and (problem.rule.iterative or not has_draws):
        return fit_quadratic
    return fit_lbfgs


@double_precision
def draws_left(problem: Problem, params: Params) -> np.ndarray:
    """Return the effective number of draws, (Σw)²/Σw², of every row with holes."""
    rows = problem.rows
    incomplete = ~rows.observed.all(axis=1)
    if rows.completions.shape[1] == 0 or not incomplete.any():
        return np.zeros(0)
    some = jax.tree.map(lambda a: a[incomplete], rows)
    return map_rows(
        lambda chunk: effective_sample_sizes(problem.density, params, chunk),
        some,
        max_rows=rows_within(some.completions[0].size),
    )


@jax.jit
def effective_sample_sizes(density, params, rows: Rows):
    """Return the effective sample size of the importance weights of every row."""

    def one(row):
        log_weights = log_softmax(log_density_ratios(density, params, row))
        return jnp.exp(-logsumexp(2 * log_weights))

    return jax.vmap(one)(rows)
