"""Exponential families from any function of a row."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Point, Scalar
from sm_estimators.densities._base import AbstractExponentialFamily
from sm_estimators.densities.box import Box, outside_is_impossible


@spec
class ExponentialFamily(AbstractExponentialFamily):
    """log q(x) = θ·t(x) + log h(x) for a user's statistics t and base measure h.

    Parameters
    ----------
    statistics : callable
        JAX function of one row (d,) that returns t(x), shape (k,). It must be twice
        differentiable. Use a function with a name of its own (not a lambda made anew each time):
        compiled code is found again by the identity of the function.
    base_measure : callable, optional
        JAX function of one row that returns log h(x), a scalar. Default: zero.
    support : Box, optional
        Where the density is positive, such as ``Box(lower=0.0)``. Default: the whole space.
    sparse : tuple of bool, optional
        Which parameters an L1 penalty applies to. Default: all.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> quartic = ExponentialFamily(lambda x: jnp.concatenate([x**2, x**4]))
    >>> quartic.init(jax.random.key(0), 3).shape
    (6,)
    """

    statistics: Callable[[Point], Float[Array, " k"]] = static()
    base_measure: Callable[[Point], Scalar] | None = static(default=None)
    support: Box | None = None
    sparse: tuple[bool, ...] | None = static(default=None)

    def __post_init__(self):
        if not callable(self.statistics):
            raise TypeError(
                "`statistics` must be a JAX function of one row that returns a vector; "
                f"got {self.statistics!r}."
            )

    def sufficient_statistics(self, x: Point) -> Float[Array, " k"]:
        """Return t(x)."""
        return jnp.atleast_1d(self.statistics(x))

    def sparse_flags(self, n_parameters: int) -> Float[np.ndarray, " k"]:
        """Return the flags of ``sparse``."""
        flags = True if self.sparse is None else self.sparse
        return np.broadcast_to(np.asarray(flags, float), (n_parameters,))

    def log_base_measure(self, x: Point) -> Scalar:
        """Return log h(x); −inf outside the support."""
        given = super().log_base_measure(x) if self.base_measure is None else self.base_measure(x)
        return outside_is_impossible(self.support, x, given)


def pairwise_statistics(x: Point) -> Float[Array, " k"]:
    """Return x, −x²/2 and −x_i x_j (i < j): the Gaussian as an exponential family.

    The natural parameters are then Kμ, the diagonal of K and its upper triangle, row by row.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [float(t) for t in pairwise_statistics(jnp.array([1.0, 2.0]))]
    [1.0, 2.0, -0.5, -2.0, -2.0]
    """
    rows, columns = jnp.triu_indices(x.size, 1)
    return jnp.concatenate([x, -0.5 * x**2, -x[rows] * x[columns]])
