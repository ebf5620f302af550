"""Optimisations between which the draws of the holes follow the density."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import COVARIANCE, MEAN, density_case, table

from sm_estimators import ExponentialFamilyScoreMatching
from sm_estimators.densities import Box, ExponentialFamily, LogDensity, pairwise_statistics
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.fitting import Fit, Settings, Table, fit_density
from sm_estimators.fitting.fit import pose
from sm_estimators.fitting.lbfgs import fit_lbfgs
from sm_estimators.fitting.rounds import (
    average,
    fit_rounds,
    has_settled,
    inner_settings,
    refreshed,
    within_support,
)
from sm_estimators.missing import (
    CustomProposal,
    GaussianProposal,
    Importance,
    Imputation,
    LangevinChains,
    PersistentChains,
    Variational,
)
from sm_estimators.missing.proposed import normalised_log_weights
from sm_estimators.objectives import Explicit, Weighted

N_ROWS = 300
FAR = MEAN + np.array([2.0, -2.0, 2.0]), 0.4 * np.eye(3)
"""Moments of a Gaussian that is no proposal for the table."""


def problem_of(rule, *, moments=FAR, density=None, objective=None, initial=None, seed=0):
    """State a fit of a Gaussian table with holes, the proposal starting at ``moments``."""
    X, observed = (part[:N_ROWS] for part in table("gaussian", "mcar"))
    density = density or ExponentialFamily(pairwise_statistics)
    rows = Table(np.where(observed, X, np.nan), observed, np.ones(N_ROWS))
    return pose(density, objective or Explicit(), rule, rows, moments, seed, initial)


# The schedule, with a solver that is told where to go.


class Scripted:
    """A solver that returns the next parameters of a list, and keeps what it was given."""

    def __init__(self, *values, interrupted_at=None):
        self.values, self.interrupted_at = values, interrupted_at
        self.problems, self.settings = [], []

    def __call__(self, problem, settings):
        r = len(self.problems)
        self.problems.append(problem)
        self.settings.append(settings)
        theta = density_case("truncated").params * self.values[min(r, len(self.values) - 1)]
        return Fit(theta, losses=np.array([1.0, -1.0 * r]), interrupted=r == self.interrupted_at)


THETA = density_case("truncated").params
"""Natural parameters of the table's Gaussian."""
MODERATE = MEAN, 1.5 * COVARIANCE


@pytest.mark.parametrize(
    ("rule", "n_rounds"),
    [
        (Importance(4, n_refreshes=5), 6),
        (Imputation(4, n_refreshes=5), 6),
        (Variational(4, n_refreshes=5), 5),
        (PersistentChains(4, LangevinChains(3), n_refreshes=5), 5),
    ],
)
def test_the_second_half_of_the_rounds_is_averaged(rule, n_rounds):
    values = np.array([1.0, 1.3, 1.1, 0.9, 1.05, 0.95])[:n_rounds]
    solver = Scripted(*values)
    fit = fit_rounds(problem_of(rule, moments=MODERATE), Settings(), solver)
    assert len(fit.rounds) == len(solver.problems) == fit.n_iter == n_rounds
    np.testing.assert_allclose(fit.params, THETA * values[n_rounds // 2 :].mean(), rtol=1e-12)
    changes = [r.change for r in fit.rounds]
    assert np.isnan(changes[0])
    expected = np.abs(np.diff(values)) / values[1:]
    np.testing.assert_allclose(changes[1:], expected, rtol=1e-10)
    np.testing.assert_allclose([r.loss for r in fit.rounds], -np.arange(n_rounds))
    for r, problem in enumerate(solver.problems[1:]):  # every round starts where the last ended
        np.testing.assert_allclose(problem.initial, THETA * values[r])
    completions = [problem.rows.completions for problem in solver.problems]
    holes = ~solver.problems[0].rows.observed
    for one, other in pairwise(completions):
        assert (one != other).any(axis=1)[holes].mean() > 0.99
        np.testing.assert_array_equal(one.swapaxes(1, 2)[~holes], other.swapaxes(1, 2)[~holes])


def test_rules_that_do_not_refresh_solve_once():
    solver = Scripted(1.0)
    problem = problem_of(Importance(4), moments=MODERATE)
    settings = Settings(tol=1e-9, max_iter=17)
    fit = fit_rounds(problem, settings, solver)
    assert len(solver.problems) == 1
    assert solver.settings == [settings]
    assert fit.rounds == ()
    np.testing.assert_array_equal(solver.problems[0].rows.completions, problem.rows.completions)
    assert len(fit.effective_sample_size) == (~problem.rows.observed.all(axis=1)).sum()
    np.testing.assert_array_equal(
        fit.n_holes, (~problem.rows.observed).sum(axis=1)[~problem.rows.observed.all(axis=1)]
    )


def test_an_interrupt_ends_the_rounds():
    solver = Scripted(1.0, 2.0, 3.0, interrupted_at=1)
    fit = fit_rounds(problem_of(Importance(4, n_refreshes=8), moments=MODERATE), Settings(), solver)
    assert fit.interrupted
    assert len(fit.rounds) == 2
    np.testing.assert_allclose(fit.params, 2.0 * THETA)


def test_how_far_one_of_several_optimisations_may_go():
    settings = Settings(tol=1e-9, max_iter=1000, verbose=1)
    for rule, most in [
        (Importance(4, n_refreshes=2), 1000),
        (Variational(4), 1000),
        (Variational(4, self_normalised=False), 10),
        (PersistentChains(4), 10),
        (Imputation(4, LangevinChains(), n_refreshes=2), 3),
    ]:
        inner = inner_settings(problem_of(rule, moments=MODERATE), settings)
        assert (inner.max_iter, inner.tol, inner.verbose) == (most, 1e-4, 0)


def test_rounds_that_drift_are_told_from_rounds_that_wander():
    level, first = np.array([5.0, -2.0, 0.1]), np.array([1.0, 0.0, 0.0])
    for n in (5, 10, 20):  # as many as the rules average by default, and more
        noise = np.random.default_rng(0).standard_normal((n, 3))
        trend = np.linspace(0, 1, n)[:, None]

        def settled(course):
            return has_settled([{"a": p[:2], "b": p[2:]} for p in course])

        assert settled(level + 0.3 * noise)  # much noise, no drift
        assert settled(level + 0.3 * trend)  # halves that differ by less than 5 % of 5
        assert not settled(level + 2.0 * trend)
        assert not settled(level + 0.05 * noise + 2.0 * trend * first)
        assert not settled(level + np.exp(2 * trend) - 1)  # runs away
        assert settled((level + 9.0 * trend)[:3])  # three rounds tell nothing
    fit = fit_rounds(
        problem_of(Importance(4, n_refreshes=9), moments=MODERATE),
        Settings(),
        Scripted(*np.linspace(0.8, 1.8, 10)),
    )
    assert not fit.converged
    assert "still drift" in fit.message
    mean = average([{"a": np.zeros(2)}, {"a": np.array([2.0, 4.0])}])["a"]
    np.testing.assert_array_equal(mean, [1.0, 2.0])


def test_the_seed_decides_and_every_refresh_has_numbers_of_its_own():
    def rows_of(seed):
        solver = Scripted(1.0)
        rule = Variational(4, n_refreshes=3)
        fit_rounds(problem_of(rule, moments=MODERATE, seed=seed), Settings(), solver)
        return [p.rows.completions for p in solver.problems]

    first, again, other = rows_of(0), rows_of(0), rows_of(1)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    # the noise behind the draws of two rounds is unrelated: the models differ little
    holes = ~problem_of(Importance(4)).rows.observed
    one, two = (first[k].swapaxes(1, 2)[holes] for k in (1, 2))
    one, two = (z - z.mean(axis=1, keepdims=True) for z in (one, two))
    assert abs((one * two).mean()) < 4 * (one * two).std() / np.sqrt(one.size) + 0.05


# Draws that follow the model.


def stuck(rng, X, observed, n_draws):
    """Draw holes from the Gaussian that is no proposal for the table, and never learn."""
    location, covariance = FAR
    scale = np.sqrt(1.5 * np.diag(covariance))
    noise = rng.standard_normal((len(X), n_draws, 3))
    terms = np.where(observed[:, None], 0.0, -0.5 * noise**2 - np.log(scale))
    return np.where(observed[:, None], X[:, None], location + scale * noise), terms.sum(axis=2)


def precision_of(theta):
    K = np.diag(theta[3:6])
    K[np.triu_indices(3, 1)] = K.T[np.triu_indices(3, 1)] = theta[6:]
    return K


def gap_to_truth(fit):
    return np.linalg.norm(precision_of(fit.params) - np.linalg.inv(COVARIANCE))


def test_a_bad_proposal_gets_better_by_refreshes():
    # Complete rows give a start; the proposal begins 2 standard deviations off and too narrow.
    # Refitted, its draws are those of the model; a proposal that cannot follow stays bad.
    settings = Settings(ridge=1e-6)
    X, observed = (part[:N_ROWS] for part in table("gaussian", "mcar"))
    whole = X[observed.all(axis=1)]
    K = np.linalg.inv(np.cov(whole.T, bias=True))
    start = np.concatenate([K @ whole.mean(axis=0), np.diag(K), K[np.triu_indices(3, 1)]])

    def fit(proposal, n_refreshes):
        rule = Importance(10, proposal, n_refreshes=n_refreshes)
        return fit_rounds(problem_of(rule, initial=start), settings, fit_lbfgs)

    once, follows = fit(GaussianProposal(), 0), fit(GaussianProposal(), 4)
    stays = fit(CustomProposal(stuck), 4)
    sizes = [r.effective_sample_size for r in follows.rounds]
    assert sizes[0] < 5 < 7 < sizes[-1]  # of 10 draws; for a right Gaussian widened by 1.5, 8
    assert max(r.effective_sample_size for r in stays.rounds) < 5
    assert np.median(once.effective_sample_size) < 5
    # .21 is √Σ Var K̂_ij / n for complete rows, about; a third of the cells is missing
    assert gap_to_truth(follows) < 0.35
    assert gap_to_truth(once) > 2 * gap_to_truth(follows)
    assert gap_to_truth(stays) > 1.5 * gap_to_truth(follows)


def ratios_after_a_refresh(rule):
    """Return the log ratios at the parameters that the draws were refreshed at."""
    problem = problem_of(rule, moments=MODERATE, initial=THETA)
    state = rule.start(np.random.default_rng(0), problem.table)
    _, problem = refreshed(problem, np.random.default_rng(1), state)
    log_weights = normalised_log_weights(rule, problem.density, THETA, problem.rows)
    return problem.rows, log_weights


@pytest.mark.parametrize(
    "rule",
    [Variational(6, self_normalised=False), PersistentChains(6), Imputation(6, LangevinChains(5))],
)
def test_draws_of_the_model_weigh_the_same(rule):
    _, log_weights = ratios_after_a_refresh(rule)
    np.testing.assert_allclose(log_weights, -np.log(6), atol=1e-9)


def test_new_draws_come_with_their_own_weights():
    # A Gaussian refitted to the Gaussian truth and widened by f: in k holes log q − log π is
    # −½ (1 − 1/f) z², up to a constant of the row and what is wrong with the refit.
    rows, log_weights = ratios_after_a_refresh(Importance(6, n_refreshes=1))
    exact = GaussianConditional(MEAN, COVARIANCE)
    gaps = rows.completions - exact.mean(rows.X, rows.observed)[:, None]
    K = np.linalg.inv(COVARIANCE)
    expected = -0.5 * (1 - 1 / 1.5) * np.einsum("nri,ij,nrj->nr", gaps, K, gaps)
    centred = [a - a.mean(axis=1, keepdims=True) for a in (log_weights, expected)]
    holed = ~rows.observed.all(axis=1)
    found = np.corrcoef(*(a[holed].ravel() for a in centred))[0, 1]
    assert found > 0.9
    np.testing.assert_allclose(log_weights[~holed], -np.log(6), atol=1e-9)


def test_draws_outside_the_support_have_no_weight():
    density = ExponentialFamily(pairwise_statistics, support=Box(lower=-0.5, upper=1.0))
    problem = problem_of(Importance(6), moments=MODERATE)
    rows = within_support(problem._replace(density=density), problem.rows)
    outside = ((problem.rows.completions < -0.5) | (problem.rows.completions > 1)).any(axis=2)
    assert 0.2 < outside.mean() < 0.95
    assert (rows.log_weights[outside] == -np.inf).all()
    np.testing.assert_array_equal(rows.log_weights[~outside], problem.rows.log_weights[~outside])
    assert ((rows.completions >= -0.5) & (rows.completions <= 1)).all()
    kept = problem.rows.completions[~outside]
    np.testing.assert_array_equal(rows.completions[~outside], kept)
    assert within_support(problem, problem.rows) is problem.rows


# At the door.


@pytest.mark.parametrize(
    ("rule", "n_rounds"),
    [
        (Importance(8, n_refreshes=3), 4),
        (Imputation(8, n_refreshes=3), 4),
        (Variational(8, n_refreshes=4), 4),
        (Variational(8, n_refreshes=4, self_normalised=False), 4),
        (PersistentChains(8, LangevinChains(5), n_refreshes=4), 4),
    ],
)
def test_rounds_are_on_record(rule, n_rounds):
    X, observed = (part[:N_ROWS] for part in table("gaussian", "mcar"))
    estimator = ExponentialFamilyScoreMatching(missing=rule, random_state=0)
    found = estimator.fit(np.where(observed, X, np.nan)).missing_diagnostics_
    assert len(found["rounds"]) == n_rounds == estimator.n_iter_
    keys = {"effective_sample_size", "effective_sample_size_5_percent", "change", "loss"}
    for one in found["rounds"]:
        assert set(one) == keys
        low, median = one["effective_sample_size_5_percent"], one["effective_sample_size"]
        assert 1 <= low <= median <= 8 + 1e-9
    assert np.isnan(found["rounds"][0]["change"])
    assert all(0 <= one["change"] < 1 for one in found["rounds"][1:])
    # three hundred rows, a third of the cells missing: as near as the rules are to one another
    gap = np.linalg.norm(precision_of(estimator.natural_parameters_) - np.linalg.inv(COVARIANCE))
    assert gap < 0.5


def test_without_refreshes_no_rounds_are_on_record():
    X, observed = (part[:N_ROWS] for part in table("gaussian", "mcar"))
    estimator = ExponentialFamilyScoreMatching(missing=Importance(20), random_state=0)
    assert "rounds" not in estimator.fit(np.where(observed, X, np.nan)).missing_diagnostics_
    complete = ExponentialFamilyScoreMatching(missing="variational").fit(X)
    assert complete.missing_diagnostics_ == {}


# A second fit of an equal spec.


def log_logistic(params, x):
    z = (x - params["loc"]) * jnp.exp(-params["log_scale"])
    return -jnp.sum(z + 2 * jax.nn.softplus(-z))


def initial(key, d):
    return {"loc": jnp.zeros(d), "log_scale": jnp.zeros(d)}


POSITIVE = Box(lower=0.0)


def log_gamma(params, x):
    return jnp.sum((jnp.exp(params["loc"]) - 1) * jnp.log(x) - jnp.exp(params["log_scale"]) * x)


FITS = {
    "variational": (
        lambda: LogDensity(log_logistic, initial),
        lambda: Variational(4, n_refreshes=2),
    ),
    "chains": (
        lambda: LogDensity(log_logistic, initial),
        lambda: PersistentChains(4, LangevinChains(4), n_refreshes=2),
    ),
    "refreshed": (
        lambda: ExponentialFamily(pairwise_statistics),
        lambda: Imputation(4, n_refreshes=2),
    ),
    "in a box": (
        lambda: LogDensity(log_gamma, initial, Box(lower=0.0)),
        lambda: Variational(4, n_refreshes=2),
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_second_fit_of_an_equal_spec_traces_nothing(name, traces):
    density, rule = FITS[name]

    def fit(seed, n, cap):
        rng = np.random.default_rng(seed)
        observed = rng.random((n, 2)) > 0.2
        observed[:, 0] = True
        X = rng.gamma(4.0, 0.5, (n, 2))
        objective = Weighted(Box(lower=0.0), cap=cap) if name == "in a box" else Explicit()
        rows = Table(np.where(observed, X, np.nan), observed, np.ones(n))
        settings = Settings(max_iter=20, tol=1e-3)
        fit_density(density(), objective, rule(), rows, seed=seed, settings=settings)

    fit(0, 200, 0.5)
    assert traces
    traces.clear()
    fit(0, 200, 0.5)
    fit(1, 190, 0.7)  # other rows of the same padded lengths, other numbers
    assert traces == []
    assert replace(rule(), n_draws=5) != rule()
