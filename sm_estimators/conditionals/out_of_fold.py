"""Linear predictions of rows by laws that have not seen them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sm_estimators.conditionals.coordinates import Coordinates, blocks_of
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.missing.gaussian_em import Moments


@dataclass(frozen=True)
class OutOfFold:
    """The laws of all columns, learned without one fold of the rows after the other.

    A law predicts rows that it has learned from too well. Trees that are given such predictions
    trust them too much, and rows that the trees have not seen do not tell, for the law has.
    """

    fold: Int[np.ndarray, " n"]
    """Of each row."""
    laws: list[list[LinearLaw]]
    """By fold, of every column."""

    @classmethod
    def of(
        cls, coordinates: list[Coordinates], fold: np.ndarray, moments: list[Moments]
    ) -> "OutOfFold":
        """Take the laws from Gaussians that have not seen a fold each."""
        columns = list(zip(coordinates, blocks_of(coordinates), strict=True))
        laws = []
        for location, covariance in moments:
            precision = np.linalg.inv(covariance)
            laws.append([LinearLaw.of(c, block, location, precision) for c, block in columns])
        return cls(fold, laws)

    def predict(
        self, j: int, rows: Int[np.ndarray, " r"], linear: Float[np.ndarray, "c p"]
    ) -> Float[np.ndarray, "c w"]:
        """Return means of the coordinates of a column given ``rows`` of m tables; c = m r."""
        fold = np.resize(self.fold[rows], len(linear))
        z = np.empty((len(linear), self.laws[0][j].slopes.shape[1]))
        for f, laws in enumerate(self.laws):
            z[fold == f] = laws[j].predict(linear[fold == f])
        return z
