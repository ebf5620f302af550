"""The law of one column given the columns before it, one factor of the density of a row."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.leaf_values import LeafValues
from sm_estimators.conditionals.line import Line
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.points import Points
from sm_estimators.conditionals.prediction import Prediction

N_UNIFORMS = 4
"""Random numbers behind a draw."""


@dataclass(frozen=True)
class Factor:
    """A mixture whose parts know the columns before this one."""

    column: int
    block: slice
    """Of its coordinates."""
    law: LinearLaw
    leaf_values: LeafValues
    support: Points | Line
    shares: Float[np.ndarray, " c"]
    """Of the parts."""

    def predict(
        self, linear: Float[np.ndarray, "r p"], ranked: Float[np.ndarray, "r p"]
    ) -> Prediction:
        """Return what rows say about this column, from coordinates of the columns before it.

        Other coordinates have no influence. ``ranked`` is changed.
        """
        z = self.law.predict(linear)
        ranked[:, self.block] = self.law.coordinates.ranked_prediction(z)
        return Prediction(self.law, self.leaf_values, z, ranked)

    def density(
        self, x: Float[np.ndarray, " r"], prediction: Prediction
    ) -> Float[np.ndarray, " r"]:
        """Return the density, or the mass, at ``x``."""
        return self.shares @ self.support.parts(x, prediction)

    def draw(
        self, uniforms: Float[np.ndarray, "r 4"], prediction: Prediction
    ) -> Float[np.ndarray, " r"]:
        """Return a draw from the density per row."""
        return self.support.draw(uniforms, prediction, self.shares)

    def draw_seen(
        self, uniforms: Float[np.ndarray, "r 4"], prediction: Prediction
    ) -> Float[np.ndarray, " r"]:
        """Return draws as values that were seen, without the part that is there for outliers."""
        shares = self.support.near(self.shares)
        return self.support.snapped(self.support.draw(uniforms, prediction, shares))
