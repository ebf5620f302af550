"""Deterministic losses of few parameters: L-BFGS in float64.

Random objectives keep their draws fixed over the whole fit (common random numbers), so the loss is
a deterministic function of the parameters. The compiled value-and-gradient takes the rows as
arguments, chunk by chunk; SciPy does the optimisation.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from tqdm.auto import tqdm

from sm_estimators._precision import double_precision, to_numpy
from sm_estimators._typing import Params, Scalar
from sm_estimators.densities import AbstractExponentialFamily
from sm_estimators.fitting._base import (
    Fit,
    Problem,
    Settings,
    non_finite_loss,
    relative_change,
)
from sm_estimators.fitting.empirical_loss import empirical_loss, loss_chunks
from sm_estimators.fitting.linear_marginal import is_linear, linear_loss, linear_marginals
from sm_estimators.fitting.quadratic import expectation
from sm_estimators.fitting.sparse import minimise_l1, sparse_parameters
from sm_estimators.fitting.whitening import complete_curvature, whitening

value_and_gradient = jax.jit(jax.value_and_grad(empirical_loss, argnums=5))


@jax.jit
def penalty_and_gradient(density, params):
    """Return the penalty of a density's parameters, with its gradient."""
    return jax.value_and_grad(density.penalty)(params)


M_STEP_ITERATIONS = 50
"""L-BFGS iterations between two expectations: the loss need not be minimal to go on."""
WALL = 1e10
"""What a loss that is not finite counts as in a line search."""


def fit_lbfgs(problem: Problem, settings: Settings) -> Fit:
    """Minimise once, or alternate expectation and minimisation for an iterative rule."""
    if not problem.rule.iterative or problem.rows.completions.shape[1] == 0:
        return minimise(problem, settings, max_iter=settings.max_iter)
    losses, params = [], problem.initial
    for iteration in range(1, settings.max_iter + 1):
        weighted = problem._replace(rows=expectation(problem, params), initial=params)
        step = minimise(weighted, settings, max_iter=M_STEP_ITERATIONS)
        losses.append(step.losses[-1])
        previous, params = params, step.params
        if relative_change(previous, params) < max(settings.tol, 1e-5):
            return Fit(params, iteration, True, np.array(losses), "the parameters no longer change")
    return Fit(params, settings.max_iter, False, np.array(losses), "`max_iter` was reached")


@double_precision
def minimise(problem: Problem, settings: Settings, *, max_iter: int) -> Fit:
    """Run L-BFGS on the mean loss plus ridge times the penalty, from the initial parameters."""
    start, unravel = ravel_pytree(jax.tree.map(lambda a: jnp.asarray(a, float), problem.initial))
    start = np.asarray(start)
    curvature = complete_curvature(problem, len(start))
    loss = mean_loss(problem, unravel, settings.ridge, parameter_scales(problem, curvature))
    first, slope = loss(start)
    losses = [float(first)]
    if not np.isfinite(slope).all() or not np.isfinite(first):
        raise non_finite_loss("at the initial parameters")
    penalty = settings.l1 * sparse_parameters(problem.density, len(start))
    # An L1 penalty is one in the parameters' own coordinates only.
    P = whitening(None if penalty.any() else curvature, len(start))
    origin = np.zeros_like(start) if penalty.any() else start

    def whitened(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(origin + P @ u)
        return value, P.T @ gradient

    with tqdm(desc="L-BFGS", unit="step", disable=settings.verbose < 1) as bar:

        def report(intermediate_result):
            losses.append(float(intermediate_result.fun))
            bar.update()
            bar.set_postfix(loss=f"{losses[-1]:.6g}", refresh=False)

        limits = {"maxiter": max_iter, "maxfun": 20 * max_iter, "maxcor": 60}
        result = minimise_l1(
            within_range(whitened),
            start - origin,
            penalty,
            callback=report,
            options={**limits, "gtol": settings.tol, "ftol": 1e-12},
        )
    if not np.isfinite(result.fun):
        raise non_finite_loss(f"after {result.nit} iterations")
    params = to_numpy(unravel(jnp.asarray(origin + P @ result.x)))
    return Fit(params, int(result.nit), result.status == 0, np.array(losses), str(result.message))


def parameter_scales(problem: Problem, curvature: np.ndarray | None) -> np.ndarray | None:
    """Return Γ_ii, which makes the ridge of an exponential family one without units.

    None for other densities, which have a penalty of their own.
    """
    if curvature is None or not isinstance(problem.density, AbstractExponentialFamily):
        return None
    return np.diag(curvature)


def mean_loss(problem: Problem, unravel, ridge: float, scales: np.ndarray | None = None):
    """Return the function from flat parameters to the penalised loss and its gradient.

    The penalty is ridge times that of the density, or ½·ridge·Σ scale_i θ_i².
    """
    density, total = problem.density, float(problem.rows.weight.sum())
    parts = losses_of_chunks(problem)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        params = unravel(jnp.asarray(flat))
        if scales is None:
            value, slope = penalty_and_gradient(density, params)
            value, gradient = ridge * float(value), ridge * np.asarray(ravel_pytree(slope)[0])
        else:
            value, gradient = 0.5 * ridge * scales @ flat**2, ridge * scales * flat
        for part in parts:
            v, slope = part(params)
            value += float(v) / total
            gradient = gradient + np.asarray(ravel_pytree(slope)[0]) / total
        return float(value), gradient

    return loss


def losses_of_chunks(problem: Problem) -> list[Callable[[Params], tuple[Scalar, Params]]]:
    """Return functions of the parameters whose values and gradients add up to the loss."""
    key, rule, objective, density = (
        problem.key,
        problem.rule,
        problem.objective,
        problem.density,
    )
    if is_linear(problem):
        return [
            lambda theta, rows=rows: linear_loss(theta, key, rule, objective, rows)
            for rows in linear_marginals(problem)
        ]
    return [
        lambda params, index=index, rows=rows: value_and_gradient(
            key, index, rule, objective, density, params, rows
        )
        for index, rows in map(jax.device_put, loss_chunks(problem.rows))
    ]


def within_range(loss):
    """Return the loss with a steep wall where it is not finite: a step too far is taken back."""
    last = 0.0

    def walled(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal last
        value, gradient = loss(flat)
        if np.isfinite(value) and np.isfinite(gradient).all():
            last = value
            return value, gradient
        return abs(last) + WALL, np.zeros_like(flat)

    return walled
