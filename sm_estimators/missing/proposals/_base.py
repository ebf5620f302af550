"""What a proposal is.

A proposal says where the draws z_k ~ π(· | x_observed) of the holes of a row come from. It is a
spec with two host functions: ``start`` learns a *state* from the table before the fit (by default
the moments of a Gaussian fitted to it), and ``draw`` returns completions of every row with their
log-densities. A proposal that can follow the model while it is fitted overrides ``refit``, which
moves its state towards the conditional of the current density, or ``redraw``, where draws follow
from the draws before.

Constants per row in the log-density cancel and may be left out.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity, Box


class Placed(NamedTuple):
    """The rows that holes are drawn for, and where they lie.

    ``X`` (n, d), values in holes ignored; ``observed`` (n, d); ``weight`` (n,); ``moments`` the
    mean and covariance of a Gaussian fitted to them; ``support`` the box draws must stay in, or
    None; ``tilt`` (n, d) what the mechanism adds to the score of every row, or None.
    """

    X: Float[np.ndarray, "n d"]
    observed: Bool[np.ndarray, "n d"]
    weight: Float[np.ndarray, " n"]
    moments: tuple[np.ndarray, np.ndarray]
    support: Box | None = None
    tilt: np.ndarray | None = None


class Draws(NamedTuple):
    """Completions (n, r, d) of every row, and the log-density (n, r) with which they were drawn."""

    completions: np.ndarray
    log_density: np.ndarray


class AbstractProposal(ABC):
    """Where the draws of the holes come from."""

    drawn_from_model: ClassVar[bool] = False
    """Whether draws are those of the current density itself: good near its parameters only."""

    def start(self, rng: np.random.Generator, table: Placed) -> Any:
        """Return the state before the fit."""
        del rng
        return table.moments

    @abstractmethod
    def draw(self, rng: np.random.Generator, state: Any, table: Placed, n_draws: int) -> Draws:
        """Return ``n_draws`` completions of every row."""

    def refit(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        *,
        completions: np.ndarray,
        log_weights: np.ndarray,
    ) -> Any:
        """Return the state after following the density; by default it stays.

        ``completions`` and ``log_weights``, normalised at ``params``, are the last draws.
        """
        del rng, density, params, table, completions, log_weights
        return state

    def redraw(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        *,
        completions: np.ndarray,
        log_weights: np.ndarray,
    ) -> tuple[Any, Draws]:
        """Return the state that follows the density, and new draws from it."""
        last = {"completions": completions, "log_weights": log_weights}
        state = self.refit(rng, state, density, params, table, **last)
        return state, self.draw(rng, state, table, completions.shape[1])
