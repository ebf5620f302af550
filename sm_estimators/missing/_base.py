"""What a missing-data rule is.

A rule is a spec that turns the density of a whole row into the density of what was seen of it:
``observed_log_density(density, params, row)``. The loss of a row is then the objective at the
score of that density; no objective knows about holes beyond the ``observed`` flags.

A rule that fills holes in rather than integrating them out (an EM) overrides ``loss`` instead, and
``expectation``, which freezes what the current parameters say about the holes. A rule states in
``valid_under`` for which mechanisms its loss is consistent, and in ``prepare`` what it needs to
know of every row before the fit: fixed draws of the holes, made once, so that the loss is a
deterministic function of the parameters.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from sm_estimators._typing import LogDensityFn, Objective, Params, PRNGKey, Scalar
from sm_estimators.densities import AbstractDensity, stein_score


class Rows(NamedTuple):
    """A table ready for a fit; without the leading axis n, one row of it.

    NumPy arrays outside compiled code, JAX arrays inside: ``X`` (n, d), zero in its holes,
    ``observed`` (n, d), ``completions`` (n, r, d), r filled-in copies of each row, ``log_weights``
    (n, r), their unnormalised log weights, and ``weight`` (n,). r = 0 where a rule needs none.
    """

    X: Any
    observed: Any
    completions: Any
    log_weights: Any
    weight: Any


class AbstractMissing(ABC):
    """A rule for rows with holes."""

    valid_under: ClassVar[frozenset[str]]
    """Mechanisms under which the rule is consistent: a subset of {"mcar", "mar"}."""
    iterative: ClassVar[bool] = False
    """Whether the loss depends on frozen earlier parameters through ``expectation``."""

    def keeps(self, observed: Bool[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Return which rows take part: by default those with anything seen."""
        return np.any(observed, axis=1)

    def prepare(
        self,
        rng: np.random.Generator,
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        weight: Float[np.ndarray, " n"],
        moments: tuple[np.ndarray, np.ndarray],
    ) -> Rows:
        """Return the rows with what the rule needs to know of their holes; no draws by default.

        ``moments`` are the mean and covariance of a Gaussian fitted to the table.
        """
        del rng, moments
        n, d = X.shape
        filled = np.where(observed, X, 0.0)
        return Rows(filled, observed, np.zeros((n, 0, d)), np.zeros((n, 0)), weight)

    @abstractmethod
    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return the log-density of the seen coordinates, a function of a full-length row."""

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
        log_density_fn = self.observed_log_density(density, params, row)
        return objective(key, stein_score(log_density_fn), row.X, row.observed)


def log_density_ratios(density: AbstractDensity, params: Params, row: Rows) -> Float[Array, " r"]:
    """Return the unnormalised log importance weight of every completion of a row."""
    return jax.vmap(lambda z: density.log_density(params, z))(row.completions) + row.log_weights
