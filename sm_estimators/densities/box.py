"""A box: where a density with bounded coordinates lives."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sm_estimators._spec import spec
from sm_estimators._typing import Point, Scalar


@spec
class Box:
    """The rows with ``lower`` ≤ x ≤ ``upper``, coordinate by coordinate.

    Parameters
    ----------
    lower, upper : float or tuple of float, default=-inf, inf
        Bounds, one for all columns or one for each; infinite where there is none.

    Raises
    ------
    ValueError
        If a lower bound is not below its upper bound.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> positive = Box(lower=0.0)
    >>> bool(positive.contains(jnp.array([1.0, 2.0]))), bool(positive.contains(jnp.array([-1.0])))
    (True, False)
    """

    lower: Any = -float("inf")
    upper: Any = float("inf")

    def __post_init__(self):
        for name in ("lower", "upper"):
            value = getattr(self, name)
            if np.ndim(value):  # a tuple compares by value, an array does not
                object.__setattr__(self, name, tuple(float(v) for v in value))
        if not np.all(np.asarray(self.lower) < np.asarray(self.upper)):
            raise ValueError(
                f"`lower` must be below `upper` in every column; got {self.lower} and {self.upper}."
            )

    def bounds(self, n_features: int) -> tuple[np.ndarray, np.ndarray]:
        """Return both bounds as NumPy arrays (d,); raises `ValueError` for another width."""
        for name in ("lower", "upper"):
            size = np.size(getattr(self, name))
            if size not in (1, n_features):
                raise ValueError(
                    f"`{name}` of the support has {size} bounds, but the table has {n_features} "
                    "columns. Give one number, or one per column."
                )
        shape = (n_features,)
        return (
            np.broadcast_to(np.asarray(self.lower, float), shape),
            np.broadcast_to(np.asarray(self.upper, float), shape),
        )

    def contains(self, x: Point) -> Bool[Array, ""]:
        """Return whether a row lies in the box, its faces included."""
        return jnp.all((x >= jnp.asarray(self.lower)) & (x <= jnp.asarray(self.upper)))

    def distance(self, x: Point) -> Point:
        """Return how far every coordinate is from its nearer bound; inf where there is none."""
        return jnp.minimum(x - jnp.asarray(self.lower), jnp.asarray(self.upper) - x)

    def from_real(self, u: Point) -> Point:
        """Map the real line onto the open interval of every coordinate, increasingly.

        Softplus beside one bound, the logistic curve between two, the identity without any.
        """
        lower, upper, low, high = self._sides(u)
        above = lower + jax.nn.softplus(u)
        below = upper - jax.nn.softplus(-u)
        between = lower + (upper - lower) * jax.nn.sigmoid(u)
        return jnp.where(low & high, between, jnp.where(low, above, jnp.where(high, below, u)))

    def to_real(self, x: Point) -> Point:
        """Invert :meth:`from_real`; rows on a face are moved inside by a hair."""
        lower, upper, low, high = self._sides(x)
        hair = 1e-6
        a = jnp.maximum(x - lower, hair * jnp.where(low & high, upper - lower, 1.0))
        b = jnp.maximum(upper - x, hair * jnp.where(low & high, upper - lower, 1.0))
        between = jnp.log(a) - jnp.log(b)
        above, below = inverse_softplus(a), -inverse_softplus(b)
        return jnp.where(low & high, between, jnp.where(low, above, jnp.where(high, below, x)))

    def log_slope(self, u: Point) -> Point:
        """Return the log derivative of :meth:`from_real`, coordinate by coordinate."""
        lower, upper, low, high = self._sides(u)
        above, below = jax.nn.log_sigmoid(u), jax.nn.log_sigmoid(-u)
        between = jnp.log(upper - lower) + above + below
        return jnp.where(low & high, between, jnp.where(low, above, jnp.where(high, below, 0.0)))

    def _sides(self, x: Point):
        """Return finite stand-ins of the bounds, and where they are finite."""
        lower = jnp.broadcast_to(jnp.asarray(self.lower, x.dtype), x.shape)
        upper = jnp.broadcast_to(jnp.asarray(self.upper, x.dtype), x.shape)
        low, high = jnp.isfinite(lower), jnp.isfinite(upper)
        return jnp.where(low, lower, 0.0), jnp.where(high, upper, 1.0), low, high


def inverse_softplus(y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log(eʸ − 1), for y > 0."""
    return y + jnp.log(-jnp.expm1(-y))


def outside_is_impossible(support: "Box | None", x: Point, log_density: Scalar) -> Scalar:
    """Return the log-density, −inf where ``x`` leaves the support."""
    return log_density if support is None else jnp.where(support.contains(x), log_density, -jnp.inf)
