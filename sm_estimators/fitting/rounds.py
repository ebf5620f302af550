"""Optimisations between which the draws of the holes follow the density."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp
from tqdm.auto import tqdm

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._precision import cast, double_precision
from sm_estimators._typing import Params
from sm_estimators.fitting._base import Fit, Problem, Round, Settings, relative_change

Solver = Callable[[Problem, Settings], Fit]
INNER_TOLERANCE = 1e-4
"""Where L-BFGS may stop in a round whose draws are gone in the next."""
SETTLED = 0.05
"""Relative drift of the parameters over the averaged rounds that noise need not explain."""
STEPS_PER_ITERATION = 50
"""Minibatches of a neural energy that count as one iteration of a rule."""


def fit_rounds(problem: Problem, settings: Settings, solve: Solver) -> Fit:
    """Solve once, or in turn with refreshed draws; then the second half of the rounds is averaged.

    Every round has draws of its own. With the same random numbers in all of them the draws would
    follow the parameters and the parameters the errors of the draws, which was seen to diverge;
    with new ones the average takes the noise out (Polyak and Juditsky 1992).
    """
    rule = problem.rule
    if not rule.n_refreshes or problem.rows.observed.all():
        return with_weights(problem, solve(problem, settings))
    seed = np.asarray(jax.random.key_data(problem.key)).tolist()
    state = rule.start(np.random.default_rng(seed), problem.table)  # type: ignore[arg-type]
    inner = inner_settings(problem, settings)
    n_rounds = rule.n_refreshes + (not rule.refreshes_first)
    course: list[Round] = []
    visited: list[Params] = []
    fit = Fit(problem.initial)
    for r in tqdm(range(n_rounds), desc="refreshes", disable=settings.verbose < 1):
        if r > 0 or rule.refreshes_first:
            rng = np.random.default_rng([*seed, r])
            state, problem = refreshed(problem, rng, state)
        fit = solve(problem, inner)
        change = relative_change(problem.initial, fit.params) if r else np.nan
        problem = problem._replace(initial=fit.params)
        course.append(summary(problem, fit, change))
        visited.append(fit.params)
        if fit.interrupted:
            break
    late = visited[len(visited) // 2 :]
    fit = replace(fit, params=average(late), rounds=tuple(course))
    if not fit.interrupted:
        settled = has_settled(late)
        message = "the rounds settled" if settled else "the rounds still drift at `n_refreshes`"
        fit = replace(fit, n_iter=len(course), converged=settled, message=message)
    return with_weights(problem, fit)


def inner_settings(problem: Problem, settings: Settings) -> Settings:
    """Return the settings of one optimisation among several."""
    most = problem.rule.inner_iterations
    settings = replace(settings, tol=max(settings.tol, INNER_TOLERANCE), verbose=0)
    if most is None:
        return settings
    unit = STEPS_PER_ITERATION if problem.density.neural else 1
    return replace(settings, max_iter=min(most * unit, settings.max_iter))


def has_settled(late: list[Params]) -> bool:
    """Return whether the two halves of the averaged rounds differ by no more than their noise.

    The noise is what a straight line leaves of the course: a drift must not hide in it.
    """
    if len(late) < 4:
        return True
    flat = np.stack([np.concatenate([np.ravel(a) for a in jax.tree.leaves(p)]) for p in late])
    n, half = len(flat), len(flat) // 2
    drift = np.abs(flat[:half].mean(axis=0) - flat[half:].mean(axis=0))
    time = np.arange(n) - (n - 1) / 2
    rest = flat - flat.mean(axis=0) - np.outer(time, time @ flat / (time @ time))
    noise = np.sqrt((rest**2).sum(axis=0) / (n - 2) * (1 / half + 1 / (n - half)))
    return bool((drift <= np.maximum(SETTLED * np.abs(flat).max(), 4 * noise)).all())


def refreshed(problem: Problem, rng: np.random.Generator, state):
    """Return the state of the proposal and the problem with draws that follow ``initial``."""
    density, params = cast((problem.density, problem.initial), np.float64)
    model = {"density": density, "params": params, "table": problem.table, "rows": problem.rows}
    state, rows = problem.rule.refresh(rng, state, **model)
    return state, problem._replace(rows=within_support(problem, rows))


def within_support(problem: Problem, rows):
    """Return the rows; draws that leave the support have no weight, whatever their density."""
    support = problem.density.support
    if support is None:
        return rows
    lower, upper = support.bounds(rows.X.shape[1])
    inside = ((rows.completions >= lower) & (rows.completions <= upper)).all(axis=2)
    # A draw outside sits at a place inside, where the density is finite, with no weight.
    completions = np.clip(rows.completions, lower, upper)
    log_weights = np.where(inside, rows.log_weights, -np.inf)
    return rows._replace(completions=completions, log_weights=log_weights)


def average(visited: list[Params]) -> Params:
    """Return the mean of some parameters."""
    return jax.tree.map(lambda *leaves: np.mean(np.stack(leaves), axis=0), *visited)


def summary(problem: Problem, fit: Fit, change: float) -> Round:
    """Return how a round went."""
    sizes = draws_left(problem, fit.params)
    low, median = np.quantile(sizes, [0.05, 0.5]) if len(sizes) else (np.nan, np.nan)
    loss = fit.losses[-1] if len(fit.losses) else np.nan
    return Round(float(median), float(low), float(change), float(loss))


def with_weights(problem: Problem, fit: Fit) -> Fit:
    """Return the fit with what the weights leave of the draws of every row with holes."""
    holes = (~problem.rows.observed).sum(axis=1)
    sizes = draws_left(problem, fit.params)
    return replace(fit, effective_sample_size=sizes, n_holes=holes[holes > 0][: len(sizes)])


@double_precision
def draws_left(problem: Problem, params: Params) -> np.ndarray:
    """Return the effective number of draws, (Σw)²/Σw², of every row with holes."""
    rows = problem.rows
    incomplete = ~rows.observed.all(axis=1)
    if rows.completions.shape[1] == 0 or not incomplete.any():
        return np.zeros(0)
    some = jax.tree.map(lambda a: a[incomplete], rows)
    return map_rows(
        lambda chunk: effective_sample_sizes(problem.rule, problem.density, params, chunk),
        some,
        max_rows=rows_within(some.completions[0].size),
    )


@jax.jit
def effective_sample_sizes(rule, density, params, rows):
    """Return the effective sample size of the importance weights of every row."""

    def one(row):
        log_weights = log_softmax(rule.log_ratios(density, params, row))
        return jnp.exp(-logsumexp(2 * log_weights))

    return jax.vmap(one)(rows)
