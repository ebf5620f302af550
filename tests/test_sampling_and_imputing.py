"""Draws have the law they should have: exact ones, those of chains, and those inside NumPyro."""

from copy import copy
from functools import cache

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import numpyro.infer
import pytest
from numpyro.diagnostics import effective_sample_size

from sm_estimators import (
    MALA,
    NUTS,
    ULA,
    EnergyScoreMatching,
    ExponentialFamilyScoreMatching,
    GaussianMixture,
    GaussianScoreMatching,
    SamplingWarning,
    ScoreMatchingEstimator,
    ScoreMatchingImputer,
)

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1, 0.6, 0], [0.6, 2, 0.3], [0, 0.3, 0.5]])
CHAIN_KEYS = {
    "r_hat",
    "effective_sample_size",
    "r_hats",
    "effective_sample_sizes",
    "acceptance",
    "step_size",
}


def gaussian_rows(n, seed=0):
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, n)


def punched(X, fraction=0.3, seed=1):
    """Return ``X`` with holes completely at random, except that one row in 37 would be empty."""
    holes = np.random.default_rng(seed).random(X.shape) < fraction
    holes[holes.all(axis=1)] = False
    return np.where(holes, np.nan, X)


def two_modes(n, seed=0):
    """Return rows of two overlapping Gaussians, the chains' bridge between them included."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) * [0.6, 1.0] + np.where(rng.random((n, 1)) < 0.4, 1.2, -1.2)


@cache
def fitted_gaussian():
    return GaussianScoreMatching().fit(gaussian_rows(2000))


@cache
def fitted_mixture():
    return ScoreMatchingEstimator("mixture", random_state=0).fit(two_modes(2000))


@cache
def fitted_family():
    return ExponentialFamilyScoreMatching().fit(gaussian_rows(2000))


def moments(estimator):
    """Return mean and covariance of a fitted Gaussian, or of a fitted mixture."""
    if hasattr(estimator, "location_"):
        return estimator.location_, estimator.covariance_
    w = estimator.density_.weights(estimator.params_)
    means, covariances = estimator.density_.moments(estimator.params_)
    mean = w @ means
    between = np.einsum("c,ci,cj->ij", w, means - mean, means - mean)
    return mean, np.tensordot(w, covariances, axes=1) + between


def assert_moments(X, mean, covariance, *, n=None):
    """Compare first and second moments with 4 standard errors, of n independent rows."""
    n = n or len(X)
    assert (np.abs(X.mean(axis=0) - mean) < 4 * X.std(axis=0) / np.sqrt(n)).all()
    Z = X - mean
    products = Z[:, :, None] * Z[:, None, :]
    error = np.abs(products.mean(axis=0) - covariance)
    assert (error < 4 * products.std(axis=0) / np.sqrt(n)).all()


# --- sampling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [fitted_gaussian, fitted_mixture], ids=["gaussian", "mixture"])
def test_exact_samples(fit):
    X = fit().sample(20_000, random_state=0)
    assert_moments(X, *moments(fit()))
    assert fit().sampling_diagnostics_ == {"exact": True}


@pytest.mark.parametrize("sampler", ["mala", MALA(n_chains=128), "nuts"])
@pytest.mark.parametrize("fit", [fitted_gaussian, fitted_mixture], ids=["gaussian", "mixture"])
def test_samples_of_chains(fit, sampler):
    estimator = copy(fit()).set_params(sampler=sampler)
    X = estimator.sample(4000, random_state=0)
    found = estimator.sampling_diagnostics_
    assert set(found) == CHAIN_KEYS
    assert found["r_hat"] < 1.01
    assert 0.4 < found["acceptance"] <= 1
    # The draws are as good as independent: their number is at most what the chains are worth.
    assert_moments(X, *moments(estimator), n=min(4000, found["effective_sample_size"]))


def test_chains_of_a_density_without_exact_draws():
    estimator = fitted_family()
    X = estimator.sample(4000, random_state=0)
    assert estimator.sampling_diagnostics_["r_hat"] < 1.01
    gaussian = fitted_gaussian()  # the same density: the family is that of the Gaussians
    assert_moments(X, gaussian.location_, gaussian.covariance_)


def test_chains_that_have_not_arrived_are_reported():
    stuck = MALA(n_warmup=1, step_size=1e-7)
    estimator = ExponentialFamilyScoreMatching(sampler=stuck).fit(gaussian_rows(200))
    with pytest.warns(SamplingWarning, match="The chains disagree: R-hat is"):
        estimator.sample(10, random_state=0)
    assert estimator.sampling_diagnostics_["r_hat"] > 1.05
    one_column = np.where([[True, False, False]], np.nan, gaussian_rows(40))
    lazy = estimator.set_params(sampler=ULA(n_warmup=1, n_steps=20, step_size=1e-4))
    with pytest.warns(SamplingWarning, match="The chains disagree"):
        lazy.impute(one_column, random_state=0)


# --- imputing ----------------------------------------------------------------------------------


def test_draws_have_the_variance_of_the_truth():
    truth = gaussian_rows(40_000)
    X = punched(truth)
    holes = np.isnan(X)
    drawn = GaussianScoreMatching().fit(X).impute(X, random_state=0)[0]
    standard = (drawn - MEAN) / np.sqrt(np.diag(COVARIANCE))
    # Some 33 000 holes: the standard error of the ratio is √(2/33 000) = .008.
    assert (standard[holes] ** 2).mean() == pytest.approx(1, abs=0.03)
    assert np.corrcoef(drawn.T) == pytest.approx(np.corrcoef(truth.T), abs=0.02)


def test_means_have_less():
    X = punched(gaussian_rows(5000))
    filled = ScoreMatchingImputer(engine="gaussian").fit_transform(X)
    standard = (filled - MEAN) / np.sqrt(np.diag(COVARIANCE))
    assert (standard[np.isnan(X)] ** 2).mean() < 0.5


def test_intervals_cover_the_truth():
    truth = gaussian_rows(4000)
    X = punched(truth)
    drawn = GaussianScoreMatching().fit(X).impute(X, 199, random_state=0)
    # The 5th and the 195th of 199 draws: a further draw falls between them with chance .95.
    low, high = np.sort(drawn, axis=0)[[4, 194]]
    inside = ((low < truth) & (truth < high))[np.isnan(X)]
    # Some 3300 holes: the standard error is √(.95 · .05 / 3300) = .0036.
    assert 0.93 < inside.mean() < 0.97


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "family"])
def test_chains_impute_the_conditional_law(kind):
    """One Gaussian conditional law, known; drawn by chains on three densities."""
    X = punched(gaussian_rows(150, seed=3))
    estimator = {
        "gaussian": GaussianScoreMatching(sampler="mala"),
        "mixture": ScoreMatchingEstimator(GaussianMixture(1), sampler="mala", ridge=1e-6),
        "family": ExponentialFamilyScoreMatching(),
    }[kind].fit(gaussian_rows(2000))
    drawn = estimator.impute(X, 40, random_state=0)
    found, holes = estimator.sampling_diagnostics_, np.isnan(X)
    assert set(found) == CHAIN_KEYS
    assert found["r_hat"] < 1.05  # 40 short chains per row; the 95 % quantile over all holes
    np.testing.assert_array_equal(drawn[0][~holes], X[~holes])
    exact = fitted_gaussian()
    standard = []
    for i in np.flatnonzero(holes.any(axis=1)):
        h, S = holes[i], exact.covariance_
        pull = S[np.ix_(h, ~h)] @ np.linalg.inv(S[np.ix_(~h, ~h)])
        mean = exact.location_[h] + pull @ (X[i, ~h] - exact.location_[~h])
        spread = np.diag(S[np.ix_(h, h)] - pull @ S[np.ix_(~h, h)])
        standard.append(((drawn[:, i, h] - mean) / np.sqrt(spread)).ravel())
    z = np.concatenate(standard)  # some 5000 draws, standard normal
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    # Holes of one row are dependent draws: at worst three for one.
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(3 * 2 / len(z))
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.02)


def test_a_mixture_imputes_both_modes():
    x = np.array([[np.nan, 0.0]]).repeat(4000, axis=0)
    estimator = fitted_mixture()
    drawn = estimator.impute(x, random_state=0)[0][:, 0]
    # P(right mode | second column = 0) is .4 in the truth: the modes are equally far from 0.
    assert np.mean(drawn > 0) == pytest.approx(0.4, abs=0.1)
    grid = np.linspace(-5, 5, 2001)
    logs = estimator.score_samples(np.c_[grid, np.zeros(2001)])
    density = np.exp(logs - logs.max())
    chance = density[grid > 0].sum() / density.sum()
    assert np.mean(drawn > 0) == pytest.approx(chance, abs=4 * np.sqrt(0.25 / 4000) + 0.002)


# --- NumPyro -----------------------------------------------------------------------------------


def posterior(model, *, site="x", seed=0):
    """Return the draws of two NUTS chains, and how many independent ones they are worth."""
    kernel = numpyro.infer.NUTS(model)
    mcmc = numpyro.infer.MCMC(
        kernel,
        num_warmup=300,
        num_samples=1000,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.PRNGKey(seed))
    chains = np.asarray(mcmc.get_samples(group_by_chain=True)[site], float)
    size = min(effective_sample_size(chains[:, :, j]) for j in range(chains.shape[2]))
    return chains.reshape(-1, chains.shape[2]), min(size, 2000)


@cache
def fitted_energy():
    # A short training is enough: what is compared is two samplers on one density.
    return EnergyScoreMatching((8,), n_iter_no_change=1, random_state=0).fit(two_modes(500))


@pytest.mark.parametrize("fit", [fitted_gaussian, fitted_mixture, fitted_family, fitted_energy])
def test_alone_under_nuts(fit):
    estimator = fit()
    distribution = estimator.to_numpyro()
    X, n = posterior(lambda: numpyro.sample("x", distribution))
    drawn = estimator.sample(20_000, random_state=0)
    assert_moments(X, drawn.mean(axis=0), np.cov(drawn.T), n=n / 1.2)  # both are estimates
    rows = drawn[:50]
    difference = np.asarray(distribution.log_prob(rows)) - estimator.score_samples(rows)
    assert np.ptp(difference) < 1e-3  # NumPyro runs in float32 here


@pytest.mark.parametrize("fit", [fitted_gaussian, fitted_family])
def test_as_a_prior(fit):
    """A Gaussian prior and a Normal likelihood have a Gaussian posterior."""
    y, noise = np.array([2.0, -1.0, 0.0]), np.array([0.5, 1.0, 2.0])
    prior = fit().to_numpyro()

    def model():
        x = numpyro.sample("x", prior)
        numpyro.sample("y", dist.Normal(x, noise).to_event(1), obs=y)

    X, n = posterior(model)
    gaussian = fitted_gaussian()
    covariance = np.linalg.inv(gaussian.precision_ + np.diag(noise**-2))
    mean = covariance @ (gaussian.precision_ @ gaussian.location_ + y / noise**2)
    assert_moments(X, mean, covariance, n=n)


def test_nuts_as_a_sampler_object():
    estimator = ExponentialFamilyScoreMatching(sampler=NUTS()).fit(gaussian_rows(300))
    assert estimator.sample(7, random_state=0).shape == (7, 3)
    assert estimator.sampling_diagnostics_["r_hat"] < 1.05
