"""What each missing-data rule does of its own, and which rule is chosen when."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import (
    COVARIANCE,
    DENSITIES,
    MEAN,
    QUICK_COMPILATION,
    RULES,
    density_case,
    prepared,
    quartic_statistics,
    row_losses_and_gradients,
    table,
)

from sm_estimators.densities import (
    Box,
    ExponentialFamily,
    Gaussian,
    marginalise,
    pairwise_statistics,
)
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.fitting import Settings, Table, fit_density
from sm_estimators.fitting.fit import pose
from sm_estimators.fitting.quadratic import LinearScore, remembered, streamed
from sm_estimators.missing import (
    CompleteCase,
    Exact,
    Importance,
    Imputation,
    PersistentChains,
    Placed,
    Rows,
    Variational,
    Zeroed,
    resolve_rule,
    rule_name,
)
from sm_estimators.missing.scores import DensityScore, MarginalScore, missing_variance
from sm_estimators.missing.selection import LogPropensity
from sm_estimators.objectives import Denoising, Explicit, Sliced, Weighted

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


@pytest.mark.parametrize("name", ["complete_case", "exact", "zeroed"])
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


# The kernel: score and curvature of a marginal from those of completed rows.


def steep_propensity(observed, x):
    """Return log φ of holes that depend on what they hide, with a slope and a bend everywhere."""
    chance = jax.nn.log_sigmoid(x - 0.5 * jnp.roll(x, 1))
    return jnp.sum(jnp.where(observed, chance, jnp.log(-jnp.expm1(chance))))


def some_rows(name, n=12, n_draws=7):
    """Return a few rows with completions anywhere and log weights that mean nothing."""
    X, observed = (part[:n] for part in table(name, "mcar"))
    rng = np.random.default_rng(11)
    noise = rng.standard_normal((n, n_draws, 3))
    completions = np.where(observed[:, None], X[:, None], MEAN + noise)
    log_weights = 2 * rng.standard_normal((n, n_draws))
    return Rows(np.where(observed, X, 0.0), observed, completions, log_weights, np.ones(n))


def both_losses(score_fn, row):
    """Return the explicit and a weighted loss; neither reads the key."""
    box = Box(lower=(-9.0, -np.inf, -9.0), upper=(9.0, 9.0, np.inf))
    key = jax.random.key(0)
    return [o(key, score_fn, row.X, row.observed) for o in (Explicit(), Weighted(box, cap=8.0))]


@partial(jax.jit, compiler_options=QUICK_COMPILATION)
def by_the_kernel(density, params, rows, log_propensity):
    def one(row):
        score = MarginalScore(DensityScore(density, params, row.observed, log_propensity), row)
        return *score.with_curvature(row.X), *both_losses(score, row)

    return jax.vmap(one)(rows)


@partial(jax.jit, compiler_options=QUICK_COMPILATION)
def by_double_differentiation(density, params, rows, log_propensity):
    def one(row):
        def whole(x):
            value = density.log_density(params, x)
            return value if log_propensity is None else value + log_propensity(row.observed, x)

        marginal = marginalise(whole, row.observed, row.completions, row.log_weights)
        score, plain = jax.grad(marginal), lambda x: jax.grad(marginal)(x)
        bend = jnp.diagonal(jax.hessian(marginal)(row.X))
        return score(row.X), bend, *both_losses(plain, row)

    return jax.vmap(one)(rows)


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
@pytest.mark.parametrize("name", ["gaussian", "mixture", "quartic", "energy", "logistic"])
def test_the_kernel_is_double_differentiation(name, mechanism, double):
    case, rows = density_case(name), some_rows(name)
    log_propensity = None if mechanism == "mcar" else LogPropensity(steep_propensity)
    ours = by_the_kernel(case.density, case.params, rows, log_propensity)
    theirs = by_double_differentiation(case.density, case.params, rows, log_propensity)
    seen = rows.observed
    for mine, expected in zip(ours[:2], theirs[:2], strict=True):
        mine, expected = np.asarray(mine), np.asarray(expected)
        assert np.abs(expected[seen]).max() > 0.5
        # in holes the marginal has no slope; the kernel may say anything there
        np.testing.assert_allclose(mine[seen], expected[seen], rtol=1e-10, atol=1e-10)
        assert (expected[~seen] == 0).all()
    for mine, expected in zip(ours[2:], theirs[2:], strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-10)


def independent_draws(rng, X, observed, n_draws):
    """Return draws that are not stratified: every one is the only one of its row."""
    repeated = np.repeat(X, n_draws, axis=0), np.repeat(observed, n_draws, axis=0)
    Z, log_density = GaussianConditional(MEAN, COVARIANCE).propose(rng, *repeated, 1)
    n, d = X.shape
    return Z.reshape(n, n_draws, d), log_density.reshape(n, n_draws)


def test_the_error_of_the_kernel_falls_with_the_root_of_the_draws(double):
    # Against the marginal in closed form. Sixteen times the draws: a quarter of the error. Errors
    # are root mean squares over some 400 numbers, so their ratio is within 15 % (4 / √(2·400)),
    # and few draws have a bias of relative order 1/r on top: √2 either way.
    case = density_case("gaussian")
    X, observed = (part[:300] for part in table("gaussian", "mcar"))
    holed = ~observed.all(axis=1)
    X, observed = X[holed], observed[holed]
    K = [np.linalg.inv(COVARIANCE[np.ix_(o, o)]) for o in observed]
    exact_score, exact_curvature = np.zeros(X.shape), np.zeros(X.shape)
    for i, o in enumerate(observed):
        exact_score[i, o] = -K[i] @ (X[i, o] - MEAN[o])
        exact_curvature[i, o] = -np.diag(K[i])
    errors = []
    for n_draws in (64, 1024):
        Z, log_density = independent_draws(np.random.default_rng(2), X, observed, n_draws)
        rows = Rows(np.where(observed, X, 0.0), observed, Z, -log_density, np.ones(len(X)))
        score, curvature, *_ = by_the_kernel(case.density, case.params, rows, None)
        gaps = np.stack([score - exact_score, curvature - exact_curvature])[:, observed]
        errors.append(np.sqrt((gaps**2).mean(axis=1)))
    few, many = errors
    assert (few > 0.02).all()
    assert (np.abs(np.log(few / many / 4)) < np.log(np.sqrt(2))).all()


def test_the_variance_that_few_draws_miss():
    # E[plug-in variance] = (1 − Σw²) Var for independent draws with fixed weights: over 200,000
    # sets of 3 draws of a standard normal, within 4 standard errors.
    rng, weights = np.random.default_rng(0), np.array([0.5, 0.3, 0.2])
    draws = rng.standard_normal((200_000, 3))
    plug_in = draws**2 @ weights - (draws @ weights) ** 2
    with jax.enable_x64(True):
        missed = jax.vmap(lambda s: missing_variance(jnp.array(weights), s[:, None]))(draws)[:, 0]
        whole = plug_in + np.asarray(missed)
        assert abs(whole.mean() - 1) < 4 * whole.std() / np.sqrt(len(whole))
        assert abs(plug_in.mean() - 1) > 0.3
        alone = missing_variance(jnp.array([1.0, 0.0]), jnp.ones((2, 1)))
    assert (np.asarray(alone) == 0).all()


def with_base_measure(x):
    return -jnp.sum(jnp.cosh(0.5 * x))


@pytest.mark.parametrize("base_measure", [None, with_base_measure])
def test_the_linear_score_is_the_score(base_measure, double):
    family = ExponentialFamily(quartic_statistics, base_measure)
    theta = jnp.array(density_case("quartic").params)

    @jax.jit
    @jax.vmap
    def both(x):
        log_density = partial(family.log_density, theta)
        score = LinearScore(family, theta)
        ours = score(x), *score.with_curvature(x), jax.jacrev(lambda t: score_at(t, x))(theta)
        slope = jax.grad(log_density)(x)
        bend = jnp.diagonal(jax.hessian(log_density)(x))
        return ours, (slope, slope, bend, jax.jacfwd(family.sufficient_statistics)(x).T)

    def score_at(theta, x):
        return LinearScore(family, theta)(x)

    ours, theirs = both(jnp.array(table("quartic", "complete")[0][:4]))
    for part, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("objective", "mechanism"),
    [(Explicit(), "mnar"), (Sliced(2), "mcar"), (Denoising(0.3), "mcar")],
)
def test_remembered_equations_are_the_streamed_ones(objective, mechanism):
    log_propensity = None if mechanism == "mcar" else steep_propensity
    X, observed = (part[:150] for part in table("quartic", "mcar"))
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    rule = Imputation(4, log_propensity=log_propensity)
    rows = Table(np.where(observed, X, np.nan), observed, weight)
    moments = X.mean(axis=0), 2 * np.cov(X.T)
    problem = pose(ExponentialFamily(quartic_statistics), objective, rule, rows, moments, 0, None)
    theta = density_case("quartic").params
    kept, again = remembered(problem), streamed(problem)
    for at in (theta, 0.5 * theta):
        ours, theirs = kept(at), again(at)
        assert ours.weight == pytest.approx(theirs.weight, rel=1e-12)
        np.testing.assert_allclose(ours.gram, theirs.gram, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ours.linear, theirs.linear, rtol=1e-9, atol=1e-9)
    assert np.abs(kept(theta).gram - kept(0.5 * theta).gram).max() > 0.1


@pytest.mark.parametrize("objective", [Explicit(), Sliced(2, analytic_norm=True), Sliced(2)])
def test_a_tilt_is_added_to_the_score(objective, double):
    # The loss of the seen part is that of the score plus the tilt, however the loss reads it.
    case, rows = density_case("gaussian"), some_rows("gaussian")
    rule, tilt = Importance(bias_correction=False), jnp.array([0.3, -0.7, 1.1])
    key, row = jax.random.key(0), jax.tree.map(lambda a: jnp.array(a[0]), rows)

    @jax.jit
    def losses(row):
        score = MarginalScore(DensityScore(case.density, case.params), row)
        added = objective(key, lambda x: score(x) + tilt, row.X, row.observed)
        parts = [row, row._replace(tilt=tilt)]
        return added, *(rule.loss(key, objective, case.density, case.params, r) for r in parts)

    expected, plain, loss = losses(row)
    np.testing.assert_allclose(loss, expected, rtol=1e-10)
    assert abs(loss - plain) > 0.01


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


def test_a_baseline_is_let_through_under_any_mechanism():
    for mechanism in ("mcar", "mar"):
        assert resolve_rule("zeroed", mechanism=mechanism, density=Gaussian()) == Zeroed()
        assert mechanism not in Zeroed().valid_under


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
@pytest.mark.parametrize("build", [Importance, Imputation, Variational, PersistentChains])
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
