"""The pattern of a row as part of its density."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sm_estimators._spec import spec, static
from sm_estimators._typing import Observed, Params, Point, PRNGKey, Scalar
from sm_estimators.densities import AbstractDensity


@spec
class LogPropensity:
    """log φ(observed | x), the chance of a pattern given the whole row, up to a constant in x.

    ``function(observed, x)`` takes a row in the units of the table; calls come in the units of the
    fit, where x is ``(x − centre) / scale``.

    Examples
    --------
    >>> log_phi = LogPropensity(lambda observed, x: x.sum()).in_units(1.0, 2.0)
    >>> import jax.numpy as jnp
    >>> float(log_phi(jnp.array([True]), jnp.array([3.0])))
    7.0
    """

    function: Callable[..., Any] = static()
    centre: Any = 0.0
    scale: Any = 1.0

    def __call__(self, observed: Observed, x: Point) -> Scalar:
        """Return log φ."""
        return self.function(observed, self.centre + self.scale * x)

    def in_units(self, centre: Any, scale: Any) -> "LogPropensity":
        """Return log φ for columns minus ``centre``, divided by ``scale``."""
        return replace(self, centre=centre, scale=scale)


@spec
class SelectedDensity(AbstractDensity):
    """log q(x) + log φ(observed | x): the rows that show one pattern, up to a constant."""

    density: AbstractDensity
    log_propensity: LogPropensity
    observed: Any

    @property
    def neural(self) -> bool:  # type: ignore[override]
        """As the density."""
        return self.density.neural

    @property
    def support(self) -> Any:  # type: ignore[override]
        """That of the density."""
        return self.density.support

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return those of the density."""
        return self.density.init(key, n_features)

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return log q(x) + log φ(observed | x)."""
        return self.density.log_density(params, x) + self.log_propensity(self.observed, x)
