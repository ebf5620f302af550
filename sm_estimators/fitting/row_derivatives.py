"""Derivatives of estimating functions at the rows of a table, in chunks of compiled code."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.nn import softmax

from sm_estimators._chunks import row_chunks, rows_within
from sm_estimators._precision import cast
from sm_estimators.fitting._base import Problem
from sm_estimators.missing import Rows
from sm_estimators.missing.scores import DensityScore

BUDGET = 2**20
"""Numbers that a chunk of rows may need: few enough to stay in the cache."""


def in_chunks(function, problem: Problem, rows: Rows):
    """Yield a compiled function of padded chunks of rows, and how many rows each holds.

    Padding has weight 0.
    """
    model = cast((problem.rule, problem.objective, problem.density, problem.initial), np.float64)
    _, r, d = rows.completions.shape
    max_rows = rows_within(max(r, 1) * d * (d + 16), BUDGET)
    start = 0
    for chunk, count in row_chunks(rows, max_rows):
        index = np.arange(len(chunk.weight))
        chunk = chunk._replace(weight=np.where(index < count, chunk.weight, 0.0))
        found = function(problem.key, start + index, *model, chunk)
        yield jax.tree.map(np.asarray, found), count
        start += count


@jax.jit
def row_scores(key, index, rule, objective, density, params, rows):
    """Return ψ of every row, (n, p); the key of a row is ``key`` folded with its index."""

    def one(i, row):
        row_key = jax.random.fold_in(key, i)
        psi = rule.estimating_function(row_key, objective, density, params, row)
        return ravel_pytree(psi)[0]

    return jax.vmap(one)(index, rows)


@jax.jit
def summed_jacobian(key, index, rule, objective, density, params, rows):
    """Return Σ w ∂ψ/∂θ over the rows, (p, p)."""
    flat, unravel = ravel_pytree(params)

    def summed(theta):
        scores = row_scores(key, index, rule, objective, density, unravel(theta), rows)
        return weighted_sum(rows.weight, scores)

    # One direction after the other: all at once would hold every product p times over.
    _, along = jax.linearize(summed, flat)
    return jax.lax.map(along, jnp.eye(flat.size)).T


@jax.jit
def summed_unit_slopes(key, index, rule, objective, density, params, rows):
    """Return Σ w ∂ψ/∂c over the rows, (p, d), for the weights c of the columns in the loss."""

    def summed(weight):
        weighted = replace(objective, weight=weight)
        scores = row_scores(key, index, rule, weighted, density, params, rows)
        return weighted_sum(rows.weight, scores)

    return jax.jacfwd(summed)(objective.weight)


def weighted_sum(weight, scores):
    """Return Σ w ψ over the rows; padding has weight 0 and may hold anything."""
    return jnp.sum(jnp.where(weight[:, None] > 0, weight[:, None] * scores, 0.0), axis=0)


@jax.jit
def curvatures(key, index, rule, objective, density, params, rows):
    """Return diag Γ of a quadratic loss at every row, (n, k), and Σ w ∂ diag Γ/∂θ, (k, p).

    Γ = Σ_k ω_k AᵀA with A = ∂r/∂θ at completion k moves with the weights ω of an imputation alone:
    its derivative is the covariance of diag AᵀA and ∇_θ log q under them.
    """
    holes = rows.completions.shape[1] > 0
    seen = jnp.ones(rows.X.shape[1], bool)

    def one(i, row):
        row_key = jax.random.fold_in(key, i)

        def squares(z):
            def residual(p):
                return objective.terms(row_key, DensityScore(density, p), z, seen)[0]

            return jnp.sum(jax.jacrev(residual)(params) ** 2, axis=0)

        Z = row.completions if holes else row.X[None]
        share = softmax(rule.log_ratios(density, params, row)) if holes else jnp.ones(1)
        diagonals = jax.vmap(squares)(Z)
        slopes = jax.vmap(lambda z: jax.grad(density.log_density)(params, z))(Z)
        mean = share @ diagonals
        return mean, (diagonals - mean).T @ (share[:, None] * slopes)

    diagonal, drift = jax.vmap(one)(index, rows)
    weight = rows.weight[:, None, None]
    return diagonal, jnp.sum(jnp.where(weight > 0, weight * drift, 0.0), axis=0)


def condensed(rows: Rows) -> Rows:
    """Return rows with the same weight, mean and scatter in every pattern, few where it has many.

    The k seen columns of a pattern need 2k rows: mean ± √k times the columns of a factor of the
    covariance (the sigma points of Julier and Uhlmann 1997).
    """
    patterns, label = np.unique(rows.observed, axis=0, return_inverse=True)
    label = np.ravel(label)
    kept, parts = np.ones(len(label), bool), []
    for p in np.flatnonzero(np.bincount(label) > 2 * patterns.sum(axis=1)):
        mine = label == p
        kept &= ~mine
        parts.append(sigma_points(rows.X[mine], rows.weight[mine], patterns[p]))
    points, weight, observed = (
        np.concatenate([first, *rest])
        for first, *rest in zip(
            (rows.X[kept], rows.weight[kept], rows.observed[kept]), *parts, strict=True
        )
    )
    nothing = np.zeros((len(points), *rows.completions.shape[1:]))
    return Rows(points, observed, nothing, nothing[:, :, 0], weight)


def sigma_points(X: np.ndarray, weight: np.ndarray, seen: np.ndarray):
    """Return points, weights and flags with the moments of the rows of one pattern."""
    k, total = int(seen.sum()), weight.sum()
    mean = weight @ X / total
    values, Q = np.linalg.eigh((X - mean).T @ ((X - mean) * weight[:, None]) / total)
    factor = (Q * np.sqrt(np.maximum(values, 0.0)))[:, len(seen) - k :]
    steps = np.sqrt(k) * factor.T
    points = np.where(seen, mean + np.concatenate([steps, -steps]), 0.0)
    return points, np.full(2 * k, total / (2 * k)), np.tile(seen, (2 * k, 1))
