"""A fitted density at the rows of a table, with holes integrated out.

Marginals are exact where the density has them in closed form. Elsewhere a hole is integrated out
by importance sampling from a widened Gaussian conditional, with one set of quasi-random numbers
shared by all rows: the value of a row does not depend on its place or on the other rows.
"""

from functools import lru_cache, partial
from typing import Literal

import jax
import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._precision import cast, double_precision
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity, AbstractMarginalDensity, stein_score
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing import AbstractMissing, CompleteCase, Exact, Importance, Rows
from sm_estimators.objectives import Explicit, Weighted

N_DRAWS = 128
"""Quasi-random completions of a row whose holes have no closed form."""


@double_precision
def evaluate(
    what: Literal["log_density", "stein_score", "loss"],
    density: AbstractDensity,
    params: Params,
    X: np.ndarray,
    observed: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return log q(x_observed), its gradient (0 in holes) or the loss of every row.

    The loss is the explicit one; in a box it is weighted by the distance to the boundary.
    """
    rule = evaluation_rule(density, observed)
    n_draws = N_DRAWS if isinstance(rule, Importance) else 0
    support = density.support
    bounds = None if support is None else support.bounds(X.shape[1])
    criterion = (
        Explicit() if support is None else Weighted(support, cap=np.sqrt(np.diag(moments[1])))
    )
    rule, density, params, criterion = cast((rule, density, params, criterion), np.float64)
    proposal, normals = GaussianConditional(*moments), shared_normals(X.shape[1])

    def of_chunk(chunk):
        x, seen = chunk
        if n_draws:
            completions, log_proposal = proposal.propose_common(normals, x, seen, bounds=bounds)
        else:
            completions, log_proposal = np.zeros((len(x), 0, x.shape[1])), np.zeros((len(x), 0))
        rows = Rows(np.where(seen, x, 0.0), seen, completions, -log_proposal, np.ones(len(x)))
        return KERNELS[what](rule, density, params, rows, criterion)

    d = X.shape[1]
    return map_rows(of_chunk, (X, observed), max_rows=rows_within(max(n_draws, d) * (d + 16)))


def evaluation_rule(density: AbstractDensity, observed: np.ndarray) -> AbstractMissing:
    """Return the rule that integrates holes out most accurately."""
    if observed.all():
        return CompleteCase()
    return Exact() if isinstance(density, AbstractMarginalDensity) else Importance(N_DRAWS)


@lru_cache(maxsize=8)
def shared_normals(n_features: int) -> np.ndarray:
    """Return ``N_DRAWS`` quasi-random standard normal vectors, always the same."""
    sobol = qmc.Sobol(n_features, rng=np.random.default_rng(0))
    return ndtri(sobol.random(N_DRAWS))


@jax.jit
def log_density_kernel(rule, density, params, rows: Rows, criterion):
    """Return the log-density of the seen part of every row."""
    del criterion
    return jax.vmap(lambda row: rule.observed_log_density(density, params, row)(row.X))(rows)


@jax.jit
def stein_score_kernel(rule, density, params, rows: Rows, criterion):
    """Return the gradient of the log-density of the seen part of every row."""
    del criterion

    def one(row):
        return stein_score(rule.observed_log_density(density, params, row))(row.X)

    return jax.vmap(one)(rows)


@jax.jit
def loss_kernel(rule, density, params, rows: Rows, criterion):
    """Return the score-matching loss of the seen part of every row."""
    key = jax.random.key(0)  # these losses do not use it
    return jax.vmap(partial(rule.loss, key, criterion, density, params))(rows)


KERNELS = {
    "log_density": log_density_kernel,
    "stein_score": stein_score_kernel,
    "loss": loss_kernel,
}
