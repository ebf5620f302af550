"""What each missing-data rule does of its own, and which rule is chosen when."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import DENSITIES, RULES, density_case, prepared, row_losses_and_gradients, table

from sm_estimators.densities import ExponentialFamily, Gaussian, pairwise_statistics
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.fitting import Settings, Table, fit_density
from sm_estimators.missing import (
    CompleteCase,
    Exact,
    Importance,
    Imputation,
    Placed,
    Rows,
    resolve_rule,
    rule_name,
)
from sm_estimators.objectives import Explicit

PRECISION = np.array([[1.5, -0.7, 0.0], [-0.7, 1.2, 0.4], [0.0, 0.4, 1.0]])


def logistic_mar(seed, n):
    """Return a Gaussian table whose holes depend, by a logistic curve, on the first column."""
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(np.zeros(3), np.linalg.inv(PRECISION), size=n)
    chance = 0.9 / (1 + np.exp(-3 * X[:, [0]]))
    observed = rng.random((n, 3)) > chance
    observed[:, 0] = True
    return Table(np.where(observed, X, np.nan), observed, np.ones(n))


def precision_error(K):
    return np.linalg.norm(K - PRECISION) / np.linalg.norm(PRECISION)


def pairwise_precision(theta):
    """Return K from the natural parameters of the pairwise statistics in three columns."""
    K = np.diag(theta[3:6])
    K[np.triu_indices(3, 1)] = K.T[np.triu_indices(3, 1)] = theta[6:]
    return K


# Draws.


@pytest.mark.parametrize("build", [Importance, Imputation])
def test_draws_keep_what_was_seen(build):
    X, observed = table("gaussian", "mcar")
    rows = prepared(build(n_draws=4), X, observed)
    assert rows.completions.shape == (len(X), 4, 3)
    for k in range(4):
        np.testing.assert_array_equal(rows.completions[:, k][observed], X[observed])
    assert np.isfinite(rows.completions).all()
    assert (rows.log_weights[observed.all(axis=1)] == 0).all()
    again = prepared(build(n_draws=4), X, observed)
    np.testing.assert_array_equal(rows.completions, again.completions)
    other = prepared(build(n_draws=4), X, observed, seed=2)
    assert not np.array_equal(rows.completions, other.completions)


@pytest.mark.parametrize("name", ["complete_case", "exact"])
def test_other_rules_draw_nothing(name):
    rows = prepared(RULES[name](), *table("gaussian", "mcar"))
    assert rows.completions.shape == (len(rows.X), 0, 3)


def test_frozen_weights_are_the_conditional():
    # With the weights of `expectation`, the average of the draws is the regression; its error is
    # that of self-normalised importance sampling.
    case, n_draws = density_case("gaussian"), 20_000
    X, observed = (part[:8] for part in table("gaussian", "mcar"))
    moments = X.mean(axis=0), 2 * np.eye(3)
    placed = Placed(X, observed, np.ones(len(X)), moments)
    rows = Imputation(n_draws).prepare(np.random.default_rng(0), placed)
    expected = GaussianConditional(*case.density.moments(case.params)).mean(X, observed)
    with jax.enable_x64(True):
        for i in range(len(X)):
            row = jax.tree.map(lambda a, i=i: jnp.array(a[i]), rows)
            new = Imputation(n_draws).expectation(case.density, case.params, row)
            weights = np.exp(np.array(new.log_weights))
            np.testing.assert_allclose(weights.sum(), 1, rtol=1e-10)
            mean = weights @ rows.completions[i]
            error = np.sqrt(weights**2 @ (rows.completions[i] - mean) ** 2)
            assert (np.abs(mean - expected[i]) < 4 * error + 1e-9).all()
            ratios = np.array(Imputation(n_draws).log_ratios(case.density, case.params, row))
            gaps = ratios - np.array(new.log_weights)
            np.testing.assert_allclose(gaps, gaps[0], atol=1e-9)


def test_frozen_weights_have_no_gradient():
    case = density_case("gaussian")
    rows = prepared(Imputation(3), *table("gaussian", "mcar"))
    row = jax.tree.map(lambda a: jnp.array(a[0]), rows)
    params = jax.tree.map(jnp.array, case.params)

    def weighted(params):
        return Imputation(3).expectation(case.density, params, row).log_weights @ jnp.arange(3.0)

    gradient = jax.grad(weighted)(params)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_importance_approaches_the_exact_marginal():
    # The same rows by closed form and by 4000 draws from a proposal wider than the conditional:
    # a loss of size 1 has relative error of order 1/√4000 = .016 per row.
    case = density_case("gaussian")
    X, observed = (part[:64] for part in table("gaussian", "mcar"))
    losses = []
    for rule in (Exact(), Importance(n_draws=4000)):
        rows = prepared(rule, X, observed)
        with jax.enable_x64(True):
            values, _ = row_losses_and_gradients(
                jax.random.key(0), rule, Explicit(), case.density, case.params, rows
            )
        losses.append(np.asarray(values))
    assert np.abs(losses[0]).mean() > 0.5
    np.testing.assert_allclose(losses[1], losses[0], atol=0.5)
    assert np.sqrt(np.mean((losses[1] - losses[0]) ** 2)) < 0.1


def test_exact_refuses_other_densities():
    case = density_case("quartic")
    rows = prepared(Exact(), *table("quartic", "mcar"))
    row = jax.tree.map(lambda a: jnp.array(a[0]), rows)
    with pytest.raises(TypeError, match=r"closed-form marginals.*got ExponentialFamily.*'imputa"):
        Exact().observed_log_density(case.density, jnp.array(case.params), row)


# Mechanisms.


@pytest.mark.parametrize("name", DENSITIES)
def test_auto_is_always_valid(name):
    density = density_case(name).density
    for mechanism in ("mcar", "mar"):
        assert mechanism in resolve_rule("auto", mechanism=mechanism, density=density).valid_under
    assert resolve_rule("auto", mechanism="mar", density=density) == Imputation()
    expected = {"gaussian": Imputation(), "mixture": Exact()}.get(name, Importance())
    assert resolve_rule("auto", mechanism="mcar", density=density) == expected


@pytest.mark.parametrize("rule", ["exact", "importance", "complete_case", Importance(n_draws=7)])
def test_rules_that_ignore_the_mechanism_are_refused_under_mar(rule):
    with pytest.raises(ValueError, match=r"is biased when `mechanism='mar'`.*Valid: 'imputation'"):
        resolve_rule(rule, mechanism="mar", density=Gaussian())
    resolved = resolve_rule(rule, mechanism="mcar", density=Gaussian())
    assert rule in (resolved, rule_name(resolved))


@pytest.mark.parametrize(
    ("missing", "mechanism", "sentence"),
    [
        ("auto", "mnar", "`mechanism` must be 'mcar', 'mar', Inv.*; got 'mnar'"),
        ("mean", "mcar", "`missing` must be 'auto', 'complete_case'.*; got 'mean'"),
    ],
)
def test_errors_are_sentences(missing, mechanism, sentence):
    with pytest.raises(ValueError, match=sentence):
        resolve_rule(missing, mechanism=mechanism, density=Gaussian())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n_draws": 0}, "`n_draws` must be at least 1; got 0"),
        ({"n_refreshes": -1}, "`n_refreshes` must be at least 0; got -1"),
        ({"proposal": 3}, "`proposal` must be a proposal such as .*; got 3"),
    ],
)
@pytest.mark.parametrize("build", [Importance, Imputation])
def test_settings_of_draws_are_checked(build, arguments, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        build(**arguments)


def test_the_gaussian_under_mar():
    # n = 200 000: the error of the MLE is about .005 (.0045 to .006 over seeds); the rule that
    # ignores the mechanism is off by its bias.
    rows, settings = logistic_mar(0, 200_000), Settings(ridge=1e-8)
    errors = {
        name: precision_error(
            Gaussian().precision(
                fit_density(Gaussian(), Explicit(), rule, rows, seed=0, settings=settings).params
            )
        )
        for name, rule in [("imputation", Imputation()), ("exact", Exact())]
    }
    assert errors["imputation"] < 0.02
    assert errors["exact"] > 0.05


def test_the_general_path_under_mar():
    # A tenth of the bar's rows: sampling error √10 times larger, about .016, and .01 for 10 draws.
    fit = fit_density(
        ExponentialFamily(pairwise_statistics),
        Explicit(),
        Imputation(n_draws=10),
        logistic_mar(0, 20_000),
        seed=0,
        settings=Settings(ridge=1e-8, tol=1e-3, max_iter=50),
    )
    assert fit.converged
    assert precision_error(pairwise_precision(fit.params)) < 0.05
    assert len(CompleteCase().keeps(np.ones((3, 2), bool))) == 3


def test_few_independent_draws_give_the_marginal_loss_on_average():
    # One row, 20,000 sets of 4 draws from the model's own conditional: the corrected loss has the
    # mean of the exact marginal loss, the plain loss of the average does not.
    d, n_draws, n_sets = 3, 4, 20_000
    rng = np.random.default_rng(0)
    A = rng.normal(size=(d, d))
    covariance = A @ A.T + np.eye(d)
    x, observed = np.array([0.5, -1.0, 0.0]), np.array([True, True, False])
    params = Gaussian().from_moments(np.zeros(d), covariance)
    conditional = GaussianConditional(np.zeros(d), covariance)
    repeated, flags = np.tile(x, (n_sets * n_draws, 1)), np.tile(observed, (n_sets * n_draws, 1))
    completions = conditional.draw(rng, repeated, flags).reshape(n_sets, n_draws, d)
    log_density = conditional_log_density(conditional, completions, x, observed)
    key, axes = jax.random.key(0), Rows(None, None, 0, 0, 0)
    with jax.enable_x64(True):
        rows = jax.tree.map(
            jnp.asarray, Rows(x, observed, completions, -log_density, np.ones(n_sets))
        )

        def losses(loss):
            one = partial(loss, key, Explicit(), Gaussian(), params)
            return np.asarray(jax.vmap(one, in_axes=(axes,))(rows))

        corrected, exact = losses(Importance().loss), losses(Exact().loss)[0]
        plain = losses(Importance(bias_correction=False).loss)
    standard_error = corrected.std() / np.sqrt(n_sets)
    assert abs(corrected.mean() - exact) < 4 * standard_error
    assert abs(plain.mean() - exact) > 8 * standard_error


def conditional_log_density(conditional, completions, x, observed):
    """Return the log-density of the drawn holes given the rest, one hole per row."""
    filled = np.where(observed, x, 0.0)[None]
    mean = conditional.mean(filled, observed[None])[0, ~observed]
    variance = 1 / conditional.precision[np.ix_(~observed, ~observed)]
    z = completions[..., ~observed] - mean
    return (-0.5 * z**2 / variance - 0.5 * np.log(2 * np.pi * variance))[..., 0]
