"""A fitted density at rows with holes."""

import jax
import numpy as np
import pytest
from cases import COVARIANCE, MARGINAL, MEAN, density_case, log_densities, table
from scipy.stats import multivariate_normal

from sm_estimators.densities import ExponentialFamily, Gaussian, pairwise_statistics
from sm_estimators.fitting import evaluate

MOMENTS = MEAN, COVARIANCE


def rows(name="gaussian", n=60):
    return tuple(part[:n] for part in table(name, "mcar"))


def pairwise():
    """Return the Gaussian as an exponential family, which knows no marginals."""
    K = np.linalg.inv(COVARIANCE)
    theta = np.concatenate([K @ MEAN, np.diag(K), K[np.triu_indices(3, 1)]])
    return ExponentialFamily(pairwise_statistics), theta


def gaussian_oracle(X, observed):
    """Return log-density, score and explicit loss of the seen parts, row by row."""
    log_density, score, loss = np.zeros(len(X)), np.zeros(X.shape), np.zeros(len(X))
    for i, (x, o) in enumerate(zip(X, observed, strict=True)):
        A = np.linalg.inv(COVARIANCE[np.ix_(o, o)])
        score[i, o] = -A @ (x - MEAN)[o]
        log_density[i] = multivariate_normal(MEAN[o], COVARIANCE[np.ix_(o, o)]).logpdf(x[o])
        loss[i] = 0.5 * score[i] @ score[i] - np.trace(A)
    return {"log_density": log_density, "stein_score": score, "loss": loss}


@pytest.mark.parametrize("what", ["log_density", "stein_score", "loss"])
def test_a_gaussian_is_evaluated_in_closed_form(what):
    X, observed = rows()
    params = density_case("gaussian").params
    for value in (np.nan, 1e30):
        holed = np.where(observed, X, value)
        actual = evaluate(what, Gaussian(), params, holed, observed, MOMENTS)
        expected = gaussian_oracle(X, observed)[what]
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
        assert actual.dtype == np.float64


@pytest.mark.parametrize("what", ["log_density", "stein_score", "loss"])
def test_draws_stand_in_for_closed_forms(what):
    # 128 quasi-random draws from 1.5 times the conditional: importance weights of a Gaussian have
    # relative variance below 1 for two holes, so 1/√128 = .09 bounds the error of log q.
    X, observed = rows()
    density, theta = pairwise()
    actual = evaluate(what, density, theta, X, observed, MOMENTS)
    expected = gaussian_oracle(X, observed)[what]
    if what == "log_density":
        complete = observed.all(axis=1)
        # unnormalised: one constant, with holes or without
        expected = expected + (actual - expected)[complete].mean()
        np.testing.assert_allclose(actual[complete], expected[complete], rtol=1e-9)
    gap = np.abs(actual - expected)
    assert np.median(gap) < 0.02
    assert np.sqrt(np.mean(gap**2)) < 0.09 * np.abs(expected).max()


@pytest.mark.parametrize("name", MARGINAL)
def test_complete_rows_are_the_density_itself(name):
    case, X = density_case(name), rows()[0]
    actual = evaluate("log_density", case.density, case.params, X, np.ones(X.shape, bool), MOMENTS)
    np.testing.assert_allclose(actual, log_densities(case.density, case.params, X), rtol=1e-12)


def test_a_row_does_not_see_the_others():
    X, observed = rows()
    density, theta = pairwise()
    whole = evaluate("log_density", density, theta, X, observed, MOMENTS)
    order = np.random.default_rng(0).permutation(len(X))[:20]
    order = np.append(order, np.flatnonzero(~observed.all(axis=1))[:1])
    some = evaluate("log_density", density, theta, X[order], observed[order], MOMENTS)
    np.testing.assert_allclose(some, whole[order], rtol=1e-10)


def test_scores_of_holes_are_zero_and_precision_is_the_librarys():
    X, observed = rows("mixture")
    case = density_case("mixture")
    results = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            score = evaluate("stein_score", case.density, case.params, X, observed, MOMENTS)
        assert (score[~observed] == 0).all()
        results.append(score)
    np.testing.assert_array_equal(*results)


def test_more_rows_of_the_same_padded_length_trace_nothing(traces):
    case = density_case("mixture")
    X, observed = rows("mixture")
    evaluate("loss", case.density, case.params, X, observed, MOMENTS)
    traces.clear()
    evaluate("loss", case.density, case.params, X[:40], observed[:40], MOMENTS)
    assert traces == []
