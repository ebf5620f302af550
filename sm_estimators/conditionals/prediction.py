"""What the columns before it say about a column."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators.conditionals.leaf_values import LeafValues, Met
from sm_estimators.conditionals.linear_law import LinearLaw


@dataclass(frozen=True)
class Prediction:
    """A column in some rows, as a linear law and trees see it."""

    law: LinearLaw
    leaf_values: LeafValues
    z: Float[np.ndarray, "r w"]
    """Means of its coordinates by the law."""
    ranked: Float[np.ndarray, "r p"]
    """Inputs of trees, with the linear prediction in the column's own place."""
    counted: Bool[np.ndarray, "r t"] | None = None
    """Which trees count; None for all."""

    @cached_property
    def mean(self) -> Float[np.ndarray, " r"]:
        """By the linear law, in the units of the column."""
        return self.law.coordinates.predicted(self.z)

    @property
    def deviation(self) -> float:
        """Of the linear law, in the units of the column."""
        return float(self.law.deviation[0]) * self.law.coordinates.scale

    @cached_property
    def met(self) -> Met:
        """Cells in the leaves of the rows."""
        return self.leaf_values.met(self.ranked, self.counted)

    def pick(self, uniforms: Float[np.ndarray, "r 2"]) -> tuple[np.ndarray, np.ndarray]:
        """Return place and residual of one of these cells per row."""
        return self.leaf_values.pick(self.ranked, uniforms)

    def of(self, rows: np.ndarray) -> "Prediction":
        """Return the prediction of some of the rows."""
        return replace(self, z=self.z[rows], ranked=self.ranked[rows])
