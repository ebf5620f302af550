"""Sliced score matching."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Observed, Point, PRNGKey, Scalar, ScoreFn
from sm_estimators.objectives._base import AbstractObjective

Distribution = Literal["rademacher", "gaussian", "sphere"]


@spec
class Sliced(AbstractObjective):
    """Mean over directions v of vᵀ∇s(x)v + ½‖s(x)‖², or of vᵀ∇s(x)v + ½(vᵀs)² (Song et al. 2020).

    E[vvᵀ] = I on the seen coordinates, so the mean equals the explicit loss. The cost is one
    Jacobian-vector product per direction, whatever the dimension.

    Parameters
    ----------
    n_projections : int, default=1
        Directions per row.
    distribution : {"rademacher", "gaussian", "sphere"}, default="rademacher"
        Law of a direction. Rademacher signs have the least variance. Directions on the sphere
        have length √d, d the number of seen coordinates.
    analytic_norm : bool, default=True
        Use ½‖s‖², the mean over v of ½(vᵀs)²: less variance at no cost.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> x, seen = jnp.array([1.0, 2.0]), jnp.array([True, True])
    >>> float(Sliced()(jax.random.key(0), lambda x: -x, x, seen))
    0.5
    """

    n_projections: int = static(default=1)
    distribution: Distribution = static(default="rademacher")
    analytic_norm: bool = static(default=True)

    def __post_init__(self):
        if self.n_projections < 1:
            raise ValueError(f"`n_projections` must be at least 1; got {self.n_projections}.")
        if self.distribution not in get_args(Distribution):
            raise ValueError(
                f"`distribution` must be one of {get_args(Distribution)}; "
                f"got {self.distribution!r}."
            )

    def terms(
        self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Return the score (or its projections) and the mean curvature along the directions."""
        score, jvp = jax.linearize(score_fn, x)
        keys = jax.random.split(key, self.n_projections)
        V = jax.vmap(lambda k: direction(k, self.distribution, observed, x.dtype))(keys)
        # A direction is 0 in a hole; the product must not meet the derivative there.
        curvatures = jnp.where(observed, V * jax.vmap(jvp)(V), 0.0)
        residual = jnp.where(observed, score, 0.0)
        if not self.analytic_norm:
            residual = V @ residual / jnp.sqrt(float(self.n_projections))
        return residual, jnp.sum(curvatures) / self.n_projections


def direction(
    key: PRNGKey, distribution: Distribution, observed: Observed, dtype
) -> Float[Array, " d"]:
    """Draw v with E[vvᵀ] = I on the seen coordinates and 0 elsewhere."""
    draw = jax.random.rademacher if distribution == "rademacher" else jax.random.normal
    v = jnp.where(observed, draw(key, observed.shape, dtype), 0.0)
    if distribution == "sphere":
        norm = jnp.sqrt(jnp.maximum(v @ v, jnp.finfo(dtype).tiny))
        v = v * jnp.sqrt(observed.sum(dtype=dtype)) / norm
    return v
