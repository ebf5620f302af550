"""Laws of density × objective × missing rule, and of each objective."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import (
    N_FEATURES,
    PRODUCT,
    RULES,
    density_case,
    losses_and_gradients,
    moved,
    prepared,
    table,
    with_holes_holding,
)

from sm_estimators.densities import ExponentialFamily, Gaussian, pairwise_statistics, stein_score
from sm_estimators.fitting.quadratic import normal_equations, solve
from sm_estimators.missing import CompleteCase, Rows
from sm_estimators.objectives import Denoising, Explicit, Sliced

product = pytest.mark.parametrize("names", PRODUCT, ids="-".join)


def holed_rows(names, pattern="mcar"):
    """Return the rows with holes of a combination; complete ones for complete cases."""
    density, _, rule = names
    return rows_with_draws(density, rule, "complete" if rule == "complete_case" else pattern)


@lru_cache
def rows_with_draws(density, rule, pattern, hole=None):
    """Return the rows of a table, draws refreshed at the truth; ``hole`` is put into the holes."""
    X, observed = table(density, pattern)
    X = X if hole is None else np.where(observed, X, hole)
    return prepared(RULES[rule](), X, observed, case=density_case(density))


def worst_z(gradients):
    """Return the largest mean gradient in units of its standard error."""
    error = gradients.std(axis=0) / np.sqrt(len(gradients))
    # A bias behind the last layer has no gradient at all; nothing may hide behind rounding.
    return float((np.abs(gradients.mean(axis=0)) / np.maximum(error, 1e-9)).max())


# Laws of the product.


@product
def test_a_constant_in_the_log_density_changes_nothing(names):
    rows = holed_rows(names)
    for plain, shifted in zip(
        losses_and_gradients(names, rows),
        losses_and_gradients(names, rows, constant=37.0),
        strict=True,
    ):
        # a rounding of log-densities of size 37, relative to numbers of size 1 to 100
        np.testing.assert_allclose(shifted, plain, rtol=1e-10, atol=1e-10)


@product
def test_what_a_hole_holds_changes_nothing(names):
    density, _, rule = names
    if rule == "complete_case":
        pytest.skip("complete cases have no holes")
    expected = losses_and_gradients(names, holed_rows(names))
    assert all(np.isfinite(part).all() for part in expected)
    for value in (np.nan, 1e30):
        rows = rows_with_draws(density, rule, "mcar", value)
        assert (rows.X[~rows.observed] == 0).all()
        rows = with_holes_holding(rows, value)
        for part, same in zip(losses_and_gradients(names, rows), expected, strict=True):
            np.testing.assert_array_equal(part, same)


@product
def test_complete_rows_do_not_see_the_rule(names):
    density, objective, rule = names
    rows = rows_with_draws(density, rule, "complete")
    plain = rows_with_draws(density, "complete_case", "complete")
    for part, expected in zip(
        losses_and_gradients(names, rows),
        losses_and_gradients((density, objective, "complete_case"), plain),
        strict=True,
    ):
        # 1e-12 of the largest: an average over equal completions only rounds
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@product
def test_the_truth_is_stationary(names):
    # Every row's gradient is a draw with mean zero at the truth: below 5 standard errors each of
    # about 700 numbers fails by chance once in 2000 seeds. The bias of denoising is σ² = .0025
    # and that of 20 draws 1/20 of the spread of the weights, less than one standard error. Draws
    # that go unweighted are as wrong as their Gaussian: for the quartic and the truncated density
    # that too is less than one standard error of these 1600 rows.
    rows = holed_rows(names)
    assert worst_z(losses_and_gradients(names, rows)[1]) < 5
    # How far off is noticed best depends on the density.
    wrong = [moved(density_case(names[0]).params, step) for step in (0.5, 0.75)]
    assert max(worst_z(losses_and_gradients(names, rows, params=p)[1]) for p in wrong) > 5


@pytest.mark.parametrize("density", ["gaussian", "mixture", "quartic", "energy"])
def test_under_mar_the_truth_is_stationary_for_imputation(density):
    names = density, "explicit", "imputation"
    rows = holed_rows(names, "mar")
    assert worst_z(losses_and_gradients(names, rows)[1]) < 5


def test_under_mar_the_truth_is_not_stationary_for_exact_marginals():
    names = "gaussian", "explicit", "exact"
    assert worst_z(losses_and_gradients(names, holed_rows(names, "mar"))[1]) > 5


@pytest.mark.parametrize("density", ["gaussian", "mixture"])
def test_the_truth_is_not_stationary_for_the_zeroed_baseline(density):
    # Holes filled with zeros and a masked score: biased even where holes are completely at random.
    names = density, "explicit", "zeroed"
    assert worst_z(losses_and_gradients(names, holed_rows(names))[1]) > 8


def test_in_a_box_the_truth_is_stationary_for_the_weighted_loss_only():
    names = "truncated", "explicit", "complete_case"
    assert worst_z(losses_and_gradients(names, holed_rows(names))[1]) > 8


# Weighted; more of it in test_box.py.


@pytest.mark.parametrize("rule", ["complete_case", "importance", "imputation", "exact"])
def test_without_bounds_the_weighted_loss_is_the_explicit_one(rule):
    pairs = [("gaussian", objective, rule) for objective in ("weighted", "explicit")]
    weighted, explicit = (losses_and_gradients(names, holed_rows(names)) for names in pairs)
    for part, expected in zip(weighted, explicit, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-12)


# Sliced.


@pytest.mark.parametrize("analytic_norm", [True, False])
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian", "sphere"])
@pytest.mark.parametrize("observed", [[True, True, True], [True, False, True]])
def test_sliced_averages_to_explicit(observed, distribution, analytic_norm, double):
    case = density_case("energy")
    score_fn = stein_score(lambda x: case.density.log_density(case.params, x))
    x, observed = jnp.array([0.3, -1.2, 0.8]), jnp.array(observed)
    key = jax.random.key(0)
    sliced = Sliced(4, distribution, analytic_norm)
    losses = jax.vmap(lambda k: sliced(k, score_fn, x, observed))(jax.random.split(key, 4000))
    explicit = Explicit()(key, score_fn, x, observed)
    error = losses.std() / np.sqrt(len(losses))
    assert abs(losses.mean() - explicit) < 4 * error + 1e-12
    assert error < 0.1


def test_the_explicit_loss_written_out(double):
    # s = −K (x − μ): ½‖s_o‖² − tr K_oo over the seen coordinates o.
    K = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.4], [0.1, -0.4, 1.5]])
    x, seen = np.array([1.0, -2.0, 0.5]), np.array([True, False, True])
    score = -K @ x
    expected = 0.5 * score[seen] @ score[seen] - np.trace(K[np.ix_(seen, seen)])
    key, x, seen = jax.random.key(0), jnp.array(x), jnp.array(seen)
    loss = Explicit()(key, lambda z: -jnp.array(K) @ z, x, seen)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


# Denoising.


@pytest.mark.parametrize("control_variate", [True, False])
@pytest.mark.parametrize("scale", [0.7, np.array([0.3, 0.7, 1.1])])
def test_denoising_has_its_closed_form_mean(scale, control_variate, double):
    # s = −K x: E ½‖s(x + σε)‖² = ½ xᵀK²x + ½ Σ σ_j² (K²)_jj and E s·ε/σ = −tr K.
    K = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.4], [0.1, -0.4, 1.5]])
    x, seen = np.array([1.0, -2.0, 0.5]), np.ones(3, bool)
    variance = np.broadcast_to(scale, 3) ** 2
    expected = 0.5 * x @ K @ K @ x + 0.5 * variance @ np.diag(K @ K) - np.trace(K)
    losses = denoising_losses(Denoising(scale, control_variate), K, x, seen)
    assert abs(losses.mean() - expected) < 5 * losses.std() / np.sqrt(len(losses))


def denoising_losses(objective, K, x, seen, n_keys=20_000):
    keys = jax.random.split(jax.random.key(1), n_keys)
    K, x, seen = jnp.array(K), jnp.array(x), jnp.array(seen)
    return np.asarray(jax.vmap(lambda k: objective(k, lambda z: -K @ z, x, seen))(keys))


def test_the_control_variate_keeps_the_mean_and_lowers_the_variance(double):
    K, x, seen = 2 * np.eye(2), np.array([1.5, -1.0]), np.array([True, True])
    plain = denoising_losses(Denoising(1e-3, control_variate=False), K, x, seen)
    paired = denoising_losses(Denoising(1e-3), K, x, seen)
    # The leading term s(x)·ε/σ has standard deviation ‖s‖/σ ≈ 3600; without it that of εᵀKε.
    assert plain.std() > 1000
    assert paired.std() < 10
    error = np.hypot(plain.std(), paired.std()) / np.sqrt(len(plain))
    assert abs(plain.mean() - paired.mean()) < 5 * error
    explicit = 0.5 * x @ K @ K @ x - np.trace(K)
    assert abs(paired.mean() - explicit) < 5 * paired.std() / np.sqrt(len(paired))


def test_more_draws_lower_the_variance(double):
    K, x, seen = 2 * np.eye(2), np.array([1.5, -1.0]), np.array([True, True])
    one = denoising_losses(Denoising(0.1), K, x, seen, 4000).var()
    four = denoising_losses(Denoising(0.1, n_draws=4), K, x, seen, 4000).var()
    # Sample variances of 4000 nearly χ² numbers are within 10 % (4 standard errors: 4 √(6/4000)).
    np.testing.assert_allclose(four, one / 4, rtol=0.2)


def test_denoising_fits_the_smoothed_precision(double):
    # The solver sees the noise of the draws only: with n rows and 16 pairs each it is below
    # 1/√(16 n); the moments of the table itself enter the expectation exactly.
    sigma = 0.8
    X, observed = table("gaussian", "complete")
    weight = np.ones(len(X))
    rows = Rows(X, observed, np.zeros((len(X), 0, 3)), np.zeros((len(X), 0)), weight)
    family, objective = ExponentialFamily(pairwise_statistics), Denoising(sigma, n_draws=16)
    theta = solve(normal_equations(family, objective, rows, jax.random.key(2)), ridge=0.0)
    K = np.diag(theta[3:6])
    K[np.triu_indices(3, 1)] = theta[6:]
    K += np.triu(K, 1).T
    smoothed = np.linalg.inv(np.cov(X.T, bias=True) + sigma**2 * np.eye(3))
    np.testing.assert_allclose(K, smoothed, atol=5 / np.sqrt(16 * len(X)))
    np.testing.assert_allclose(np.linalg.solve(K, theta[:3]), X.mean(axis=0), atol=0.03)
    plain = np.linalg.inv(np.cov(X.T, bias=True))
    assert np.abs(K - plain).max() > 0.3


def test_noise_follows_the_units_of_the_columns():
    scale = np.array([2.0, 10.0])
    np.testing.assert_allclose(Denoising(0.5).rescale(scale).noise_scale, [0.25, 0.05])
    assert Explicit().rescale(scale) == Explicit()
    assert Denoising(0.5).smoothing == 0.25
    assert Sliced().smoothing == 0


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Denoising(0.0), "`noise_scale` must be positive; got 0.0"),
        (lambda: Denoising(np.array([0.1, -1.0])), "`noise_scale` must be positive"),
        (lambda: Denoising(n_draws=0), "`n_draws` must be at least 1; got 0"),
        (lambda: Sliced(0), "`n_projections` must be at least 1; got 0"),
    ],
)
def test_errors_are_sentences(build, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        build()


def test_a_gaussian_row_loss_is_the_textbook_one(double):
    # The general path against the formula for a whole row, so that factor and sign are pinned.
    case = density_case("gaussian")
    K = Gaussian().precision(case.params)
    X, observed = table("gaussian", "complete")
    rows = prepared(CompleteCase(), X, observed)
    losses, _ = losses_and_gradients(("gaussian", "explicit", "complete_case"), rows)
    residual = (X - case.params["location"]) @ K
    np.testing.assert_allclose(losses, 0.5 * (residual**2).sum(1) - np.trace(K), rtol=1e-10)
    assert X.shape[1] == N_FEATURES
