"""Standard errors: against closed forms, finite differences, the bootstrap and repeated tables."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from sm_estimators import (
    Box,
    Denoising,
    EnergyScoreMatching,
    ExponentialFamilyScoreMatching,
    GaussianMixture,
    GaussianScoreMatching,
    Importance,
    Imputation,
    InversePropensity,
    LogDensity,
    NotAtRandom,
    PersistentChains,
    PropensityTilt,
    ScoreMatchingEstimator,
    Variational,
)
from sm_estimators._spec import spec
from sm_estimators.fitting.estimating_equation import ExpectedDenoising
from sm_estimators.fitting.row_derivatives import condensed
from sm_estimators.missing import AbstractMissing, CompleteCase, Placed
from sm_estimators.missing.imputation import Imputation as ImputationRule

MEAN = np.array([1.0, -0.5, 0.2])
COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 1.5, 0.2], [-0.3, 0.2, 0.7]])
UPPER = np.triu_indices(3)


def whole(n=400, seed=0):
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, n)


def holed(n=400, seed=0):
    """Return a table with a third of the cells of two columns lost, and none of the first."""
    X = whole(n, seed)
    holes = np.random.default_rng([seed, 1]).random((n, 2)) < 0.35
    X[:, 1:][holes] = np.nan
    return X


def at_random(n=400, seed=0):
    """Return a table whose first column decides about holes in the others."""
    X = whole(n, seed)
    for column, slope in ((1, 0.5), (2, -0.5)):
        chance = 1 / (1 + np.exp(0.5 - slope * (X[:, 0] - 1)))
        X[np.random.default_rng([seed, column]).random(n) < chance, column] = np.nan
    return X


def errors(estimator, X, prefix="", **options):
    table = estimator.confidence_intervals(X, **options)
    return table["standard_error"][table.index.str.startswith(prefix)].to_numpy()


def pairwise(missing, **options):
    return ExponentialFamilyScoreMatching(missing=missing, random_state=0, **options)


# --- closed forms ----------------------------------------------------------------------------


def test_complete_rows_of_a_gaussian():
    X = np.random.default_rng(0).gamma(2.0, size=(300, 3)) @ np.tri(3)  # the density is wrong
    fitted = GaussianScoreMatching(ridge=0).fit(X)
    Z = X - X.mean(axis=0)
    products = np.einsum("ni,nj->nij", Z, Z)[:, *UPPER]
    np.testing.assert_allclose(errors(fitted, X, "location"), Z.std(axis=0) / np.sqrt(300))
    expected = products.std(axis=0) / np.sqrt(300)
    np.testing.assert_allclose(errors(fitted, X, "covariance"), expected, rtol=1e-7)
    K = fitted.precision_
    influence = np.einsum("ai,nij,jb->nab", K, np.einsum("ni,nj->nij", Z, Z), K)
    expected = influence.std(axis=0)[UPPER] / np.sqrt(300)
    np.testing.assert_allclose(errors(fitted, X, "precision"), expected, rtol=1e-7)


def test_complete_rows_of_every_objective_and_family():
    X = whole()
    reference = errors(GaussianScoreMatching(ridge=0).fit(X), X, "precision")
    family = errors(pairwise("auto", ridge=0).fit(X), X)
    in_order = reference[np.lexsort((UPPER[1], UPPER[0] != UPPER[1]))]
    np.testing.assert_allclose(family[3:], in_order, rtol=1e-7)
    noisy = GaussianScoreMatching(objective=Denoising(0.5), ridge=0).fit(X)
    plain = GaussianScoreMatching(ridge=0).fit(X)
    np.testing.assert_allclose(errors(noisy, X, "cov"), errors(plain, X, "cov"), rtol=1e-7)


def row_log_likelihoods(theta, X):
    """Return log N(x_observed) of every row, for the mean and the covariance's upper triangle."""
    covariance = np.zeros((3, 3))
    covariance[UPPER] = theta[3:]
    covariance = covariance + np.triu(covariance, 1).T
    values = np.empty(len(X))
    for pattern in np.unique(~np.isnan(X), axis=0):
        mine = (~np.isnan(X) == pattern).all(axis=1)
        law = multivariate_normal(theta[:3][pattern], covariance[np.ix_(pattern, pattern)])
        values[mine] = law.logpdf(X[mine][:, pattern])
    return values


def differences(function, point, step):
    columns = []
    for j in range(len(point)):
        e = step * np.eye(len(point))[j]
        columns.append((function(point + e) - function(point - e)) / (2 * step))
    return np.stack(columns, axis=-1)


def test_em_against_finite_differences_of_the_likelihood():
    X = holed(200)
    fitted = GaussianScoreMatching(ridge=0, tol=1e-10).fit(X)
    theta = np.concatenate([fitted.location_, fitted.covariance_[UPPER]])

    def gradient(point):
        return differences(partial(row_log_likelihoods, X=X), point, 1e-5)

    scores, bend = gradient(theta), differences(lambda t: gradient(t).sum(axis=0), theta, 1e-4)
    inverse = np.linalg.inv(bend)
    expected = np.sqrt(np.diag(inverse @ scores.T @ scores @ inverse))
    found = np.concatenate([errors(fitted, X, "location"), errors(fitted, X, "covariance")])
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_mean_of_a_denoising_loss(double):
    """The closed form against the average over noise of the loss at a linear score."""
    K, x = np.linalg.inv(COVARIANCE), jnp.array([0.4, -1.0, 2.0])
    observed, variance = jnp.array([True, False, True]), np.array([0.3, 0.2, 0.5])

    def score(z):
        return jnp.where(observed, -K @ jnp.where(observed, z, 0.0), 0.0)

    loss = ExpectedDenoising(variance, np.ones(3))(jax.random.key(0), score, x, observed)
    noisy = Denoising(noise_scale=np.sqrt(variance), n_draws=200_000)
    drawn = noisy(jax.random.key(0), score, x, observed)
    assert abs(loss - drawn) < 0.02  # the standard error is .005


def test_condensed_rows_have_the_moments_of_every_pattern():
    X = holed(300)
    observed = ~np.isnan(X)
    weight = np.random.default_rng(0).uniform(0.5, 2, 300)
    placed = Placed(np.nan_to_num(X), observed, weight, (MEAN, COVARIANCE))
    rows = CompleteCase().prepare(np.random.default_rng(0), placed)
    few = condensed(rows)
    assert len(few.X) == 2 * (3 + 2 + 2 + 1)
    for pattern in np.unique(observed, axis=0):
        a, b = (r for r in (rows, few))
        a, b = ((r.X, r.weight, (r.observed == pattern).all(axis=1)) for r in (a, b))
        sums = [
            [w[mine].sum(), w[mine] @ Z[mine], (Z[mine] * w[mine, None]).T @ Z[mine]]
            for Z, w, mine in (a, b)
        ]
        for one, other in zip(*sums, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)


# --- holes -----------------------------------------------------------------------------------


@spec
class Frozen(ImputationRule):
    """Imputation whose weights stand still: the information of completed rows."""

    def estimating_function(self, key, objective, density, params, row):
        frozen = self.expectation(density, params, row)
        return AbstractMissing.estimating_function(self, key, objective, density, params, frozen)


def test_imputation_by_draws_knows_what_is_missing():
    X = at_random(1000)
    em = GaussianScoreMatching(mechanism="mar").fit(X)
    exact = errors(em, X, "precision")
    exact = np.array([exact[i] for i in (0, 3, 5, 1, 2, 4)])
    family = pairwise(Imputation(50), mechanism="mar").fit(X)
    found = errors(family, X)[3:]
    # 50 draws add about a fiftieth of the missing information to the variance.
    np.testing.assert_allclose(found, exact, rtol=0.04)
    frozen = pairwise(Frozen(50), mechanism="mar").fit(X)
    np.testing.assert_allclose(frozen.params_, family.params_, rtol=1e-10)
    too_small = errors(frozen, X)[3:]
    assert (too_small < 1.02 * found).all()
    assert too_small[2] < 0.85 * found[2]


def test_importance_weighting_is_nearly_exact_marginals():
    X = holed(1000)
    exact = GaussianScoreMatching(missing="exact").fit(X)
    sampled = GaussianScoreMatching(missing=Importance(50), random_state=0).fit(X)
    np.testing.assert_allclose(errors(sampled, X), errors(exact, X), rtol=0.04)
    assert (errors(exact, X) > 0.98 * errors(GaussianScoreMatching().fit(X), X)).all()


@pytest.mark.filterwarnings("ignore:The fit stopped before it converged")
@pytest.mark.parametrize(
    "missing",
    [Variational(10, n_refreshes=4), PersistentChains(10, n_refreshes=4)],
    ids=["variational", "chains"],
)
def test_refreshed_draws(missing):
    X = holed()
    fixed = pairwise(Importance(30)).fit(X)
    refreshed = pairwise(missing).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the fit is near the solution of its equation
        found = errors(refreshed, X)
    np.testing.assert_allclose(found, errors(fixed, X), rtol=0.15)


def test_known_mechanisms():
    """Weights and tilts cost variance; what imputation costs needs no model of the mechanism."""
    X = at_random(1000)
    em = errors(GaussianScoreMatching(mechanism="mar").fit(X), X)
    for mechanism in (InversePropensity(), PropensityTilt()):
        corrected = GaussianScoreMatching(missing="exact", mechanism=mechanism).fit(X)
        found = errors(corrected, X)
        assert (found > 0.97 * em).all()
        assert (found < 2.5 * em).all()


def large_values_hide(observed, x):
    return jnp.sum(jnp.where(observed, jax.nn.log_sigmoid(-x), jax.nn.log_sigmoid(x))[1:])


def test_a_mechanism_that_depends_on_what_is_missing():
    X = holed(200)
    selected = pairwise("importance", mechanism=NotAtRandom(large_values_hide)).fit(X)
    found = errors(selected, X)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_a_box():
    X = np.abs(whole(300))
    X[::3, 1] = np.nan
    fitted = ExponentialFamilyScoreMatching(support=Box(lower=0.0), random_state=0).fit(X)
    sandwich = errors(fitted, X)
    bootstrap = errors(fitted, X, method="bootstrap", n_resamples=60, random_state=0)
    np.testing.assert_allclose(sandwich, bootstrap, rtol=0.35)  # 60 tables: 9 % each, of nine


# --- weights and ridges ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianScoreMatching(),
        GaussianScoreMatching(missing="exact", ridge=0.1),
        GaussianScoreMatching(missing="exact", mechanism=InversePropensity()),
        pairwise(Importance(10)),
        pairwise(Imputation(10), ridge=0.1),
    ],
    ids=["EM", "exact", "inverse propensity", "importance", "imputation"],
)
def test_an_integer_weight_is_that_many_copies(estimator):
    X, weight = holed(400), np.random.default_rng(0).integers(0, 4, 400)
    weighted = estimator.fit(X, sample_weight=weight).confidence_intervals(X, sample_weight=weight)
    copies = np.repeat(X, weight, axis=0)
    repeated = estimator.fit(copies).confidence_intervals(copies)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianScoreMatching(),
        GaussianScoreMatching(ridge=0.3),
        GaussianScoreMatching(missing="exact", ridge=0.1),
        GaussianScoreMatching(objective=Denoising(0.5), missing="exact"),
        pairwise(Imputation(10), ridge=0.1, tol=1e-5),
    ],
    ids=["EM", "EM, ridge", "exact, ridge", "denoising", "imputation, ridge"],
)
def test_the_bootstrap_agrees(estimator):
    """Also where the density is wrong and a ridge is measured in units of the table."""
    X = holed(1000)
    X = np.sign(X) * np.abs(X) ** 1.5
    fitted = estimator.fit(X)
    options = {"method": "bootstrap", "n_resamples": 150, "random_state": 0}
    ratio = errors(fitted, X, **options) / errors(fitted, X)
    # Each has a relative standard error of 1 / √300, more with heavy tails.
    assert 0.9 < np.median(ratio) < 1.1
    assert (np.abs(np.log(ratio)) < 0.25).all()


# --- coverage --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["imputation", "inverse propensity"])
def test_intervals_cover(rule):
    """100 tables: each coverage has a standard error of 2.2 %; three of them below 95 %."""
    truth = np.concatenate([MEAN, COVARIANCE[UPPER]])
    mechanism = "mar" if rule == "imputation" else InversePropensity()
    missing = "imputation" if rule == "imputation" else "exact"
    hits = []
    for seed in range(100):
        X = at_random(2000, seed=[7, seed])
        fitted = GaussianScoreMatching(missing=missing, mechanism=mechanism).fit(X)
        table = fitted.confidence_intervals(X).iloc[:9]
        hits.append((table["lower"] < truth) & (truth < table["upper"]))
    covered = np.mean(hits, axis=0)
    assert (covered > 0.95 - 3 * 0.022 - 0.01).all()
    assert 0.92 < covered.mean() < 0.98


# --- the table -------------------------------------------------------------------------------


def test_names_and_levels():
    X = pd.DataFrame(holed(), columns=list("abc"))
    fitted = GaussianScoreMatching().fit(X)
    table = fitted.confidence_intervals(X)
    assert list(table.columns) == ["estimate", "standard_error", "lower", "upper"]
    assert table.index[:5].tolist() == [
        "location[a]",
        "location[b]",
        "location[c]",
        "covariance[a, a]",
        "covariance[a, b]",
    ]
    assert len(table) == 3 + 6 + 6
    np.testing.assert_allclose(table.loc["covariance[b, c]", "estimate"], fitted.covariance_[1, 2])
    wide = fitted.confidence_intervals(X, level=0.99)
    reach = (wide["upper"] - wide["estimate"]) / table["standard_error"]
    np.testing.assert_allclose(reach, norm.ppf(0.995))
    assert pairwise("auto").fit(X).confidence_intervals(X).index[0] == "natural_parameters[0]"


def overparametrised(params, x):
    return -0.5 * jnp.sum((x - params["a"] - params["b"]) ** 2) + params["c"] * x[0]


def test_what_is_not_identified():
    """The components of a mixture are; of a sum of two parameters only the sum is."""
    X = np.concatenate([whole(150)[:, :2], whole(150)[:, :2] + 4])
    mixture = ScoreMatchingEstimator(GaussianMixture(2), random_state=0).fit(X)
    table = mixture.confidence_intervals(X)
    assert table.index[:4].tolist() == [
        "weights[0]",
        "weights[1]",
        "location[0, 0]",
        "location[0, 1]",
    ]
    assert np.isfinite(table).all(axis=None)
    density = LogDensity(overparametrised, lambda key, d: {k: jnp.zeros(()) for k in "abc"})
    fitted = ScoreMatchingEstimator(density, ridge=0.0, random_state=0).fit(X)
    found = fitted.confidence_intervals(X)["standard_error"]
    assert np.isinf(found[["a", "b"]]).all()
    assert np.isfinite(found["c"])


def test_a_second_table_compiles_nothing(traces):
    for estimator in (GaussianScoreMatching(missing="exact"), pairwise(Importance(10))):
        for seed in (0, 1):
            X = holed(200, seed)
            traces.clear()
            estimator.fit(X).confidence_intervals(X)
    assert traces == []


def test_rows_that_came_in_parts():
    X = whole(200)
    parts = GaussianScoreMatching()
    for half in (X[:100], X[100:]):
        parts.partial_fit(half)
    together = GaussianScoreMatching().fit(X)
    expected = together.confidence_intervals(X)
    np.testing.assert_allclose(parts.confidence_intervals(X), expected, rtol=1e-6)


def test_another_table_is_noticed():
    fitted = GaussianScoreMatching().fit(holed())
    with pytest.warns(UserWarning, match="standard deviations from zero"):
        fitted.confidence_intervals(holed(100, seed=5) + 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"level": 95}, "`level` must be a number between 0 and 1; got 95"),
        ({"method": "jackknife"}, "`method` must be one of"),
        ({"method": "bootstrap", "n_resamples": 1}, "`n_resamples` must be at least 2"),
    ],
)
def test_bad_arguments(options, sentence):
    X = holed()
    with pytest.raises(ValueError, match=sentence):
        GaussianScoreMatching().fit(X).confidence_intervals(X, **options)


def test_what_has_no_standard_errors():
    X = holed()
    with pytest.raises(ValueError, match="X has 2 features"):
        GaussianScoreMatching().fit(X).confidence_intervals(X[:, :2])
    with pytest.raises(ValueError, match="A fit with `l1`"):
        GaussianScoreMatching(l1=0.1).fit(whole()).confidence_intervals(whole())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        energy = EnergyScoreMatching((4,), max_iter=5, random_state=0).fit(whole(80))
    with pytest.raises(ValueError, match="MLPEnergy has no standard errors"):
        energy.confidence_intervals(whole(80))


def test_the_ridge_of_a_marginal_fit_is_that_of_its_solver():
    # With another penalty the fit would not solve the equation, and there would be a warning.
    X = holed()
    fitted = ExponentialFamilyScoreMatching(missing=Importance(10), ridge=0.1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fitted.fit(X).confidence_intervals(X)
    assert (found["standard_error"] > 0).all()
