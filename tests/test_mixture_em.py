"""The EM of a mixture with holes: densities, draws, recovery, the number of components."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.missing.mixture_em import Mixture, grown_mixture, mixture_em, single

TRUTH = Mixture(
    np.array([0.3, 0.7]),
    np.array([[-2.0, -1.0, 0.0], [2.0, 1.0, 0.5]]),
    np.array([np.eye(3), [[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 0.5]]]),
)


def rows(n, seed=0):
    empty = np.zeros((n, 3))
    return TRUTH.draw(np.random.default_rng(seed), empty, empty.astype(bool))


def seen_at_random(X, seed=1):
    """Return what is seen where the first column decides on holes in the others."""
    rng = np.random.default_rng(seed)
    share = np.where(X[:, :1] > 0, 0.5, 0.1)
    return np.concatenate([np.ones((len(X), 1), bool), rng.random((len(X), 2)) > share], axis=1)


def pooled(X, observed):
    em = gaussian_em(X, observed)
    return em.location, em.covariance


def test_densities_of_what_was_seen():
    X = rows(40)
    observed = np.random.default_rng(2).random(X.shape) > 0.4
    observed[0] = False
    expected = []
    for x, o in zip(X, observed, strict=True):
        parts = [
            np.log(w) + (multivariate_normal(m[o], C[np.ix_(o, o)]).logpdf(x[o]) if o.any() else 0)
            for w, m, C in zip(*vars(TRUTH).values(), strict=True)
        ]
        expected.append(logsumexp(parts))
    np.testing.assert_allclose(TRUTH.log_density(X, observed), expected, atol=1e-9)


def test_draws_follow_the_conditional():
    n = 20_000
    X = np.tile([1.0, 5.0, 5.0], (n, 1))
    drawn = TRUTH.draw(np.random.default_rng(0), X, np.tile([True, False, False], (n, 1)))
    assert (drawn[:, 0] == 1.0).all()
    share = np.array([0.3 * np.exp(-0.5 * 9), 0.7 * np.exp(-0.5 * 1)])
    share /= share.sum()
    means = np.array([-1.0, 1.0 + 0.6 * (1.0 - 2.0)])
    second = share @ (np.array([1.0, 1 - 0.36]) + means**2) - (share @ means) ** 2
    assert abs(drawn[:, 1].mean() - share @ means) < 4 * np.sqrt(second / n)


def test_one_component_is_the_gaussian():
    X = rows(3000)
    observed = seen_at_random(X)
    location, covariance = pooled(X, observed)
    found = mixture_em(
        np.random.default_rng(0), X, observed, 1, pooled=(location, covariance), tol=1e-9, ridge=0.0
    )
    np.testing.assert_allclose(found.location[0], location, atol=1e-3)
    np.testing.assert_allclose(found.covariance[0], covariance, atol=2e-3)


def test_a_mixture_is_recovered_where_holes_depend_on_what_was_seen():
    n = 8000
    X = rows(n)
    observed = seen_at_random(X)
    found = mixture_em(np.random.default_rng(0), X, observed, 2, pooled=pooled(X, observed))
    order = found.weights.argsort()
    # Half of the upper component is missing: its errors are those of half the rows, and
    # overlap makes them a little larger still.
    assert abs(found.weights[order][0] - 0.3) < 4 * np.sqrt(0.21 / n) * 1.5
    errors = np.abs(found.location[order] - TRUTH.location)
    assert (errors < 4 * 1.5 / np.sqrt(0.5 * n * TRUTH.weights[:, None])).all()
    spread = np.abs(found.covariance[order] - TRUTH.covariance)
    assert (spread < 4 * 1.5 * np.sqrt(2 / (0.5 * n * TRUTH.weights))[:, None, None]).all()


def test_steps_raise_the_likelihood():
    X = rows(600)
    observed = seen_at_random(X)
    start = pooled(X, observed)
    heights = [
        mixture_em(np.random.default_rng(0), X, observed, 3, pooled=start, max_iter=m)
        .log_density(X, observed)
        .mean()
        for m in (1, 3, 10, 40)
    ]
    assert (np.diff(heights) > -1e-3).all()  # the prior is climbed as well
    assert heights[-1] > heights[0] + 0.01


def test_rows_of_weight_zero_count_for_nothing_and_weights_by_their_ratios():
    X = rows(600)
    X[:300] += 1.5  # far enough to be seen, near enough not to be clusters of their own
    observed = seen_at_random(X)
    start, weights = pooled(X[300:], observed[300:]), np.ones(600)
    weights[:300] = 0.0
    alone = mixture_em(np.random.default_rng(0), X[300:], observed[300:], 2, pooled=start)
    judged = alone.log_density(X[300:], observed[300:]).mean()
    found = [
        mixture_em(np.random.default_rng(0), X, observed, 2, pooled=start, weights=w)
        for w in (weights, 1e-3 * weights, np.ones(600))
    ]
    gaps = [judged - m.log_density(X[300:], observed[300:]).mean() for m in found]
    assert abs(gaps[0]) < 0.02
    assert abs(gaps[1] - gaps[0]) < 1e-6
    assert gaps[2] > 0.1


@pytest.mark.parametrize(("n", "least", "most"), [(60, 1, 2), (4000, 2, 4)])
def test_rows_held_out_choose_the_number(n, least, most):
    X = rows(n)
    held_out = np.arange(n) % 5 == 0
    found = grown_mixture(
        np.random.default_rng(0),
        X,
        seen_at_random(X),
        held_out,
        pooled=pooled(X, seen_at_random(X)),
        weights=np.ones(n),
        most=20,
    )
    assert least <= len(found.weights) <= most


def test_a_gaussian_table_gets_one():
    X = np.random.default_rng(0).normal(size=(1000, 4))
    everything = np.ones(X.shape, bool)
    moments = X.mean(axis=0), np.cov(X, rowvar=False)
    found = grown_mixture(
        np.random.default_rng(0),
        X,
        everything,
        np.arange(1000) % 5 == 0,
        pooled=moments,
        weights=np.ones(1000),
        most=20,
    )
    np.testing.assert_array_equal(found.covariance, single(*moments).covariance)
