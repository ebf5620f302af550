"""Exponential families: one streamed pass over the rows, and a solve.

With log q = θ·t(x) + log h(x) the score is linear in θ, so every loss ½‖r‖² + l is quadratic:
½θᵀΓθ + θᵀb + constant, with Γ = Σ AᵀA and b = Σ (Aᵀr₀ + ∇l), A = ∂r/∂θ and r₀ = r(0). Γ and b are
sums over rows: any number of rows fits in memory, and more rows can be added later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import linalg
from scipy.special import softmax

from sm_estimators._chunks import row_chunks, rows_within
from sm_estimators._precision import cast, double_precision
from sm_estimators.densities import AbstractDensity, score_and_curvature
from sm_estimators.fitting._base import (
    Fit,
    Problem,
    Settings,
    non_finite_loss,
    relative_change,
)
from sm_estimators.fitting.empirical_loss import expected_rows, loss_chunks
from sm_estimators.fitting.sparse import minimise_l1, sparse_parameters
from sm_estimators.missing import Rows
from sm_estimators.objectives import AbstractObjective


@dataclass(frozen=True)
class LinearScore:
    """The score of an exponential family as a matrix product, ∂t/∂x θ.

    Its derivative in θ is that matrix, without a pass backwards through t.
    """

    density: Any
    theta: Any

    def __call__(self, x):
        """Return the score."""
        return self._pull(x) @ self.theta + jax.grad(self.density.log_base_measure)(x)

    def _pull(self, x):
        """Return ∂t/∂x, (d, k)."""
        return jax.jacfwd(self.density.sufficient_statistics)(x).T

    def slopes(self, x):
        """Return ∂/∂θ of the score and of the diagonal of its Jacobian, (d, k) each."""

        def bend(direction):
            def slope(z):
                return jax.jvp(self.density.sufficient_statistics, (z,), (direction,))[1]

            return jax.jvp(slope, (x,), (direction,))[1]

        return self._pull(x), jax.vmap(bend)(jnp.eye(x.size, dtype=x.dtype))

    def with_curvature(self, x):
        """Return the score and the diagonal of its Jacobian."""
        pull, second = self.slopes(x)
        base, base_bend = score_and_curvature(jax.grad(self.density.log_base_measure), x)
        return pull @ self.theta + base, second @ self.theta + base_bend


class NormalEquations(NamedTuple):
    """Γ, b and the total weight of the rows they were summed over."""

    gram: np.ndarray
    linear: np.ndarray
    weight: float

    def __add__(self, other: "NormalEquations") -> "NormalEquations":  # type: ignore[override]
        """Return the sums over both sets of rows."""
        return NormalEquations(
            self.gram + other.gram, self.linear + other.linear, self.weight + other.weight
        )


@double_precision
def normal_equations(
    density: AbstractDensity, objective: AbstractObjective, rows: Rows, key
) -> NormalEquations:
    """Sum Γ and b over complete or completed rows, in chunks."""
    density, objective = cast((density, objective), np.float64)
    X, weight = completed(rows)
    n_statistics = density.init(key, X.shape[1]).size
    total = NormalEquations(np.zeros((n_statistics,) * 2), np.zeros(n_statistics), 0.0)
    start = 0
    for (x, w), count in row_chunks((X, weight), rows_within(n_statistics * X.shape[1])):
        w = np.where(np.arange(len(w)) < count, w, 0.0)
        index = start + np.arange(len(w))
        gram, linear = chunk_equations(key, index, objective, density, x, w)
        total += NormalEquations(np.asarray(gram), np.asarray(linear), float(w.sum()))
        start += count
    return total


def completed(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return rows without holes and their weights: every completion counts as a row."""
    n, r, d = rows.completions.shape
    if r == 0:
        return np.asarray(rows.X), np.asarray(rows.weight)
    weight = rows.weight[:, None] * np.exp(rows.log_weights)
    return np.reshape(rows.completions, (n * r, d)), np.ravel(weight)


@jax.jit
def chunk_equations(key, index, objective, density, X, weight):
    """Return Γ and b summed over the rows of one chunk."""
    seen = jnp.ones(X.shape[1], bool)
    zero = density.init(key, X.shape[1])

    def one(i, x):
        def terms(theta: Float[Array, " k"]):
            return objective.terms(jax.random.fold_in(key, i), LinearScore(density, theta), x, seen)

        residual, _ = terms(zero)
        A, linear = jax.jacrev(terms)(zero)
        return A, residual, linear

    A, residual, linear = jax.vmap(one)(index, X)
    # Rows of weight 0 are padding: what the statistics gave there must not meet a product.
    root = jnp.sqrt(weight)
    A = jnp.where(root[:, None, None] > 0, A * root[:, None, None], 0.0).reshape(-1, zero.size)
    residual = jnp.where(root[:, None] > 0, residual * root[:, None], 0.0).ravel()
    linear = jnp.where(root[:, None] > 0, linear * weight[:, None], 0.0)
    return A.T @ A, A.T @ residual + linear.sum(axis=0)


def solve(
    equations: NormalEquations, *, ridge: float, penalty: np.ndarray | None = None
) -> np.ndarray:
    """Return the minimiser of the mean loss plus ½·ridge·Σ Γ_ii θ_i² (+ Σ penalty_i |θ_i|)."""
    gram, linear = equations.gram / equations.weight, equations.linear / equations.weight
    if not (np.isfinite(gram).all() and np.isfinite(linear).all()):
        raise non_finite_loss("at the start of the fit")
    scale = np.sqrt(np.diag(gram))
    if not (scale > 0).all():
        raise ValueError(
            f"Statistics number {np.flatnonzero(scale == 0).tolist()} have no gradient at any "
            "row, so the loss does not depend on their parameters. Drop them from `statistics`."
        )
    matrix = gram / np.outer(scale, scale) + ridge * np.eye(len(gram))
    try:
        factor = linalg.cho_factor(matrix)
    except linalg.LinAlgError as error:
        raise ValueError(
            "The quadratic loss has no unique minimum: the gradients of the statistics are "
            f"linearly dependent over the {equations.weight:g} rows. Drop duplicated columns or "
            "statistics, add rows, or set `ridge` above 0."
        ) from error
    dense = -linalg.cho_solve(factor, linear / scale)
    if penalty is None or not penalty.any():
        return dense / scale

    def loss(z: np.ndarray) -> tuple[float, np.ndarray]:
        slope = matrix @ z
        return float(0.5 * z @ slope + z @ (linear / scale)), slope + linear / scale

    options = {"maxiter": 10_000, "maxfun": 100_000, "gtol": 1e-9, "ftol": 0.0, "maxcor": 30}
    return minimise_l1(loss, dense, penalty / scale, options=options).x / scale


def fit_quadratic(problem: Problem, settings: Settings) -> Fit:
    """Solve complete rows at once; with holes, alternate expectation and solution."""
    density, objective, rule, rows, theta, key, _ = problem
    if not rule.iterative or rows.completions.shape[1] == 0:
        equations = normal_equations(density, objective, rows, key)
        penalty = settings.l1 * sparse_parameters(density, len(equations.linear))
        return Fit(solve(equations, ridge=settings.ridge, penalty=penalty))
    penalty = settings.l1 * sparse_parameters(density, len(theta))
    equations_at = remembered(problem) if fits_in_memory(problem) else streamed(problem)
    for iteration in range(1, settings.max_iter + 1):
        equations = equations_at(theta)
        previous, theta = theta, solve(equations, ridge=settings.ridge, penalty=penalty)
        if relative_change(previous, theta) < settings.tol:
            return Fit(theta, iteration, message="the parameters no longer change")
    return Fit(theta, settings.max_iter, converged=False, message="`max_iter` was reached")


def streamed(problem: Problem) -> Callable[[np.ndarray], NormalEquations]:
    """Return the function from θ to Γ and b of the rows as θ completes them, in one pass each."""
    density, objective, *_, key, _ = problem

    def equations_at(theta: np.ndarray) -> NormalEquations:
        return normal_equations(density, objective, expectation(problem, theta), key)

    return equations_at


MEMORY = 2**26
"""Numbers that an EM may keep rather than compute again: half a gigabyte."""


def fits_in_memory(problem: Problem) -> bool:
    """Return whether the derivatives of the residuals at all completions may be kept."""
    n, r, d = problem.rows.completions.shape
    return n * r * d * np.size(problem.initial) <= MEMORY


@double_precision
def remembered(problem: Problem) -> Callable[[np.ndarray], NormalEquations]:
    """Return the same function, with what does not depend on θ computed once.

    An EM step is then a softmax of T θ and one weighted product of matrices.
    """
    density, objective, rule, rows, theta, key, _ = problem
    density, objective, rule = cast((density, objective, rule), np.float64)
    _, r, d = rows.completions.shape
    k, blocks, start = len(theta), [], 0
    for (chunk, flags, log_weights), count in row_chunks(
        (rows.completions, rows.observed, rows.log_weights), rows_within(r * d * k)
    ):
        # The same keys as in a pass over completed rows, one after the other.
        index = (start + np.arange(len(chunk)))[:, None] * r + np.arange(r)
        parts = completion_terms(key, index, objective, rule, density, chunk, flags, log_weights)
        blocks.append([np.asarray(part)[:count] for part in parts])
        start += count
    A, residual, linear, statistics, offset = (np.concatenate(b) for b in zip(*blocks, strict=True))
    m = A.shape[2]
    A, residual, linear = A.reshape(-1, k), residual.reshape(-1), linear.reshape(-1, k)
    weight = np.asarray(rows.weight, float)

    def equations_at(theta: np.ndarray) -> NormalEquations:
        share = weight[:, None] * softmax(statistics @ theta + offset, axis=1)
        root = np.sqrt(np.repeat(share.ravel(), m))
        scaled = A * root[:, None]
        gram, linear_part = scaled.T @ scaled, share.ravel() @ linear
        return NormalEquations(gram, scaled.T @ (root * residual) + linear_part, weight.sum())

    return equations_at


@jax.jit
def completion_terms(key, index, objective, rule, density, completions, observed, log_weights):
    """Return A, r₀, ∇l, t and the rest of the log ratio at every completion of some rows."""
    seen = jnp.ones(completions.shape[2], bool)
    zero = density.init(key, completions.shape[2])

    def one(i, z, flags, log_weight):
        def terms(theta: Float[Array, " k"]):
            return objective.terms(jax.random.fold_in(key, i), LinearScore(density, theta), z, seen)

        residual, _ = terms(zero)
        A, linear = jax.jacrev(terms)(zero)
        row = Rows(None, flags, None, None, None)  # as much of it as a mechanism reads
        offset = rule.whole(density, zero, row).log_density(z) + log_weight
        return A, residual, linear, density.sufficient_statistics(z), offset

    over_draws = jax.vmap(one, in_axes=(0, 0, None, 0))
    return jax.vmap(over_draws)(index, completions, observed, log_weights)


@double_precision
def expectation(problem: Problem, params) -> Rows:
    """Return all rows with what ``params`` say about their holes, chunk by chunk."""
    chunks = [
        (jitted_expectation(problem.rule, problem.density, params, chunk), chunk)
        for _, chunk in loss_chunks(problem.rows)
    ]
    log_weights = np.concatenate([np.asarray(new.log_weights) for new, _ in chunks])
    return problem.rows._replace(log_weights=log_weights[: len(problem.rows.X)])


jitted_expectation = jax.jit(expected_rows)
