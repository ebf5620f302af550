import numpy as np
import pytest
from designs import correlated_design, punch_holes

from sm_estimators import Denoising, GaussianScoreMatching
from sm_estimators._patterns import group_by_pattern
from sm_estimators.missing.gaussian_em import Moments, em_step, gaussian_em, gaussian_em_path
from sm_estimators.missing.gaussian_marginal import (
    fit_gaussian_marginal,
    gaussian_path,
    least_supported,
)
from sm_estimators.missing.marginal_loss import gaussian_marginal_gradient
from sm_estimators.missing.penalty import l1_max
from sm_estimators.missing.precision_chart import PrecisionChart
from sm_estimators.missing.sparse_precision import sparse_precision

RULES = {"imputation": gaussian_em, "exact": fit_gaussian_marginal}
every_rule = pytest.mark.parametrize("fit", RULES.values(), ids=RULES)


def chain_table(seed=0, n=500, d=8, fraction=0.3):
    """Return rows of a chain in columns of different units, with holes, and what was seen."""
    K = np.eye(d) + 0.4 * (np.eye(d, k=1) + np.eye(d, k=-1))
    Z = np.random.default_rng(seed).standard_normal((n, d))
    X = Z @ np.linalg.cholesky(np.linalg.inv(K)).T * np.geomspace(0.1, 10.0, d) + 3.0
    return punch_holes(seed + 1, X, fraction)


@pytest.fixture(scope="module")
def holed():
    return chain_table()


@pytest.fixture(scope="module")
def tables(holed):
    X, _ = correlated_design(1, 500, 6)
    return {"chain": holed, "correlated": punch_holes(2, X, 0.3)}


def standardised(fit, X, observed, weights=None):
    """Return the table in units of its columns, and location and precision of a fit there."""
    table, centre, scale = group_by_pattern(X, observed, weights).standardised()
    return table, (fit.location - centre) / scale, fit.precision * np.outer(scale, scale)


def gradients(fit, X, observed, smoothing=0.0):
    table, _, scale = group_by_pattern(X, observed).standardised()
    _, location, K = standardised(fit, X, observed)
    noise = smoothing / scale**2 if smoothing else None
    return gaussian_marginal_gradient(location, K, table, noise), K


def violation(G, K, l1):
    """Return by how much −G is not a subgradient of l1 Σ_{i≠j} |K_ij| at K."""
    G, slope = (np.array(M) for M in (G, l1 * np.sign(K)))
    np.fill_diagonal(slope, 0.0)
    free = (K != 0) | np.eye(len(K), dtype=bool)
    return max(np.abs(G + slope)[free].max(), (np.abs(G)[~free] - l1).max(initial=0.0))


def proximal(A, l1, cap, n_iter=5000):
    """Return the proximal map of the L1 penalty on λ_max ≤ cap, by Dykstra's algorithm."""
    Z, p, q = A, np.zeros_like(A), np.zeros_like(A)
    for _ in range(n_iter):
        values, Q = np.linalg.eigh(Z + p)
        Y = (Q * np.minimum(values, cap)) @ Q.T
        p += Z - Y
        small = np.clip(Y + q, -l1, l1)
        np.fill_diagonal(small, 0.0)
        Z = Y + q - small
        q += Y - Z
    return Z


def pairs(K):
    """Return the number of pairs that are joined."""
    return int((np.triu(K, 1) != 0).sum())


# --- a covariance --------------------------------------------------------------------------


@pytest.mark.parametrize("l1", [0.3, 0.03, 0.003])
@pytest.mark.parametrize("spread", [1.0, 1e-2])
def test_a_sparse_precision_is_optimal(l1, spread):
    X, _ = correlated_design(0, 300, 10)
    X[:, 1] = X[:, 0] + spread * X[:, 1]  # condition number up to 1e5
    S = np.corrcoef(X.T)
    K, _, _, _, converged = sparse_precision(S, l1=l1, tol=1e-9)
    assert converged
    # rounding of S K, whose terms reach 1e4
    assert violation((S @ K + K @ S) / 2 - np.eye(10), K, l1) < 1e-7
    np.testing.assert_array_equal(K == 0, K.T == 0)


@pytest.mark.parametrize("l1", [0.0, 0.1])
@pytest.mark.parametrize("cap", [0.7, 1.5])
def test_a_capped_precision_is_optimal(l1, cap):
    S = np.corrcoef(correlated_design(0, 300, 6)[0].T)
    K = sparse_precision(S, l1=l1, max_eigenvalue=cap, tol=1e-9).precision
    assert np.linalg.eigvalsh(K)[-1] <= cap * (1 + 1e-12)
    G = (S @ K + K @ S) / 2 - np.eye(6)
    np.testing.assert_allclose(proximal(K - G, l1, cap), K, atol=1e-7)


def test_without_a_penalty_a_precision_is_the_inverse():
    S = np.corrcoef(correlated_design(0, 300, 6)[0].T)
    np.testing.assert_allclose(
        sparse_precision(S, tol=1e-10).precision, np.linalg.inv(S), rtol=1e-7
    )


def test_a_solution_starts_the_next():
    S = np.corrcoef(correlated_design(0, 300, 6)[0].T)
    first = sparse_precision(S, l1=0.1)
    assert sparse_precision(S, l1=0.1, start=first).n_iter == 1
    assert sparse_precision(S, l1=0.099, start=first).n_iter < first.n_iter


def test_few_rows_need_a_penalty():
    S = np.corrcoef(np.random.default_rng(0).standard_normal((8, 12)).T)  # rank 7
    assert not sparse_precision(S, l1=0.01, max_iter=200).converged
    for penalty in ({"l1": 0.4}, {"max_eigenvalue": 5.0}):
        K, _, _, _, converged = sparse_precision(S, **penalty)
        assert converged
        assert np.linalg.eigvalsh(K)[0] > 0


# --- marginal score matching ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["chain", "correlated"])
@pytest.mark.parametrize("l1", [0.2, 0.03, 0.005])
def test_a_sparse_fit_with_holes_is_optimal(tables, name, l1):
    X, observed = tables[name]
    fit = fit_gaussian_marginal(X, observed, l1=l1, ridge=0.01)
    loss, K = gradients(fit, X, observed)
    assert fit.converged
    # the tolerance of the fit, 1e-8, times curvatures of order 10
    assert violation(loss.precision + 0.01 * K, K, l1) < 1e-7
    assert np.abs(loss.location).max() < 1e-6
    assert loss.value == pytest.approx(fit.loss, rel=1e-6)
    np.testing.assert_allclose(fit.covariance @ fit.precision, np.eye(len(K)), atol=1e-9)


@pytest.mark.parametrize("l1", [0.0, 0.03])
@pytest.mark.parametrize("cap", [0.8, 2.0])
def test_a_capped_fit_with_holes_is_optimal(holed, l1, cap):
    fit = fit_gaussian_marginal(*holed, l1=l1, max_eigenvalue=cap, tol=1e-7)
    loss, K = gradients(fit, *holed)
    assert fit.converged
    assert np.linalg.eigvalsh(K)[-1] <= cap * (1 + 1e-9)
    np.testing.assert_allclose(proximal(K - loss.precision, l1, cap), K, atol=1e-5)


def test_noise_is_added_before_the_penalty(holed):
    fit = fit_gaussian_marginal(*holed, l1=0.05, smoothing=0.2)
    loss, K = gradients(fit, *holed, smoothing=0.2)
    assert violation(loss.precision, K, 0.05) < 1e-7
    assert pairs(K) < 28


def test_both_searches_end_at_the_same_place(holed):
    smooth = fit_gaussian_marginal(*holed, ridge=0.01)
    (proximal_steps,) = gaussian_path(*holed, [0.0], ridge=0.01, tol=1e-8)
    assert smooth.converged
    assert proximal_steps.converged
    np.testing.assert_allclose(proximal_steps.precision, smooth.precision, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(proximal_steps.location, smooth.location, rtol=1e-6)


def test_every_step_leads_down(holed):
    heights = []
    for max_iter in range(10):
        fit = fit_gaussian_marginal(*holed, l1=0.02, max_iter=max_iter)
        _, _, K = standardised(fit, *holed)
        heights.append(fit.loss + 0.02 * (np.abs(K).sum() - np.trace(K)))
    assert (np.diff(heights) < 1e-12).all()
    assert heights[0] - heights[-1] > 1e-3


def test_a_fit_starts_the_next(holed):
    for penalty in ({"ridge": 0.01}, {"l1": 0.05}):
        first = fit_gaussian_marginal(*holed, **penalty)
        again = fit_gaussian_marginal(*holed, **penalty, initial=first)
        assert again.n_iter < first.n_iter / 3
        np.testing.assert_allclose(again.precision, first.precision, rtol=1e-5, atol=1e-7)


def test_a_chart_reads_what_it_writes():
    rng = np.random.default_rng(3)
    W = rng.standard_normal((2, 4, 9))
    S, K = (w @ w.T / 9 for w in W)
    chart = PrecisionChart.around(np.arange(4.0), S)
    location, precision = chart.decode(chart.encode(np.ones(4), K))
    np.testing.assert_allclose(location, np.ones(4), rtol=1e-12)
    np.testing.assert_allclose(precision, K, rtol=1e-10)


def test_a_penalty_too_small_to_hold_the_loss_is_noticed():
    X, _ = correlated_design(0, 120)
    X, observed = punch_holes(1, X, 0.3)
    assert least_supported(observed) < 0
    fit = fit_gaussian_marginal(X, observed, l1=0.02)
    assert not fit.converged
    assert np.isfinite(fit.precision).all()
    held = fit_gaussian_marginal(X, observed, l1=0.1, max_eigenvalue=3.0, tol=1e-6)
    assert held.converged


# --- EM ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [np.inf, 1.5])
@pytest.mark.parametrize("l1", [0.1, 0.02])
def test_a_sparse_em_ends_at_a_fixed_point(holed, l1, cap):
    fit = gaussian_em(*holed, l1=l1, max_eigenvalue=cap, ridge=0.01, tol=1e-9)
    table, location, K = standardised(fit, *holed)
    assert fit.converged
    moments = em_step(table, Moments(location, np.linalg.inv(K)), 0.01).moments
    np.testing.assert_allclose(moments.location, location, atol=1e-7)
    G = (moments.covariance @ K + K @ moments.covariance) / 2 - np.eye(len(K))
    np.testing.assert_allclose(proximal(K - G, l1, cap, n_iter=500), K, atol=1e-6)


def test_without_a_penalty_the_em_is_that_of_likelihood(holed):
    plain, (path,) = gaussian_em(*holed, tol=1e-9), gaussian_em_path(*holed, [0.0], tol=1e-9)
    np.testing.assert_allclose(path.covariance, plain.covariance, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain.precision, np.linalg.inv(plain.covariance), rtol=1e-8)


def test_a_singular_covariance_has_no_precision():
    X = np.ones((5, 2)) * np.arange(5.0)[:, None]
    assert np.isnan(gaussian_em(X, np.ones(X.shape, bool)).precision).all()


# --- laws of both rules --------------------------------------------------------------------


@every_rule
def test_complete_data_are_a_convex_problem(fit):
    X, _ = correlated_design(1, 200, 5)
    X = 1e3 + X * [1.0, 10.0, 0.1, 1.0, 1.0]
    result = fit(X, np.ones(X.shape, bool), ridge=0.01, l1=0.05, smoothing=0.02)
    S = np.cov(X.T, bias=True) + 0.01 * np.diag(X.var(axis=0)) + 0.02 * np.eye(5)
    squares = np.outer(X.std(axis=0), X.std(axis=0))
    K = sparse_precision(S / squares, l1=0.05).precision / squares
    assert result.converged
    assert result.n_iter <= 1
    np.testing.assert_allclose(result.precision, K, rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(result.precision == 0, K == 0)


@every_rule
def test_weights_are_repeats(fit, holed):
    X, observed = (part[:200] for part in holed)
    weights = np.random.default_rng(8).integers(0, 4, len(X))
    rows = np.repeat(np.arange(len(X)), weights)
    weighted = fit(X, observed, weights=weights.astype(float), l1=0.1)
    repeated = fit(X[rows], observed[rows], l1=0.1)
    np.testing.assert_allclose(weighted.precision, repeated.precision, rtol=1e-5, atol=1e-7)


@every_rule
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_the_largest_penalty_leaves_no_pair(fit, ridge, holed):
    top = l1_max(*holed, ridge=ridge)
    for share, joined in ((1.0, False), (1.1, False), (0.98, True)):
        result = fit(*holed, ridge=ridge, l1=share * top)
        assert result.converged
        assert (pairs(result.precision) > 0) == joined
    _, _, K = standardised(fit(*holed, ridge=ridge, l1=top), *holed)
    share = holed[1].mean(axis=0)
    np.testing.assert_allclose(np.diag(K), share / (share + ridge), rtol=1e-6)


def test_the_largest_penalty_knows_about_noise(holed):
    X, _ = holed
    complete = np.where(np.isnan(X), 3.0, X), np.ones(X.shape, bool)
    for table in (holed, complete):
        top = l1_max(*table, smoothing=0.2)
        assert pairs(fit_gaussian_marginal(*table, smoothing=0.2, l1=top).precision) == 0
        assert pairs(fit_gaussian_marginal(*table, smoothing=0.2, l1=0.98 * top).precision) > 0


@pytest.mark.parametrize("path", [gaussian_path, gaussian_em_path])
def test_a_path_grows_the_graph(path):
    X, observed = chain_table(n=1000, d=10)
    l1s = np.geomspace(1.0, 0.1, 12) * l1_max(X, observed)
    fits = path(X, observed, l1s, tol=1e-7)
    assert all(fit.converged for fit in fits)
    counts = [pairs(fit.precision) for fit in fits]
    assert counts[0] == 0
    assert (np.diff(counts) >= 0).all()
    truth = np.abs(np.subtract.outer(range(10), range(10))) <= 1
    assert any(((fit.precision != 0) == truth).all() for fit in fits)
    backwards = path(X, observed, l1s[::-1], tol=1e-7)[::-1]
    single = (gaussian_em if path is gaussian_em_path else fit_gaussian_marginal)(
        X, observed, l1=l1s[6], tol=1e-7
    )
    for other in (backwards[6], single):
        np.testing.assert_allclose(other.precision, fits[6].precision, rtol=1e-4, atol=1e-6)


@every_rule
@pytest.mark.parametrize(
    ("penalty", "sentence"),
    [
        ({"l1": -1.0}, "`l1` was expected to be a finite number of at least 0; got -1.0"),
        ({"l1": np.inf}, "`l1` was expected to be a finite number"),
        ({"max_eigenvalue": 0.0}, "`max_eigenvalue` was expected to be positive .* got 0.0"),
    ],
)
def test_penalties_are_checked(fit, penalty, sentence, holed):
    with pytest.raises(ValueError, match=sentence):
        fit(*holed, **penalty)


# --- the door ------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["imputation", "exact", "complete_case"])
def test_the_estimator_shows_exact_zeros(missing, holed):
    X, observed = holed
    estimator = GaussianScoreMatching(missing=missing, l1=0.08).fit(X)
    assert 0 < pairs(estimator.precision_) < 28
    np.testing.assert_allclose(estimator.precision_ @ estimator.covariance_, np.eye(8), atol=1e-9)
    if missing != "complete_case":
        fit = RULES[missing](X, observed, l1=0.08, ridge=1e-6, tol=1e-6)
        np.testing.assert_array_equal(estimator.precision_ == 0, fit.precision == 0)
    again = GaussianScoreMatching(missing=missing, l1=0.08).fit(X * np.arange(1.0, 9.0))
    np.testing.assert_array_equal(estimator.precision_ == 0, again.precision_ == 0)


@pytest.mark.parametrize("missing", ["imputation", "exact", "complete_case"])
def test_the_estimator_caps_eigenvalues(missing, holed):
    X, _ = holed
    estimator = GaussianScoreMatching(missing=missing, max_eigenvalue=1.2).fit(X)
    complete = X[~np.isnan(X).any(axis=1)]
    scale = complete if missing == "complete_case" else X
    scale = np.nanstd(scale, axis=0)
    K = estimator.precision_ * np.outer(scale, scale)
    assert np.linalg.eigvalsh(K)[-1] == pytest.approx(1.2, rel=1e-6)


def test_denoising_penalises_the_smoothed_density():
    X, _ = correlated_design(1, 300, 5)
    estimator = GaussianScoreMatching(objective=Denoising(0.5), l1=0.1, ridge=0).fit(X)
    squares = np.outer(X.std(axis=0), X.std(axis=0))
    S = np.cov(X.T, bias=True) + 0.25 * np.eye(5)
    K = sparse_precision(S / squares, l1=0.1).precision / squares
    np.testing.assert_allclose(estimator.precision_, K, rtol=1e-8, atol=1e-10)


def test_penalties_need_a_rule_that_knows_them(holed):
    with pytest.raises(ValueError, match=r"`l1` and `max_eigenvalue` are for .*got `missing='imp"):
        GaussianScoreMatching(missing="importance", l1=0.1).fit(holed[0])


@pytest.mark.parametrize("X", [np.ones((9, 2)), np.ones((9, 2)) * np.arange(9.0)[:, None]])
def test_a_penalty_does_not_hide_a_singular_covariance(X):
    with pytest.raises(ValueError, match="The covariance is singular"):
        GaussianScoreMatching(l1=0.01, ridge=0).fit(X)
