"""Names for the arrays and functions that flow through the core.

A batch is written with a capital (``X``), one row with a lower-case letter (``x``).
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Bool, Float, Key, PyTree

Params = PyTree
"""Parameters of a density: explicit, unconstrained real arrays."""

Scalar = Float[Array, ""]
Point = Float[Array, " d"]
"""One row."""
Observed = Bool[Array, " d"]
"""Flags of one row: True where the value was seen."""
PRNGKey = Key[Array, ""]
"""A typed JAX key, made by ``jax.random.key``."""

Level = Any
"""Times or noise scales: a number that a person may type, or an array of them."""

LogDensityFn = Callable[[Point], Scalar]
"""A log-density of one row, up to an additive constant."""
ScoreFn = Callable[[Point], Point]
"""The gradient of a log-density with respect to the row."""

Objective = Callable[[PRNGKey, ScoreFn, Point, Observed], Scalar]
"""A loss of one row."""
