"""Solvers against closed forms, against each other, and against what must not matter."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import initial_logistic, quartic_statistics, sheared_logistic
from designs import correlated_design, punch_holes

from sm_estimators._precision import double_precision
from sm_estimators.densities import (
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianMixture,
    LogDensity,
    MLPEnergy,
    pairwise_statistics,
)
from sm_estimators.fitting import Settings, Table, evaluate, fit_density
from sm_estimators.fitting import lbfgs as lbfgs_module
from sm_estimators.fitting import linear_marginal as linear_module
from sm_estimators.fitting import minibatch as minibatch_module
from sm_estimators.fitting import quadratic as quadratic_module
from sm_estimators.fitting.fit import pose
from sm_estimators.fitting.quadratic import normal_equations, solve
from sm_estimators.fitting.streaming import add_rows, fit_sums
from sm_estimators.missing import CompleteCase, Exact, Importance, Imputation, Rows
from sm_estimators.missing.gaussian_em import gaussian_em
from sm_estimators.objectives import Denoising, Explicit, Sliced, Weighted

NO_RIDGE = Settings(ridge=0.0)


def gaussian_rows(seed=0, n=300):
    """Return rows of a Gaussian in three columns of different units."""
    rng = np.random.default_rng(seed)
    covariance = [[1.0, 0.6, -0.3], [0.6, 1.5, 0.2], [-0.3, 0.2, 0.7]]
    return rng.multivariate_normal([1.0, -0.5, 0.2], covariance, size=n) * [1.0, 3.0, 0.5]


def complete(X, weight=None):
    return Table(X, np.ones(X.shape, bool), np.ones(len(X)) if weight is None else weight)


def holed(X, seed=1, fraction=0.25):
    return Table(*punch_holes(seed, X, fraction), np.ones(len(X)))


def complete_rows(X):
    """Return the rows of a complete table as a solver sees them."""
    n, d = X.shape
    return Rows(X, np.ones(X.shape, bool), np.zeros((n, 0, d)), np.zeros((n, 0)), np.ones(n))


def fit(density, table, *, objective=None, rule=None, settings=NO_RIDGE, seed=0, initial=None):
    return fit_density(
        density,
        objective or Explicit(),
        rule or CompleteCase(),
        table,
        seed=seed,
        settings=settings,
        initial=initial,
    )


def same(params, others, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), params, others)


def pairwise_moments(theta, d=3):
    """Return mean and precision from the natural parameters of the pairwise statistics."""
    K = np.diag(theta[d : 2 * d])
    K[np.triu_indices(d, 1)] = K.T[np.triu_indices(d, 1)] = theta[2 * d :]
    return np.linalg.solve(K, theta[:d]), K


def log_gaussian(params, x):
    """Return a Gaussian as a user would write it."""
    L = jnp.diag(jnp.exp(params["log_diagonal"])) + jnp.tril(params["lower"], -1)
    z = L.T @ (x - params["location"])
    return -0.5 * z @ z


def initial_gaussian(key, d):
    return {
        "location": jnp.zeros(d),
        "log_diagonal": jnp.zeros(d),
        "lower": jnp.zeros((d, d)),
    }


# Gaussians.


def test_complete_gaussians_are_the_maximum_of_the_likelihood():
    X = gaussian_rows()
    location, covariance = Gaussian().moments(fit(Gaussian(), complete(X)).params)
    np.testing.assert_allclose(location, X.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(covariance, np.cov(X.T, bias=True), rtol=1e-9)
    em = gaussian_em(X, np.ones(X.shape, bool))
    np.testing.assert_allclose(covariance, em.covariance, rtol=1e-9)


def test_gaussian_imputation_is_em():
    table = holed(gaussian_rows())
    result = fit(Gaussian(), table, rule=Imputation())
    em = gaussian_em(table.X, table.observed, tol=NO_RIDGE.tol)
    np.testing.assert_allclose(Gaussian().moments(result.params)[1], em.covariance, rtol=1e-9)
    assert result.converged
    assert result.n_iter > 1


def test_smoothing_is_added_in_the_units_of_the_columns():
    X = gaussian_rows()
    for rule, table in [(None, complete(X)), (Imputation(), holed(X))]:
        plain = Gaussian().moments(fit(Gaussian(), table, rule=rule).params)[1]
        noisy = fit(Gaussian(), table, rule=rule, objective=Denoising(0.5))
        covariance = Gaussian().moments(noisy.params)[1]
        np.testing.assert_allclose(covariance, plain + 0.25 * np.eye(3), rtol=1e-9)


def test_lbfgs_finds_the_closed_form():
    X = gaussian_rows() / [1.0, 3.0, 0.5]
    result = fit(LogDensity(log_gaussian, initial_gaussian), complete(X))
    assert result.converged
    L = np.diag(np.exp(result.params["log_diagonal"])) + np.tril(result.params["lower"], -1)
    precision = np.linalg.inv(np.cov(X.T, bias=True))
    np.testing.assert_allclose(L @ L.T, precision, atol=1e-5)
    np.testing.assert_allclose(result.params["location"], X.mean(axis=0), atol=1e-5)
    assert (np.diff(result.losses) <= 1e-12).all()


def test_a_mixture_of_one_is_the_gaussian():
    X = gaussian_rows()
    result = fit(GaussianMixture(1), complete(X))
    means, covariances = GaussianMixture(1).moments(result.params)
    np.testing.assert_allclose(means[0], X.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(covariances[0], np.cov(X.T, bias=True), rtol=1e-4, atol=1e-4)


def test_a_mixture_of_two_with_holes_is_found():
    rng = np.random.default_rng(4)
    second = rng.random(1500) < 0.35
    X = rng.standard_normal((1500, 2)) + np.where(second[:, None], [2.0, -2.0], [-1.0, 1.0])
    result = fit(
        GaussianMixture(2),
        holed(X, fraction=0.2),
        rule=Exact(),
        settings=Settings(max_iter=200),
    )
    means, covariances = GaussianMixture(2).moments(result.params)
    order = np.argsort(means[:, 0])
    # 420 seen values of a unit Gaussian: four standard errors of a mean are .2, of a variance .3
    np.testing.assert_allclose(means[order], [[-1, 1], [2, -2]], atol=0.25)
    np.testing.assert_allclose(covariances, np.tile(np.eye(2), (2, 1, 1)), atol=0.35)


# Exponential families.


def test_the_quadratic_solution_is_the_closed_form():
    X = gaussian_rows()
    location, K = pairwise_moments(fit(ExponentialFamily(pairwise_statistics), complete(X)).params)
    np.testing.assert_allclose(K, np.linalg.inv(np.cov(X.T, bias=True)), rtol=1e-8)
    np.testing.assert_allclose(location, X.mean(axis=0), rtol=1e-8)


def quartic_equations_by_hand(X):
    """Return Γ = mean of Σ_j ∂_j t ∂_j tᵀ and b = mean of Σ_j ∂_j² t of the quartic statistics."""
    gram, linear = np.zeros((12, 12)), np.zeros(12)
    pairs = np.column_stack(np.triu_indices(3, 1))
    for x in X:
        J = np.zeros((12, 3))
        J[:3], J[3:6], J[6:9] = np.eye(3), np.diag(-x), np.diag(-(x**3))
        for row, (i, j) in zip(J[9:], pairs, strict=True):
            row[i], row[j] = -x[j], -x[i]
        gram += J @ J.T
        linear += np.concatenate([np.zeros(3), -np.ones(3), -3 * x**2, np.zeros(3)])
    return gram / len(X), linear / len(X)


def test_normal_equations_by_hand():
    X = gaussian_rows(n=100)
    gram, linear = quartic_equations_by_hand(X)
    density = ExponentialFamily(quartic_statistics)
    result = fit(density, complete(X))
    np.testing.assert_allclose(result.params, -np.linalg.solve(gram, linear), rtol=1e-6)
    ridge = 0.1
    expected = -np.linalg.solve(gram + ridge * np.diag(np.diag(gram)), linear)
    result = fit(density, complete(X), settings=Settings(ridge=ridge))
    np.testing.assert_allclose(result.params, expected, rtol=1e-8)


def test_a_base_measure_enters_the_equations():
    # With log h the Gaussian itself, nothing is left for the statistics to say.
    X = gaussian_rows()
    mean, K = X.mean(axis=0), np.linalg.inv(np.cov(X.T, bias=True))
    family = ExponentialFamily(pairwise_statistics, lambda x: -0.5 * (x - mean) @ K @ (x - mean))
    np.testing.assert_allclose(fit(family, complete(X)).params, np.zeros(9), atol=1e-8)


@pytest.mark.parametrize("objective", [Explicit(), Sliced(2), Denoising(0.3)])
def test_chunks_do_not_matter(objective, monkeypatch):
    X = gaussian_rows(n=300)
    density, key = ExponentialFamily(pairwise_statistics), jax.random.key(0)
    rows = complete_rows(X)
    whole = normal_equations(density, objective, rows, key)
    monkeypatch.setattr(quadratic_module, "rows_within", lambda numbers: 64)
    pieces = normal_equations(density, objective, rows, key)
    np.testing.assert_allclose(pieces.gram, whole.gram, rtol=1e-10)
    np.testing.assert_allclose(pieces.linear, whole.linear, rtol=1e-10, atol=1e-9)
    assert pieces.weight == whole.weight == 300
    assert np.isfinite(solve(pieces, ridge=0.0)).all()


@pytest.mark.parametrize("density", [Gaussian(), ExponentialFamily(pairwise_statistics)])
def test_sums_over_pieces_are_the_sum(density):
    X = gaussian_rows()
    parts = [add_rows(density, Explicit(), x, np.ones(len(x)), 0) for x in (X[:100], X[100:])]
    streamed = fit_sums(density, Explicit(), parts[0] + parts[1], NO_RIDGE)
    whole = fit(density, complete(X))
    same(streamed.params, whole.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(streamed.moments[0], X.mean(axis=0), rtol=1e-10)


# What must not matter.

FITTED = {
    "gaussian em": (Gaussian(), Explicit(), Imputation()),
    "gaussian exact": (Gaussian(), Explicit(), Exact()),
    "quadratic": (ExponentialFamily(pairwise_statistics), Sliced(1), Imputation(3)),
    "lbfgs": (LogDensity(sheared_logistic, initial_logistic), Denoising(0.1), Importance(3)),
}


@pytest.mark.parametrize("name", FITTED)
def test_order_is_nothing_and_weights_are_repeats(name):
    density, objective, rule = FITTED[name]
    settings = Settings(ridge=1e-3, max_iter=30, tol=1e-3)
    table = holed(gaussian_rows(n=120) / [1, 3, 0.5])
    rng = np.random.default_rng(5)
    weight = rng.integers(0, 3, 120)
    rows = rng.permutation(np.repeat(np.arange(120), weight))
    weighted = table._replace(weight=weight.astype(float))
    repeated = table.take(rows)
    options = {"objective": objective, "rule": rule, "settings": settings}
    expected = fit(density, weighted, **options)
    # sums in another order round differently, and L-BFGS stops within its tolerance
    same(fit(density, repeated, **options).params, expected.params, rtol=1e-4, atol=1e-5)
    other = fit(density, table, **options)
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), other.params, expected.params)
    assert max(jax.tree.leaves(gaps)) > 1e-3


def test_the_seed_decides():
    density, table = ExponentialFamily(pairwise_statistics), holed(gaussian_rows(n=120))
    options = {"rule": Imputation(3), "settings": Settings(tol=1e-3)}
    first, again, other = (fit(density, table, seed=s, **options).params for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize("rule", [Importance(100), Imputation(100)])
def test_draws_and_closed_forms_agree(rule):
    # The pairwise family knows no marginals: with 100 draws it must come near the Gaussian's
    # EM; both rules estimate the same K with errors of order 1/√300.
    table = holed(gaussian_rows() / [1, 3, 0.5])
    em = Gaussian().precision(fit(Gaussian(), table, rule=Imputation()).params)
    settings = Settings(tol=1e-3, max_iter=60)
    result = fit(ExponentialFamily(pairwise_statistics), table, rule=rule, settings=settings)
    assert np.linalg.norm(pairwise_moments(result.params)[1] - em) / np.linalg.norm(em) < 0.1
    sizes = result.effective_sample_size
    assert len(sizes) == (table.observed.any(axis=1) & ~table.observed.all(axis=1)).sum()
    assert (sizes > 30).mean() > 0.9
    assert (sizes <= 100 + 1e-9).all()


def steep(observed, x):
    """Log-propensity of three columns whose first is lost where it is large."""
    return jnp.where(observed[0], -1.0, 1.0) * 0.5 * jax.nn.softplus(x[0])


@pytest.mark.parametrize("kind", ["plain", "uncorrected", "tilted", "not at random", "in a box"])
def test_losses_from_remembered_matrices_are_the_losses(kind, monkeypatch):
    # Value and gradient, at a θ that is neither the start nor the solution, chunk by chunk.
    monkeypatch.setattr(linear_module, "rows_within", lambda numbers: 64)
    box = Box(lower=(-1.0, -np.inf, -1.5))
    support = box if kind == "in a box" else None
    density = ExponentialFamily(quartic_statistics, support=support)
    rule = Importance(
        6,
        bias_correction=kind != "uncorrected",
        log_propensity=steep if kind == "not at random" else None,
    )
    X, rng = gaussian_rows(n=150) / [1.0, 3.0, 0.5], np.random.default_rng(3)
    X = X[(box.lower <= X).all(axis=1)]
    table = holed(X)._replace(weight=rng.uniform(0.5, 2.0, len(X)))
    if kind == "tilted":
        table = table._replace(tilt=rng.normal(size=X.shape))
    objective = Explicit() if support is None else Weighted(support, cap=np.ones(3))
    moments = np.zeros(3), np.eye(3)
    problem = pose(density, objective, rule, table, moments, 0, None)
    theta = problem.initial + 0.3 * rng.normal(size=len(problem.initial))

    @double_precision
    def value_and_slope():
        return lbfgs_module.mean_loss(problem, lambda flat: flat, 0.1)(theta)

    assert linear_module.is_linear(problem)
    ours = value_and_slope()
    monkeypatch.setattr(lbfgs_module, "is_linear", lambda problem: False)
    theirs = value_and_slope()
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-10)
    assert np.abs(ours[1]).max() > 0.1


def test_initial_parameters_are_used():
    # From its own minimum a second fit has nowhere to go.
    X = gaussian_rows() / [1, 3, 0.5]
    density = LogDensity(sheared_logistic, initial_logistic)
    first = fit(density, complete(X))
    second = fit(density, complete(X), initial=first.params)
    assert first.n_iter > 3
    assert second.n_iter <= 3
    same(second.params, first.params, atol=1e-4)


def test_initial_parameters_are_in_the_units_of_the_table():
    X = gaussian_rows()
    density = GaussianMixture(1)
    first = fit(density, complete(X))
    second = fit(density, complete(X), initial=first.params)
    assert second.n_iter <= 3
    same(second.params, first.params, rtol=1e-3, atol=1e-3)


def test_importance_is_near_em_on_the_correlated_design():
    # In small: five columns, three seeds. In ten columns, 1000 rows and 20 % holes the medians
    # over ten seeds are .061 for EM, .064 for exact marginals and .061 for ten draws.
    ratios = []
    for seed in range(3):
        X, precision = correlated_design(seed, 1000, 5)
        table, errors = holed(X, 100 + seed, 0.2), []
        for rule in (Imputation(), Exact(), Importance(n_draws=10)):
            result = fit(Gaussian(), table, rule=rule, settings=Settings())
            errors.append(np.linalg.norm(Gaussian().precision(result.params) - precision))
        ratios.append(np.array(errors) / errors[0])
    _, exact, importance = np.median(ratios, axis=0)
    assert exact < 1.1
    assert importance < 1.25


# Neural energies.

QUICK = Settings(max_iter=1500, learning_rate=3e-3, n_iter_no_change=5, batch_size=128)


def two_rings(seed, n):
    """Return rows of an equal mixture of two narrow Gaussians, far from Gaussian."""
    rng = np.random.default_rng(seed)
    centres = np.where(rng.random((n, 1)) < 0.5, [-1.0, 1.0], [1.0, -1.0])
    return centres + 0.4 * rng.standard_normal((n, 2))


def held_out_loss(density, result, X):
    seen = np.ones(X.shape, bool)
    return evaluate("loss", density, result.params, X, seen, result.moments)


def test_an_energy_of_gaussian_rows_is_about_the_gaussian():
    X, new = gaussian_rows(n=600), gaussian_rows(9, 2000)
    density = MLPEnergy(hidden_sizes=(16,))
    energy = fit(density, complete(X), settings=QUICK)
    gaussian = fit(Gaussian(), complete(X), settings=QUICK)
    gap = held_out_loss(density, energy, new) - held_out_loss(Gaussian(), gaussian, new)
    # A held-out loss of 60 rows chooses the stop: what it cannot see is of the order of its own
    # error.
    spread = held_out_loss(Gaussian(), gaussian, new).std()
    assert gap.mean() < 2 * spread / np.sqrt(60)
    assert np.isfinite(energy.losses).all()
    assert energy.losses.min() <= energy.losses[0]


def test_an_energy_beats_the_gaussian_on_two_modes():
    X, new = two_rings(0, 1000), two_rings(1, 2000)
    density = MLPEnergy(hidden_sizes=(16, 16))
    energy = fit(density, complete(X), settings=QUICK)
    gaussian = fit(Gaussian(), complete(X))
    gap = held_out_loss(Gaussian(), gaussian, new) - held_out_loss(density, energy, new)
    assert gap.mean() > 5 * gap.std() / np.sqrt(len(gap))
    assert gap.mean() > 1


def test_overfitting_is_stopped_and_the_best_is_kept():
    # Explicit score matching of a wide network on 60 rows is unbounded below.
    X, new = gaussian_rows(n=60), gaussian_rows(9, 1000)
    settings = replace(QUICK, learning_rate=1e-2, max_iter=20_000)
    density = MLPEnergy(hidden_sizes=(64,))
    result = fit(density, complete(X), settings=settings)
    assert result.converged
    assert "no longer improves" in result.message
    assert result.n_iter < 20_000
    assert len(result.losses) - 1 - result.losses.argmin() == settings.n_iter_no_change
    gaussian = fit(Gaussian(), complete(X), settings=settings)
    ours, theirs = held_out_loss(density, result, new), held_out_loss(Gaussian(), gaussian, new)
    # six held-out rows choose the stop
    assert ours.mean() < theirs.mean() + 2 * theirs.std() / np.sqrt(6)


def interrupt_after(rounds, monkeypatch):
    original, calls = minibatch_module.train_round, []

    def train_round(*args, **kwargs):
        calls.append(1)
        if len(calls) > rounds:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(minibatch_module, "train_round", train_round)


def test_an_interrupt_keeps_the_best_so_far(monkeypatch):
    X, density = two_rings(0, 1000), MLPEnergy(hidden_sizes=(16, 16))
    expected = fit(density, complete(X), settings=replace(QUICK, max_iter=100))
    interrupt_after(2, monkeypatch)
    result = fit(density, complete(X), settings=QUICK)
    assert result.interrupted
    assert not result.converged
    assert "interrupted" in result.message
    assert len(result.losses) == 3
    same(result.params, expected.params, rtol=1e-6)
    assert not expected.interrupted


@pytest.mark.parametrize(
    ("objective", "rule"), [(Sliced(), Importance(4)), (Denoising(0.2), Imputation(4))]
)
def test_energies_with_holes_train(objective, rule):
    table = holed(two_rings(0, 300), fraction=0.2)
    settings, density = replace(QUICK, max_iter=200), MLPEnergy(hidden_sizes=(8,))
    result = fit(density, table, objective=objective, rule=rule, settings=settings)
    assert np.isfinite(result.losses).all()
    assert result.n_iter == 200
    assert result.losses[-1] < result.losses[0]


# Errors.


def broken(params, x):
    """Return a log-density whose score is not a number at rows below −1 in the first column."""
    return -0.5 * jnp.sum(params["a"] * x**2) + jnp.sqrt(x[0] + 1)


def test_a_log_density_without_support_is_refused():
    density = LogDensity(broken, lambda key, d: {"a": jnp.ones(d)})
    X = np.random.default_rng(0).standard_normal((50, 2))
    with pytest.raises(ValueError, match=r"log-density is nan at the row .* positive on the whole"):
        fit(density, complete(X))


def test_losses_that_are_not_finite_are_reported():
    # |x|^1.5 has an infinite second derivative at zero.
    def statistics(x):
        return jnp.concatenate([-(x**2), -((x**2) ** 0.75)])

    X = np.random.default_rng(0).standard_normal((50, 2))
    X[0, 0] = 0.0
    with pytest.raises(FloatingPointError, match=r"loss is not finite.*`ridge`.*twice differ"):
        fit(ExponentialFamily(statistics), complete(X))
    density = LogDensity(lambda p, x: p["a"] @ statistics(x), lambda key, d: {"a": jnp.ones(2 * d)})
    with pytest.raises(FloatingPointError, match="loss is not finite at the initial parameters"):
        fit(density, complete(X))


def test_a_diverging_training_is_reported(monkeypatch):
    def explode(key, problem, state, *args, **kwargs):
        return jax.tree.map(lambda a: a * jnp.nan, state)

    monkeypatch.setattr(minibatch_module, "train_round", explode)
    with pytest.raises(FloatingPointError, match=r"held-out rows after 50 steps.*`learning_rate`"):
        fit(MLPEnergy((16,)), complete(gaussian_rows(n=600)), settings=QUICK)


def test_statistics_that_say_nothing_are_named():
    X = np.random.default_rng(0).standard_normal((50, 2))
    flat = ExponentialFamily(lambda x: jnp.concatenate([-(x**2), 0 * x[:1]]))
    with pytest.raises(ValueError, match=r"number \[2\] have no gradient"):
        fit(flat, complete(X))
    twice = ExponentialFamily(lambda x: jnp.concatenate([-(x**2), -(x**2)]))
    equations = normal_equations(twice, Explicit(), complete_rows(X), jax.random.key(0))
    with pytest.raises(ValueError, match=r"linearly dependent over the 50 rows.*set `ridge`"):
        solve(equations, ridge=0.0)


@pytest.mark.parametrize("column", [[1.0, 1.0], [1.0, 2.0]])
def test_singular_covariances_are_explained(column):
    X = np.outer(np.arange(10.0), column)
    X = np.column_stack([X, X[:, 0]]) if column[0] == column[1] else X * [1.0, 0.0]
    match = "covariance is singular.*" + ("duplicated" if X[:, 1].any() else "constant")
    with pytest.raises(ValueError, match=match):
        fit(Gaussian(), complete(X))
