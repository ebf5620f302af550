"""What a fit is given and what it returns.

A :class:`Problem` holds everything that defines the minimum: density, objective, missing-data rule
and rows. A :class:`Fit` holds where a solver got. Solvers are functions from the one to the other;
:func:`sm_estimators.fitting.fit.fit_density` chooses among them.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing import AbstractMissing, Placed, Rows
from sm_estimators.objectives import AbstractObjective


@dataclass(frozen=True)
class Settings:
    """How long and how hard to optimise; each solver reads what concerns it."""

    ridge: float = 1e-6
    l1: float = 0.0
    max_eigenvalue: float = float("inf")
    max_iter: int = 1000
    tol: float = 1e-6
    learning_rate: float = 1e-3
    batch_size: int = 256
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    ema_decay: float = 0.99
    verbose: int = 0


class Problem(NamedTuple):
    """A loss to minimise over the parameters of a density.

    ``table`` is what ``rows`` were prepared from: rules whose draws follow the density need it.
    """

    density: AbstractDensity
    objective: AbstractObjective
    rule: AbstractMissing
    rows: Rows
    initial: Params
    key: Any
    table: Placed | None = None


class Round(NamedTuple):
    """One optimisation of a fit whose draws are refreshed: how even the weights were after it."""

    effective_sample_size: float
    """Median over the rows with holes."""
    effective_sample_size_5_percent: float
    change: float
    """Largest change of a parameter against the round before, relative; NaN in the first."""
    loss: float
    """The last loss; NaN where the solver keeps none."""


@dataclass
class Fit:
    """Where a solver got.

    ``losses`` is the course of the loss (held-out where rows were held out), ``message`` says in
    a sentence why the solver stopped, ``interrupted`` that the user stopped it. ``moments`` are
    those of a Gaussian fitted to the same table, ``effective_sample_size`` the number of draws
    that the weights leave of each row with holes, ``n_holes`` how many holes these rows have,
    ``rounds`` the course of a fit whose draws are refreshed.
    """

    params: Params
    n_iter: int = 1
    converged: bool = True
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0))
    message: str = "solved in closed form"
    interrupted: bool = False
    moments: tuple[np.ndarray, np.ndarray] | None = None
    effective_sample_size: np.ndarray = field(default_factory=lambda: np.zeros(0))
    n_holes: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    rounds: tuple[Round, ...] = ()


def relative_change(old: Params, new: Params) -> float:
    """Return the largest change of a parameter, relative to the largest parameter."""
    before, after = (np.concatenate([np.ravel(a) for a in jax.tree.leaves(p)]) for p in (old, new))
    return float(np.abs(after - before).max() / max(np.abs(after).max(), 1e-8))


def non_finite_loss(where: str) -> FloatingPointError:
    """Return the error for a loss that is not a number."""
    return FloatingPointError(
        f"The score-matching loss is not finite {where}. Look for extreme values in the table, "
        "standardise the columns, add a `ridge`, lower `learning_rate`, or check that the "
        "log-density is finite and twice differentiable at every row."
    )
