"""What an objective is.

Every score-matching loss of a row has one shape: ½‖r‖² + l, where the *residual* r (a vector) and
the *linear term* l (a number) are linear in the score function. An objective is a spec that says
what they are, in ``terms(key, score_fn, x, observed)``. The shape is what makes every loss
quadratic in the parameters of an exponential family, and lets one solver serve them all.

An objective gets a score function, never a model: where the score came from, and why some
coordinates are not seen, is not its business. It must read ``x`` and the score only at seen
coordinates, and the expectation of the loss over rows and keys must be minimal at the true score
(or at that of the data with Gaussian noise of variance ``smoothing`` added).
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._typing import Observed, Point, PRNGKey, Scalar, ScoreFn


class AbstractObjective(ABC):
    """A score-matching loss of one row, ½‖r‖² + l."""

    uses_curvature: ClassVar[bool] = False
    """Whether ``terms`` reads the score function through ``score_and_curvature`` alone."""

    @property
    def smoothing(self) -> Any:
        """Variance of the noise whose density is fitted in place of the data's; 0 for none."""
        return 0.0

    def rescale(self, scale: Any, centre: Any = 0.0) -> "AbstractObjective":
        """Return the objective for columns minus ``centre``, divided by ``scale``.

        Itself where it has no units.
        """
        del scale, centre
        return self

    def in_scale(self, deviations: Any) -> "AbstractObjective":
        """Return the objective with what it leaves open set by the columns' standard deviations."""
        del deviations
        return self

    def coordinate_weights(self, x: Point) -> Point:
        """Return what multiplies ½s_j² of every coordinate, on average over keys; 1 by default."""
        return jnp.ones_like(x)

    @abstractmethod
    def terms(
        self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Return the residual r and the linear term l of one row."""

    def __call__(self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed) -> Scalar:
        """Return the loss of one row."""
        residual, linear = self.terms(key, score_fn, x, observed)
        return 0.5 * residual @ residual + linear
