"""Densities in a box: maps to the real line, the loss that heeds the boundary, and the door."""

from functools import lru_cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import COVARIANCE, MEAN, N_FEATURES, density_case, log_densities, table
from scipy.stats import truncnorm

from sm_estimators import (
    CustomProposal,
    ExponentialFamilyScoreMatching,
    Importance,
    LogDensity,
    ScoreMatchingEstimator,
)
from sm_estimators.densities import Box, pairwise_statistics
from sm_estimators.objectives import Explicit, Sliced, Weighted

INF = np.inf
BOXES = {
    "positive": Box(lower=0.0),
    "negative": Box(upper=-2.0),
    "unit": Box(0.0, 1.0),
    "narrow": Box(1000.0, 1000.001),
    "free": Box(),
    "mixed": Box(lower=(0.0, -INF, -1.0), upper=(INF, 5.0, 1.5)),
}


# The box.


@pytest.mark.parametrize("name", BOXES)
def test_maps_to_the_real_line_and_back(name, double):
    box, u = BOXES[name], jnp.linspace(-8, 8, 15)[:, None] * jnp.array([1.0, -0.7, 0.4])
    lower, upper = box.bounds(3)
    x = np.asarray(jax.vmap(box.from_real)(u))
    assert ((x > lower) & (x < upper)).all()
    back = jax.vmap(box.to_real)(jnp.array(x))
    # rounding in x over its distance from the bound; e⁻⁸ of the width at the least
    roundoff = 1e-15 * np.abs(x).max() / np.minimum(upper - lower, 1).min() * np.exp(8)
    np.testing.assert_allclose(back, u, rtol=1e-9, atol=max(1e-9, roundoff))
    slopes = jax.vmap(lambda v: jnp.diagonal(jax.jacfwd(box.from_real)(v)))(u)
    np.testing.assert_allclose(jax.vmap(box.log_slope)(u), jnp.log(slopes), rtol=1e-9, atol=1e-9)
    # faces are moved inside, by a hair
    if name == "unit":
        faces = np.asarray(box.to_real(jnp.array([0.0, 1.0, 0.5])))
        np.testing.assert_allclose(faces, [np.log(1e-6), -np.log(1e-6), 0.0], atol=1e-5)


def test_what_lies_inside_and_how_far(double):
    box = BOXES["mixed"]
    rows = jnp.array([[1.0, 0.0, 1.25], [0.0, 5.0, -1.0], [-0.1, 0.0, 0.0], [1.0, 5.1, 0.0]])
    assert [bool(box.contains(x)) for x in rows] == [True, True, False, False]
    np.testing.assert_allclose(box.distance(rows[0]), [1.0, 5.0, 0.25])
    assert Box(lower=[0, 1]) == Box(lower=(0.0, 1.0))
    assert hash(Box(lower=np.zeros(2))) == hash(Box(lower=(0, 0)))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Box(1.0, 1.0), "`lower` must be below `upper` in every column; got 1.0 and 1.0"),
        (lambda: Box((0.0, 3.0), 2.0), "`lower` must be below `upper` in every column"),
        (lambda: Box((0.0, 1.0)).bounds(3), "`lower` of the support has 2 bounds.* 3 columns"),
        (lambda: Weighted(Box(), cap=0.0), "`cap` must be positive; got 0.0"),
    ],
)
def test_errors_are_sentences(build, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        build()


# The weighted loss.


def test_the_weighted_loss_written_out(double):
    # s = −K x with g and g′ from the picture: a tent of height 1 beside every bound.
    K = jnp.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.4], [0.1, -0.4, 1.5]])
    objective = Weighted(BOXES["mixed"], cap=np.array([0.5, 2.0, 1.0]))
    key, seen = jax.random.key(0), jnp.array([True, True, True])
    for x in ([0.2, 4.0, 1.1], [3.0, 1.0, -0.8], [0.49, -7.0, 0.1]):
        x = np.array(x)
        g = np.minimum(np.array([x[0], 5 - x[1], min(x[2] + 1, 1.5 - x[2])]) / [0.5, 2, 1], 1)
        side = np.array([1, -1, 1 if x[2] < 0.25 else -1])
        slope = np.where(g < 1, side / np.array([0.5, 2, 1]), 0)
        s = -np.asarray(K) @ x
        expected = g @ (0.5 * s**2 - np.diag(K)) + slope @ s
        loss = objective(key, lambda z: -K @ z, jnp.array(x), seen)
        np.testing.assert_allclose(loss, expected, rtol=1e-12)
        np.testing.assert_allclose(objective.coordinate_weights(jnp.array(x)), g, rtol=1e-12)
        part = objective(key, lambda z: -K @ z, jnp.array(x), seen.at[1].set(False))
        left_out = g[1] * (0.5 * s[1] ** 2 - K[1, 1]) + slope[1] * s[1]
        np.testing.assert_allclose(loss - part, left_out, rtol=1e-10)


def quadrature(function, pieces, n=60):
    """Integrate over consecutive intervals, on each of which the function is smooth."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    total = 0.0
    for a, b in pairwise(pieces):
        x = (a + b) / 2 + (b - a) / 2 * nodes
        total += (b - a) / 2 * weights @ function(x)
    return total


@pytest.mark.parametrize("cap", [0.3, 1.0, 5.0])
def test_the_weighted_loss_is_a_divergence(cap, double):
    # By parts on [0, 2], where g vanishes at both ends: the mean loss of a score s under p is
    # ½ ∫ p g (s − s_p)² up to one constant for all s. Without the weight it is not.
    box, middle = Box(0.0, 2.0), min(cap, 1.0)
    pieces = sorted({0.0, middle, 2 - middle, 2.0})
    p = truncnorm((0 - 0.4) / 0.8, (2 - 0.4) / 0.8, loc=0.4, scale=0.8).pdf
    scores = [(0.4, 0.8), (1.0, 0.5), (0.0, 2.0)]  # of normals with these means and widths

    def weighted(x, m, w, objective):
        key, seen = jax.random.key(0), jnp.array([True])
        losses = jax.vmap(lambda z: objective(key, lambda y: (m - y) / w**2, z, seen))
        return np.asarray(losses(jnp.array(x)[:, None]))

    def gap(x, m, w):
        g = np.minimum(np.minimum(x, 2 - x) / cap, 1)
        return 0.5 * g * ((m - x) / w**2 - (0.4 - x) / 0.8**2) ** 2

    def constants(objective):
        return np.array(
            [
                quadrature(lambda x, s=s: p(x) * (weighted(x, *s, objective) - gap(x, *s)), pieces)
                for s in scores
            ]
        )

    np.testing.assert_allclose(constants(Weighted(box, cap=cap)), constants(Weighted(box, cap))[0])
    assert np.ptp(constants(Explicit())) > 0.1


def test_units_of_the_weighted_loss(double):
    # x = centre + scale z: g is the same number, ½s² and the curvature have scale² in them.
    box, cap = Box(lower=(0.0, -INF), upper=(INF, 7.0)), np.array([0.5, 2.0])
    centre, scale = np.array([3.0, -1.0]), np.array([4.0, 4.0])
    original = Weighted(box, cap=cap)
    moved = original.rescale(scale, centre)
    key, seen, A = jax.random.key(0), jnp.ones(2, bool), jnp.array([[1.0, 0.2], [0.2, 0.5]])
    for x in jnp.array([[0.3, 6.5], [2.0, 1.0]]):
        z = (x - centre) / scale
        g = original.coordinate_weights(x)
        np.testing.assert_allclose(moved.coordinate_weights(z), g, rtol=1e-12)
        loss = original(key, lambda y: -A @ y, x, seen)
        again = moved(key, lambda y: -scale * (A @ (centre + scale * y)), z, seen)
        np.testing.assert_allclose(again, 16 * loss, rtol=1e-10)


# The door.


def rates(x):
    """Return the statistics of independent exponential variables."""
    return -x


def positive_table(n=4000):
    rng = np.random.default_rng(0)
    X = rng.exponential([1.0, 0.5, 4.0], (n, 3))
    X[rng.random(X.shape) < 0.3] = np.nan
    return X[~np.isnan(X).all(axis=1)]


@pytest.mark.parametrize("missing", ["importance", "variational"])
def test_rates_of_exponential_variables_have_a_closed_form(missing):
    # With s_j = −θ_j the loss of column j is ½θ²g − θg′, minimal at mean g′ / mean g, whatever was
    # drawn for the holes. L-BFGS stops at a gradient of 1e-4 between refreshes, with a curvature
    # of mean g > .2. The rates are within 4 standard errors of a ratio of means.
    X, positive, cap = positive_table(), Box(lower=0.0), 0.7
    options = {"support": positive, "objective": Weighted(positive, cap=cap), "ridge": 0}
    estimator = ExponentialFamilyScoreMatching(rates, missing=missing, random_state=0, **options)
    theta = estimator.fit(X).natural_parameters_
    for j, rate in enumerate([1.0, 2.0, 0.25]):
        x = X[~np.isnan(X[:, j]), j]
        g, slope = np.minimum(x / cap, 1), (x < cap) / cap
        closed = slope.mean() / g.mean()
        assert theta[j] == pytest.approx(closed, rel=1e-3, abs=5e-4)
        error = (slope - closed * g).std() / g.mean() / np.sqrt(len(x))
        assert abs(closed - rate) < 4 * error < 0.3 * rate


@lru_cache
def truncated_fit():
    """Return the truncated density of the registry, fitted to its table with holes."""
    X, observed = table("truncated", "mcar")
    support = density_case("truncated").density.support
    estimator = ExponentialFamilyScoreMatching(support=support, missing="imputation")
    return estimator.set_params(random_state=0).fit(np.where(observed, X, np.nan))


def gaussian_of(theta):
    """Return location and precision of the Gaussian that was cut."""
    K = np.diag(theta[3:6])
    K[np.triu_indices(3, 1)] = K.T[np.triu_indices(3, 1)] = theta[6:]
    return np.linalg.solve(K, theta[:3]), K


def inside(X):
    lower, upper = density_case("truncated").density.support.bounds(N_FEATURES)
    return ((lower <= X) & (upper >= X)).all()


def test_auto_is_the_weighted_loss():
    estimator = truncated_fit()
    support = density_case("truncated").density.support
    assert estimator.objective_ == Weighted(support)
    X, observed = table("truncated", "mcar")
    holed = np.where(observed, X, np.nan)
    assert np.isfinite(estimator.score(holed))
    # a shift of half a column is a worse fit
    moved = holed + np.array([0.5, 0.0, 0.0])
    assert estimator.score(holed) > estimator.score(moved) + 0.05


def test_a_box_is_worth_the_name():
    # The Gaussian fitted without it takes the cut-off tails for the truth.
    location, K = gaussian_of(truncated_fit().natural_parameters_)
    X, observed = table("truncated", "mcar")
    plain = ExponentialFamilyScoreMatching(missing="imputation", random_state=0)
    plain.fit(np.where(observed, X, np.nan))
    theirs, K_plain = gaussian_of(plain.natural_parameters_)
    truth = np.linalg.inv(COVARIANCE)
    assert np.linalg.norm(K - truth) < 0.5 * np.linalg.norm(K_plain - truth)
    assert np.abs(location - MEAN).max() < np.abs(theirs - MEAN).max()


def test_units_of_the_table_do_not_matter():
    # The cap is a standard deviation of each column, so that a box in other units is the same fit;
    # one unit for all columns, because the loss adds them up.
    X, observed = table("truncated", "mcar")
    scale = np.full(N_FEATURES, 10.0)
    lower, upper = density_case("truncated").density.support.bounds(N_FEATURES)
    other = ExponentialFamilyScoreMatching(support=Box(lower * scale, upper * scale))
    other.set_params(missing="imputation", random_state=0)
    theta = other.fit(np.where(observed, X, np.nan) * scale).natural_parameters_
    rows, columns = np.triu_indices(N_FEATURES, 1)
    back = theta * np.concatenate([scale, scale**2, scale[rows] * scale[columns]])
    np.testing.assert_allclose(back, truncated_fit().natural_parameters_, rtol=1e-3, atol=1e-3)
    capped = ExponentialFamilyScoreMatching(
        support=other.support, objective=Weighted(other.support, cap=0.05)
    )
    capped.set_params(missing="imputation", random_state=0)
    capped.fit(np.where(observed, X, np.nan) * scale)
    assert np.abs(capped.natural_parameters_ / theta - 1).max() > 0.05


def test_samples_stay_inside_and_are_those_of_the_cut_gaussian():
    estimator = truncated_fit()
    location, K = gaussian_of(estimator.natural_parameters_)
    draws = estimator.sample(3000, random_state=0)
    assert inside(draws)
    wide = np.random.default_rng(1).multivariate_normal(location, np.linalg.inv(K), 60_000)
    lower, upper = density_case("truncated").density.support.bounds(3)
    truth = wide[((lower <= wide) & (upper >= wide)).all(axis=1)]
    size = np.min(estimator.sampling_diagnostics_["effective_sample_size"])
    size = min(size, len(draws))
    assert size > 300
    for power in (1, 2):
        error = np.sqrt((truth**power).var(0) / len(truth) + (truth**power).var(0) / size)
        gap = (draws**power).mean(0) - (truth**power).mean(0)
        assert (np.abs(gap) < 4 * error).all()


def test_imputations_stay_inside_and_are_those_of_the_cut_conditional():
    # Given the others a column is a normal cut at its bounds: moments by SciPy. 300 equal rows
    # have chains of their own, so their draws are independent.
    estimator = truncated_fit()
    location, K = gaussian_of(estimator.natural_parameters_)
    row = np.array([0.3, np.nan, 1.2])
    for hole, bounds in [(0, (0.0, INF)), (2, (-1.0, 1.5))]:
        x = np.where(np.arange(3) == hole, np.nan, [0.3, -2.5, 1.2])
        rest = np.arange(3) != hole
        width = 1 / np.sqrt(K[hole, hole])
        centre = location[hole] - K[hole, rest] @ (x - location)[rest] * width**2
        low, high = ((b - centre) / width for b in bounds)
        law = truncnorm(low, high, loc=centre, scale=width)
        tables = estimator.impute(np.tile(x, (300, 1)), 4, random_state=0)
        assert inside(tables)
        drawn = tables[:, :, hole].ravel()
        assert abs(drawn.mean() - law.mean()) < 4 * law.std() / np.sqrt(len(drawn))
        assert abs((drawn**2).mean() - law.moment(2)) < 4 * (drawn**2).std() / np.sqrt(len(drawn))
    assert inside(estimator.impute(np.tile(row, (100, 1)), 5, random_state=1))
    X, observed = (part[:250] for part in table("truncated", "mcar"))
    filled = estimator.impute(np.where(observed, X, np.nan), random_state=2)
    assert inside(filled)
    np.testing.assert_array_equal(filled[0][observed], X[observed])
    assert inside(estimator._starts)


def uniform_draws(rng, X, observed, n_draws):
    """Draw holes uniformly from a cube that is wider than the support."""
    shape = (len(X), n_draws, X.shape[1])
    Z = rng.uniform([-0.5, -5.0, -1.5], [6.0, 5.0, 2.0], shape)
    return np.where(observed[:, None], X[:, None], Z), np.zeros(shape[:2])


def test_draws_outside_weigh_nothing():
    # Two draws in five leave the support: they change no mean, and no number is lost.
    X, observed = table("truncated", "mcar")
    rule = Importance(60, CustomProposal(uniform_draws))
    support = density_case("truncated").density.support
    estimator = ExponentialFamilyScoreMatching(support=support, missing=rule, random_state=0)
    theta = estimator.fit(np.where(observed, X, np.nan)).natural_parameters_
    usual = ExponentialFamilyScoreMatching(support=support, missing=Importance(60), random_state=0)
    expected = usual.fit(np.where(observed, X, np.nan)).natural_parameters_
    sizes = estimator.missing_diagnostics_["effective_sample_size"]
    assert np.isfinite(theta).all()
    assert (sizes <= 60).all()
    # The same loss by other draws: their noise in θ is below the standard errors, of about .1.
    print("GAP", theta - expected)
    np.testing.assert_allclose(theta, expected, atol=0.15)


def log_gamma(params, x):
    """Return independent gamma densities, positive only."""
    return jnp.sum((jnp.exp(params["a"]) - 1) * jnp.log(x) - jnp.exp(params["b"]) * x)


def initial_gamma(key, d):
    return {"a": jnp.zeros(d), "b": jnp.zeros(d)}


def test_a_users_density_in_a_box():
    # Gamma variables of shapes 3 and 5: errors of maximum likelihood are 4 % and those of score
    # matching not twice that.
    rng = np.random.default_rng(3)
    X = rng.gamma([3.0, 5.0], [0.5, 1.0], (2000, 2))
    X[rng.random(X.shape) < 0.2] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    density = LogDensity(log_gamma, initial_gamma, Box(lower=0.0))
    estimator = ScoreMatchingEstimator(density, missing="importance", random_state=0).fit(X)
    np.testing.assert_allclose(np.exp(estimator.params_["a"]), [3.0, 5.0], rtol=0.3)
    np.testing.assert_allclose(np.exp(estimator.params_["b"]), [2.0, 1.0], rtol=0.3)
    draws = estimator.sample(500, random_state=0)
    assert (draws > 0).all()


def holed(X):
    X = np.array(X)
    X[0, 1] = np.nan
    return X


POSITIVE = Box(lower=0.0)
F = ExponentialFamilyScoreMatching


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda X: F(support=POSITIVE).fit(X - 1),
            r"`X` has \d+ values outside the support of the density, the first in column 1: "
            r"-0\.\d+ is not between 0 and inf. Widen the support",
        ),
        (
            lambda X: F(support=POSITIVE, objective="explicit").fit(X),
            r"`objective='explicit'` ignores the boundary of the support.*Use 'auto' or Weighted",
        ),
        (
            lambda X: F(support=POSITIVE, objective=Sliced()).fit(X),
            r"`objective=Sliced.*ignores the boundary",
        ),
        (lambda X: F(support=3.0).fit(X), "`support` must be a Box or None; got 3.0"),
        (lambda X: F(support=Box(lower=(0.0, 0.0))).fit(X), "has 2 bounds, but the table has 3"),
    ],
)
def test_errors_at_the_door_are_sentences(call, sentence):
    X = holed(np.random.default_rng(0).exponential(size=(50, 3)) + np.array([1.0, 0.2, 1.0]))
    with pytest.raises(ValueError, match=rf"(?s){sentence}"):
        call(X)


def test_a_row_outside_is_impossible():
    case = density_case("truncated")
    X = np.array([[0.5, 0.0, 0.0], [-0.1, 0.0, 0.0], [0.5, 9.0, 1.6]])
    values = log_densities(case.density, case.params, X)
    assert np.isfinite(values[0])
    assert (values[1:] == -np.inf).all()
    assert pairwise_statistics(jnp.zeros(3)).size == len(case.params)
