"""Explicit score matching."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._spec import spec
from sm_estimators._typing import Observed, Point, PRNGKey, Scalar, ScoreFn
from sm_estimators.densities import score_and_curvature
from sm_estimators.objectives._base import AbstractObjective


@spec
class Explicit(AbstractObjective):
    """½‖s(x)‖² + tr ∇s(x) over the seen coordinates (Hyvärinen 2005).

    Its mean is the Fisher divergence ½E‖s − ∇log p‖² up to a constant. Vincent (2011) calls this
    form *implicit*. The trace costs d Jacobian-vector products of the score, unless the density
    knows better.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> x, seen = jnp.array([1.0, 2.0]), jnp.array([True, True])
    >>> float(Explicit()(jax.random.key(0), lambda x: -x, x, seen))
    0.5
    """

    uses_curvature = True

    def terms(
        self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Return the score and the trace of its Jacobian; the key is not used."""
        del key
        score, curvature = score_and_curvature(score_fn, x)
        return jnp.where(observed, score, 0.0), jnp.sum(jnp.where(observed, curvature, 0.0))
