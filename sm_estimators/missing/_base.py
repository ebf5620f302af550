"""What a missing-data rule is.

A rule is a spec that turns the density of a whole row into the density of what was seen of it:
``observed_log_density(density, params, row)``. The loss of a row is then the objective at the
score of that density; no objective knows about holes beyond the ``observed`` flags.

A rule that fills holes in rather than integrating them out (an EM) overrides ``loss`` instead, and
``expectation``, which freezes what the current parameters say about the holes. A rule states in
``valid_under`` for which mechanisms its loss is consistent, and in ``prepare`` what it needs to
know of every row before the fit: fixed draws of the holes, made once, so that the loss is a
deterministic function of the parameters. A rule whose draws follow the model makes new ones
between two optimisations, in ``refresh``, ``n_refreshes`` times; the rounds are averaged.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from sm_estimators._typing import LogDensityFn, Objective, Params, PRNGKey, Scalar, ScoreFn
from sm_estimators.densities import AbstractDensity, stein_score
from sm_estimators.missing.proposals import Placed
from sm_estimators.missing.scores import tilted


class Rows(NamedTuple):
    """A table ready for a fit; without the leading axis n, one row of it.

    NumPy arrays outside compiled code, JAX arrays inside: ``X`` (n, d), zero in its holes,
    ``observed`` (n, d), ``completions`` (n, r, d), r filled-in copies of each row, ``log_weights``
    (n, r), their unnormalised log weights, ``weight`` (n,), and ``tilt`` (n, d), what the
    mechanism adds to the score of the seen part, or None. r = 0 where a rule needs none.
    """

    X: Any
    observed: Any
    completions: Any
    log_weights: Any
    weight: Any
    tilt: Any = None


class AbstractMissing(ABC):
    """A rule for rows with holes."""

    valid_under: ClassVar[frozenset[str]]
    """Mechanisms under which the rule is consistent: a subset of {"mcar", "mar"}."""
    iterative: ClassVar[bool] = False
    """Whether the loss depends on frozen earlier parameters through ``expectation``."""
    fills_in: ClassVar[bool] = False
    """Whether the loss is that of completed rows, not of what was seen of them."""
    n_refreshes: int = 0
    """How often draws are made anew between two optimisations, at most."""
    refreshes_first: bool = False
    """Whether draws must follow the model before the first optimisation."""
    inner_iterations: int | None = None
    """Most iterations between two refreshes, where draws are good near their model only."""

    def keeps(self, observed: Bool[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Return which rows take part: by default those with anything seen."""
        return np.any(observed, axis=1)

    def prepare(self, rng: np.random.Generator, table: Placed) -> Rows:
        """Return the rows with what the rule needs to know of their holes; no draws by default."""
        del rng
        n, d = table.X.shape
        filled = np.where(table.observed, table.X, 0.0)
        nothing = np.zeros((n, 0, d)), np.zeros((n, 0))
        return Rows(filled, table.observed, *nothing, table.weight, table.tilt)

    def start(self, rng: np.random.Generator, table: Placed) -> Any:
        """Return the state of what makes the draws, before the fit; None where nothing does."""
        del rng, table

    def refresh(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        rows: Rows,
    ) -> tuple[Any, Rows]:
        """Return the state and the rows with draws that follow the density; by default no new."""
        del rng, density, params, table
        return state, rows

    @abstractmethod
    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return the log-density of the seen coordinates, a function of a full-length row."""

    def observed_score(self, density: AbstractDensity, params: Params, row: Rows) -> ScoreFn:
        """Return the gradient of the log-density of the seen coordinates."""
        return stein_score(self.observed_log_density(density, params, row))

    def log_ratios(self, density: AbstractDensity, params: Params, row: Rows) -> Float[Array, " r"]:
        """Return the unnormalised log weights of the completions of a row."""
        del density, params
        return row.log_weights

    def expectation(self, density: AbstractDensity, params: Params, row: Rows) -> Rows:
        """Return the row with what ``params`` say about its holes, frozen."""
        del density, params
        return row

    def loss(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Scalar:
        """Return the loss of one row."""
        score_fn = tilted(self.observed_score(density, params, row), row.tilt)
        return objective(key, score_fn, row.X, row.observed)

    def estimating_function(
        self,
        key: PRNGKey,
        objective: Objective,
        density: AbstractDensity,
        params: Params,
        row: Rows,
    ) -> Params:
        """Return ψ of one row: a fit without a penalty solves Σ_i w_i ψ_i(θ) = 0.

        By default the gradient of the loss in the parameters. A rule whose loss is minimised with
        something frozen at the same parameters returns it unfrozen: standard errors need the
        derivative of ψ, in everything that moves with θ.
        """
        return jax.grad(lambda p: self.loss(key, objective, density, p, row))(params)
