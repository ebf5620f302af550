"""Every density against finite differences, SciPy and brute force."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import (
    COVARIANCE,
    DENSITIES,
    FOLLOWING,
    MARGINAL,
    MEAN,
    PRODUCT,
    RULES,
    STANDARDISED,
    density_case,
    prepared,
    table,
)
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sm_estimators.densities import (
    AbstractDensity,
    AbstractMarginalDensity,
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianMixture,
    MLPEnergy,
    PairwiseGaussian,
    condition,
    marginalise,
    pairwise_statistics,
    standardise,
    stein_score,
    temper,
)
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing import CompleteCase

pytestmark = pytest.mark.usefixtures("double")

POINTS = np.random.default_rng(0).standard_normal((6, 3)) + MEAN
PATTERNS = [[True, True, True], [True, False, True], [False, False, True]]


def log_density(name, x, params=None):
    case = density_case(name)
    return case.density.log_density(case.params if params is None else params, jnp.array(x))


def finite_differences(function, x, step=1e-5):
    steps = step * np.eye(len(x))
    return np.array([(function(x + e) - function(x - e)) / (2 * step) for e in steps])


# Scores.


@pytest.mark.parametrize(
    ("density", "rule"),
    sorted({(d, r) for d, _, r in PRODUCT if r not in ("imputation", *FOLLOWING)}),
)
def test_scores_are_finite_differences(density, rule):
    case = density_case(density)
    pattern = "complete" if rule == "complete_case" else "mcar"
    rows = prepared(RULES[rule](), *(part[:6] for part in table(density, pattern)), case=case)
    rows = jax.tree.map(jnp.array, rows)

    @jax.jit
    def seen_log_density(x, row):
        return RULES[rule]().observed_log_density(case.density, case.params, row)(x)

    scores = jax.jit(jax.vmap(jax.grad(seen_log_density)))(rows.X, rows)
    for x, o, score, *parts in zip(rows.X, rows.observed, scores, *rows[:5], strict=True):
        row = type(rows)(*parts)
        expected = finite_differences(lambda z, row=row: seen_log_density(z, row), x)
        # truncation step² = 1e-10 and rounding 1e-16 · 100 / step = 1e-9, in scores below 100
        np.testing.assert_allclose(score, expected, rtol=1e-7, atol=1e-7)
        assert (np.asarray(score)[~np.asarray(o)] == 0).all()


def test_transforms_written_out():
    q = partial(log_density, "energy")
    x, y = jnp.array(POINTS[:2])
    seen = jnp.array([True, False, True])
    mixed = jnp.where(seen, x, y)
    np.testing.assert_allclose(condition(q, x, seen)(y), q(mixed), rtol=1e-14)
    assert (np.asarray(stein_score(condition(q, x, seen))(y))[seen] == 0).all()
    np.testing.assert_allclose(temper(q, jnp.array(0.3))(x), 0.3 * q(x), rtol=1e-14)
    centre, scale = jnp.array(MEAN), jnp.array([2.0, 0.5, 3.0])
    expected = q((x - centre) / scale) - jnp.log(scale).sum()
    np.testing.assert_allclose(standardise(q, centre, scale)(x), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "energy", "quartic", "logistic"])
def test_scores_and_curvatures_are_those_of_automatic_differentiation(name):
    # All have ways of their own but the logistic one.
    case = density_case(name)
    own = AbstractDensity.score_and_curvature
    assert (type(case.density).score_and_curvature is own) == (name == "logistic")
    log_density_fn = partial(case.density.log_density, case.params)

    @jax.jit
    def both(x):
        score = jax.grad(log_density_fn)(x), jnp.diagonal(jax.hessian(log_density_fn)(x))
        return case.density.score_and_curvature(case.params, x), score

    for x in jnp.array(POINTS):
        ours, theirs = both(x)
        for part, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-10, atol=1e-10)
            assert np.abs(np.asarray(expected)).max() > 0.1


# Units.


@pytest.mark.parametrize("name", STANDARDISED)
def test_rescaled_parameters_are_those_in_other_units(name):
    case = density_case(name)
    centre, scale = np.array([3.0, -1.0, 0.5]), np.array([2.0, 0.1, 30.0])
    params = case.density.rescale(case.params, centre, scale)
    for z in POINTS:
        expected = log_density(name, z) - np.log(scale).sum()
        actual = log_density(name, centre + scale * z, params)
        np.testing.assert_allclose(actual, expected, rtol=1e-10)
    back = case.density.rescale(params, -centre / scale, 1 / scale)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), back, case.params)


@pytest.mark.parametrize("name", sorted(set(DENSITIES) - set(STANDARDISED)))
def test_densities_without_units_refuse_to_be_rescaled(name):
    case = density_case(name)
    assert not case.density.standardised
    with pytest.raises(TypeError, match="is fitted in the units of the table"):
        case.density.rescale(case.params, MEAN, np.ones(3))


# Marginals and draws.


def parts_of(name):
    """Return weights, means and covariances of the Gaussians a density is made of."""
    case = density_case(name)
    if name == "gaussian":
        return np.ones(1), MEAN[None], COVARIANCE[None]
    return case.density.weights(case.params), *case.density.moments(case.params)


def reference_marginal(name, x, o):
    weights, means, covariances = parts_of(name)
    terms = [
        multivariate_normal(m[o], C[np.ix_(o, o)]).logpdf(x[o])
        for m, C in zip(means, covariances, strict=True)
    ]
    return logsumexp(np.array(terms) + np.log(weights))


@pytest.mark.parametrize("name", MARGINAL)
def test_marginals_are_those_of_scipy(name):
    case = density_case(name)
    marginal = jax.jit(case.density.marginal_log_density)
    for x in POINTS:
        for o in np.array(PATTERNS):
            actual = marginal(case.params, np.where(o, x, np.nan), o)
            np.testing.assert_allclose(actual, reference_marginal(name, x, o), rtol=1e-10)
        expected = reference_marginal(name, x, np.full(3, True))
        np.testing.assert_allclose(log_density(name, x), expected, rtol=1e-10)
    assert marginal(case.params, POINTS[0], np.zeros(3, bool)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", MARGINAL)
def test_importance_draws_integrate_to_the_marginal(name):
    n_draws = 20_000
    rng = np.random.default_rng(4)
    x, o = POINTS[:1], np.array([PATTERNS[1]])
    wide = GaussianConditional(MEAN, 2 * np.eye(3))
    Z, log_proposal = wide.propose(rng, x, o, n_draws)
    log_q, Z, log_weights = partial(log_density, name), jnp.array(Z[0]), -jnp.array(log_proposal[0])
    estimate = marginalise(log_q, jnp.array(o[0]), Z, log_weights)(jnp.array(x[0]))
    ratios = np.exp(np.array(jax.vmap(log_q)(Z) + log_weights))
    error = ratios.std() / ratios.mean() / np.sqrt(n_draws)  # delta method for the logarithm
    assert error < 0.02
    assert abs(estimate - reference_marginal(name, x[0], o[0])) < 4 * error


def assert_moments(draws, mean, covariance):
    n, products = len(draws), (draws - mean)[:, :, None] * (draws - mean)[:, None, :]
    z_mean = (draws.mean(0) - mean) / np.sqrt(np.diag(covariance) / n)
    z_second = (products.mean(0) - covariance) / (products.std(0) / np.sqrt(n))
    assert np.abs(z_mean).max() < 4
    assert np.abs(z_second).max() < 4


@pytest.mark.parametrize("name", MARGINAL)
def test_samples_have_the_moments_of_the_density(name):
    case = density_case(name)
    weights, means, covariances = parts_of(name)
    mean = weights @ means
    spread = (means - mean)[:, :, None] * (means - mean)[:, None, :]
    draws = case.density.sample(case.params, np.random.default_rng(6), 20_000)
    assert_moments(draws, mean, np.einsum("c,cij->ij", weights, covariances + spread))


def brute_force_conditional(name, x, hole):
    """Return mean and variance of one hole given the rest, by quadrature."""
    grid = np.linspace(-9, 9, 4001)
    Z = np.tile(x, (len(grid), 1))
    Z[:, hole] = grid
    heights = np.exp([reference_marginal(name, z, np.full(3, True)) for z in Z])
    heights /= heights.sum()
    mean = heights @ grid
    return mean, heights @ (grid - mean) ** 2


@pytest.mark.parametrize("name", MARGINAL)
def test_conditionals_are_those_of_quadrature(name):
    case, hole = density_case(name), 1
    X, o = POINTS[:1], np.array([[True, False, True]])
    mean, variance = brute_force_conditional(name, X[0], hole)
    holed = np.where(o, X, np.nan)
    filled = case.density.conditional_mean(case.params, holed, o)
    np.testing.assert_allclose(filled[0, hole], mean, rtol=1e-8)
    np.testing.assert_array_equal(filled[o], X[o])
    n, rng = 20_000, np.random.default_rng(7)
    D = case.density.sample_conditional(
        case.params, rng, np.tile(holed, (n, 1)), np.tile(o, (n, 1))
    )
    np.testing.assert_array_equal(D[:, o[0]], np.tile(X[0, o[0]], (n, 1)))
    assert_moments(D[:, [hole]], np.array([mean]), np.array([[variance]]))


def test_an_empty_row_is_drawn_from_the_joint():
    case = density_case("mixture")
    X, o = np.full((20_000, 3), np.nan), np.zeros((20_000, 3), bool)
    draws = case.density.sample_conditional(case.params, np.random.default_rng(8), X, o)
    weights, means, _ = parts_of("mixture")
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - weights @ means) < 4 * error).all()


# Parametrisations.


def test_pairwise_statistics_are_the_gaussian():
    K = Gaussian().precision(density_case("gaussian").params)
    theta = np.concatenate([K @ MEAN, np.diag(K), K[np.triu_indices(3, 1)]])
    family = ExponentialFamily(pairwise_statistics)
    values = [float(family.log_density(jnp.array(theta), x)) for x in jnp.array(POINTS)]
    gaps = values - multivariate_normal(MEAN, COVARIANCE).logpdf(POINTS)
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-10)


@pytest.mark.parametrize("support", [None, Box(lower=(0.0, -np.inf, -1.0))])
def test_the_pairwise_gaussian_is_the_family_of_its_statistics(support):
    family, plain = (
        ExponentialFamily(pairwise_statistics, support=support),
        PairwiseGaussian(support),
    )
    theta = jnp.array(np.random.default_rng(3).standard_normal(9))
    for x in jnp.array(POINTS[:3]):
        inside = support is None or bool(support.contains(x))
        values = [float(q.log_density(theta, x)) for q in (family, plain)]
        assert np.isfinite(values).all() == inside
        np.testing.assert_allclose(values[1], values[0], rtol=1e-12)
        if inside:
            pairs = (q.score_and_curvature(theta, x) for q in (family, plain))
            for expected, part in zip(*pairs, strict=True):
                np.testing.assert_allclose(part, expected, rtol=1e-10, atol=1e-12)
    assert plain.init(jax.random.key(0), 3).shape == theta.shape
    assert plain.sparse_flags(9).tolist() == [0.0] * 6 + [1.0] * 3


def test_a_base_measure_is_added():
    family = ExponentialFamily(pairwise_statistics, lambda x: -jnp.sum(x**4))
    plain = ExponentialFamily(pairwise_statistics)
    theta, x = jnp.linspace(0, 1, 9), jnp.array(POINTS[0])
    gap = family.log_density(theta, x) - plain.log_density(theta, x)
    np.testing.assert_allclose(gap, -np.sum(POINTS[0] ** 4), rtol=1e-12)


def test_gaussian_moments_come_back():
    location, covariance = Gaussian().moments(Gaussian().from_moments(MEAN, COVARIANCE))
    np.testing.assert_allclose(location, MEAN)
    np.testing.assert_allclose(covariance, COVARIANCE, rtol=1e-12)


@pytest.mark.parametrize("name", DENSITIES)
def test_starts_have_the_structure_of_the_parameters(name):
    case = density_case(name)
    key, X = jax.random.key(0), POINTS
    for start in (case.density.init(key, 3), case.density.warm_start(key, X)):
        assert jax.tree.map(np.shape, start) == jax.tree.map(np.shape, case.params)
        assert np.isfinite(log_density(name, X[0], start))
        assert np.isfinite(case.density.penalty(start))


def test_an_untrained_energy_is_the_gaussian_of_the_table():
    X = table("gaussian", "complete")[0]
    params = MLPEnergy((4,)).warm_start(jax.random.key(0), X)
    for x in POINTS:
        expected = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(x)
        # warm starts widen the covariance by 1e-6
        actual = MLPEnergy((4,)).log_density(params, jnp.array(x))
        np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_a_mixture_starts_at_the_clusters():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((300, 2)) + np.where(rng.random((300, 1)) < 0.3, -6.0, 6.0)
    density = GaussianMixture(2)
    params = density.warm_start(jax.random.key(0), X)
    means, _ = density.moments(params)
    np.testing.assert_allclose(sorted(means[:, 0]), [-6, 6], atol=0.5)  # 4 / √90 = .42
    np.testing.assert_allclose(sorted(density.weights(params)), [0.3, 0.7], atol=0.11)


def test_penalties_written_out():
    case = density_case("gaussian")
    K = Gaussian().precision(case.params)
    np.testing.assert_allclose(Gaussian().penalty(case.params), 0.5 * (K**2).sum(), rtol=1e-12)
    mixture = density_case("mixture")
    _, covariances = mixture.density.moments(mixture.params)
    expected = sum(
        0.5 * (np.linalg.inv(C) ** 2).sum() + np.linalg.slogdet(C)[1] for C in covariances
    )
    np.testing.assert_allclose(mixture.density.penalty(mixture.params), expected, rtol=1e-10)
    energy = density_case("energy")
    layers = sum((leaf**2).sum() for leaf in jax.tree.leaves(energy.params["layers"]))
    expected = 0.5 * layers + 0.5 * (K**2).sum()
    np.testing.assert_allclose(energy.density.penalty(energy.params), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: GaussianMixture(0), "`n_components` must be at least 1; got 0"),
        (lambda: MLPEnergy(()), "`hidden_sizes` must be positive integers"),
        (lambda: MLPEnergy((4, 0)), "`hidden_sizes` must be positive integers"),
    ],
)
def test_errors_are_sentences(build, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        build()


def test_only_gaussians_and_mixtures_know_their_marginals():
    known = {n for n in DENSITIES if isinstance(density_case(n).density, AbstractMarginalDensity)}
    assert known == set(MARGINAL)
    assert CompleteCase().keeps(np.array([[True, False], [True, True]])).tolist() == [False, True]
