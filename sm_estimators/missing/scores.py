"""Score functions of a row that know the diagonal of their Jacobian.

Differentiating log (1/r) Σ_k exp ℓ_k twice by automatic differentiation costs d passes through
all draws, forwards and backwards. The formulas below need the score s and the curvature h of the
density at the completed rows only, and are shared by every rule that integrates holes out: with
the weights w = softmax(ℓ),

    ∂_j log Σ = E_w s_j,    ∂_j² log Σ = E_w h_j + Var_w s_j.

As an objective calls a score function like any other, nothing else changes.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import softmax
from jaxtyping import Array, Float

from sm_estimators._typing import LogDensityFn, Params, Point, Scalar, ScoreFn
from sm_estimators.densities import (
    AbstractDensity,
    marginalise,
    mixed_score,
    score_and_curvature,
)
from sm_estimators.missing.selection import LogPropensity


@dataclass(frozen=True)
class DensityScore:
    """The score of a whole row; with ``log_propensity``, of a row that shows its pattern."""

    density: AbstractDensity
    params: Params
    observed: Any = None
    log_propensity: LogPropensity | None = None

    def log_density(self, x: Point) -> Scalar:
        """Return log q(x), plus log φ(observed | x) where a mechanism is given."""
        value = self.density.log_density(self.params, x)
        return (
            value if self.log_propensity is None else value + self.log_propensity(self.observed, x)
        )

    def __call__(self, x: Point) -> Point:
        """Return the score."""
        return jax.grad(self.log_density)(x)

    def with_curvature(self, x: Point) -> tuple[Point, Point]:
        """Return score and curvature."""
        score, curvature = self.density.score_and_curvature(self.params, x)
        if self.log_propensity is None:
            return score, curvature
        slope = jax.grad(lambda z: self.log_propensity(self.observed, z))  # type: ignore[misc]
        more, bend = score_and_curvature(slope, x)
        return score + more, curvature + bend


@dataclass(frozen=True)
class MarginalScore:
    """The score of what was seen of a row, its holes integrated out over weighted completions."""

    whole: DensityScore
    row: Any
    corrected: bool = False
    """Whether the curvature makes up for what few draws miss of the variance of the score."""

    @property
    def log_density(self) -> LogDensityFn:
        """Log (1/r) Σ_k exp ℓ_k as a function of the seen coordinates."""
        row = self.row
        return marginalise(self.whole.log_density, row.observed, row.completions, row.log_weights)

    def __call__(self, x: Point) -> Point:
        """Return the score."""
        return jax.grad(self.log_density)(x)

    def with_curvature(self, x: Point) -> tuple[Point, Point]:
        """Return score and curvature by the formulas of this module."""
        Z = jnp.where(self.row.observed, x, self.row.completions)
        log_ratios = jax.vmap(self.whole.log_density)(Z) + self.row.log_weights
        scores, curvatures = jax.vmap(self.whole.with_curvature)(Z)
        return marginal_derivatives(log_ratios, scores, curvatures, corrected=self.corrected)


@dataclass(frozen=True)
class KnownScore:
    """A score and its curvature at the one point where they will be asked for."""

    score: Any
    curvature: Any

    def __call__(self, x: Point) -> Point:
        """Return the score."""
        del x
        return self.score

    def with_curvature(self, x: Point) -> tuple[Point, Point]:
        """Return score and curvature."""
        del x
        return self.score, self.curvature


def marginal_derivatives(
    log_ratios: Float[Array, " r"],
    scores: Float[Array, "r d"],
    curvatures: Float[Array, "r d"],
    *,
    corrected: bool,
) -> tuple[Point, Point]:
    """Return score and curvature of log Σ exp ℓ_k from those of its terms.

    ``corrected`` adds to the curvature what makes ½s² + h, the loss of a coordinate, that of the
    marginal: half of :func:`missing_variance`.
    """
    weights = softmax(log_ratios)
    score, curvature = mixed_score(weights, scores, curvatures)
    if corrected:
        curvature = curvature + 0.5 * missing_variance(weights, scores)
    return score, curvature


def missing_variance(weights: Float[Array, " r"], scores: Float[Array, "r d"]) -> Point:
    """Return by how much independent weighted draws understate the variance of the scores.

    The plug-in variance under weights w has mean 1 − Σw² times the true one.
    """
    variance = weights @ scores**2 - (weights @ scores) ** 2
    lost = jnp.sum(weights**2)
    # With all the weight on one draw nothing is known about the variance: nothing is added.
    known = lost < 1 - 1e-6
    return jnp.where(known, variance * lost / jnp.where(known, 1 - lost, 1.0), 0.0)


@dataclass(frozen=True)
class TiltedScore:
    """A score with a constant vector added: the gradient of a log-propensity at the row."""

    score_fn: ScoreFn
    tilt: Any

    def __call__(self, x: Point) -> Point:
        """Return the score."""
        return self.score_fn(x) + self.tilt

    def with_curvature(self, x: Point) -> tuple[Point, Point]:
        """Return score and curvature."""
        score, curvature = score_and_curvature(self.score_fn, x)
        return score + self.tilt, curvature


def tilted(score_fn: ScoreFn, tilt: Any) -> ScoreFn:
    """Return the score with ``tilt`` added, unless it is None."""
    return score_fn if tilt is None else TiltedScore(score_fn, tilt)
