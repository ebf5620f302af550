import numpy as np
import pytest
from designs import correlated_design, punch_holes
from scipy.stats import multivariate_normal, multivariate_t

from sm_estimators._patterns import group_by_pattern
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.missing.gaussian_marginal import fit_gaussian_marginal, least_supported
from sm_estimators.missing.marginal_loss import gaussian_marginal_gradient, gaussian_marginal_loss

FITS = [gaussian_em, fit_gaussian_marginal]


@pytest.fixture
def holed():
    X, _ = correlated_design(0, 120, 5)
    return punch_holes(1, X, 0.3)


def positive_definite(seed, d):
    W = np.random.default_rng(seed).standard_normal((d, 2 * d))
    return W @ W.T / d


def seen_parts(X, observed):
    return [(x[o], np.flatnonzero(o)) for x, o in zip(X, observed, strict=True) if o.any()]


def relative_error(fit, precision):
    return np.linalg.norm(np.linalg.inv(fit.covariance) - precision) / np.linalg.norm(precision)


# --- patterns ------------------------------------------------------------------------------


def test_a_table_keeps_weight_and_scatter_of_every_pattern(holed):
    X, observed = holed
    observed = observed[np.arange(120) % 12]  # many rows per pattern: all are compressed
    weights = np.random.default_rng(3).uniform(0.5, 2.0, 120)
    location = np.arange(5.0)
    X = np.random.default_rng(4).standard_normal((120, 5))
    table = group_by_pattern(np.where(observed, X, np.nan), observed, weights)
    V = table.residuals(location)
    assert len(V) < 90
    for pattern, total, a, b in zip(
        table.observed, table.weight, table.starts[:-1], table.starts[1:], strict=True
    ):
        mine = (observed == pattern).all(axis=1)
        R = np.where(pattern, X[mine] - location, 0.0)
        np.testing.assert_allclose(total, weights[mine].sum(), rtol=1e-12)
        np.testing.assert_allclose(V[a:b].T @ V[a:b], R.T @ (R * weights[mine, None]), atol=1e-11)


def test_patterns_wider_than_a_machine_word():
    observed = np.ones((6, 130), bool)
    observed[[0, 3], 129] = False
    observed[5, 2] = False
    table = group_by_pattern(np.ones(observed.shape), observed)
    assert sorted(table.weight.tolist()) == [1, 2, 3]


# --- conditional ---------------------------------------------------------------------------


def test_the_conditional_mean_is_the_regression(holed):
    X, observed = holed
    mu, sigma = np.arange(5.0), positive_definite(0, 5)
    filled = GaussianConditional(mu, sigma).mean(X, observed)
    np.testing.assert_array_equal(filled[observed], X[observed])
    for x, o, row in zip(X, observed, filled, strict=True):
        slope = sigma[np.ix_(~o, o)] @ np.linalg.inv(sigma[np.ix_(o, o)])
        np.testing.assert_allclose(row[~o], mu[~o] + slope @ (x - mu)[o], atol=1e-10)


@pytest.mark.parametrize("degrees_of_freedom", [np.inf, 4.0])
def test_proposal_densities_are_those_of_scipy(holed, degrees_of_freedom):
    X, observed = (part[:30].copy() for part in holed)
    X[0], observed[0] = np.nan, False
    X[1], observed[1] = 1.0, True
    mu, sigma = np.arange(5.0), positive_definite(0, 5)
    conditional = GaussianConditional(mu, sigma)
    Z, log_proposal = conditional.propose(
        np.random.default_rng(2), X, observed, 3, 1.5, degrees_of_freedom
    )
    mean = conditional.mean(X, observed)
    assert (log_proposal[1] == 0).all()
    for i, o in enumerate(observed):
        np.testing.assert_array_equal(Z[i][:, o], np.tile(X[i, o], (3, 1)))
        if o.all():
            continue
        scale = 1.5 * np.linalg.inv(np.linalg.inv(sigma)[np.ix_(~o, ~o)])
        law = (
            multivariate_normal(mean[i, ~o], scale)
            if np.isinf(degrees_of_freedom)
            else multivariate_t(mean[i, ~o], scale, df=degrees_of_freedom)
        )
        np.testing.assert_allclose(log_proposal[i], law.logpdf(Z[i][:, ~o]), rtol=1e-9)


def test_draws_have_the_moments_of_the_conditional():
    mu, sigma = np.array([1.0, -1.0, 0.5]), positive_definite(1, 3)
    conditional, n = GaussianConditional(mu, sigma), 40_000
    X = np.tile([2.0, np.nan, np.nan], (n, 1))
    observed = ~np.isnan(X)
    D = conditional.draw(np.random.default_rng(5), X, observed, inflation=2.0)[:, 1:]
    C = 2.0 * np.linalg.inv(np.linalg.inv(sigma)[1:, 1:])
    mean = conditional.mean(X[:1], observed[:1])[0, 1:]
    variances = np.diag(C)
    # four standard errors: of a mean √(C_ii / n), of a covariance √((C_ii C_jj + C_ij²) / n)
    assert (np.abs(D.mean(axis=0) - mean) < 4 * np.sqrt(variances / n)).all()
    band = 4 * np.sqrt((np.outer(variances, variances) + C**2) / n)
    assert (np.abs(np.cov(D.T) - C) < band).all()


def test_common_normals_ignore_the_other_rows(holed):
    X, observed = holed
    conditional = GaussianConditional(np.zeros(5), positive_definite(0, 5))
    normals = np.random.default_rng(6).standard_normal((4, 5))
    order = np.random.default_rng(7).permutation(len(X))[:50]
    Z, log_proposal = conditional.propose_common(normals, X, observed, 1.5)
    some, log_some = conditional.propose_common(normals, X[order], observed[order], 1.5)
    np.testing.assert_allclose(some, Z[order], atol=1e-12)
    np.testing.assert_allclose(log_some, log_proposal[order], atol=1e-12)


def test_a_singular_covariance_is_refused():
    conditional = GaussianConditional(np.zeros(2), np.ones((2, 2)) - 1e-3 * np.eye(2))
    with pytest.raises(ValueError, match="`covariance` was expected to be positive definite"):
        conditional.mean(np.zeros((1, 2)), np.zeros((1, 2), bool))


# --- laws of both fits ---------------------------------------------------------------------


@pytest.mark.parametrize("fit", FITS)
def test_complete_data_have_a_closed_form(fit):
    X, _ = correlated_design(1, 200, 4)
    X = 1e3 + X * [1.0, 10.0, 0.1, 1.0]
    result = fit(X, np.ones(X.shape, bool), ridge=0.01)
    expected = np.cov(X.T, bias=True) + 0.01 * np.diag(X.var(axis=0))
    assert result.converged
    assert result.n_iter <= 1
    np.testing.assert_allclose(result.location, X.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("fit", FITS)
def test_weights_are_repeats_and_order_is_nothing(fit, holed):
    X, observed = holed
    weights = np.random.default_rng(8).integers(0, 4, len(X))
    rows = np.random.default_rng(9).permutation(np.repeat(np.arange(len(X)), weights))
    weighted = fit(X, observed, weights=weights.astype(float), ridge=0.05)
    repeated = fit(X[rows], observed[rows], ridge=0.05)
    # both stop within the tolerance of the fits (1e-7) of the same optimum
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weighted.location, repeated.location, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fit", FITS)
def test_a_column_never_seen_is_refused(fit):
    observed = np.tile([True, False], (5, 1))
    with pytest.raises(ValueError, match=r"`X` was expected .* column\(s\) \[1\] are empty"):
        fit(np.zeros((5, 2)), observed)


@pytest.mark.parametrize("fit", FITS)
def test_values_in_holes_and_empty_rows_carry_nothing(fit, holed):
    X, observed = holed
    padded = np.vstack([np.where(observed, X, 7.0), np.ones((3, 5))])
    flags = np.vstack([observed, np.zeros((3, 5), bool)])
    np.testing.assert_array_equal(
        fit(padded, flags, ridge=0.05).covariance, fit(X, observed, ridge=0.05).covariance
    )


def test_the_bar_on_the_correlated_design():
    # Over 10 seeds the medians are .064 and .065 at 20 % holes, .086 and .090 at 30 %; the
    # ratio of the two rules is stable, the level varies by a third from seed to seed.
    ratios, errors = [], []
    for seed in range(4):
        X, precision = correlated_design(seed, 1000)
        X, observed = punch_holes(100 + seed, X, 0.3)
        em, exact = gaussian_em(X, observed), fit_gaussian_marginal(X, observed)
        assert em.converged
        assert exact.converged
        errors.append(relative_error(em, precision))
        ratios.append(relative_error(exact, precision) / errors[-1])
    assert np.median(errors) < 0.13
    assert np.median(ratios) < 1.1


# --- EM ------------------------------------------------------------------------------------


def test_em_ends_where_the_likelihood_is_stationary(holed):
    X, observed = holed
    fit = gaussian_em(X, observed, tol=1e-10)

    def height(location, covariance):
        return np.mean(
            [
                multivariate_normal(location[i], covariance[np.ix_(i, i)]).logpdf(x)
                for x, i in seen_parts(X, observed)
            ]
        )

    rng, step = np.random.default_rng(10), 1e-6
    for _ in range(5):
        dm, D = rng.standard_normal(5), rng.standard_normal((5, 5))
        D = D + D.T
        ends = [height(fit.location + s * dm, fit.covariance + s * D) for s in (step, -step)]
        # truncation: step² times third derivatives of order 1e5 (smallest eigenvalue .037, cubed)
        assert abs(ends[0] - ends[1]) / (2 * step) < 3e-6


def test_em_reports_what_did_not_converge(holed):
    assert not gaussian_em(*holed, max_iter=3).converged
    X = np.random.default_rng(0).standard_normal((30, 1)) @ np.ones((1, 3))
    fit = gaussian_em(*punch_holes(0, X, 0.3), max_iter=2000)
    assert not fit.converged
    assert np.isfinite(fit.covariance).all()


# --- exact marginal score matching ---------------------------------------------------------


@pytest.mark.parametrize("noisy", [False, True])
def test_the_marginal_loss_and_its_gradient(holed, noisy):
    X, observed = holed
    noise = np.linspace(0.1, 0.5, 5) if noisy else None
    mu, K = np.arange(5.0) / 5, positive_definite(2, 5)
    table = group_by_pattern(X, observed)
    loss = gaussian_marginal_gradient(mu, K, table, noise)
    sigma, oracle = np.linalg.inv(K), []
    for x, i in seen_parts(X, observed):
        A = np.linalg.inv(sigma[np.ix_(i, i)])
        extra = 0.0 if noise is None else 0.5 * noise[i] @ np.diag(A @ A)
        oracle.append(0.5 * np.sum((A @ (x - mu[i])) ** 2) - np.trace(A) + extra)
    np.testing.assert_allclose(loss.value, np.mean(oracle), rtol=1e-10)

    rng, step = np.random.default_rng(11), 1e-5
    dm, D = rng.standard_normal(5), rng.standard_normal((5, 5))
    D = D + D.T
    ends = [gaussian_marginal_loss(mu + s * dm, K + s * D, table, noise) for s in (step, -step)]
    slope = np.vdot(loss.precision, D) + loss.location @ dm
    # rounding 1e-16 / step and curvature step², times numbers of order 100
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), slope, rtol=1e-6)


def test_smoothing_adds_the_noise_on_complete_data():
    X, _ = correlated_design(2, 300, 4)
    fit = fit_gaussian_marginal(X, np.ones(X.shape, bool), smoothing=0.25)
    expected = np.cov(X.T, bias=True) + 0.25 * np.eye(4)
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-5, atol=1e-5)


def test_a_loss_without_lower_bound_is_noticed():
    X, _ = correlated_design(3, 60)
    X, observed = punch_holes(4, X, 0.4)
    assert least_supported(observed) < 0
    fit = fit_gaussian_marginal(X, observed)
    assert not fit.converged
    assert np.isfinite(fit.precision).all()


def test_least_support_is_that_of_the_worst_pattern():
    rng = np.random.default_rng(12)
    for complete in (0, 9):
        observed = rng.random((40, 6)) < 0.6
        observed[:complete] = True
        worst = min((observed | ~o).all(axis=1).sum() - o.sum() - 1 for o in observed if o.any())
        assert least_supported(observed) == worst
