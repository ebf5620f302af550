"""The mean loss over rows: the one place where rows, weights and keys are vectorised."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._chunks import row_chunks, rows_within
from sm_estimators._typing import Params, PRNGKey, Scalar
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing import AbstractMissing, Rows
from sm_estimators.objectives import AbstractObjective


def row_losses(
    key: PRNGKey,
    index: jax.Array,
    rule: AbstractMissing,
    objective: AbstractObjective,
    density: AbstractDensity,
    params: Params,
    rows: Rows,
):
    """Return the loss of every row, (n,); the key of a row is ``key`` folded with its index."""

    def one(i, row):
        return rule.loss(jax.random.fold_in(key, i), objective, density, params, row)

    return jax.vmap(one)(index, rows)


def empirical_loss(
    key: PRNGKey,
    index: jax.Array,
    rule: AbstractMissing,
    objective: AbstractObjective,
    density: AbstractDensity,
    params: Params,
    rows: Rows,
) -> Scalar:
    """Return the weighted **sum** of losses; rows of weight 0 may hold anything."""
    losses = row_losses(key, index, rule, objective, density, params, rows)
    return jnp.sum(jnp.where(rows.weight > 0, rows.weight * losses, 0.0))


def expected_rows(
    rule: AbstractMissing, density: AbstractDensity, params: Params, rows: Rows
) -> Rows:
    """Return the rows with what ``params`` say about their holes, frozen."""
    return jax.vmap(lambda row: rule.expectation(density, params, row))(rows)


def loss_chunks(rows: Rows) -> Iterator[tuple[np.ndarray, Rows]]:
    """Cut rows into padded chunks; yield the index and the rows, padding with weight 0."""
    _, r, d = rows.completions.shape
    start = 0
    for chunk, count in row_chunks(rows, rows_within(max(r, 1) * d * (d + 16))):
        length = len(chunk.weight)
        valid = np.arange(length) < count
        yield start + np.arange(length), chunk._replace(weight=chunk.weight * valid)
        start += count
