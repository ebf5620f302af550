"""Whole tables in coordinates, and back."""

import numpy as np
from jaxtyping import Float

from sm_estimators.conditionals.coordinates import Coordinates, blocks_of


def widened(
    coordinates: list[Coordinates], values: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a table (n, d) and its flags in the coordinates of linear laws, (n, p)."""
    columns = zip(coordinates, np.where(observed, values, 0.0).T, strict=True)
    wide = np.concatenate([column.linear(x) for column, x in columns], axis=1)
    seen = np.repeat(observed, [column.width for column in coordinates], axis=1)
    return wide, seen


def narrowed(
    rng: np.random.Generator, coordinates: list[Coordinates], wide: Float[np.ndarray, "n p"]
) -> np.ndarray:
    """Return drawn rows of coordinates (n, p) as a table (n, d) of values that were seen."""
    blocks = zip(coordinates, blocks_of(coordinates), strict=True)
    return np.stack([column.seen(rng, wide[:, block]) for column, block in blocks], axis=1)


def pointed(coordinates: list[Coordinates], wide: Float[np.ndarray, "n p"]) -> np.ndarray:
    """Return means of coordinates (n, p) as a table (n, d) of means and most probable levels."""
    blocks = zip(coordinates, blocks_of(coordinates), strict=True)
    return np.stack([column.point(wide[:, block]) for column, block in blocks], axis=1)
