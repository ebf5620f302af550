"""Maximum likelihood for a mixture of Gaussians with holes, by expectation-maximisation.

Valid when values are missing at random, as the EM of one Gaussian is (Ghahramani and Jordan 1994).
Given the component, the holes of a row follow their regression on what was seen; the component
follows from the density of what was seen. Covariances are shrunk by the prior of Fraley and
Raftery (2007), worth one row of the whole table's covariance over k^(2/d), so that no component
collapses onto repeated values.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

from sm_estimators._patterns import HoleBlock, hole_blocks, sort_by_pattern
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing.gaussian_em import regressed

PRIOR_ROWS = 1.0
"""Rows that the prior of a covariance is worth."""
COMPONENTS = (2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 29, 38, 48)
LEAST_ROWS = 10
"""Rows per component that a table must have."""


@dataclass(frozen=True)
class Mixture:
    """Σ_k w_k N(μ_k, Σ_k).

    Parameters
    ----------
    weights : ndarray of shape (k,)
        Proportions.
    location : ndarray of shape (k, d)
        Means.
    covariance : ndarray of shape (k, d, d)
        Covariances, positive definite.
    """

    weights: Float[np.ndarray, " k"]
    location: Float[np.ndarray, "k d"]
    covariance: Float[np.ndarray, "k d d"]

    def log_joint(
        self, X: Float[np.ndarray, "n d"], observed: Bool[np.ndarray, "n d"]
    ) -> Float[np.ndarray, "n k"]:
        """Return log w_k + log N_k of what was seen of every row."""
        table = SortedTable(X, observed)
        joint = np.empty((len(X), len(self.weights)))
        joint[table.order] = joint_of(self.looks(table), self.weights)
        return joint

    def looks(self, table: "SortedTable") -> list["Look"]:
        """Return what every component makes of a table."""
        return [table.look(*moments) for moments in self._components()]

    def log_density(
        self, X: Float[np.ndarray, "n d"], observed: Bool[np.ndarray, "n d"]
    ) -> Float[np.ndarray, " n"]:
        """Return the log-density of what was seen of every row."""
        return np.asarray(logsumexp(self.log_joint(X, observed), axis=1))

    def draw(
        self,
        rng: np.random.Generator,
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
    ) -> Float[np.ndarray, "n d"]:
        """Fill the holes of every row with one draw given the rest."""
        joint = self.log_joint(X, observed)
        # The largest of independent Gumbel variables about log-weights falls by the weights.
        chosen = (joint + rng.gumbel(size=joint.shape)).argmax(axis=1)
        filled = np.where(observed, X, 0.0)
        for k, (location, covariance) in enumerate(self._components()):
            rows = chosen == k
            of_component = GaussianConditional(location, covariance)
            filled[rows] = of_component.draw(rng, X[rows], observed[rows])
        return filled

    def _components(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield means and covariances."""
        return zip(self.location, self.covariance, strict=True)


def single(location: np.ndarray, covariance: np.ndarray) -> Mixture:
    """Return the mixture of one Gaussian."""
    return Mixture(np.ones(1), location[None], covariance[None])


class Look(NamedTuple):
    """A table seen through one Gaussian, rows sorted by pattern."""

    residuals: np.ndarray
    """Rows minus the mean, the holes at their regressions, (n, d)."""
    hole_covariances: list[np.ndarray]
    """Conditional covariances of the holes of the patterns of every block."""
    log_density: np.ndarray
    """Of what was seen of every row, (n,)."""


class SortedTable:
    """Rows sorted by their pattern of holes; what is sorted is a copy."""

    def __init__(self, X: np.ndarray, observed: np.ndarray):
        self.order, self.starts = sort_by_pattern(observed)
        self.observed = observed[self.order]
        self.X = np.where(self.observed, X[self.order], 0.0)
        self.sizes = np.diff(self.starts)

    @cached_property
    def blocks(self) -> list[HoleBlock]:
        """Patterns with equally many holes."""
        return list(hole_blocks(self.observed[self.starts[:-1]], self.starts))

    def look(self, location: np.ndarray, covariance: np.ndarray) -> Look:
        """Complete every row by one Gaussian, and return the density of what was seen."""
        K = np.linalg.inv(covariance)
        U = np.where(self.observed, self.X - location, 0.0)
        log_det = np.full(len(self.sizes), -np.linalg.slogdet(K)[1])
        covariances = []
        for block, C, log_det_mm in regressed(self.blocks, K, U):
            covariances.append(C)
            log_det[block.patterns] += log_det_mm
        squares = np.einsum("nd,nd->n", U @ K, U)
        n_seen = self.observed.sum(axis=1)
        constant = n_seen * np.log(2 * np.pi) + np.repeat(log_det, self.sizes)
        return Look(U, covariances, -0.5 * (squares + constant))

    def spread(self, covariances: list[np.ndarray], share: np.ndarray) -> np.ndarray:
        """Add up the conditional covariances of all rows, weighed by a share per row."""
        total = np.add.reduceat(share, self.starts[:-1])
        d = self.X.shape[1]
        return sum(
            (
                block.embedded_sum(total[block.patterns, None, None] * C, d)
                for block, C in zip(self.blocks, covariances, strict=True)
            ),
            np.zeros((d, d)),
        )


def mixture_em(
    rng: np.random.Generator,
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    n_components: int,
    *,
    pooled: tuple[np.ndarray, np.ndarray],
    weights: Float[np.ndarray, " n"] | None = None,
    ridge: float = 1e-4,
    tol: float = 1e-4,
    max_iter: int = 200,
) -> Mixture:
    """Fit a mixture of Gaussians to a table with holes, from the clusters of k-means.

    Parameters
    ----------
    rng : Generator
        Of k-means, and of the completions that it clusters.
    X : ndarray of shape (n, d)
        Rows; values in holes are ignored.
    observed : ndarray of shape (n, d)
        True where a value was seen.
    n_components : int
        Number of Gaussians, at most the number of rows.
    pooled : (ndarray, ndarray)
        Mean and covariance of the whole table
        (:func:`~sm_estimators.missing.gaussian_em.gaussian_em`), for the start and the prior.
    weights : ndarray of shape (n,), optional
        Non-negative row weights; by default 1. Only their ratios matter.
    ridge : float, default=1e-4
        Added to the variances of every component, as a share of the columns' own.
    tol : float, default=1e-4
        Stop when a step adds less than this to the mean log-likelihood, in nats.
    max_iter : int, default=200
        Most steps.

    Returns
    -------
    Mixture

    References
    ----------
    Ghahramani and Jordan (1994), Supervised learning from incomplete data via an EM approach.
    Fraley and Raftery (2007), Bayesian regularization for normal mixture estimation.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-1, 0.1, (100, 2)), rng.normal(1, 0.1, (400, 2))])
    >>> pooled = X.mean(axis=0), np.cov(X, rowvar=False)
    >>> mixture = mixture_em(rng, X, rng.random(X.shape) > 0.2, 2, pooled=pooled)
    >>> sorted(mixture.weights.round(1).tolist())
    [0.2, 0.8]
    """
    table = SortedTable(X, observed)
    weight = (np.ones(len(X)) if weights is None else weights)[table.order]
    weight = weight / weight[weight > 0].mean()  # so that the prior is worth a row
    prior = pooled[1] / n_components ** (2 / X.shape[1])
    floor = ridge * np.diag(np.diag(pooled[1]))
    start = GaussianConditional(*pooled).draw(rng, table.X, table.observed) - pooled[0]
    shares = weight * clusters(rng, start / np.sqrt(np.diag(pooled[1])), n_components)
    moments = [maximised(start, 0.0, share, pooled[0], prior) for share in shares]
    height = -np.inf
    for _ in range(max_iter):
        location, covariance = (np.stack(parts) for parts in zip(*moments, strict=True))
        proportions = np.maximum(shares.sum(axis=1), 1e-12)
        mixture = Mixture(proportions / proportions.sum(), location, covariance + floor)
        looks = mixture.looks(table)
        joint = joint_of(looks, mixture.weights)
        total = np.asarray(logsumexp(joint, axis=1))
        last, height = height, float(np.average(total, weights=weight))
        if height - last < tol:
            break
        shares = weight * np.exp(joint - total[:, None]).T
        moments = [
            expected(table, look, share, centre, prior)
            for look, share, centre in zip(looks, shares, location, strict=True)
        ]
    return mixture


def clusters(
    rng: np.random.Generator, Z: Float[np.ndarray, "n d"], k: int
) -> Bool[np.ndarray, "k n"]:
    """Return which rows are in which cluster of k-means."""
    with warnings.catch_warnings():  # an empty cluster takes the prior for its covariance
        warnings.simplefilter("ignore")
        labels = kmeans2(Z, k, minit="++", rng=rng)[1]
    return labels == np.arange(k)[:, None]


def joint_of(looks: list[Look], weights: np.ndarray) -> Float[np.ndarray, "n k"]:
    """Return log w_k + log N_k of sorted rows."""
    return np.stack([look.log_density for look in looks], axis=1) + np.log(weights)


def expected(
    table: SortedTable, look: Look, share: np.ndarray, centre: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the next mean and covariance of the component of a look."""
    spread = table.spread(look.hole_covariances, share)
    return maximised(look.residuals, spread, share, centre, prior)


def maximised(
    residuals: np.ndarray,
    spread: np.ndarray | float,
    share: np.ndarray,
    location: np.ndarray,
    prior: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and covariance of weighed residuals about a location, and of the prior."""
    total = share.sum()
    shift = share @ residuals / max(total, 1e-12)
    scatter = (residuals * share[:, None]).T @ residuals - total * np.outer(shift, shift) + spread
    return location + shift, (scatter + PRIOR_ROWS * prior) / (total + PRIOR_ROWS)


def grown_mixture(
    rng: np.random.Generator,
    X: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    held_out: Bool[np.ndarray, " n"],
    *,
    pooled: tuple[np.ndarray, np.ndarray],
    weights: Float[np.ndarray, " n"],
    most: int,
    ridge: float = 1e-4,
    patience: int = 2,
) -> Mixture:
    """Return the mixture, of one Gaussian or more, that says most of rows held out.

    Numbers of components grow by a third or so until ``patience`` of them brought nothing. Where
    the gain over one Gaussian is below two standard errors, one Gaussian it is.

    Parameters
    ----------
    rng, X, observed, pooled, weights, ridge
        As for :func:`mixture_em`.
    held_out : ndarray of shape (n,)
        Rows that are not fitted to.
    most : int
        Most components.
    patience : int, default=2
        Numbers that may bring nothing.
    """
    kept = ~held_out & (weights > 0)
    fitted = X[kept], observed[kept]
    judges = X[held_out], observed[held_out]
    alone = single(*pooled)
    first = alone.log_density(*judges)
    best, height, fruitless = alone, first, 0
    for k in (k for k in COMPONENTS if k <= min(most, kept.sum() // LEAST_ROWS)):
        mixture = mixture_em(rng, *fitted, k, pooled=pooled, weights=weights[kept], ridge=ridge)
        values = mixture.log_density(*judges)
        if np.average(values - height, weights=weights[held_out]) > 0:
            best, height, fruitless = mixture, values, 0
        else:
            fruitless += 1
        if fruitless == patience:
            break
    share = weights[held_out] / weights[held_out].sum()
    gain = share @ (height - first)
    error = np.sqrt(share**2 @ (height - first - gain) ** 2)
    return best if gain > 2 * error else alone
