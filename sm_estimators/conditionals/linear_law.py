"""A column given the rest of its row, from a Gaussian of all coordinates.

With K = Σ⁻¹ and B the coordinates of the column, the block given the rest is Gaussian with
covariance K_BB⁻¹ and mean μ_B − K_BB⁻¹ K_{B,−B} (x_{−B} − μ_{−B}).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.coordinates import Coordinates


@dataclass(frozen=True)
class LinearLaw:
    """The regression of one column on all others."""

    coordinates: Coordinates
    intercept: Float[np.ndarray, " w"]
    slopes: Float[np.ndarray, "p w"]
    """Zero for the coordinates of the column itself."""
    deviation: Float[np.ndarray, " w"]

    @classmethod
    def of(
        cls, coordinates: Coordinates, block: slice, location: np.ndarray, precision: np.ndarray
    ) -> "LinearLaw":
        """Take the law of one block from a Gaussian of all coordinates."""
        covariance = np.linalg.inv(precision[block, block])
        slopes = -precision[:, block] @ covariance
        slopes[block] = 0.0
        return cls(
            coordinates,
            location[block] - location @ slopes,
            slopes,
            np.sqrt(np.diag(covariance)),
        )

    def predict(self, linear: Float[np.ndarray, "r p"]) -> Float[np.ndarray, "r w"]:
        """Return the mean of the block given rows of coordinates."""
        with np.errstate(invalid="ignore"):  # BLAS may set the flag though all is finite
            return linear @ self.slopes.astype(linear.dtype) + self.intercept

    def draw(self, rng: np.random.Generator, z: Float[np.ndarray, "r w"]) -> np.ndarray:
        """Return a draw per prediction, in the units of the column."""
        return self.coordinates.draw(rng, z, self.deviation)
