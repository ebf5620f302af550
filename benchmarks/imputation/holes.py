"""Which cells are hidden: the same for every method.

The whole table is amputed and then split, so that new rows lose cells as the fitted ones did.
"""

from dataclasses import dataclass

import numpy as np

from sm_estimators.missingness import ampute

MECHANISMS = ("mcar", "mar", "mnar")
NEW_SHARE = 0.2
FEWEST_SEEN = 5
ATTEMPTS = 100


@dataclass(frozen=True)
class Part:
    """Rows before and after the holes, both (n, d); holes are NaN."""

    complete: np.ndarray
    holed: np.ndarray

    @property
    def hidden(self) -> np.ndarray:
        """(n, d) bool, True where a value was taken away."""
        return np.isnan(self.holed)


@dataclass(frozen=True)
class Holes:
    """The rows that are fitted, and new ones that no fit has seen."""

    fitted: Part
    new: Part


def make_holes(X: np.ndarray, mechanism: str, rate: float, seed: int) -> Holes:
    """Split a complete table, (n, d), and hide cells by `sm_estimators.missingness.ampute`.

    The split depends on the seed alone. A row that would lose every cell keeps one, chosen at
    random. Holes are drawn again where a column of the fitted rows keeps fewer than five values,
    or one value only.
    """
    order = np.random.default_rng(seed).permutation(len(X))
    n_new = round(NEW_SHARE * len(X))
    new, fitted = order[:n_new], order[n_new:]
    rng = np.random.default_rng([seed, MECHANISMS.index(mechanism), round(1000 * rate)])
    for _ in range(ATTEMPTS):
        holed = _hide(X, mechanism, rate, rng)
        if _enough(holed[fitted]):
            return Holes(Part(X[fitted], holed[fitted]), Part(X[new], holed[new]))
    raise ValueError(f"no column may keep fewer than {FEWEST_SEEN} values; {ATTEMPTS} draws did.")


def _hide(X: np.ndarray, mechanism: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return the table with NaN in its holes, and something in every row."""
    holed = np.array(ampute(X, mechanism, rate, random_state=rng).X)
    empty = np.flatnonzero(np.isnan(holed).all(axis=1))
    kept = rng.integers(X.shape[1], size=len(empty))
    holed[empty, kept] = X[empty, kept]
    return holed


def _enough(holed: np.ndarray) -> bool:
    """Tell whether every column has something to learn from."""
    seen = (~np.isnan(holed)).sum(axis=0).min() >= FEWEST_SEEN
    return bool(seen and (np.nanmax(holed, axis=0) > np.nanmin(holed, axis=0)).all())
