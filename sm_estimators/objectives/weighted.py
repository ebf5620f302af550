"""Score matching on a bounded domain."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._spec import spec
from sm_estimators._typing import Observed, Point, PRNGKey, Scalar, ScoreFn
from sm_estimators.densities import Box, score_and_curvature
from sm_estimators.objectives._base import AbstractObjective


@spec
class Weighted(AbstractObjective):
    """Σ_j g_j (½s_j² + ∂_j s_j) + g_j′ s_j over the seen coordinates of a row in a box.

    Generalised score matching (Hyvärinen 2007; Yu, Drton and Shojaie 2019). The weight
    g_j(x_j) = min(distance to the nearer bound, ``cap``) / ``cap`` vanishes on the boundary, where
    integration by parts would otherwise leave a term, and is 1 far from it. Its mean is
    ½E Σ_j g_j (s_j − ∂_j log p)² up to a constant. Without bounds it is the explicit loss.

    Parameters
    ----------
    support : Box
        Where the density lives; usually the ``support`` of the density.
    cap : float or array-like of shape (d,), optional
        Distance from which on the weight is 1, in the units of the columns. A smaller one uses
        rows near the boundary more. Default: a standard deviation of each column in a fit, else 1.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> x, seen = jnp.array([0.5, 2.0]), jnp.array([True, True])
    >>> float(Weighted(Box(lower=0.0))(jax.random.key(0), lambda x: -x, x, seen))
    0.0625
    """

    uses_curvature = True

    support: Box
    cap: Any = None

    def __post_init__(self):
        if not isinstance(self.support, Box):
            raise TypeError(f"`support` must be a Box; got {self.support!r}.")
        if self.cap is not None and not np.all(np.asarray(self.cap) > 0):
            raise ValueError(f"`cap` must be positive; got {self.cap}.")

    def coordinate_weights(self, x: Point) -> Point:
        """Return g(x)."""
        return jnp.clip(self.support.distance(x) / self._reach(), 0.0, 1.0)

    def _reach(self) -> Any:
        """Return the cap, 1 where none is set."""
        return 1.0 if self.cap is None else jnp.asarray(self.cap)

    def in_scale(self, deviations: Any) -> "Weighted":
        """Return the objective with a cap of one standard deviation, unless it has one."""
        if self.cap is not None:
            return self
        return replace(self, cap=np.where(deviations > 0, deviations, 1.0))

    def rescale(self, scale: Any, centre: Any = 0.0) -> "Weighted":
        """Return the objective for columns minus ``centre``, divided by ``scale``."""
        lower, upper = self.support.bounds(np.size(scale))
        moved = Box((lower - centre) / scale, (upper - centre) / scale)
        cap = None if self.cap is None else np.asarray(self.cap) / scale
        return replace(self, support=moved, cap=cap)

    def terms(
        self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Return √g s, and the trace with its boundary term; the key is not used."""
        del key
        score, curvature = score_and_curvature(score_fn, x)
        # In a hole x may be anything, and a weight that is no number would reach the gradient.
        g = self.coordinate_weights(jnp.where(observed, x, 0.0))
        nearer = jnp.where(
            x - jnp.asarray(self.support.lower) < jnp.asarray(self.support.upper) - x, 1, -1
        )
        slope = jnp.where(g < 1, nearer / self._reach(), 0.0)
        linear = jnp.where(observed, g * curvature + slope * score, 0.0)
        return jnp.where(observed, jnp.sqrt(g) * score, 0.0), jnp.sum(linear)
