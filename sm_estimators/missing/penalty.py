"""What is added to the loss of a Gaussian: an L1 penalty and a cap on the precision."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators._patterns import group_by_pattern

MARGIN = 1e-5
"""What is added to the largest penalty, more than fits leave open of their tolerance."""


class Penalty(NamedTuple):
    """l1 Σ_{i≠j} |K_ij|, and infinity where an eigenvalue of K exceeds ``max_eigenvalue``."""

    l1: float = 0.0
    max_eigenvalue: float = np.inf

    @property
    def absent(self) -> bool:
        """Whether there is nothing to add to the loss."""
        return bool(self.l1 == 0 and self.max_eigenvalue == np.inf)

    def checked(self) -> "Penalty":
        """Return the penalty; raises `ValueError` for a negative one or an empty box."""
        if not 0 <= self.l1 < np.inf:
            raise ValueError(
                f"`l1` was expected to be a finite number of at least 0; got {self.l1!r}."
            )
        if not self.max_eigenvalue > 0:
            raise ValueError(
                "`max_eigenvalue` was expected to be positive (infinity for no cap); "
                f"got {self.max_eigenvalue!r}."
            )
        return self

    def value(self, K: Float[np.ndarray, "d d"]) -> float:
        """Return the L1 part."""
        return self.l1 * float(np.abs(K).sum() - np.abs(np.diag(K)).sum())


def l1_max(
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 0.0,
    smoothing: float = 0.0,
) -> float:
    """Return the smallest ``l1`` at which no two columns of a table are joined.

    With c_i the share of the weight of the rows that saw column i, z standardised values and zero
    in the holes, the diagonal solution is k_i = c_i / (c_i + ``ridge``), with
    ``c_i (1 + smoothing)`` in place of c_i below the line. It is stationary when
    |½ (k_i + k_j) Σ w z_i z_j / Σ w| ≤ l1 for all pairs, the same for marginal score matching, for
    EM (without ``smoothing``) and for complete data; the answer is rounded up by 1e-5 of itself.
    A cap on the eigenvalues below 1 may leave the solution diagonal at smaller values too.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows; values in holes are ignored.
    observed : ndarray of shape (n, d)
        True where a value was seen.
    weights : ndarray of shape (n,), optional
        Non-negative row weights; by default 1.
    ridge, smoothing : float, default=0.0
        Those of the fit.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a column was never seen.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0], [6.0, np.nan]])
    >>> round(l1_max(X, ~np.isnan(X)), 3)
    0.274
    """
    table, _, scale = group_by_pattern(X, observed, weights).standardised()
    total = table.weight.sum()
    share = table.weight @ table.observed / total
    k = share / (share * (1 + smoothing / scale**2) + ridge)
    products = table.rows.T @ table.rows / total
    np.fill_diagonal(products, 0.0)
    return (1 + MARGIN) * float(np.abs((k[:, None] + k) / 2 * products).max(initial=0.0))
