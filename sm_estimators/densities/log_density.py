"""A user's own log-density with parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sm_estimators._spec import spec, static
from sm_estimators._typing import Params, Point, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.densities.box import Box, outside_is_impossible


@spec
class LogDensity(AbstractDensity):
    """Any JAX function ``(params, x) -> log q(x)``, up to a constant.

    Parameters
    ----------
    function : callable
        Takes the parameters (a pytree of real arrays) and one row (d,), returns a scalar.
    initial : callable
        Takes a JAX key and the number of columns, returns initial parameters. They should be
        unconstrained: put a positive number behind ``jnp.exp`` inside ``function``.
    support : Box, optional
        Where the density is positive, such as ``Box(lower=0.0)``. Default: the whole space.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> def logistic(params, x):
    ...     z = (x - params["loc"]) * jnp.exp(-params["log_scale"])
    ...     return -jnp.sum(z + 2 * jax.nn.softplus(-z))
    >>> density = LogDensity(
    ...     logistic, lambda key, d: {"loc": jnp.zeros(d), "log_scale": jnp.zeros(d)}
    ... )
    >>> params = density.init(jax.random.key(0), 2)
    >>> round(float(density.log_density(params, jnp.zeros(2))), 4)
    -2.7726
    """

    function: Callable[[Params, Point], Scalar] = static()
    initial: Callable[[PRNGKey, int], Any] = static()
    support: Box | None = None

    def __post_init__(self):
        for name in ("function", "initial"):
            if not callable(getattr(self, name)):
                raise TypeError(f"`{name}` must be callable; got {getattr(self, name)!r}.")

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return the user's initial parameters, as real arrays."""
        return jax.tree.map(lambda a: jnp.asarray(a, float), self.initial(key, n_features))

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return the user's log-density; −inf outside the support."""
        return outside_is_impossible(self.support, x, self.function(params, x))
