"""The conditional of a Gaussian, whatever the pattern of holes.

With K = Σ⁻¹, m the holes and o the rest of a row, the holes given the rest are Gaussian with
covariance K_mm⁻¹ and mean μ_m − K_mm⁻¹ K_mo (x_o − μ_o). One joint Gaussian so serves all 2^d
patterns, and for a Gaussian model its conditional is the exact proposal. Host code: NumPy in,
NumPy out, float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import gammaln, log_ndtr, ndtr, ndtri, ndtri_exp

from sm_estimators._patterns import HoleBlock, hole_blocks, sort_by_pattern


class ConditionalBlock(NamedTuple):
    """The conditional law of some rows with equally many holes."""

    block: HoleBlock
    rows: np.ndarray
    """Rows of the table, (m,)."""
    centre: np.ndarray
    """Conditional means of the holes, (m, k)."""
    inverse_factor: np.ndarray
    """L⁻¹ of K_mm = L Lᵀ, one per pattern, (c, k, k)."""
    log_factor: np.ndarray
    """log det L of each row, (m,)."""


@dataclass(frozen=True)
class GaussianConditional:
    """The law of the holes of a row given what was seen of it, under N(μ, Σ).

    Parameters
    ----------
    location : ndarray of shape (d,)
        μ.
    covariance : ndarray of shape (d, d)
        Σ, positive definite.

    Raises
    ------
    ValueError
        On first use, if ``covariance`` is not positive definite.

    Examples
    --------
    >>> conditional = GaussianConditional(np.zeros(2), np.array([[1.0, 0.5], [0.5, 1.0]]))
    >>> X = np.array([[2.0, np.nan]])
    >>> conditional.mean(X, ~np.isnan(X)).tolist()
    [[2.0, 1.0]]
    """

    location: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]

    @cached_property
    def precision(self) -> Float[np.ndarray, "d d"]:
        """K = Σ⁻¹, computed once."""
        try:
            inverse_factor = np.linalg.inv(np.linalg.cholesky(self.covariance))
        except np.linalg.LinAlgError:
            smallest = np.linalg.eigvalsh(self.covariance)[0]
            raise ValueError(
                "`covariance` was expected to be positive definite, but its smallest eigenvalue "
                f"is {smallest:.3g}. Add a small multiple of the identity (a ridge) to it."
            ) from None
        return inverse_factor.T @ inverse_factor

    def mean(
        self, X: Float[np.ndarray, "n d"], observed: Bool[np.ndarray, "n d"]
    ) -> Float[np.ndarray, "n d"]:
        """Fill the holes of every row with their regression on the rest; seen values are kept."""
        filled = np.where(observed, X, 0.0)
        for part in self._parts(X, observed):
            filled[part.rows[:, None], part.block.row_holes] = part.centre
        return filled

    def factors(self, observed: Bool[np.ndarray, "n d"]) -> Float[np.ndarray, "n d d"]:
        """Return a factor of the conditional covariance of every row, zero outside its holes."""
        hole = ~observed
        both = hole[:, :, None] & hole[:, None, :]
        masked = np.where(both, self.precision, np.eye(observed.shape[1]))
        return np.where(both, np.linalg.cholesky(np.linalg.inv(masked)), 0.0)

    def draw(
        self,
        rng: np.random.Generator,
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        inflation: float = 1.0,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Float[np.ndarray, "n d"]:
        """Fill the holes of every row with one draw given the rest.

        ``inflation`` multiplies the conditional covariance; ``bounds`` are those of
        :meth:`propose`.
        """
        if bounds is not None:
            return self.propose(rng, X, observed, 1, inflation, bounds=bounds)[0][:, 0]
        normals = rng.standard_normal((len(X), 1, X.shape[1]))
        return self._complete(normals, X, observed, inflation)[0][:, 0]

    def propose(
        self,
        rng: np.random.Generator,
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        n_draws: int,
        inflation: float = 1.5,
        degrees_of_freedom: float = np.inf,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[Float[np.ndarray, "n r d"], Float[np.ndarray, "n r"]]:
        """Draw completions of every row, with their log proposal densities.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        X : ndarray of shape (n, d)
            Rows; values in holes are ignored.
        observed : ndarray of shape (n, d)
            True where a value was seen.
        n_draws : int
            Completions per row, r.
        inflation : float, default=1.5
            Multiplies the conditional covariance.
        degrees_of_freedom : float, default=inf
            When finite, draw from the multivariate t with the inflated covariance as its scale
            matrix.
        bounds : pair of ndarray of shape (d,), optional
            Lower and upper bounds that no draw may pass. The holes of a row are then drawn in
            turn, each from its normal given those before it, cut at the bounds (Geweke 1991;
            Hajivassiliou and McFadden 1998).

        Returns
        -------
        completions : ndarray of shape (n, r, d)
            Seen values in their cells, draws in the holes.
        log_proposal : ndarray of shape (n, r)
            Normalised log density of the drawn holes; 0 for a complete row.
        """
        n, d = X.shape
        # Stratified (Latin hypercube; McKay, Beckman and Conover 1979): in every hole the draws of
        # a row are one from each of n_draws equally likely intervals.
        strata = rng.permuted(np.tile(np.arange(n_draws)[:, None], (n, 1, d)), axis=1)
        uniforms = (strata + rng.uniform(1e-12, 1 - 1e-12, strata.shape)) / n_draws
        if bounds is not None:
            return self._complete_within(uniforms, X, observed, inflation, bounds)
        normals = ndtri(uniforms)
        if np.isinf(degrees_of_freedom):
            return self._complete(normals, X, observed, inflation)
        mixing = rng.chisquare(degrees_of_freedom, (n, n_draws)) / degrees_of_freedom
        normals /= np.sqrt(mixing)[:, :, None]
        return self._complete(normals, X, observed, inflation, degrees_of_freedom)

    def propose_common(
        self,
        normals: Float[np.ndarray, "r d"],
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        inflation: float = 1.5,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[Float[np.ndarray, "n r d"], Float[np.ndarray, "n r"]]:
        """Complete every row from the same standard normals, as :meth:`propose` does.

        The completions of a row depend on that row alone, not on its place in the table.
        """
        shared = np.broadcast_to(normals, (len(X), *normals.shape))
        if bounds is not None:
            return self._complete_within(ndtr(shared), X, observed, inflation, bounds)
        return self._complete(shared, X, observed, inflation)

    def _complete(
        self,
        noise: Float[np.ndarray, "n r d"],
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        inflation: float,
        degrees_of_freedom: float = np.inf,
    ) -> tuple[Float[np.ndarray, "n r d"], Float[np.ndarray, "n r"]]:
        """Turn standard noise in the holes into completions and their log densities."""
        r = noise.shape[1]
        completions = np.repeat(np.where(observed, X, 0.0)[:, None, :], r, axis=1)
        log_proposal = np.zeros((len(X), r))
        draws = np.arange(r)[:, None]
        for part in self._parts(X, observed, width=r):
            place = part.rows[:, None, None], draws, part.block.row_holes[:, None, :]
            z = noise[place]
            spread = part.block.rowwise(part.inverse_factor.swapaxes(1, 2), z)
            completions[place] = part.centre[:, None, :] + np.sqrt(inflation) * spread
            log_scale = part.log_factor - 0.5 * z.shape[2] * np.log(inflation)
            log_noise = _standard_log_density(z, degrees_of_freedom)
            log_proposal[part.rows] = log_scale[:, None] + log_noise
        return completions, log_proposal

    def _complete_within(
        self,
        uniforms: Float[np.ndarray, "n r d"],
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        inflation: float,
        bounds: tuple[np.ndarray, np.ndarray],
    ) -> tuple[Float[np.ndarray, "n r d"], Float[np.ndarray, "n r"]]:
        """Turn uniform numbers in the holes into completions within bounds.

        The factor L⁻ᵀ of a conditional covariance is upper triangular: a hole depends on the
        noise of the holes after it, so they are drawn from the last to the first.
        """
        r = uniforms.shape[1]
        completions = np.repeat(np.where(observed, X, 0.0)[:, None, :], r, axis=1)
        log_proposal = np.zeros((len(X), r))
        for part in self._parts(X, observed, width=r):
            holes = part.block.row_holes
            factor = np.sqrt(inflation) * part.inverse_factor.swapaxes(1, 2)[part.block.owner]
            noise = np.zeros((len(holes), r, holes.shape[1]))
            for j in range(holes.shape[1] - 1, -1, -1):
                centre = part.centre[:, j, None] + np.einsum("mrk,mk->mr", noise, factor[:, j])
                width = factor[:, j, j, None]
                ends = [(b[holes[:, j]][:, None] - centre) / width for b in bounds]
                u = uniforms[part.rows, :, holes[:, j]]
                noise[:, :, j], log_density = truncated_normal(u, *ends)
                drawn = np.clip(
                    centre + width * noise[:, :, j], *(b[holes[:, [j]]] for b in bounds)
                )
                completions[part.rows, :, holes[:, j]] = drawn
                log_proposal[part.rows] += log_density - np.log(width)
        return completions, log_proposal

    def _parts(
        self, X: np.ndarray, observed: np.ndarray, width: int = 1
    ) -> Iterator[ConditionalBlock]:
        """Yield the conditional laws of all rows with holes, many patterns at a time."""
        order, starts = sort_by_pattern(observed)
        K = self.precision
        for block in hole_blocks(observed[order[starts[:-1]]], starts, width):
            if not block.holes.shape[1]:
                continue
            rows, holes = order[block.rows], block.row_holes
            L = np.linalg.cholesky(block.submatrices(K))
            inverse = np.linalg.inv(L)
            residual = np.where(observed[rows], X[rows] - self.location, 0.0)
            pull = np.take_along_axis(residual @ K, holes, axis=1)[:, None, :]
            step = block.rowwise(inverse.swapaxes(1, 2), block.rowwise(inverse, pull))
            log_factor = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)[block.owner]
            yield ConditionalBlock(
                block, rows, self.location[holes] - step[:, 0], inverse, log_factor
            )


def truncated_normal(
    uniform: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return standard normals between two bounds by inversion, with their log densities.

    Computed in the tail that the interval lies in, where no digits are lost.
    """
    flip = lower > 0  # the upper tail is the mirror image of the lower one
    a, b = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    log_a, log_b = log_ndtr(a), log_ndtr(b)
    share = np.exp(np.minimum(log_a - log_b, 0.0))
    log_mass = log_b + np.log1p(-np.minimum(share, 1 - 1e-15))
    z = np.clip(ndtri_exp(log_b + np.log(share + uniform * (1 - share))), a, b)
    return np.where(flip, -z, z), -0.5 * (z**2 + np.log(2 * np.pi)) - log_mass


def _standard_log_density(
    z: Float[np.ndarray, "m r k"], degrees_of_freedom: float
) -> Float[np.ndarray, "m r"]:
    """Return the log density of standard normal or standard multivariate t vectors."""
    k, nu = z.shape[2], degrees_of_freedom
    square = np.einsum("mrk,mrk->mr", z, z)
    if np.isinf(nu):
        return -0.5 * (square + k * np.log(2 * np.pi))
    constant = gammaln((nu + k) / 2) - gammaln(nu / 2) - 0.5 * k * np.log(nu * np.pi)
    return constant - 0.5 * (nu + k) * np.log1p(square / nu)
