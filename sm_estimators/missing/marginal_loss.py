"""The loss of marginal score matching for the Gaussian, in closed form.

The marginal score of what was seen of a row (Givens, Liu and Reeve 2025) is linear for a
Gaussian: −A (x − μ) on the seen columns o, with A = (Σ_oo)⁻¹. With S the scatter about μ of the
rows of a pattern, the explicit loss per unit of weight is

    L(μ, K) = Σ w [½ tr(A S A) − tr A] / Σ w,      Σ = K⁻¹,

and with B = Σ_{:,o} A its gradients are

    dL/dK = Σ w B [½ (S A + A S) − I] Bᵀ / Σ w,    dL/dμ = −Σ w A² (x̄ − μ) / Σ w.

With m the holes and E the matrix K_mm⁻¹ put into zeros, A = K − K E K, so that only blocks as
large as the number of holes are inverted and multiplied. Valid when values are missing
completely at random.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sm_estimators._patterns import HoleBlock, PatternTable
from sm_estimators.missing.sparse_precision import inverse


class MarginalLoss(NamedTuple):
    """The loss, its gradients, and its second derivative in μ, Σ w A² / Σ w."""

    value: float
    location: Float[np.ndarray, " d"]
    precision: Float[np.ndarray, "d d"]
    location_curvature: Float[np.ndarray, "d d"]


def gaussian_marginal_loss(
    location: Float[np.ndarray, " d"],
    precision: Float[np.ndarray, "d d"],
    table: PatternTable,
    noise: Float[np.ndarray, " d"] | None = None,
) -> float:
    """Return L(μ, K), per unit of weight; ``noise`` is the variance added to each column."""
    return gaussian_marginal_gradient(location, precision, table, noise).value


def gaussian_marginal_gradient(
    location: Float[np.ndarray, " d"],
    precision: Float[np.ndarray, "d d"],
    table: PatternTable,
    noise: Float[np.ndarray, " d"] | None = None,
) -> MarginalLoss:
    """Return L(μ, K) with its gradients; that in K is symmetric, of the form dL = tr(G dK)."""
    total, K = table.weight.sum(), precision
    scores, squares, (E, ENE, *noisy) = _pattern_sums(location, K, table, noise)
    KEN = K @ E @ K @ K
    A = total * K - K @ E @ K
    AA = total * K @ K - KEN - KEN.T + K @ ENE @ K
    value = 0.5 * np.vdot(scores, scores) - np.trace(A)
    inner = scores.T @ squares - AA
    if noise is not None:
        EJE, EJKE, EJENE = noisy
        J = (K * noise) @ K
        value += 0.5 * noise @ np.diag(AA)
        left = total * J - J @ E @ K - J @ K @ E + J @ ENE - K @ E @ J
        inner += (left + K @ (EJE @ K + EJKE - EJENE)) @ K
    covariance = inverse(K)
    G = covariance @ (inner + inner.T) @ covariance / (2 * total)
    return MarginalLoss(float(value / total), -table.root_weight @ squares / total, G, AA / total)


def _pattern_sums(
    location: np.ndarray, K: np.ndarray, table: PatternTable, noise: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A v and A² v for every row v, and weighted sums over the patterns.

    The sums are those of E and E K² E; with ``noise`` D and J = K D K, of E J E, E J K E and
    E J E K² E too: all that A, A² and A D A² consist of.
    """
    scores = table.residuals(location)
    squares = np.empty_like(scores)
    sums = np.zeros((2 if noise is None else 5, *K.shape))
    for block in table.blocks():
        C = np.linalg.inv(block.submatrices(K))
        scores[block.rows] = _marginal_product(K, C, block, scores[block.rows])
        squares[block.rows] = _marginal_product(K, C, block, scores[block.rows])
        CNC = C @ block.submatrices(K @ K) @ C
        terms = [C, CNC]
        if noise is not None:
            J = (K * noise) @ K
            CJ = C @ block.submatrices(J)
            terms += [CJ @ C, C @ block.submatrices(J @ K) @ C, CJ @ CNC]
        weight = table.weight[block.patterns, None, None]
        for i, term in enumerate(terms):
            sums[i] += block.embedded_sum(weight * term, len(K))
    return scores, squares, sums


def _marginal_product(K: np.ndarray, C: np.ndarray, block: HoleBlock, V: np.ndarray) -> np.ndarray:
    """Multiply the rows of V, zero in the holes, by the A of their patterns."""
    holes = block.row_holes
    filled = V.copy()
    t = np.take_along_axis(V @ K, holes, axis=1)[:, None, :]
    np.put_along_axis(filled, holes, -block.rowwise(C, t)[:, 0], axis=1)
    product = filled @ K
    np.put_along_axis(product, holes, 0.0, axis=1)
    return product
