"""Fits that know why values are missing, the ridge chosen by held-out rows, and sparse families."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from cases import N_FEATURES, density_case, table
from designs import punch_holes
from scipy.stats import norm
from sklearn.tree import DecisionTreeClassifier

from sm_estimators import (
    Denoising,
    Exact,
    ExponentialFamilyScoreMatching,
    GaussianScoreMatching,
    Importance,
    Imputation,
    InversePropensity,
    LangevinChains,
    NotAtRandom,
    PersistentChains,
    PropensityTilt,
    Variational,
)
from sm_estimators.densities import ExponentialFamily, pairwise_statistics
from sm_estimators.fitting import Settings, Table
from sm_estimators.fitting.fit import pose
from sm_estimators.fitting.lbfgs import mean_loss
from sm_estimators.fitting.quadratic import normal_equations, remembered
from sm_estimators.fitting.selection import RIDGES
from sm_estimators.missing import CompleteCase, Placed
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.objectives import Explicit

PRECISION = np.array([[1.5, -0.7, 0.0], [-0.7, 1.2, 0.4], [0.0, 0.4, 1.0]])
CENTRE = np.array([1.0, 0.0, 0.0])
UPPER = np.triu_indices(3)
TREE = DecisionTreeClassifier(max_leaf_nodes=4, min_samples_leaf=100, random_state=0)
G, F = GaussianScoreMatching, ExponentialFamilyScoreMatching


@lru_cache
def at_random(seed, curve, n=2000):
    """Return a Gaussian table whose holes in columns 1 and 2 depend on column 0, always seen."""
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(CENTRE, np.linalg.inv(PRECISION), size=n)
    z = X[:, [0]] - CENTRE[0]
    logistic = 1 / (1 + np.exp(0.4 - 0.9 * z))
    chance = logistic if curve == "logistic" else np.where(z > 0.3, 0.7, 0.15)
    observed = rng.random((n, 3)) > chance
    observed[:, 0] = True
    return np.where(observed, X, np.nan)


def quantities(estimator):
    return np.r_[estimator.location_, estimator.precision_[UPPER]]


def worst_z(errors):
    """Return the largest mean error over tables in units of its standard error."""
    return np.abs(errors.mean(axis=0) / errors.std(axis=0, ddof=1) * np.sqrt(len(errors))).max()


# Missing at random.


def exact_errors(mechanism, curve, n_tables):
    """Return the errors of exact marginals, one row per table."""
    estimator = G(missing="exact", mechanism=mechanism)
    fits = [quantities(estimator.fit(at_random(seed, curve))) for seed in range(n_tables)]
    return np.array(fits) - np.r_[CENTRE, PRECISION[UPPER]]


@pytest.mark.parametrize(
    ("curve", "mechanism"),
    [
        ("logistic", InversePropensity()),
        ("logistic", PropensityTilt()),
        ("step", InversePropensity(TREE)),
    ],
)
def test_knowing_the_mechanism_removes_the_bias_of_exact_marginals(curve, mechanism):
    # Ten tables: beyond 4 standard errors with 9 degrees of freedom one of nine numbers falls by
    # chance once in 35 seeds. The bias of a finite table is of order 1/n.
    assert worst_z(exact_errors(mechanism, curve, 10)) < 4


@pytest.mark.parametrize("curve", ["logistic", "step"])
def test_ignoring_the_mechanism_keeps_the_bias_of_exact_marginals(curve):
    assert worst_z(exact_errors("mcar", curve, 8)) > 8


@pytest.mark.filterwarnings("ignore:The inverse propensities leave")
def test_a_wrong_model_of_the_propensity_keeps_a_bias():
    # A logistic curve is no step: the classifier matters, and is used.
    wrong, right = (exact_errors(InversePropensity(c), "step", 4) for c in (None, TREE))
    sizes = [np.median(np.linalg.norm(errors, axis=1)) for errors in (wrong, right)]
    assert sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize("mechanism", [InversePropensity(), PropensityTilt()])
def test_importance_takes_the_correction_too(mechanism):
    # By draws as by closed form, in the same table: what 20 draws add is small beside the bias.
    X = at_random(0, "logistic")
    exact = quantities(G(missing="exact", mechanism=mechanism).fit(X))
    ignoring = quantities(G(missing="exact").fit(X))
    options = {"mechanism": mechanism, "random_state": 0}
    estimator = F(missing=Importance(20), **options).fit(X)
    gap = np.linalg.norm(natural_quantities(estimator) - exact)
    assert gap < 0.25 * np.linalg.norm(ignoring - exact)
    assert estimator.mechanism_ == mechanism.describe()


def natural_quantities(estimator):
    theta = estimator.natural_parameters_
    K = np.diag(theta[3:6])
    K[np.triu_indices(3, 1)] = K.T[np.triu_indices(3, 1)] = theta[6:]
    return np.r_[np.linalg.solve(K, theta[:3]), K[UPPER]]


SCALE, SHIFT = np.array([250.0, 0.02, 3.0]), np.array([1000.0, -5.0, 0.0])


@pytest.mark.parametrize("mechanism", [InversePropensity(), PropensityTilt()])
def test_units_of_the_columns_do_not_matter(mechanism):
    # The classifier is penalised in standardised columns and L-BFGS stops at its tolerance.
    X = at_random(0, "logistic")
    plain, other = (G(missing="exact", mechanism=mechanism).fit(Z) for Z in (X, SHIFT + SCALE * X))
    np.testing.assert_allclose((other.location_ - SHIFT) / SCALE, plain.location_, atol=1e-4)
    again = other.precision_ * np.outer(SCALE, SCALE)
    np.testing.assert_allclose(again, plain.precision_, atol=1e-3)


def test_the_tilt_is_the_gradient_of_the_propensity():
    # One hole and a known logistic chance: ∂ log(1 − c)/∂x₀ = −1.3 c where column 1 was seen.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 2))
    chance = 1 / (1 + np.exp(0.3 - 1.3 * X[:, 0]))
    observed = np.ones(X.shape, bool)
    observed[:, 1] = rng.random(len(X)) > chance
    given = Table(np.where(observed, X, np.nan), observed, np.ones(len(X)))
    tilt = PropensityTilt().corrected_table(given, np.arange(2)).tilt
    expected = np.where(observed[:, 1], -1.3 * chance, 1.3 * (1 - chance))
    # slope and intercept of a logistic regression on 20,000 rows: errors of about .02
    np.testing.assert_allclose(tilt[:, 0], expected, atol=0.08)
    assert (tilt[:, 1] == 0).all()
    weight = InversePropensity().corrected_table(given, np.arange(2)).weight
    inverse = np.where(observed[:, 1], 1 / (1 - chance), 1 / chance)
    share = np.where(observed[:, 1], observed[:, 1].mean(), 1 - observed[:, 1].mean())
    np.testing.assert_allclose(weight, inverse * share, rtol=0.15)


def test_predictors_by_name_or_position():
    frame = pd.DataFrame(at_random(0, "logistic"), columns=["age", "b", "c"])
    fits = [
        quantities(G(missing="exact", mechanism=InversePropensity(predictors=p)).fit(X))
        for X, p in [(frame, ["age"]), (frame, [0]), (frame.to_numpy(), [0])]
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_array_equal(fits[0], fits[2])
    with pytest.raises(ValueError, match=r"`predictors` must name columns of `X`; 'z' is none of"):
        G(missing="exact", mechanism=InversePropensity(predictors=["z"])).fit(frame)


def log_phi(observed, x):
    return jnp.zeros(())


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (
            G(missing="imputation", mechanism=PropensityTilt()),
            "`missing='imputation'` fits completed rows.*valid under `mechanism='mar'` as it is",
        ),
        (
            G(missing="exact", mechanism=PropensityTilt(), objective=Denoising(0.1)),
            r"denoising loss leaves them.*InversePropensity\(\)",
        ),
        (G(missing="exact", mechanism=PropensityTilt(TREE)), "smoothly for a gradient.*trees"),
        (
            G(missing="exact", mechanism=NotAtRandom(log_phi)),
            "`missing='exact'` cannot weigh completed rows.*Use 'importance'",
        ),
        (
            G(ridge="held_out", mechanism=NotAtRandom(log_phi)),
            "compares the marginal losses of held-out rows.*mechanism 'mnar'",
        ),
        (G(ridge="held_out", mechanism="mar"), "held-out rows.*mechanism 'mar'"),
        (
            G(missing=Importance(log_propensity=log_phi)),
            "`missing` holds a `log_propensity`.*NotAtRandom",
        ),
        (
            G(missing=PersistentChains(), mechanism=NotAtRandom(log_phi)),
            "`missing='persistent_chains'` cannot weigh completed rows",
        ),
        (
            G(missing=Imputation(5, LangevinChains()), mechanism=NotAtRandom(log_phi)),
            "`missing='imputation'` cannot weigh completed rows",
        ),
        (
            G(missing=Variational(self_normalised=False), mechanism=NotAtRandom(log_phi)),
            "`missing='variational'` cannot weigh completed rows",
        ),
    ],
)
def test_what_a_mechanism_cannot_correct_is_refused(estimator, sentence):
    with pytest.raises(ValueError, match=rf"(?s){sentence}"):
        estimator.fit(at_random(0, "logistic"))


def test_few_rows_that_stand_for_many_are_reported():
    # Below 0 in column 0 nearly everything is missing: a few rows get all the weight.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 2))
    X[rng.random(2000) < 1 / (1 + np.exp(6 * X[:, 0])), 1] = np.nan
    with pytest.warns(UserWarning, match=r"leave \d+ of 2000 effective rows.*'imputation'"):
        G(missing="exact", mechanism=InversePropensity(), ridge=1e-3).fit(X)


def test_the_zeroed_baseline_warns_at_the_door():
    X, observed = (part[:200] for part in table("gaussian", "mcar"))
    with pytest.warns(UserWarning, match=r"`missing='zeroed'` is biased under every mechanism"):
        estimator = G(missing="zeroed").fit(np.where(observed, X, np.nan))
    assert estimator.missing_ == "zeroed"


# Missing not at random.

MEAN, COVARIANCE = np.array([1.0, -0.5]), np.array([[1.0, 0.6], [0.6, 1.5]])


def hides(observed, x):
    """Return log φ where column 1 hides by its own value."""
    z = 1.2 * (x[1] + 0.5)
    return jnp.where(observed[1], jax.nn.log_sigmoid(-z), jax.nn.log_sigmoid(z))


@lru_cache
def hidden_table(seed, n=2000):
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(MEAN, COVARIANCE, n)
    X[rng.random(n) < 1 / (1 + np.exp(-1.2 * (X[:, 1] + 0.5))), 1] = np.nan
    return X


def moments_of(estimator):
    """Return mean and variance of column 1 and its covariance with column 0."""
    if hasattr(estimator, "covariance_"):
        location, covariance = estimator.location_, estimator.covariance_
    else:
        t = estimator.natural_parameters_
        covariance = np.linalg.inv([[t[2], t[4]], [t[4], t[3]]])
        location = covariance @ t[:2]
    return np.array([location[1], covariance[1, 1], covariance[0, 1]])


@pytest.mark.parametrize(("build", "missing"), [(G, "importance"), (F, "imputation")])
def test_a_known_mechanism_recovers_what_it_hides(build, missing):
    # 6 tables; of three numbers one is beyond 4 standard errors with 5 degrees of freedom once in
    # 30 seeds. A fit that takes the holes for random is off by half a standard deviation.
    truth = np.array([MEAN[1], COVARIANCE[1, 1], COVARIANCE[0, 1]])

    def errors(mechanism, n_tables):
        estimator = build(missing=missing, mechanism=mechanism, random_state=0)
        found = [moments_of(estimator.fit(hidden_table(seed))) for seed in range(n_tables)]
        return np.array(found) - truth

    assert worst_z(errors(NotAtRandom(hides), 6)) < 4
    assert worst_z(errors("mcar", 3)) > 8


def test_auto_imputes_when_the_mechanism_is_known():
    estimator = G(mechanism=NotAtRandom(hides), random_state=0).fit(hidden_table(0))
    assert (estimator.missing_, estimator.mechanism_) == ("imputation", "mnar")
    np.testing.assert_allclose(moments_of(estimator), moments_of(hidden_fit()), rtol=1e-6)


@lru_cache
def hidden_fit():
    return G(missing="imputation", mechanism=NotAtRandom(hides), random_state=0).fit(
        hidden_table(0)
    )


def conditional_of_a_hole(estimator, x0):
    """Return mean and deviation of column 1 given column 0 and that it was not seen."""
    location, covariance = estimator.location_, estimator.covariance_
    pull = covariance[0, 1] / covariance[0, 0]
    width = np.sqrt(covariance[1, 1] - pull * covariance[0, 1])
    grid = np.linspace(-12, 12, 6001)
    heights = norm.pdf(grid, location[1] + pull * (x0 - location[0]), width)
    heights = heights / (1 + np.exp(-1.2 * (grid + 0.5)))
    heights /= heights.sum()
    mean = heights @ grid
    return mean, np.sqrt(heights @ (grid - mean) ** 2), location[1] + pull * (x0 - location[0])


def test_completions_heed_the_pattern():
    # Rows have chains of their own: 300 equal rows are 300 independent draws per imputation, and
    # the draws of a row share a step size only.
    estimator = hidden_fit()
    for x0 in (1.0, -1.0):
        X = np.tile([x0, np.nan], (300, 1))
        drawn = estimator.impute(X, 4, random_state=0)[:, :, 1].ravel()
        mean, deviation, ignoring = conditional_of_a_hole(estimator, x0)
        error = deviation / np.sqrt(len(drawn))
        assert abs(drawn.mean() - mean) < 4 * error
        assert abs(drawn.std() - deviation) < 4 * deviation / np.sqrt(2 * len(drawn))
        assert abs(ignoring - mean) > 10 * error
    complete = np.array([[0.5, 1.0], [0.1, -1.0]])
    np.testing.assert_array_equal(estimator.impute(complete, random_state=0)[0], complete)


def test_a_mechanism_is_a_function_of_the_units_of_the_table():
    scale, shift = np.array([100.0, 0.01]), np.array([-1000.0, 3.0])

    def in_other_units(observed, x):
        return hides(observed, (x - shift) / scale)

    X = hidden_table(0)
    plain = hidden_fit()
    other = G(missing="imputation", mechanism=NotAtRandom(in_other_units), random_state=0)
    other.fit(shift + scale * X)
    np.testing.assert_allclose((other.location_ - shift) / scale, plain.location_, atol=1e-3)
    again = other.covariance_ / np.outer(scale, scale)
    np.testing.assert_allclose(again, plain.covariance_, atol=3e-3)
    row = np.tile([1.0, np.nan], (300, 1))
    drawn = other.impute(shift + scale * row, 4, random_state=0)[:, :, 1].ravel()
    mean, deviation, _ = conditional_of_a_hole(plain, 1.0)
    drawn = (drawn - shift[1]) / scale[1]
    assert abs(drawn.mean() - mean) < 4 * deviation / np.sqrt(len(drawn)) + 1e-3


# The ridge, chosen by held-out rows.


def test_a_hard_table_gets_a_larger_ridge():
    # Five columns, 60 rows, half of them missing: the loss of exact marginals hardly has a bound.
    # Fifteen hundred rows hardly need one. What is compared is the criterion of `score`.
    rng = np.random.default_rng(0)
    d, K = 5, 2 * np.eye(5) - 0.6 * np.eye(5, k=1) - 0.6 * np.eye(5, k=-1)
    X = rng.multivariate_normal(np.zeros(d), np.linalg.inv(K), size=1500)
    hard, easy = punch_holes(1, X[:60], 0.5)[0], punch_holes(2, X, 0.1)[0]
    hard, easy = (Z[~np.isnan(Z).all(axis=1)] for Z in (hard, easy))
    fits = [G(missing="exact", ridge="held_out", random_state=0).fit(Z) for Z in (hard, easy)]
    for estimator in fits:
        losses = estimator.missing_diagnostics_["held_out_loss"]
        assert set(losses) <= set(RIDGES)
        assert estimator.ridge_ == min(losses, key=losses.__getitem__)
        assert len(losses) >= 3
        assert np.isfinite(list(losses.values())).all()
        assert estimator.ridge == "held_out"
    assert fits[0].ridge_ >= 0.03 > 0.01 >= fits[1].ridge_
    plain = G(missing="exact", ridge=1e-2).fit(hard)
    errors = [np.linalg.norm(e.precision_ - K) for e in (fits[0], plain)]
    assert errors[0] < errors[1]
    assert fits[0].score(X) > plain.score(X)


def test_the_ridge_of_a_family_and_of_a_mixture_of_draws():
    X, observed = (part[:150] for part in table("quartic", "mcar"))
    statistics = density_case("quartic").density.statistics
    estimator = F(statistics, missing=Imputation(8), ridge="held_out", random_state=0)
    estimator.fit(np.where(observed, X, np.nan))
    losses = estimator.missing_diagnostics_["held_out_loss"]
    assert estimator.ridge_ == min(losses, key=losses.__getitem__)
    # the fit is that with the ridge chosen
    again = F(statistics, missing=Imputation(8), ridge=estimator.ridge_, random_state=0)
    again.fit(np.where(observed, X, np.nan))
    np.testing.assert_allclose(again.natural_parameters_, estimator.natural_parameters_)


def test_a_complete_table_has_its_ridge_chosen_too():
    X = table("gaussian", "complete")[0][:400]
    estimator = G(ridge="held_out", random_state=0).fit(X)
    assert set(estimator.missing_diagnostics_) == {"held_out_loss"}
    assert estimator.ridge_ < 0.1


# L1 penalties of exponential families.

L1 = 0.15
FLAGS = np.r_[np.zeros(6), np.ones(3)].astype(bool)
"""Of nine parameters of the pairwise statistics: those of the products."""


def assert_optimal(gradient, theta, *, tolerance, penalty=L1 * FLAGS):
    """Assert the conditions of a minimum of loss + Σ penalty |θ|, and that there are zeros."""
    zero = theta == 0
    assert (np.abs(gradient)[zero] <= penalty[zero] + tolerance).all()
    np.testing.assert_allclose(
        gradient[~zero], -penalty[~zero] * np.sign(theta[~zero]), atol=tolerance
    )
    assert 1 <= zero.sum() <= 2
    assert FLAGS[zero].all()


def chain_table(n=600):
    """Return rows of a Gaussian in which columns 0 and 2 are independent given column 1."""
    K = np.array([[1.2, -0.5, 0.0], [-0.5, 1.0, 0.4], [0.0, 0.4, 1.1]])
    X = np.random.default_rng(0).multivariate_normal([0.5, 0, 0], np.linalg.inv(K), size=n)
    observed = np.random.default_rng(1).random(X.shape) > 0.2
    observed[:, 1] |= ~observed.any(axis=1)
    return X, observed


def sparse_fit(missing, X, **options):
    options = {"sparse": FLAGS, "l1": L1, "random_state": 0, "ridge": 0.0, **options}
    return F(pairwise_statistics, missing=missing, **options).fit(X)


def posed(estimator, X, observed):
    """Return the problem that an estimator solved."""
    rows = Table(np.where(observed, X, np.nan), observed, np.ones(len(X)))
    em = gaussian_em(rows.X, observed, weights=rows.weight, ridge=1e-8)
    order = np.lexsort(np.hstack([np.where(observed, X, 0.0), observed]).T[::-1])
    moments = em.location, em.covariance
    seed = estimator._fit_seed
    rule = estimator.missing
    return pose(
        ExponentialFamily(pairwise_statistics),
        Explicit(),
        rule,
        rows.take(order),
        moments,
        seed,
        None,
    )


def test_sparse_families_of_complete_rows():
    X, _ = chain_table()
    theta = sparse_fit("auto", X).natural_parameters_
    seen = np.ones(X.shape, bool)
    placed = Placed(X, seen, np.ones(len(X)), (X.mean(axis=0), np.cov(X.T)))
    rows = CompleteCase().prepare(np.random.default_rng(0), placed)
    key = jax.random.key(0)
    gram, linear, weight = normal_equations(
        ExponentialFamily(pairwise_statistics), Explicit(), rows, key
    )
    assert_optimal((gram @ theta + linear) / weight, theta, tolerance=1e-6)
    assert theta[7] == 0
    dense = sparse_fit("auto", X, l1=0.0).natural_parameters_
    assert (dense != 0).all()


def test_sparse_families_by_em():
    X, observed = chain_table()
    estimator = sparse_fit(Imputation(10), np.where(observed, X, np.nan), tol=1e-9)
    theta = estimator.natural_parameters_
    gram, linear, weight = remembered(posed(estimator, X, observed))(theta)
    assert_optimal((gram @ theta + linear) / weight, theta, tolerance=1e-5)


def test_sparse_families_by_importance():
    X, observed = chain_table()
    estimator = sparse_fit(Importance(10), np.where(observed, X, np.nan), tol=1e-8)
    theta = estimator.natural_parameters_
    with jax.enable_x64(True):
        _, gradient = mean_loss(posed(estimator, X, observed), lambda flat: flat, 0.0)(theta)
    assert_optimal(gradient, theta, tolerance=1e-4)


def test_l1_shrinks_what_it_names_only():
    X, _ = chain_table()
    everything = F(pairwise_statistics, l1=10.0, ridge=0.0).fit(X).natural_parameters_
    assert (everything == 0).all()
    products = sparse_fit("auto", X, l1=10.0).natural_parameters_
    assert (products[6:] == 0).all()
    # what is left is a Gaussian of independent columns: 1 / variance and mean / variance
    np.testing.assert_allclose(products[3:6], 1 / X.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(products[:3], X.mean(axis=0) / X.var(axis=0), rtol=1e-4)
    default = F(l1=10.0, ridge=0.0).fit(X).natural_parameters_
    np.testing.assert_allclose(default, products, atol=1e-6)
    assert Settings().l1 == 0
    assert X.shape[1] == N_FEATURES
    assert Exact().valid_under == {"mcar"}
