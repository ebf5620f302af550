"""Specs compare by value, travel everywhere, and find compiled code again."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import initial_logistic, quartic_statistics, sheared_logistic

from sm_estimators.densities import (
    ExponentialFamily,
    Gaussian,
    GaussianMixture,
    LogDensity,
    MLPEnergy,
    pairwise_statistics,
)
from sm_estimators.fitting import Settings, Table, fit_density
from sm_estimators.missing import CompleteCase, Exact, GaussianProposal, Importance, Imputation
from sm_estimators.objectives import Denoising, Explicit, Sliced

SPECS = {
    "Gaussian": Gaussian,
    "GaussianMixture": lambda: GaussianMixture(3),
    "ExponentialFamily": lambda: ExponentialFamily(quartic_statistics),
    "LogDensity": lambda: LogDensity(sheared_logistic, initial_logistic),
    "MLPEnergy": lambda: MLPEnergy(hidden_sizes=(4, 4)),
    "Explicit": Explicit,
    "Sliced": lambda: Sliced(3, "sphere"),
    "Denoising": lambda: Denoising(0.3, n_draws=2),
    "CompleteCase": CompleteCase,
    "Importance": lambda: Importance(n_draws=7, proposal=GaussianProposal(inflation=2.0)),
    "Imputation": lambda: Imputation(n_draws=7),
    "Exact": Exact,
}
OTHERS = {
    "GaussianMixture": GaussianMixture(2),
    "ExponentialFamily": ExponentialFamily(pairwise_statistics),
    "MLPEnergy": MLPEnergy(hidden_sizes=(4,)),
    "Sliced": Sliced(3),
    "Denoising": Denoising(0.2, n_draws=2),
    "Importance": Importance(n_draws=7),
    "Imputation": Imputation(n_draws=8),
}


@pytest.mark.parametrize("name", SPECS)
def test_equal_specs_are_equal(name):
    one, other = SPECS[name](), SPECS[name]()
    assert one == other
    assert hash(one) == hash(other)
    assert one != OTHERS.get(name, "something else")
    assert jax.tree.structure(one) == jax.tree.structure(other)


@pytest.mark.parametrize("name", SPECS)
def test_specs_travel(name):
    one = SPECS[name]()
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    assert jax.tree.unflatten(jax.tree.structure(one), jax.tree.leaves(one)) == one
    # Through jit the numbers are tracers: building a spec of them must check nothing.
    returned = jax.jit(lambda s: jax.tree.map(lambda a: a, s))(one)
    assert type(returned) is type(one)
    assert jax.tree.structure(returned) == jax.tree.structure(one)
    np.testing.assert_allclose(jax.tree.leaves(returned), jax.tree.leaves(one), rtol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_specs_are_frozen(name):
    with pytest.raises(FrozenInstanceError):
        SPECS[name]().something = 1


def test_numbers_are_leaves_and_the_rest_is_structure():
    assert jax.tree.leaves(Denoising(0.3, control_variate=False, n_draws=2)) == [0.3]
    assert jax.tree.leaves(Importance(7, GaussianProposal(2.0, 5.0))) == [2.0, 5.0]
    assert jax.tree.leaves(Sliced(3)) == []
    assert jax.tree.structure(Denoising(0.3)) == jax.tree.structure(Denoising(0.4))
    assert jax.tree.structure(Denoising(0.3)) != jax.tree.structure(Denoising(0.3, n_draws=2))
    (path, _), *_ = jax.tree_util.tree_leaves_with_path(Denoising())
    assert jax.tree_util.keystr(path) == ".noise_scale"


def test_another_number_does_not_trace_again():
    traced = []

    @jax.jit
    def smoothing(objective):
        traced.append(objective)
        return objective.smoothing

    assert smoothing(Denoising(0.5)) == pytest.approx(0.25)
    assert smoothing(Denoising(2.0)) == pytest.approx(4.0)
    assert len(traced) == 1
    smoothing(Denoising(2.0, n_draws=2))
    assert len(traced) == 2


# A second fit of an equal spec.

TRACED = []


def note(x):
    """Count a call with a tracer; the length of the statistics is found by a plain call."""
    if isinstance(x, jax.core.Tracer):
        TRACED.append(x)


def counted_statistics(x):
    note(x)
    return jnp.concatenate([x, -0.5 * x**2])


def counted_logistic(params, x):
    note(x)
    z = (x - params["loc"]) * jnp.exp(-params["log_scale"])
    return -jnp.sum(z + 2 * jax.nn.softplus(-z))


def initial(key, d):
    return {"loc": jnp.zeros(d), "log_scale": jnp.zeros(d)}


def holed_table(seed, n):
    rng = np.random.default_rng(seed)
    observed = rng.random((n, 2)) > 0.2
    observed[:, 0] = True
    return Table(rng.standard_normal((n, 2)) * [1.0, 2.0], observed, np.ones(n))


FITS = {
    "quadratic": (lambda: ExponentialFamily(counted_statistics), lambda: Imputation(5)),
    "lbfgs": (lambda: LogDensity(counted_logistic, initial), lambda: Importance(5)),
    "minibatch": (lambda: MLPEnergy(hidden_sizes=(4,)), lambda: Importance(5)),
    "mixture": (lambda: GaussianMixture(2), Exact),
}


@pytest.mark.parametrize("name", FITS)
def test_a_second_fit_of_an_equal_spec_traces_nothing(name, traces):
    density, rule = FITS[name]

    def fit(seed, n, noise_scale, learning_rate=1e-3):
        settings = Settings(max_iter=100, learning_rate=learning_rate, tol=1e-3)
        objective = Denoising(noise_scale)
        return fit_density(
            density(), objective, rule(), holed_table(seed, n), seed=seed, settings=settings
        )

    fit(0, 200, 0.1)
    assert traces
    assert TRACED or name in ("minibatch", "mixture")
    traces.clear()
    TRACED.clear()
    fit(0, 200, 0.1)
    fit(1, 180, 0.2, 2e-3)  # other rows of the same padded length, other numbers
    assert traces == []
    assert TRACED == []
