"""NumPyro in both directions, against closed forms."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers, infer
from numpyro.distributions import constraints
from scipy import stats

from sm_estimators._precision import double_precision
from sm_estimators.densities import Gaussian, GaussianMixture, MLPEnergy
from sm_estimators.numpyro_bridge import NUTS, FittedDensity, FromDistribution, FromModel
from sm_estimators.numpyro_bridge.nuts import nuts
from sm_estimators.numpyro_bridge.rows import log_densities
from sm_estimators.samplers import draw, run_conditional_chains
from sm_estimators.samplers.chains import _run_chains

KEY = jax.random.key(0)
LOCATION = np.array([1.0, -2.0])
COVARIANCE = np.array([[2.0, 1.2], [1.2, 1.0]])
CHOLESKY = np.linalg.cholesky(COVARIANCE)


def wiggled(params, size=0.3):
    """Parameters away from their start, where every constraint is at work."""
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    return tree.unflatten([np.asarray(p) + size * rng.normal(size=np.shape(p)) for p in leaves])


def assert_gaussian_rows(rows, location, covariance, effective=None):
    """Means within 5 standard errors, covariances within 5 of theirs, for ``effective`` draws."""
    n = len(rows) if effective is None else effective
    variance = np.diag(covariance)
    assert np.all(np.abs(rows.mean(axis=0) - location) < 5 * np.sqrt(variance / n))
    # var of a sample covariance of Gaussians: (s_ii s_jj + s_ij²) / n
    se = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert np.all(np.abs(np.atleast_2d(np.cov(rows, rowvar=False)) - covariance) < 5 * se)


# --- families ---------------------------------------------------------------------------------


@double_precision
def family_values(density, params, x):
    return density.log_density(params, jnp.asarray(x)), density.constrained(params)


ORACLES = {
    "student": (
        FromDistribution(dist.StudentT, df=5.0),
        lambda x, p: stats.t.logpdf(x, 5.0, p["loc"], p["scale"]).sum(),
    ),
    "gaussian": (
        FromDistribution(dist.MultivariateNormal),
        lambda x, p: stats.multivariate_normal.logpdf(
            x, p["loc"], p["scale_tril"] @ p["scale_tril"].T
        ),
    ),
    "gaussian by its precision": (
        FromDistribution(dist.MultivariateNormal, start={"precision_matrix": 2 * np.eye(2)}),
        lambda x, p: stats.multivariate_normal.logpdf(
            x, p["loc"], np.linalg.inv(p["precision_matrix"])
        ),
    ),
    "student vector": (
        FromDistribution(dist.MultivariateStudentT, start={"df": 4.0}),
        lambda x, p: stats.multivariate_t.logpdf(
            x, p["loc"], p["scale_tril"] @ p["scale_tril"].T, df=p["df"]
        ),
    ),
    "fixed vector": (
        FromDistribution(dist.Logistic, loc=[1.0, -2.0]),
        lambda x, p: stats.logistic.logpdf(x, [1.0, -2.0], p["scale"]).sum(),
    ),
    "function": (
        FromDistribution(
            lambda loc, log_scale: dist.Normal(loc, jnp.exp(log_scale)),
            start={"loc": np.zeros(2), "log_scale": 0.5},
        ),
        lambda x, p: stats.norm.logpdf(x, p["loc"], np.exp(p["log_scale"])).sum(),
    ),
}


@pytest.mark.parametrize("name", ORACLES)
def test_family_equals_scipy(name):
    density, oracle = ORACLES[name]
    x = np.array([0.3, -1.1])
    params = wiggled(double_precision(density.init)(KEY, 2))
    value, constrained = family_values(density, params, x)
    np.testing.assert_allclose(value, oracle(x, constrained), rtol=1e-10)


def test_alternatives_are_resolved():
    names = FromDistribution(dist.MultivariateNormal).init(KEY, 3)
    assert set(names) == {"loc", "scale_tril"}
    density = FromDistribution(dist.MultivariateNormal, covariance_matrix=np.eye(3))
    assert set(density.init(KEY, 3)) == {"loc"}


def test_scalar_parameters_of_a_vector_family_are_scalars():
    params = FromDistribution(dist.MultivariateStudentT).init(KEY, 3)
    assert {name: np.shape(p) for name, p in params.items()} == {
        "df": (), "loc": (3,), "scale_tril": (6,),
    }  # fmt: skip


def test_warm_start_takes_moments_and_keeps_what_the_user_started():
    X = np.random.default_rng(0).normal(size=(50, 2)) @ CHOLESKY.T + LOCATION
    density = FromDistribution(dist.MultivariateNormal, start={"loc": [7.0, 8.0]})
    start = double_precision(lambda: density.constrained(density.warm_start(KEY, X)))()
    np.testing.assert_allclose(start["loc"], [7.0, 8.0])
    covariance = np.cov(X, rowvar=False, bias=True)
    np.testing.assert_allclose(start["scale_tril"] @ start["scale_tril"].T, covariance, rtol=1e-5)


def test_equal_specs_share_compiled_code():
    first = FromDistribution(dist.StudentT, df=5.0, start={"scale": np.array([1.0, 2.0])})
    second = FromDistribution(dist.StudentT, start={"scale": [1.0, 2.0]}, df=5.0)
    assert first == second == copy.deepcopy(first) == pickle.loads(pickle.dumps(first))
    assert hash(first) == hash(second)
    params = first.init(KEY, 2)
    log_densities(first, params, jnp.zeros((3, 2)))
    compiled = log_densities._cache_size()
    log_densities(second, params, jnp.ones((3, 2)))
    assert log_densities._cache_size() == compiled


FAMILY_REFUSALS = [
    (lambda: FromDistribution(dist.Poisson), ValueError, "is discrete"),
    (lambda: FromDistribution(dist.Gamma), ValueError, "Transform the column"),
    (lambda: FromDistribution(dist.Dirichlet), ValueError, "whole real line"),
    (lambda: FromDistribution(dist.Normal(0.0, 1.0)), TypeError, "Pass `dist.Normal`"),
    (lambda: FromDistribution(dist.Normal, loc=0.0, scale=1.0), ValueError, "left to fit"),
    (lambda: FromDistribution(dist.Normal, location=0.0), TypeError, "no argument named"),
    (lambda: FromDistribution(dist.CAR, start={"loc": [0.0]}), TypeError, "'adj_matrix'"),
    (lambda: FromDistribution(lambda a, b: dist.Normal(a, b), start={"a": 0.0}), TypeError, "'b'"),
    (lambda: FromDistribution(dist.Normal, loc={"a": 1}), TypeError, "hashable objects"),
    (lambda: FromDistribution(dist.Normal, start={"scale": -1.0}).init(KEY, 2), ValueError, "must lie inside"),  # noqa: E501
    (lambda: FromDistribution(dist.Uniform, low=0.0, high=1.0), ValueError, "left to fit"),
    (lambda: FromDistribution(lambda a: dist.Exponential(jnp.exp(a)), start={"a": [0.0, 0.0]}).init(KEY, 2), ValueError, "not the whole real line"),  # noqa: E501
    (lambda: FromDistribution(lambda a: dist.Normal(a, 1.0), start={"a": 0.0}).init(KEY, 2), ValueError, "values of shape"),  # noqa: E501
    (lambda: FromDistribution(dist.GaussianRandomWalk, num_steps=3).init(KEY, 2), ValueError, "values of shape"),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "sentence"), FAMILY_REFUSALS)
def test_families_that_cannot_be_fitted_are_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


# --- models -----------------------------------------------------------------------------------


def logistic_model(x):
    loc = numpyro.param("loc", lambda key: jax.random.normal(key, x.shape))
    scale = numpyro.param("scale", 2.0, constraint=constraints.positive)
    with numpyro.plate("columns", x.size):
        numpyro.sample("x", dist.Logistic(loc, scale), obs=x)


def simplex_model(x):
    weights = numpyro.param("weights", jnp.full(3, 1 / 3), constraint=constraints.simplex)
    numpyro.factor("energy", -weights @ jnp.array([x @ x, jnp.sum(x**4), jnp.sum(jnp.cos(x))]))


def test_a_sampled_site_gives_its_log_density():
    density, x = FromModel(logistic_model), np.array([0.3, -1.1])
    params = double_precision(density.init)(KEY, 2)

    @double_precision
    def values():
        return density.log_density(params, jnp.asarray(x)), density.constrained(params, 2)

    value, constrained = values()
    assert value.dtype == np.float64
    np.testing.assert_allclose(constrained["scale"], 2.0)
    expected = stats.logistic.logpdf(x, constrained["loc"], constrained["scale"]).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_a_factor_gives_an_unnormalised_density_with_derivatives():
    density, x = FromModel(simplex_model), jnp.array([0.3, -1.1])
    params = wiggled(density.init(KEY, 2))
    assert np.shape(params["weights"]) == (2,)
    w = np.asarray(density.constrained(params, 2)["weights"])
    np.testing.assert_allclose(w.sum(), 1.0, rtol=1e-6)
    score = jax.jit(jax.grad(density.log_density, argnums=1))(params, x)
    # float32: a handful of operations on numbers of order one
    expected = -(w[0] * 2 * x + w[1] * 4 * x**3 - w[2] * jnp.sin(x))
    np.testing.assert_allclose(score, expected, rtol=1e-5)
    in_params = jax.grad(density.log_density)(params, x)["weights"]
    assert np.all(np.abs(in_params) > 1e-3)


def test_a_model_inside_a_model_hides_its_sites():
    density = FromModel(logistic_model)
    params = density.init(KEY, 2)

    def outer():
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        numpyro.factor("prior", density.log_density(params, z))
        density.init(KEY, 2)

    with handlers.scale(scale=3.0):
        inside = density.log_density(params, jnp.ones(2))
    assert float(inside) == float(density.log_density(params, jnp.ones(2)))
    sites = handlers.trace(handlers.seed(outer, 0)).get_trace()
    assert set(sites) == {"z", "prior"}


def latent(x):
    loc = numpyro.param("loc", 0.0)
    z = numpyro.sample("z", dist.Normal(loc, 1.0))
    numpyro.sample("x", dist.Normal(z, 1.0).expand([2]).to_event(1), obs=x)


def discrete(x):
    rate = numpyro.param("rate", 1.0, constraint=constraints.positive)
    numpyro.sample("count", dist.Poisson(rate).expand([2]).to_event(1), obs=x)


def bounded(x):
    rate = numpyro.param("rate", 1.0, constraint=constraints.positive)
    numpyro.sample("wait", dist.Exponential(rate).expand([2]).to_event(1), obs=x)


def subsampled(x):
    loc = numpyro.param("loc", 0.0)
    with numpyro.plate("columns", 2, subsample_size=1) as i:
        numpyro.sample("x", dist.Normal(loc, 1.0), obs=x[i])


def seeded(x):
    theta = numpyro.param("theta", 0.0)
    numpyro.factor("e", -theta * x[0] * jax.random.normal(numpyro.prng_key()))


def constant(x):
    numpyro.factor("e", -jnp.sum(x**2))


def infeasible(x):
    scale = numpyro.param("scale", 0.0, constraint=constraints.positive)
    numpyro.factor("e", -jnp.sum(x**2) * scale)


MODEL_REFUSALS = [
    (latent, "latent site 'z'"),
    (discrete, "'count' of `model` is discrete"),
    (bounded, "Transform the column"),
    (subsampled, "subsamples the plate 'columns' \\(1 of 2\\)"),
    (seeded, "changes with the random seed"),
    (constant, "nothing to fit"),
    (infeasible, "site 'scale' must lie strictly"),
]


@pytest.mark.parametrize(("model", "sentence"), MODEL_REFUSALS)
def test_models_that_are_no_density_of_one_row_are_refused(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        FromModel(model).init(KEY, 2)


def test_a_latent_site_is_refused_when_evaluated_too():
    with pytest.raises(ValueError, match="latent site 'z'"):
        FromModel(latent).log_density({"loc": jnp.zeros(())}, jnp.zeros(2))


def test_a_table_is_not_summed_in_silence():
    density = FromModel(simplex_model)
    with pytest.raises(ValueError, match=r"`x` must have shape \(d,\); got \(3, 2\)"):
        density.log_density(density.init(KEY, 2), jnp.zeros((3, 2)))


def log_normal_model(x):
    scale = numpyro.param("scale", 1.0, constraint=constraints.positive)
    numpyro.factor("e", -jnp.sum(0.5 * (jnp.log(x) / scale) ** 2 + jnp.log(x)))


def test_an_impossible_row_is_named():
    density = FromModel(log_normal_model)
    X = np.array([[1.0, 2.0], [3.0, -4.0], [-1.0, 1.0]])
    params = density.warm_start(KEY, X)
    with pytest.raises(ValueError, match=r"row 1 of the complete rows, \[3.0, -4.0\] \(2 of 3"):
        density.check_rows(params, X)
    density.check_rows(params, np.abs(X))
    density.check_rows(params, X[:0])


def test_a_family_checks_its_rows():
    density = FromDistribution(dist.Normal)
    with pytest.raises(ValueError, match="row 0 of the complete rows"):
        density.check_rows(density.init(KEY, 1), np.array([[np.inf]]))


# --- fits as distributions --------------------------------------------------------------------


def fitted_gaussian():
    return FittedDensity(Gaussian(), Gaussian().from_moments(LOCATION, COVARIANCE))


def fitted_mixture():
    """Not Gaussian, so that the Gaussian preconditioner is not the answer."""
    density = GaussianMixture()
    starts = np.random.default_rng(0).normal(size=(200, 2))
    return FittedDensity(density, wiggled(density.init(KEY, 2)), starts)


def run_nuts(model, *args, n=2000):
    """Draws of NumPyro's NUTS in one compiled call."""
    mcmc = infer.MCMC(
        infer.NUTS(model), num_warmup=500, num_samples=n, progress_bar=False, num_chains=1
    )
    mcmc.run(jax.random.key(2), *args)
    return {name: np.asarray(draws) for name, draws in mcmc.get_samples().items()}


@pytest.mark.parametrize("x64", [False, True])
def test_log_prob_of_any_shape_of_rows(x64):
    X = np.random.default_rng(0).normal(size=(3, 4, 2))
    with jax.enable_x64(x64):
        value = fitted_gaussian().log_prob(jnp.asarray(X))
        one = fitted_gaussian().log_prob(jnp.asarray(X[0, 0]))
    assert value.dtype == (np.float64 if x64 else np.float32)
    expected = stats.multivariate_normal.logpdf(X, LOCATION, COVARIANCE)
    np.testing.assert_allclose(value, expected, rtol=1e-10 if x64 else 1e-4)
    np.testing.assert_allclose(one, value[0, 0], rtol=1e-5)


def test_log_normaliser_shifts_and_is_reported():
    base = fitted_gaussian()
    shifted = FittedDensity(base.density, base.params, log_normaliser=2.0)
    np.testing.assert_allclose(shifted.log_prob(LOCATION), base.log_prob(LOCATION) - 2.0, rtol=1e-6)
    energy = MLPEnergy(hidden_sizes=(4,))
    params = energy.init(KEY, 2)
    assert base.normalised
    assert not FittedDensity(energy, params, np.zeros((1, 2))).normalised
    assert FittedDensity(energy, params, np.zeros((1, 2)), log_normaliser=0.0).normalised


@pytest.mark.parametrize("x64", [False, True])
def test_draws_have_the_moments_of_the_density(x64):
    with jax.enable_x64(x64):
        draws = fitted_gaussian().sample(jax.random.key(1), (40, 50))
    assert draws.shape == (40, 50, 2)
    assert draws.dtype == (np.float64 if x64 else np.float32)
    assert_gaussian_rows(np.asarray(draws, float).reshape(-1, 2), LOCATION, COVARIANCE)


def test_draws_forget_where_they_started():
    params = Gaussian().from_moments(LOCATION, COVARIANCE)
    far = FittedDensity(Gaussian(), params, np.full((1, 2), 9.0), scale=np.ones(2))
    assert_gaussian_rows(np.asarray(far.sample(KEY, (2000,))), LOCATION, COVARIANCE)


def test_a_family_draws_exactly():
    density = FromDistribution(dist.StudentT, df=5.0)
    fitted = FittedDensity(density, density.init(KEY, 2))
    assert fitted.normalised
    assert fitted.event_shape == (2,)
    draws = fitted.sample(KEY, (1000,))
    np.testing.assert_array_equal(draws, density.distribution(fitted.params).sample(KEY, (1000,)))


def test_alone_under_nuts():
    fitted = fitted_gaussian()
    draws = run_nuts(lambda: numpyro.sample("x", fitted))["x"]
    ess = min(numpyro.diagnostics.effective_sample_size(draws[None]))
    assert_gaussian_rows(draws, LOCATION, COVARIANCE, effective=ess / 2)  # squares mix slower


def test_prior_of_a_bigger_model():
    """y | x ~ N(x₁ + x₂, s²): conditioning a Gaussian on a noisy sum, in closed form."""
    fitted, y, noise = fitted_gaussian(), 2.0, 0.5

    def model(y):
        x = numpyro.sample("x", fitted)
        numpyro.sample("y", dist.Normal(x.sum(), noise), obs=y)

    draws = run_nuts(model, y)["x"]
    a = np.ones(2)
    gain = COVARIANCE @ a / (a @ COVARIANCE @ a + noise**2)
    location = LOCATION + gain * (y - a @ LOCATION)
    covariance = COVARIANCE - np.outer(gain, a @ COVARIANCE)
    ess = min(numpyro.diagnostics.effective_sample_size(draws[None]))
    assert_gaussian_rows(draws, location, covariance, effective=ess / 2)


def plate_model(fitted, Y=None):
    with numpyro.plate("rows", 3):
        x = numpyro.sample("x", fitted)
        numpyro.sample("y", dist.Normal(x.sum(-1), 1.0), obs=Y)


def test_plate_expand_and_predictive():
    fitted = fitted_gaussian()
    wide = fitted.expand([3])
    assert wide.shape((5,)) == (5, 3, 2)
    assert wide.log_prob(jnp.zeros((5, 3, 2))).shape == (5, 3)
    drawn = infer.Predictive(plate_model, num_samples=4)(KEY, fitted)
    assert drawn["x"].shape == (4, 3, 2)
    assert len(np.unique(np.asarray(drawn["x"])[..., 0])) == 12
    x, y = jnp.ones((3, 2)), jnp.zeros(3)
    log_joint, _ = infer.util.log_density(plate_model, (fitted, y), {}, {"x": x})
    expected = fitted.log_prob(x).sum() + 3 * stats.norm.logpdf(2.0)
    np.testing.assert_allclose(log_joint, expected, rtol=1e-5)


def test_travels_through_jit_vmap_and_pickle():
    fitted = fitted_mixture()
    keys = jax.random.split(KEY, 3)
    inside = jax.jit(lambda d, k: jax.vmap(lambda one: d.sample(one))(k))(fitted, keys)
    assert inside.shape == (3, 2)
    assert len(np.unique(inside)) == 6
    again = pickle.loads(pickle.dumps(fitted))
    rebuilt = jax.tree.unflatten(*reversed(jax.tree.flatten(fitted)))
    x = np.ones(2, np.float32)
    for other in (again, rebuilt):
        np.testing.assert_array_equal(other.sample(KEY, (3,)), fitted.sample(KEY, (3,)))
        np.testing.assert_array_equal(other.log_prob(x), fitted.log_prob(x))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(again.params))


def test_pickled_parameters_keep_their_precision():
    params = {"location": LOCATION / 3, "log_diagonal": np.zeros(2), "lower": np.zeros(1)}
    again = pickle.loads(pickle.dumps(FittedDensity(Gaussian(), params)))
    assert again.params["location"].dtype == np.float64
    np.testing.assert_array_equal(again.params["location"], LOCATION / 3)


def test_draws_do_not_claim_a_gradient():
    fitted = fitted_gaussian()
    assert not fitted.has_rsample
    with pytest.raises(NotImplementedError):
        fitted.rsample(KEY)


STARTS_REFUSALS = [
    (None, "`starts` must be given for MLPEnergy"),
    (np.zeros(2), r"shape \(c, d\)"),
    (np.array([[np.nan, 0.0]]), "1 values not finite"),
]


@pytest.mark.parametrize(("starts", "sentence"), STARTS_REFUSALS)
def test_chains_need_finite_starts(starts, sentence):
    energy = MLPEnergy(hidden_sizes=(4,))
    with pytest.raises(ValueError, match=sentence):
        FittedDensity(energy, energy.init(KEY, 2), starts)


# --- NUTS as a kernel -------------------------------------------------------------------------


def test_nuts_leaves_a_gaussian_invariant_and_compiles_once():
    params = Gaussian().from_moments(LOCATION, COVARIANCE)
    starts = np.random.default_rng(0).normal(size=(50, 2))

    def run(key, sampler):
        scale = np.sqrt(np.diag(COVARIANCE))
        return draw(
            key, sampler, density=Gaussian(), params=params, starts=starts, scale=scale,
            n_samples=4000,
        )  # fmt: skip

    draws, diagnostics = run(jax.random.key(3), NUTS(n_warmup=100))
    compiled = _run_chains._cache_size()
    run(jax.random.key(4), NUTS(n_warmup=50, step_size=0.2, target_acceptance=0.7))
    assert _run_chains._cache_size() == compiled
    assert abs(diagnostics.acceptance - 0.8) < 0.1
    effective = min(diagnostics.effective_sample_size / 2, len(draws))  # squares mix slower
    assert_gaussian_rows(draws, LOCATION, COVARIANCE, effective=effective)


def test_nuts_imputes_from_the_conditional():
    params = Gaussian().from_moments(LOCATION, COVARIANCE)
    n = 128
    observed = np.tile([True, False], (n, 1))
    observed[0] = True
    positions = np.tile([3.0, 0.0], (4, n, 1))
    chains = run_conditional_chains(
        jax.random.key(5), NUTS(n_warmup=50, n_steps=20), density=Gaussian(), params=params,
        positions=positions, observed=observed, scale=np.tile(CHOLESKY, (n, 1, 1)),
    )  # fmt: skip
    assert np.all(chains.positions[..., 0] == 3.0)
    slope = COVARIANCE[0, 1] / COVARIANCE[0, 0]
    mean = LOCATION[1] + slope * (3.0 - LOCATION[0])
    variance = COVARIANCE[1, 1] - slope * COVARIANCE[0, 1]
    draws = chains.positions[:, 1:, 1].reshape(-1, 1)
    assert_gaussian_rows(draws, np.array([mean]), np.array([[variance]]))


NUTS_REFUSALS = [
    ({"n_chains": 0}, "`n_chains` must be a whole number of at least 1"),
    ({"max_tree_depth": 0}, "`max_tree_depth`"),
    ({"target_acceptance": 1.0}, "between 0 and 1"),
    ({"step_size": 0.0}, "must be positive"),
]


@pytest.mark.parametrize(("arguments", "sentence"), NUTS_REFUSALS)
def test_nuts_refuses_what_cannot_run(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        NUTS(**arguments)


def test_nuts_turns_although_a_coordinate_is_held_still():
    """A flat direction never makes a U-turn: without care every tree would be full, 2¹⁰ − 1."""
    kernel = nuts(lambda x: -0.5 * x @ x, 0.5, jnp.array([1.0, 0.0]))
    step = jax.jit(jax.vmap(lambda key: kernel.step(key, kernel.init(jnp.ones(2)))))
    state, info = step(jax.random.split(KEY, 50))
    assert np.all(info.n_gradients <= 31)
    assert np.all(state.position[:, 1] == 1.0)
    assert len(np.unique(state.position[:, 0])) > 40
