"""Standard errors of a fit, by the sandwich of its estimating equation.

With φ_i = ψ_i + ∇ penalty and H the mean derivative of φ, an estimate that solves Σ_i w_i φ_i = 0
varies over tables by

    H⁻¹ V H⁻ᵀ,    V = Σ_i c_i (u_i − ū)(u_i − ū)ᵀ / (Σ_i w_i)²,    u_i = (w_i / c_i) φ_i

(Huber 1967; White 1982; for score matching Hyvärinen 2005, section 3), where row i stands for c_i
rows of the table: a weight given by the user counts copies, one of a mechanism multiplies φ. It
holds whether or not the density is right, for what the fit then estimates.

- Marginal rules: ψ_i is the gradient of the loss of row i, its draws fixed. They differ from row to
  row, so V contains what they add.
- Imputation: ψ_i moves with the weights of the draws as well, see
  :meth:`~sm_estimators.missing.Imputation.estimating_function`. Frozen, H would be that of
  complete data and the standard errors those of a table whose holes were seen.
- Propensities are taken for known. Where they were fitted by a model that is right, the estimate
  varies less than that, not more (Robins, Rotnitzky and Zhao 1994): intervals are too wide rather
  than too narrow.
- Refreshed draws: ψ_i is averaged over the rounds the fit averages over.
- The units that a ridge is measured in are means over rows and vary with the table, and so does
  the scale of standardised columns. Both count as parameters where the fit is a closed form or
  quadratic; elsewhere they are taken for given, which shows with a large ridge only.
- Not contained: the O(1/r) bias of r draws and, as in every M-estimate, that of order 1/n.

What is reported is a function of the parameters; its errors follow by the delta method.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from sm_estimators._precision import cast, double_precision
from sm_estimators.fitting._base import Problem, Settings
from sm_estimators.fitting.estimating_equation import (
    Equation,
    Solved,
    equation_of,
)
from sm_estimators.fitting.rounds import refreshed
from sm_estimators.fitting.row_derivatives import (
    in_chunks,
    row_scores,
    summed_jacobian,
    summed_unit_slopes,
)
from sm_estimators.missing import Rows

UNIDENTIFIED = 1e-13
"""Share of the largest singular value of H below which a direction is not identified."""
NOISE = 1e-6
"""Share of the largest variation of a component of the equation that is rounding error."""
VISIBLE = 1e-5
"""Share of the slope of a quantity along such a direction that is no rounding error."""


class Spread(NamedTuple):
    """How the parameters vary over tables."""

    covariance: Float[np.ndarray, "p p"]
    offset: float
    """Largest component of the equation, in its standard deviations."""
    flats: Float[np.ndarray, "p k"]
    """Directions in which the equation does not change, in units of ``scale``."""
    scale: Float[np.ndarray, " p"]


class Quantity(NamedTuple):
    """A quantity of a fitted density; ``error``, of the same shape, is infinite where unknown."""

    name: str
    estimate: np.ndarray
    error: np.ndarray


class StandardErrors(NamedTuple):
    """Quantities of a fitted density with their standard errors.

    ``offset`` is how far from zero their equation is, in its standard deviations: near zero for the
    table of the fit.
    """

    quantities: tuple[Quantity, ...]
    offset: float


@double_precision
def standard_errors(
    solved: Solved, copies: Float[np.ndarray, " n"], *, seed: int, settings: Settings
) -> StandardErrors:
    """Return the quantities of a fit with their standard errors.

    Parameters
    ----------
    solved : Solved
        What the fit was called with, and its parameters.
    copies : ndarray of shape (n,)
        Weights of the rows before a mechanism changed them.
    seed : int
        That of the fit.
    settings : Settings
        Those of the fit; without ``l1`` and ``max_eigenvalue``, at whose kinks an estimate has no
        standard error.

    Examples
    --------
    >>> from sm_estimators.densities import Gaussian
    >>> from sm_estimators.fitting import Table, fit_density
    >>> from sm_estimators.missing import CompleteCase
    >>> from sm_estimators.objectives import Explicit
    >>> X = np.arange(8.0)[:, None]
    >>> table = Table(X, np.ones(X.shape, bool), np.ones(8))
    >>> told = {"seed": 0, "settings": Settings(ridge=0.0)}
    >>> parts = Gaussian(), Explicit(), CompleteCase(), table
    >>> solved = Solved(*parts, fit_density(*parts, **told).params)
    >>> found = standard_errors(solved, table.weight, **told)
    >>> name, _, error = found.quantities[0]
    >>> name, bool(np.isclose(error, X.std() / np.sqrt(8)))
    ('location', True)
    """
    equation = equation_of(solved, copies, seed=seed, settings=settings)
    flat, unravel = flat_parameters(equation.problem)
    spread = spread_of(equation, *scores_and_jacobian(equation))
    error = np.sqrt(np.diag(spread.covariance))

    def reported(theta: np.ndarray) -> np.ndarray:
        return joined(equation.report(unravel(theta)))

    slopes = central_differences(reported, flat, np.abs(flat) + np.minimum(error, 1.0))
    errors = np.sqrt(np.einsum("qp,pr,qr->q", slopes, spread.covariance, slopes))
    in_scale = slopes * spread.scale
    along = np.abs(in_scale @ spread.flats).max(axis=1, initial=0.0)
    errors[along > VISIBLE * np.linalg.norm(in_scale, axis=1)] = np.inf
    estimate = equation.report(unravel(flat))
    return StandardErrors(with_errors(estimate, errors), float(spread.offset))


def flat_parameters(problem: Problem):
    """Return the fitted parameters as one vector, and the way back, all in NumPy."""
    leaves, structure = jax.tree.flatten(problem.initial)
    ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]

    def unravel(theta: np.ndarray):
        parts = zip(np.split(theta, ends), leaves, strict=True)
        return jax.tree.unflatten(structure, [p.reshape(np.shape(leaf)) for p, leaf in parts])

    return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in leaves]), unravel


def spread_of(
    equation: Equation, scores: Float[np.ndarray, "n p"], jacobian: Float[np.ndarray, "p p"]
) -> Spread:
    """Return the sandwich from ψ of every row and its mean derivative.

    A direction along which the equation does not change, such as a constant added to the logits
    of a mixture, is left out of the inverse: what is reported is blind to it or not identified.
    """
    slope, bend = ridge_terms(equation)
    weight, copies = equation.problem.rows.weight, equation.copies
    u = (scores + slope) * (weight / copies)[:, None]
    deviations = (u - copies @ u / copies.sum()) * np.sqrt(copies)[:, None] / weight.sum()
    H = jacobian + bend
    diagonal = np.abs(np.diag(H))
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    U, values, Vt = np.linalg.svd(H * np.outer(scale, scale))
    seen = values > UNIDENTIFIED * values[0]
    inverse = np.outer(scale, scale) * ((Vt[seen].T / values[seen]) @ U[:, seen].T)
    influence = deviations @ inverse.T
    spread = np.linalg.norm(deviations, axis=0)
    varies = spread * scale > NOISE * (spread * scale).max()
    off = np.abs(copies @ u)[varies] / weight.sum() / spread[varies]
    return Spread(influence.T @ influence, off.max(initial=0.0), Vt[~seen].T, scale)


def ridge_terms(equation: Equation) -> tuple[np.ndarray, np.ndarray]:
    """Return what every row adds to ψ by the ridge and by the units (n, p), and to H (p, p)."""
    ridge, function, units, drift = equation.penalty
    problem = equation.problem
    rows = problem.rows
    mean = rows.weight @ units / rows.weight.sum()
    model = cast((problem.density, mean, problem.initial), np.float64)
    slope, per_unit, bend = (ridge * np.asarray(a) for a in penalty_derivatives(function, *model))
    bend = bend + per_unit @ np.broadcast_to(drift, per_unit.T.shape)
    if equation.condensed is not None:
        sums = [part for part, _ in in_chunks(summed_unit_slopes, problem, equation.condensed)]
        per_unit = per_unit + np.sum(sums, axis=0) / rows.weight.sum()
    return slope + (units - mean) @ per_unit.T, bend


@partial(jax.jit, static_argnums=0)
def penalty_derivatives(function, density, units, params):
    """Return the gradient (p,) of a penalty, how it changes per unit (p, k), and the Hessian."""
    flat, unravel = ravel_pytree(params)

    def slope(theta, units):
        return jax.grad(lambda t: function(density, units, unravel(t)))(theta)

    return slope(flat, units), *jax.jacfwd(slope, argnums=(1, 0))(flat, units)


def scores_and_jacobian(
    equation: Equation,
) -> tuple[Float[np.ndarray, "n p"], Float[np.ndarray, "p p"]]:
    """Return ψ of every row and the weighted mean of ∂ψ/∂θ, at the fitted parameters.

    ψ is averaged over the rounds of draws; the derivative is that of the last round.
    """
    problem = equation.problem
    rows, n_rounds = problem.rows, 0
    total: Any = 0.0
    for rows in draws_of_rounds(problem):
        parts = [part[:count] for part, count in in_chunks(row_scores, problem, rows)]
        total, n_rounds = total + np.concatenate(parts), n_rounds + 1
    rows = equation.condensed or rows
    sums = [part for part, _ in in_chunks(summed_jacobian, problem, rows)]
    return total / n_rounds, np.sum(sums, axis=0) / rows.weight.sum()


def draws_of_rounds(problem: Problem) -> Iterator[Rows]:
    """Yield the rows with the draws of every round that the fit averages over.

    Draws that follow the model follow it here from where the fit ended. Rules without refreshes
    have one round.
    """
    rule, key = problem.rule, problem.key
    if not rule.n_refreshes or problem.rows.observed.all():
        yield problem.rows
        return
    seed = np.asarray(jax.random.key_data(key)).tolist()
    state = rule.start(np.random.default_rng(seed), problem.table)  # type: ignore[arg-type]
    n_rounds = rule.n_refreshes + (not rule.refreshes_first)
    for r in range(n_rounds):
        if r > 0 or rule.refreshes_first:
            state, problem = refreshed(problem, np.random.default_rng([*seed, r]), state)
        if r >= n_rounds // 2:
            yield problem.rows


def central_differences(
    function, point: Float[np.ndarray, " p"], size: Float[np.ndarray, " p"]
) -> Float[np.ndarray, "q p"]:
    """Return the derivative of a host function, from steps ∛ε times ``size``."""
    steps = np.cbrt(np.finfo(float).eps) * np.where(size > 0, size, 1.0)
    columns = []
    for j, step in enumerate(steps):
        high, low = point.copy(), point.copy()
        high[j] += step
        low[j] -= step
        columns.append((function(high) - function(low)) / (high[j] - low[j]))
    return np.stack(columns, axis=1)


def joined(quantities: dict[str, np.ndarray]) -> Float[np.ndarray, " q"]:
    """Return all quantities as one vector."""
    return np.concatenate([np.ravel(a) for a in quantities.values()])


def with_errors(
    estimate: dict[str, np.ndarray], errors: Float[np.ndarray, " q"]
) -> tuple[Quantity, ...]:
    """Cut the errors up as the quantities are."""
    parts = np.split(errors, np.cumsum([np.size(a) for a in estimate.values()])[:-1])
    return tuple(
        Quantity(name, np.asarray(a), part.reshape(np.shape(a)))
        for (name, a), part in zip(estimate.items(), parts, strict=True)
    )
