"""Looks at the rows of a table: a noise scale and roles of the columns for each."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sm_estimators.diffusion.roles import Roles, draw_roles

GOLDEN = 0.6180339887498949


class Looks(NamedTuple):
    """Rows, each with a noise scale, roles of its columns, and what of it is asked for."""

    Z: Any
    noise_scale: Any
    roles: Roles
    counted: Any


def drawn_looks(key, recipe: Any, context, rows: Any) -> tuple[Any, Looks]:
    """Return one look at every row, and keys for its noise.

    ``recipe`` and ``rows`` are those of :mod:`sm_estimators.diffusion.training`.
    """
    key, shift_key = jax.random.split(key)
    n = len(rows.weight)
    # A low-discrepancy sequence: the noise scales of a batch are spread evenly.
    u = jnp.mod(jax.random.uniform(shift_key) + GOLDEN * jnp.arange(n), 1.0)
    role_keys, noise_keys = jnp.moveaxis(jax.vmap(jax.random.split)(jax.random.split(key, n)), 1, 0)
    roles = jax.vmap(draw_roles, in_axes=(0, 0, None, None))(
        role_keys, rows.observed, context, recipe
    )
    scales = jax.vmap(recipe.process.level)(u)
    return noise_keys, Looks(rows.Z, scales, roles, roles.noised & rows.counted)
