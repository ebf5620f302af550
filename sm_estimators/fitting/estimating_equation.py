"""The estimating equation that a fit solved, posed again at its solution.

Score matching is an M-estimator (Huber 1967): a fit solves

    Σ_i w_i [ψ_i(θ) + ∇ penalty(θ)] = 0

over its rows, with ψ_i the :meth:`~sm_estimators.missing.AbstractMissing.estimating_function` of
its rule. An estimator does not keep its table, so the equation is posed again from it: in the same
units, with the same merged rows and, from the same seed, the same draws of the holes.

The closed-form fits of a Gaussian use the expectation of the loss over the objective's own noise.
Their equations are those of the likelihood of what was seen (complete rows and EM, which are the
same as penalised score matching there), or of the explicit loss with the mean effect of the noise.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._patterns import group_by_pattern
from sm_estimators._spec import spec
from sm_estimators._typing import (
    LogDensityFn,
    Objective,
    Observed,
    Params,
    Point,
    PRNGKey,
    Scalar,
    ScoreFn,
)
from sm_estimators.densities import AbstractDensity, Gaussian
from sm_estimators.densities.gaussian import precision_cholesky
from sm_estimators.fitting._base import Problem, Settings
from sm_estimators.fitting.fit import (
    Table,
    distinct,
    pose,
    rescaled,
    selects,
    solver,
    table_moments,
)
from sm_estimators.fitting.lbfgs import parameter_scales
from sm_estimators.fitting.quadratic import expectation, fit_quadratic, normal_equations
from sm_estimators.fitting.row_derivatives import condensed, curvatures, in_chunks
from sm_estimators.fitting.whitening import complete_curvature
from sm_estimators.missing import AbstractMissing, CompleteCase, Exact, Imputation, Placed, Rows
from sm_estimators.objectives import AbstractObjective

NEGLIGIBLE = 1e-4
"""A ridge below which what the units of a ridge vary by does not show."""
Report = Callable[[Params], dict[str, np.ndarray]]


class Penalty(NamedTuple):
    """``ridge`` times ``function(density, units, params)``.

    ``units`` (n, k) are numbers of every row whose mean sets the units of the ridge, and of the
    columns of a closed form. They vary from table to table as the loss does. ``drift`` (k, p) is
    the derivative of their mean, where they move with the parameters.
    """

    ridge: float
    function: Callable[[Any, Array, Params], Scalar]
    units: Float[np.ndarray, "n k"]
    drift: Any = 0.0


class Equation(NamedTuple):
    """Σ_i w_i [ψ_i(θ) + ∇ penalty_i(θ)] = 0, solved at ``problem.initial``.

    ``copies`` (n,) is how many rows of the table a row stands for; its weight is that times what
    a mechanism multiplies it by. ``report`` turns θ into quantities in the units of the table.
    ``condensed``, of the fits of a Gaussian without an optimiser, are fewer rows with the same
    moments in every pattern: sums of what is quadratic in a row are the same over them. The loss
    of these fits weighs every column by its variance.
    """

    problem: Problem
    copies: Float[np.ndarray, " n"]
    penalty: Penalty
    report: Report
    condensed: Rows | None = None


class Solved(NamedTuple):
    """What a fit was called with, and the parameters it returned, in the units of the table."""

    density: AbstractDensity
    objective: AbstractObjective
    rule: AbstractMissing
    table: Table
    params: Params


def equation_of(
    solved: Solved, copies: Float[np.ndarray, " n"], *, seed: int, settings: Settings
) -> Equation:
    """Return the equation that ``fit_density``, called with the same arguments, solved.

    ``copies`` is the weight of the rows before a mechanism changed it.
    """
    density, objective, rule, table, _ = solved
    kept = rule.keeps(table.observed) & (table.weight > 0)
    table, copies = table.take(kept), copies[kept]
    objective = objective.in_scale(np.nanstd(np.where(table.observed, table.X, np.nan), axis=0))
    if table.observed.all() and not selects(rule):
        rule = CompleteCase()
    solved = solved._replace(objective=objective, rule=rule, table=table)
    closed = table.observed.all() or type(rule) in (Imputation, Exact)
    if isinstance(density, Gaussian) and closed and table.tilt is None and not selects(rule):
        return gaussian_equation(solved, copies, settings)
    return general_equation(solved, copies, seed, settings)


def general_equation(
    solved: Solved, copies: Float[np.ndarray, " n"], seed: int, settings: Settings
) -> Equation:
    """Return the equation of a fit by an optimiser, in its units and with its draws."""
    density, objective, rule, table, params = solved
    moments = table_moments(table, settings)
    objective, rule, table, in_units, centre, scale = rescaled(
        density, objective, rule, table, moments
    )
    copies = distinct(table._replace(weight=copies)).weight
    start, report = in_units_of_fit(density, params, centre, scale)
    problem = pose(density, objective, rule, distinct(table), in_units, seed, start)
    return Equation(problem, copies, penalty_of(problem, settings), report)


def gaussian_equation(
    solved: Solved, copies: Float[np.ndarray, " n"], settings: Settings
) -> Equation:
    """Return the equation of a closed-form fit, on columns standardised by what was seen."""
    density, objective, rule, table, params = solved
    _, centre, scale = group_by_pattern(table.X, table.observed, table.weight).standardised()
    table = table._replace(X=(table.X - centre) / scale)
    noise = np.broadcast_to(np.asarray(objective.smoothing, float), scale.shape) / scale**2
    start, report = in_units_of_fit(density, params, centre, scale)
    penalty = half_squared_norm
    if type(rule) is not Exact:  # noise is added to the covariance of greatest likelihood
        penalty, rule, start = half_trace, Likelihood(), with_noise(start, -noise)
        report = noisy(report, noise)
    loss = ExpectedDenoising(noise, np.ones(len(scale)))
    none = np.zeros(len(scale)), np.eye(len(scale))
    placed = Placed(table.X, table.observed, table.weight, none)
    rows = rule.prepare(np.random.default_rng(0), placed)
    problem = Problem(density, loss, rule, rows, start, jax.random.key(0))
    ridge = Penalty(settings.ridge, penalty, squared_scales(table))
    return Equation(problem, copies, ridge, report, condensed(rows))


def in_units_of_fit(
    density: AbstractDensity, params: Params, centre: np.ndarray, scale: np.ndarray
) -> tuple[Params, Report]:
    """Return the parameters in the units of the fit, and what reports them in the table's."""
    if not density.standardised:
        return params, density.quantities
    inside = density.rescale(params, -centre / scale, 1 / scale)
    return inside, lambda p: density.quantities(density.rescale(p, centre, scale))


def squared_scales(table: Table) -> Float[np.ndarray, "n d"]:
    """Return what each row adds to the variance of the seen values of every column, 1 on average.

    ``table`` is standardised.
    """
    share = table.weight @ table.observed / table.weight.sum()
    return 1 + np.where(table.observed, table.X**2 - 1, 0.0) / share


def penalty_of(problem: Problem, settings: Settings) -> Penalty:
    """Return what the solver of the problem adds to the loss.

    For an exponential family that is ½ Σ Γ_ii θ_i², with Γ that of completed rows where the loss
    is not quadratic; a ridge too small to matter takes Γ for given.
    """
    density, objective, rule, rows, params, key, _ = problem
    if solver(density, problem) is not fit_quadratic:
        curvature = complete_curvature(problem, sum(map(np.size, jax.tree.leaves(params))))
        scales = parameter_scales(problem, curvature)
        if scales is None:
            return Penalty(settings.ridge, density_penalty, np.ones((len(rows.X), 1)))
        given = np.broadcast_to(scales, (len(rows.X), len(scales)))
        return Penalty(settings.ridge, half_squares, given)
    if settings.ridge > NEGLIGIBLE:
        found = in_chunks(curvatures, problem, rows)
        parts = [(units[:count], drift) for (units, drift), count in found]
        units, drifts = (list(column) for column in zip(*parts, strict=True))
        drift = np.sum(drifts, axis=0) / rows.weight.sum()
        return Penalty(settings.ridge, half_squares, np.concatenate(units), drift)
    weighted = expectation(problem, params) if rule.iterative else rows
    equations = normal_equations(density, objective, weighted, key)
    gram = np.diag(equations.gram) / equations.weight
    units = np.broadcast_to(gram, (len(rows.X), len(gram)))
    return Penalty(settings.ridge, half_squares, units)


def density_penalty(density: AbstractDensity, units: Float[Array, " 1"], params: Params) -> Scalar:
    """Return the penalty of a density, whose units are taken for given."""
    return units[0] * density.penalty(params)


def half_trace(density: Gaussian, units: Float[Array, " d"], params: Params) -> Scalar:
    """Return ½ tr(D K), the penalty of the EM of a Gaussian."""
    del density
    return 0.5 * jnp.sum((precision_cholesky(params) ** 2).sum(axis=1) * units)


def half_squared_norm(density: Gaussian, units: Float[Array, " d"], params: Params) -> Scalar:
    """Return ½ Σ_jk D_j D_k K_jk², the penalty of exact marginals."""
    del density
    L = precision_cholesky(params)
    return 0.5 * jnp.sum((L @ L.T) ** 2 * jnp.outer(units, units))


def half_squares(
    density: AbstractDensity, units: Float[Array, " k"], params: Float[Array, " k"]
) -> Scalar:
    """Return ½ Σ Γ_ii θ_i²."""
    del density
    return 0.5 * jnp.sum(units * params**2)


def with_noise(params: Params, noise: Float[np.ndarray, " d"]) -> Params:
    """Return the Gaussian with these variances added to the diagonal of its covariance."""
    if not noise.any():
        return params
    location, covariance = Gaussian().moments(params)
    return Gaussian().from_moments(location, covariance + np.diag(noise))


def noisy(report: Report, noise: Float[np.ndarray, " d"]) -> Report:
    """Return the report of a Gaussian with noise added."""
    return lambda p: report(with_noise(p, noise))


@spec
class Likelihood(AbstractMissing):
    """Minus the log-density of what was seen; for densities with closed-form marginals."""

    valid_under = frozenset({"mcar", "mar"})

    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return the closed-form marginal."""
        return Exact().observed_log_density(density, params, row)

    def loss(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Scalar:
        """Return minus the log-density of the seen part of a row."""
        del key, objective
        return -self.observed_log_density(density, params, row)(row.X)


@spec
class ExpectedDenoising(AbstractObjective):
    """The mean of the denoising loss over its noise, where the score is linear: a Gaussian's.

    E[½‖s(x + e)‖² + s(x + e)·D⁻¹e] = ½‖s(x)‖² + ½ Σ_j D_j ‖∂_j s‖² + tr ∇s for e ~ N(0, D), with
    the term of every column times its weight. The explicit loss where D = 0.
    """

    variance: Any
    weight: Any

    def terms(
        self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Return the score with √D_j ∂_j s, and the trace; the key is not used."""
        del key
        score, jvp = jax.linearize(score_fn, x)
        jacobian = jax.vmap(jvp)(jnp.eye(x.size, dtype=x.dtype))
        jacobian = jnp.where(observed[:, None] & observed, jacobian, 0.0)
        residuals = jnp.vstack([score, jacobian * jnp.sqrt(self.variance)[:, None]])
        residuals = jnp.where(observed, jnp.sqrt(self.weight) * residuals, 0.0)
        return residuals.ravel(), self.weight @ jnp.diagonal(jacobian)
