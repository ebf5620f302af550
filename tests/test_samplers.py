"""Laws of the kernels, the chains and their diagnostics."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from sm_estimators._spec import spec
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.densities.gaussian import Gaussian
from sm_estimators.samplers import (
    MALA,
    ULA,
    SamplingWarning,
    diagnose,
    diagnose_conditional,
    draw,
    draw_conditional,
    mala,
    run_chains,
    run_conditional_chains,
    ula,
    warn_if_bad,
)

MEAN = np.array([1.0, -2.0, 0.5])
ROOT = np.array([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-0.6, 0.3, 0.8]])
COVARIANCE = ROOT @ ROOT.T
TRACES = []


class Uninitialised(AbstractDensity):
    def init(self, key, n_features):
        raise NotImplementedError


@spec
class Normal(Uninitialised):
    """N(MEAN, COVARIANCE) by its precision, counting how often it is traced."""

    def log_density(self, params, x):
        TRACES.append(x.dtype)
        residual = x - params["mean"]
        return -0.5 * residual @ params["precision"] @ residual


@spec
class NeuralNormal(Normal):
    neural = True


@spec
class TwoModes(Uninitialised):
    """w N(−a, I) + (1 − w) N(a, I): mean (1 − 2w) a, covariance I + 4w(1 − w) a aᵀ."""

    def log_density(self, params, x):
        modes = jnp.stack([-params["centre"], params["centre"]])
        weights = jnp.stack([params["weight"], 1 - params["weight"]])
        return logsumexp(-0.5 * jnp.sum((x - modes) ** 2, axis=1) + jnp.log(weights))


@spec
class HalfNormal(Uninitialised):
    """N(0, I) on x₁ > 0; outside −inf, and a gradient of NaN."""

    def log_density(self, params, x):
        return jnp.where(x[0] > 0, -0.5 * x @ x + 0 * jnp.sqrt(x[0]), -jnp.inf)


NORMAL = {"mean": MEAN, "precision": np.linalg.inv(COVARIANCE)}
MODES = {"centre": np.array([1.5, 0.5]), "weight": np.array(0.3)}


def normal_rows(n, seed=0):
    return MEAN + np.random.default_rng(seed).normal(size=(n, 3)) @ ROOT.T


def mode_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    sign = np.where(rng.random((n, 1)) < 0.3, -1, 1)
    return sign * MODES["centre"] + rng.normal(size=(n, 2))


def normal_draws(sampler=None, *, seed=0, n_samples=1000, density=None):
    return draw(
        jax.random.key(seed),
        sampler or MALA(),
        density=density or Normal(),
        params=NORMAL,
        starts=normal_rows(200),
        scale=ROOT,
        n_samples=n_samples,
    )


def z_of_moments(draws, mean, covariance, size):
    """Errors of means and of central second moments in standard errors.

    Var of a mean is Σ_jj / n; of a product of centred columns it is estimated from the draws.
    """
    centred = draws - mean
    products = centred[:, :, None] * centred[:, None, :]
    z_mean = centred.mean(0) / np.sqrt(np.diag(covariance) / size)
    z_second = (products.mean(0) - covariance) / (products.std(0) / np.sqrt(size))
    return np.abs(np.concatenate([z_mean, z_second.ravel()]))


# Kernels: one chain.


@pytest.mark.parametrize("build", [ula, mala])
def test_a_kernel_holds_still_what_the_scale_does_not_move(build):
    scale = jnp.diag(jnp.array([1.0, 0.0]))
    kernel = build(lambda x: -0.5 * x[0] ** 2, 0.5, scale)
    state = kernel.init(jnp.array([0.3, 7.0]))
    for key in jax.random.split(jax.random.key(0), 8):
        state, info = kernel.step(key, state)
    assert state.position[1] == 7.0
    assert state.position[0] != jnp.float32(0.3)
    assert 0 <= info.acceptance <= 1


def test_diagonal_and_full_scale_are_the_same_kernel():
    deviations = jnp.array([0.5, 2.0])
    states = []
    for scale in (deviations, jnp.diag(deviations)):
        kernel = mala(lambda x: -0.5 * x @ x, 0.3, scale)
        states.append(kernel.step(jax.random.key(1), kernel.init(jnp.ones(2)))[0].position)
    np.testing.assert_allclose(states[0], states[1], rtol=1e-6)


def test_acceptance_is_the_metropolis_hastings_ratio():
    # Oracle: the ratio written out with the densities N(x + ε C s(x), 2 ε C) of both proposals.
    from scipy.stats import multivariate_normal as mvn

    step, precision = 0.7, NORMAL["precision"]
    with jax.enable_x64(True):
        kernel = mala(partial(Normal().log_density, NORMAL), step, jnp.array(ROOT))
        x = np.array([2.0, -1.0, 0.0])
        keys = jax.random.split(jax.random.key(3), 40)
        states, info = jax.jit(jax.vmap(lambda k: kernel.step(k, kernel.init(jnp.array(x)))))(keys)
    triples = zip(*map(np.array, (states.position, *info)), strict=True)
    accepted = [(y, acceptance) for y, acceptance, taken in triples if taken]
    assert len(accepted) > 5

    def forward(a, b):
        drift = a - step * COVARIANCE @ precision @ (a - MEAN)
        return mvn.logpdf(b, drift, 2 * step * COVARIANCE)

    target = mvn(MEAN, COVARIANCE).logpdf
    for y, acceptance in accepted:
        log_ratio = target(y) + forward(y, x) - target(x) - forward(x, y)
        assert acceptance == pytest.approx(np.exp(min(log_ratio, 0)), rel=1e-9)


def test_mala_stays_in_the_support():
    kept = run_chains(
        jax.random.key(0),
        MALA(n_warmup=200, thinning=4),
        density=HalfNormal(),
        params=None,
        positions=np.abs(np.random.default_rng(0).normal(size=(64, 2))),
        scale=np.ones(2),
        n_kept=256,
    ).positions
    judged = diagnose(kept)
    assert (kept[:, :, 0] > 0).all()
    # E|Z| = √(2/π), Var|Z| = 1 − 2/π.
    error = np.sqrt((1 - 2 / np.pi) / judged.effective_sample_sizes[0])
    assert abs(kept[:, :, 0].mean() - np.sqrt(2 / np.pi)) < 4 * error


def test_mala_leaves_its_target_invariant():
    # 4096 exact draws, one chain each, 20 steps: the whitened squared length stays χ²(3). The
    # end points are independent, so Kolmogorov-Smirnov applies; p > 1e-4 fails 1 seed in 10⁴.
    from scipy.stats import chi2, kstest

    chains = run_chains(
        jax.random.key(5),
        MALA(n_warmup=0, thinning=20, step_size=0.8),
        density=Normal(),
        params=NORMAL,
        positions=normal_rows(4096, seed=5),
        scale=0.6 * np.diag(ROOT),  # a wrong scale costs acceptance, not correctness
        n_kept=1,
    )
    white = np.linalg.solve(ROOT, (chains.positions[:, 0] - MEAN).T)
    assert 0.1 < chains.acceptance < 0.99
    assert chains.step_size == 0.8  # frozen after warm-up
    assert kstest((white**2).sum(0), chi2(3).cdf).pvalue > 1e-4


@pytest.mark.parametrize("step_size", [0.1, 0.6])
def test_ula_has_its_known_bias(step_size):
    # u ← (1 − ε) u + √(2ε) ξ in whitened coordinates: variance 2ε / (1 − (1 − ε)²).
    sampler = ULA(step_size=step_size, thinning=30, n_warmup=200)
    chains = run_chains(
        jax.random.key(0),
        sampler,
        density=Normal(),
        params=NORMAL,
        positions=normal_rows(64),
        scale=ROOT,
        n_kept=256,
    )
    draws = chains.positions.reshape(-1, 3)
    size = diagnose(chains.positions).effective_sample_size
    assert z_of_moments(draws, MEAN, COVARIANCE / (1 - step_size / 2), size).max() < 4
    assert z_of_moments(draws, MEAN, COVARIANCE, size).max() > 4  # the bias is seen at all
    assert chains.step_size == step_size


# Ensembles.


@pytest.mark.parametrize("name", ["gaussian", "full gaussian class", "two modes"])
def test_draws_have_the_moments_of_the_target(name):
    a = MODES["centre"]
    spread = np.eye(2) + 4 * 0.3 * 0.7 * np.outer(a, a)
    target = Gaussian().from_moments(MEAN, COVARIANCE)
    density, params, starts, mean, covariance = {
        "gaussian": (Normal(), NORMAL, normal_rows(300), MEAN, COVARIANCE),
        "full gaussian class": (Gaussian(), target, normal_rows(300), MEAN, COVARIANCE),
        "two modes": (TwoModes(), MODES, mode_rows(300), 0.4 * a, spread),
    }[name]
    draws, judged = draw(
        jax.random.key(1),
        MALA(),
        density=density,
        params=params,
        starts=starts,
        scale=np.linalg.cholesky(np.cov(starts.T)),
        n_samples=8192,
    )
    assert judged.r_hat < 1.01
    assert judged.acceptance == pytest.approx(0.574, abs=0.03)
    size = min(judged.effective_sample_size, len(draws))
    assert z_of_moments(draws, mean, covariance, size).max() < 4


def test_the_seed_decides():
    first, again, other = (normal_draws(seed=s, n_samples=5)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_compiles_twice():
    normal_draws()
    before = len(TRACES)
    other = {"mean": MEAN + 1, "precision": 2 * np.eye(3)}
    for n_samples, sampler in [(7, MALA()), (3000, MALA(n_warmup=10, thinning=9, step_size=0.1))]:
        draw(
            jax.random.key(2),
            sampler,
            density=Normal(),
            params=other,
            starts=normal_rows(10),
            scale=np.eye(3),
            n_samples=n_samples,
        )
    assert len(TRACES) == before
    normal_draws(MALA(n_chains=16))  # another shape: the counter does count
    assert len(TRACES) > before


def test_precision_is_that_of_the_density_not_of_the_caller():
    sampler = MALA(n_chains=8, n_warmup=20)
    for density, dtype in [(Normal(), np.float64), (NeuralNormal(), np.float32)]:
        results = []
        for x64 in (False, True):
            TRACES.clear()
            with jax.enable_x64(x64), warnings.catch_warnings():
                warnings.simplefilter("ignore", SamplingWarning)
                results.append(normal_draws(sampler, density=density, n_samples=4)[0])
            assert set(TRACES) <= {np.dtype(dtype)}
            assert results[-1].dtype == np.float64
        np.testing.assert_array_equal(*results)


def test_thinning_is_raised_until_draws_are_nearly_independent():
    # States one step apart correlate 1 − ε = .8 in whitened coordinates: kept ones would be worth
    # (1 − .8) / (1 + .8) = .11 draws each.
    _, judged = normal_draws(ULA(thinning=1, step_size=0.2))
    assert judged.effective_sample_size > 0.7 * 64 * 128


# Imputation: chains per row.


def conditional_inputs(n, m, seed=0):
    rng = np.random.default_rng(seed)
    X = normal_rows(n, seed)
    observed = rng.random((n, 3)) > 0.4
    starts = np.where(observed, X, normal_rows(m * n, seed + 1).reshape(m, n, 3))
    return X, observed, starts


def impute(sampler, starts, observed, *, seed=0, scale=None, **kwargs):
    return run_conditional_chains(
        jax.random.key(seed),
        sampler,
        density=Normal(),
        params=NORMAL,
        positions=starts,
        observed=observed,
        scale=np.broadcast_to(ROOT, (len(observed), 3, 3)) if scale is None else scale,
        **kwargs,
    )


def conditional_moments(x, observed):
    """Mean and covariance of the holes given what was seen, by regression."""
    o, h = observed, ~observed
    gain = COVARIANCE[np.ix_(h, o)] @ np.linalg.inv(COVARIANCE[np.ix_(o, o)])
    rest = COVARIANCE[np.ix_(h, h)] - gain @ COVARIANCE[np.ix_(o, h)]
    return MEAN[h] + gain @ (x[o] - MEAN[o]), rest


def test_imputations_follow_the_conditional_gaussian():
    n, m = 60, 30
    X, observed, starts = conditional_inputs(n, m)
    draws, judged = draw_conditional(
        jax.random.key(1),
        MALA(n_warmup=300, n_steps=600),
        density=Normal(),
        params=NORMAL,
        starts=starts,
        observed=observed,
        scale=lambda rows: np.broadcast_to(ROOT, (len(rows), 3, 3)),
    )
    np.testing.assert_array_equal(
        draws[:, observed], np.broadcast_to(X[observed], (m, observed.sum()))
    )
    z = []
    for i in range(n):
        if not observed[i].all():
            mean, rest = conditional_moments(X[i], observed[i])
            white = np.linalg.solve(np.linalg.cholesky(rest), (draws[:, i, ~observed[i]] - mean).T)
            z.append(white.ravel())
    z = np.concatenate(z)
    # m chains per row are independent, so these are about 2000 independent standard normals:
    # mean within 4/√N, mean square within 4 √(2/N).
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / z.size)
    assert judged.r_hat < 1.03
    assert judged.acceptance == pytest.approx(0.574, abs=0.05)


def test_running_moments_are_those_of_the_chains():
    # The moments of the halves against the conditional Gaussian; the standard error of a mean
    # is that of the states in all halves, by the effective sample size of the hole's column.
    X, observed, starts = conditional_inputs(40, 4, seed=3)
    chains = impute(MALA(n_warmup=300, n_steps=2000), starts, observed)
    judged = diagnose_conditional(chains, observed)
    z, ratios = [], []
    for i in np.flatnonzero(~observed.all(1)):
        mean, rest = conditional_moments(X[i], observed[i])
        h = ~observed[i]
        error = np.sqrt(np.diag(rest) / judged.effective_sample_sizes[h])
        z.append((chains.mean[i].mean((0, 1))[h] - mean) / error)
        ratios.append(chains.variance[i].mean((0, 1))[h] / np.diag(rest))
    # About 50 z-scores with estimated scale: mean square 1 ± 4 √(2/50), with room for holes
    # that mix slower than their column.
    assert 0.3 < np.mean(np.concatenate(z) ** 2) < 2.2
    assert np.concatenate(ratios).mean() == pytest.approx(1, abs=0.03)


def test_rows_do_not_depend_on_chunks():
    _, observed, starts = conditional_inputs(40, 4)
    sampler = MALA(n_warmup=20, n_steps=20)
    whole = impute(sampler, starts, observed)
    seen = np.broadcast_to(observed, starts.shape)
    np.testing.assert_array_equal(whole.positions[seen], starts[seen])
    pieces = impute(sampler, starts, observed, chunk_size=16)
    np.testing.assert_allclose(whole.positions, pieces.positions, rtol=1e-9)
    np.testing.assert_allclose(whole.variance, pieces.variance, rtol=1e-9)


def test_conditional_chains_compile_once_for_all_patterns():
    _, observed, starts = conditional_inputs(40, 4)
    impute(MALA(n_warmup=20, n_steps=20), starts, observed, chunk_size=16)
    before = len(TRACES)
    impute(MALA(n_warmup=9, n_steps=40), starts[:, ::-1], observed[::-1], chunk_size=16)
    assert len(TRACES) == before


def test_a_table_without_holes_comes_back():
    X = normal_rows(5)
    observed = np.ones((5, 3), bool)
    chains = impute(MALA(), X[None], observed)
    np.testing.assert_array_equal(chains.positions[0], X)
    assert np.isnan(diagnose_conditional(chains, observed).r_hat)
    warn_if_bad(diagnose_conditional(chains, observed))


def test_diagonal_scales_impute():
    _, observed, starts = conditional_inputs(20, 3)
    chains = impute(MALA(), starts, observed, scale=np.full((20, 3), 0.7))
    assert diagnose_conditional(chains, observed).r_hat < 1.1


# Diagnostics and sentences.


def test_good_chains_pass_in_silence_and_bad_ones_warn():
    rng = np.random.default_rng(0)
    good = rng.normal(size=(8, 500, 2))
    warn_if_bad(diagnose(good))
    apart = good + 3 * np.arange(8)[:, None, None]
    with pytest.warns(SamplingWarning, match=r"R-hat is \d.*below 1\.01.*`n_warmup`"):
        warn_if_bad(diagnose(apart), least_size=0.0)
    with pytest.warns(SamplingWarning, match=r"only .* effective draws.*`thinning`"):
        warn_if_bad(diagnose(good[:, :20]))


def test_chains_that_never_moved_are_reported():
    frozen = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 50, 1))
    assert diagnose(frozen).r_hat == np.inf
    assert diagnose(np.zeros((4, 50, 1))).r_hat == np.inf


def test_separated_modes_warn_and_draws_come_in_random_order():
    # No chain crosses, so 50 draws from one end of the history would all have one sign; in
    # random order that has probability 2^−49.
    params = {"centre": np.array([20.0, 0.0]), "weight": np.array(0.5)}
    with pytest.warns(SamplingWarning, match="separated modes"):
        draws, _ = draw(
            jax.random.key(0),
            MALA(n_warmup=50, thinning=1),
            density=TwoModes(),
            params=params,
            starts=np.vstack([params["centre"], -params["centre"]]),
            scale=np.ones(2),
            n_samples=50,
        )
    assert set(np.sign(draws[:, 0])) == {-1, 1}


def test_imputation_warns_when_chains_have_not_arrived():
    _, observed, starts = conditional_inputs(20, 4)
    far = np.where(observed, starts, starts + 50 * np.arange(4)[:, None, None])
    with pytest.warns(SamplingWarning, match="chains disagree"):
        draw_conditional(
            jax.random.key(0),
            ULA(n_warmup=0, n_steps=200, step_size=1e-5),
            density=Normal(),
            params=NORMAL,
            starts=far,
            observed=observed,
            scale=np.ones((20, 3)),
        )


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: MALA(n_chains=0), ValueError, "`n_chains` must be a whole number of at least 1"),
        (lambda: ULA(step_size=0.0), ValueError, "`step_size` must be positive, but 0.0"),
        (lambda: MALA(target_acceptance=1.0), ValueError, "`target_acceptance` must lie between"),
        (lambda: diagnose(np.zeros((4, 3, 1))), ValueError, r"at least 4 states.*\(4, 3, 1\)"),
        (lambda: diagnose(np.full((4, 9, 1), np.nan)), FloatingPointError, "Reduce `step_size`"),
        (lambda: normal_draws(ULA(step_size=9.0)), FloatingPointError, "not finite.*use MALA"),
    ],
)
def test_errors_are_sentences(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_starts_with_holes_are_refused():
    with pytest.raises(ValueError, match="`starts` must hold finite numbers, but 1 of its 6"):
        draw(
            jax.random.key(0),
            MALA(),
            density=Normal(),
            params=NORMAL,
            starts=np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]]),
            scale=np.ones(3),
            n_samples=1,
        )
