"""The law of one column given the columns before it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.leaf_values import LeafValues
from sm_estimators.conditionals.line import Line
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.points import Points


@dataclass(frozen=True)
class Factor:
    column: int
    block: slice
    linear: LinearLaw
    leaf_values: LeafValues
    support: Points | Line
    shares: Float[np.ndarray, " c"]

    def hide(self, linear, ranked):
        z = self.linear.predict(linear)
        ranked[:, self.block] = self.linear.coordinates.ranked_prediction(z)
        return z, ranked

    def density(self, x, linear, ranked):
        z, ranked = self.hide(linear, ranked)
        parts = self.support.parts(x, self.linear, z, self.leaf_values.met(ranked))
        return self.shares @ parts

    def draw(self, u, linear, ranked, shares=None):
        z, ranked = self.hide(linear, ranked)
        return self.support.draw(u, self.shares if shares is None else shares, self.linear, z, ranked, self.leaf_values)
