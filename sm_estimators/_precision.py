"""The one place that decides in which precision numbers are computed.

Statistics, closed forms, deterministic optimisation and every evaluation of a fitted density run
in float64; training and sampling of neural energies run in float32. JAX's global flag is never
touched: :func:`double_precision` is a context of the running thread. Arrays enter as NumPy arrays
and leave as NumPy arrays, because a float64 JAX array does not survive outside the context.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def to_numpy(tree: Any) -> Any:
    """Copy every JAX array of a pytree, except random keys, to NumPy."""

    def one(leaf):
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(leaf) if isinstance(leaf, jax.Array) and not is_key else leaf

    return jax.tree.map(one, tree)


def cast(tree: Any, dtype: Any) -> Any:
    """Cast the floating-point leaves of a pytree to ``dtype``, as NumPy arrays.

    Specs go through here too: a Python float has no precision of its own, and what a compiled
    function takes it for depends on the mode of the thread that calls.
    """

    def one(leaf):
        leaf = np.asarray(leaf)
        return leaf.astype(dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    return jax.tree.map(one, tree)


def double_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` with 64-bit JAX arrays in this thread and return NumPy arrays."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return to_numpy(function(*args, **kwargs))

    return wrapped
