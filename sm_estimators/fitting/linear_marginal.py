"""Marginal losses of exponential families, with what does not depend on θ computed once.

At fixed completions the log ratios, scores and curvatures of an exponential family are linear in
θ. Their matrices are made in one pass over the draws; a step of the optimisation is then a few
products. A fit of 55 statistics to 1000 rows took .8 s in place of 6.1 s.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._chunks import row_chunks, rows_within
from sm_estimators._precision import cast
from sm_estimators.densities import AbstractExponentialFamily
from sm_estimators.fitting._base import Problem
from sm_estimators.fitting.quadratic import MEMORY, LinearScore
from sm_estimators.missing.proposed import AbstractMarginal
from sm_estimators.missing.scores import KnownScore, marginal_derivatives, tilted


class LinearMarginals(NamedTuple):
    """Rows whose completions are known through what is linear in θ.

    Without the leading axis n: log ratios Tθ + t₀ with T (r, k), scores Aθ + a₀ with A (r, d, k),
    curvatures Hθ + h₀.
    """

    X: Any
    observed: Any
    weight: Any
    tilt: Any
    ratio: Any
    ratio_offset: Any
    score: Any
    score_offset: Any
    curvature: Any
    curvature_offset: Any


def is_linear(problem: Problem) -> bool:
    """Return whether the loss can be taken from such rows, and they fit into memory."""
    n, r, d = problem.rows.completions.shape
    density = problem.density
    if not isinstance(density, AbstractExponentialFamily):
        return False
    # Derivatives that somebody wrote out are faster than a dense matrix.
    own = type(density).score_and_curvature
    return (
        own is AbstractExponentialFamily.score_and_curvature
        and isinstance(problem.rule, AbstractMarginal)
        and problem.objective.uses_curvature
        and 0 < 2 * n * r * d * np.size(problem.initial) <= MEMORY
    )


def linear_marginals(problem: Problem) -> list[LinearMarginals]:
    """Return all rows on the device, in chunks; padding has weight 0."""
    density, rule = cast((problem.density, problem.rule), np.float64)
    _, r, d = problem.rows.completions.shape
    chunks = []
    for rows, count in row_chunks(problem.rows, rows_within(r * d * np.size(problem.initial))):
        valid = np.arange(len(rows.weight)) < count
        chunks.append(
            of_rows(problem.key, rule, density, rows._replace(weight=rows.weight * valid))
        )
    return chunks


@jax.jit
def of_rows(key, rule, density, rows) -> LinearMarginals:
    """Return a chunk of rows."""
    zero = density.init(key, rows.X.shape[1])

    def one(row) -> LinearMarginals:
        whole, linear = rule.whole(density, zero, row), LinearScore(density, zero)
        offset = jax.vmap(whole.log_density)(row.completions) + row.log_weights
        statistics = jax.vmap(density.sufficient_statistics)(row.completions)
        score, curvature = jax.vmap(linear.slopes)(row.completions)
        score_offset, curvature_offset = jax.vmap(whole.with_curvature)(row.completions)
        return LinearMarginals(
            row.X,
            row.observed,
            row.weight,
            row.tilt,
            statistics,
            offset,
            score,
            score_offset,
            curvature,
            curvature_offset,
        )

    return jax.vmap(one)(rows)


@jax.jit
@jax.value_and_grad
def linear_loss(theta, key, rule, objective, rows: LinearMarginals):
    """Return the weighted sum of the losses of the rows, and its gradient in θ."""

    def one(row: LinearMarginals):
        score, curvature = marginal_derivatives(
            row.ratio @ theta + row.ratio_offset,
            row.score @ theta + row.score_offset,
            row.curvature @ theta + row.curvature_offset,
            corrected=rule.bias_correction,
        )
        known = tilted(KnownScore(score, curvature), row.tilt)
        return objective(key, known, row.X, row.observed)

    losses = jax.vmap(one)(rows)
    return jnp.sum(jnp.where(rows.weight > 0, rows.weight * losses, 0.0))
