"""Evaluation of a density on the rows of a table, compiled once per density and padded size."""

import jax
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._chunks import map_rows
from sm_estimators._typing import Params
from sm_estimators.densities._base import AbstractDensity


@jax.jit
def log_densities(density: AbstractDensity, params: Params, X: Float[Array, "n d"]):
    """Return log q of every row, (n,)."""
    return jax.vmap(lambda x: density.log_density(params, x))(X)


def refuse_impossible_rows(density: AbstractDensity, params: Params, X: np.ndarray) -> None:
    """Raise ``ValueError`` naming the first row of ``X`` whose log-density is not finite."""
    if len(X) == 0:
        return
    values = map_rows(lambda rows: log_densities(density, params, rows), X)
    (bad,) = np.nonzero(~np.isfinite(values))
    if bad.size:
        row = int(bad[0])
        raise ValueError(
            f"`{type(density).__name__}` gives a log-density of {values[row]} to row {row} of the "
            f"complete rows, {X[row].tolist()} ({bad.size} of {len(X)} rows have this problem). "
            "Score matching needs a positive, finite density at every row: check the units of "
            "the columns, remove impossible values, or choose a distribution on the whole real "
            "line."
        )
