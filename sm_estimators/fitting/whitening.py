"""Coordinates in which a loss is nearly round, from what is known of complete data.

L-BFGS takes some ten steps where the curvature is that of a ball, and a hundred where parameters
have different units. The curvature of the complete-data loss at the starting point is cheap for
two kinds of density, and holes change it little.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from sm_estimators.densities import AbstractExponentialFamily, Gaussian
from sm_estimators.densities.gaussian import precision_cholesky
from sm_estimators.fitting._base import Problem
from sm_estimators.fitting.quadratic import normal_equations
from sm_estimators.missing import CompleteCase

MOST_PARAMETERS = 600
FLATTEST = 1e-8
"""Least curvature that counts, relative to the largest."""


def whitening(
    curvature: Float[np.ndarray, "p p"] | None, n_parameters: int
) -> Float[np.ndarray, "p p"]:
    """Return P such that a loss of this curvature is nearly round in u where θ = θ₀ + P u."""
    if curvature is None or not np.isfinite(curvature).all():
        return np.eye(n_parameters)
    scale = np.sqrt(np.maximum(np.diag(curvature), FLATTEST * np.diag(curvature).max()))
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    return vectors / np.sqrt(np.maximum(values, FLATTEST * values[-1])) / scale[:, None]


def complete_curvature(problem: Problem, n_parameters: int) -> np.ndarray | None:
    """Return the Hessian of the complete-data loss, or None where it is not cheap."""
    density = problem.density
    if n_parameters > MOST_PARAMETERS:
        return None
    if isinstance(density, Gaussian):
        return np.asarray(gaussian_curvature(problem.initial))
    if not isinstance(density, AbstractExponentialFamily) or problem.table is None:
        return None
    rows = problem.rows
    X = rows.X if rows.completions.shape[1] == 0 else rows.completions[:, 0]
    seen = np.ones(X.shape, bool)
    table = problem.table._replace(X=X, observed=seen, tilt=None)
    filled = CompleteCase().prepare(np.random.default_rng(0), table)
    equations = normal_equations(density, problem.objective, filled, problem.key)
    return equations.gram / equations.weight


@jax.jit
def gaussian_curvature(params):
    """Return the Hessian of ½ tr(K S K) − tr K + ½‖K(μ − m)‖² where S and m are the start's own."""
    start, unravel = ravel_pytree(params)
    L = precision_cholesky(params)
    S, m = jnp.linalg.inv(L @ L.T), params["location"]

    def loss(flat):
        moved = unravel(flat)
        L = precision_cholesky(moved)
        K = L @ L.T
        pull = K @ (moved["location"] - m)
        return 0.5 * jnp.trace(K @ S @ K) - jnp.trace(K) + 0.5 * pull @ pull

    return jax.hessian(loss)(start)
