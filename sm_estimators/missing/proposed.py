"""Rules that work on draws of the holes."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, softmax
from jaxtyping import Array, Float

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._precision import cast, double_precision
from sm_estimators._spec import static
from sm_estimators._typing import LogDensityFn, Objective, Params, PRNGKey, Scalar, ScoreFn
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing._base import AbstractMissing, Rows
from sm_estimators.missing.proposals import AbstractProposal, GaussianProposal, Placed
from sm_estimators.missing.scores import (
    DensityScore,
    MarginalScore,
    missing_variance,
    tilted,
)
from sm_estimators.missing.selection import LogPropensity


@dataclass(frozen=True)
class AbstractProposed(AbstractMissing):
    """A rule that works on draws z_k ~ π(· | x_observed), held fixed during an optimisation.

    Its log weights are ``log_ratios``: log q(x_observed, z_k) − log π(z_k | x_observed), plus
    log φ(observed | x_observed, z_k) where a mechanism is given. A concrete rule says what to do
    with the draws.
    """

    n_draws: int = static(default=20)
    proposal: Any = GaussianProposal()  # noqa: RUF009 (a frozen spec)
    n_refreshes: int = static(default=0)
    log_propensity: Any = None

    def __post_init__(self):
        if callable(self.log_propensity) and not isinstance(self.log_propensity, LogPropensity):
            object.__setattr__(self, "log_propensity", LogPropensity(self.log_propensity))
        if self.n_draws < 1:
            raise ValueError(f"`n_draws` must be at least 1; got {self.n_draws}.")
        if self.n_refreshes < 0:
            raise ValueError(f"`n_refreshes` must be at least 0; got {self.n_refreshes}.")
        if not isinstance(self.proposal, AbstractProposal):
            raise TypeError(
                "`proposal` must be a proposal such as GaussianProposal(inflation=2.0); got "
                f"{self.proposal!r}."
            )

    @property
    def refreshes_first(self) -> bool:  # type: ignore[override]
        """Whether draws must follow the model before the first optimisation."""
        return self.n_refreshes > 0 and self.proposal.drawn_from_model

    @property
    def inner_iterations(self) -> int | None:  # type: ignore[override]
        """How far one optimisation may go."""
        if not self.proposal.drawn_from_model:
            return None
        return 3 if self.iterative else 10

    def prepare(self, rng: np.random.Generator, table: Placed) -> Rows:
        """Draw the holes of every row; log weights are −log π."""
        draws = self.proposal.draw(rng, self.start(rng, table), table, self.n_draws)
        filled = np.where(table.observed, table.X, 0.0)
        completions, log_weights = draws.completions, -draws.log_density
        return Rows(filled, table.observed, completions, log_weights, table.weight, table.tilt)

    def start(self, rng: np.random.Generator, table: Placed) -> Any:
        """Return the state of the proposal before the fit."""
        return self.proposal.start(rng, table)

    def refresh(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        rows: Rows,
    ) -> tuple[Any, Rows]:
        """Let the proposal follow the density and draw anew."""
        weights = normalised_log_weights(self, density, params, rows)
        last = {"completions": rows.completions, "log_weights": weights}
        state, draws = self.proposal.redraw(rng, state, density, params, table, **last)
        return state, rows._replace(completions=draws.completions, log_weights=-draws.log_density)

    def whole(self, density: AbstractDensity, params: Params, row: Rows) -> DensityScore:
        """Return the density of a completed row, with that of its pattern where one is given."""
        return DensityScore(density, params, row.observed, self.log_propensity)

    def log_ratios(self, density: AbstractDensity, params: Params, row: Rows) -> Float[Array, " r"]:
        """Return the unnormalised log importance weight of every completion of a row."""
        whole = self.whole(density, params, row)
        return jax.vmap(whole.log_density)(row.completions) + row.log_weights

    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return log (1/r) Σ_k q(x_observed, z_k) / π(z_k | x_observed)."""
        return MarginalScore(self.whole(density, params, row), row).log_density

    def observed_score(self, density: AbstractDensity, params: Params, row: Rows) -> ScoreFn:
        """Return the gradient of that."""
        return MarginalScore(self.whole(density, params, row), row)


@dataclass(frozen=True)
class AbstractMarginal(AbstractProposed):
    """A rule that integrates holes out by weighted draws, corrected for their number.

    The loss of the average of r draws is not that of the marginal: it understates the variance of
    the score over the holes, by a share Σw² for independent draws with weights w, and a fit on
    few draws chases scores that vary with the holes. That share is added back.
    """

    bias_correction: bool = static(default=True)

    def loss(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Scalar:
        """Return the loss of the average over the draws, corrected for their number."""
        correct = self.bias_correction
        score = MarginalScore(
            self.whole(density, params, row),
            row,
            corrected=correct and objective.uses_curvature,  # type: ignore[attr-defined]
        )
        loss = objective(key, tilted(score, row.tilt), row.X, row.observed)
        if not correct or score.corrected:
            return loss
        g = objective.coordinate_weights(row.X)  # type: ignore[attr-defined]
        missed = self.missed(density, params, row)
        return loss + 0.5 * jnp.sum(jnp.where(row.observed, g * missed, 0.0))

    def missed(self, density: AbstractDensity, params: Params, row: Rows) -> Float[Array, " d"]:
        """Return what few draws miss of the variance of the score over the holes."""
        weights = softmax(self.log_ratios(density, params, row))
        scores = jax.vmap(self.whole(density, params, row))(row.completions)
        return missing_variance(weights, scores)


@double_precision
def normalised_log_weights(
    rule: AbstractMissing, density: AbstractDensity, params: Params, rows: Rows
) -> np.ndarray:
    """Return the normalised log weights (n, r) of all completions."""
    rule, density, params = cast((rule, density, params), np.float64)
    return map_rows(
        lambda chunk: _normalised_log_weights(rule, density, params, chunk),
        rows,
        max_rows=rows_within(rows.completions[0].size),
    )


@jax.jit
def _normalised_log_weights(rule, density, params, rows):
    return jax.vmap(lambda row: log_softmax(rule.log_ratios(density, params, row)))(rows)
