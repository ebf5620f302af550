"""The parts of noise-conditional models against closed forms: for a Gaussian all is known."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sm_estimators import (
    Ancestral,
    AnnealedLangevin,
    Classifier,
    ClassifierFree,
    ColumnAttention,
    Consistency,
    LinearConstraint,
    MultiscaleDenoising,
    MultiscaleSliced,
    NoiseLadder,
    PredictorCorrector,
    ProbabilityFlow,
    ResidualMLP,
    ReverseSDE,
    StraightPath,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from sm_estimators.diffusion.backbone import alone, backbone_of, log_density, posterior
from sm_estimators.diffusion.denoiser import Denoiser, Model
from sm_estimators.diffusion.draws import Drawing
from sm_estimators.diffusion.evaluate import log_densities, scores, scores_and_curvatures
from sm_estimators.diffusion.likelihood import flow, flow_back
from sm_estimators.diffusion.networks.sines import sine_and_cosine
from sm_estimators.diffusion.noise_range import noise_range
from sm_estimators.diffusion.roles import Roles, draw_roles
from sm_estimators.missing.mixture_em import Mixture, single

MEAN = np.array([0.3, -0.2, 0.1])
COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 1.1, 0.2], [-0.3, 0.2, 0.8]])
PROCESSES = {
    "exploding": VarianceExploding(0.01, 12.0),
    "preserving": VariancePreserving(0.01, 20.0),
    "sub_preserving": SubVariancePreserving(0.01, 20.0),
    "ladder": NoiseLadder(0.01, 12.0, n_levels=12),
    "straight": StraightPath(0.01, 12.0),
}
SAMPLERS = {
    "flow": ProbabilityFlow(),
    "adaptive": ProbabilityFlow(tolerance=1e-4),
    "ancestral": Ancestral(200),
    "reverse_sde": ReverseSDE(800),
    "annealed": AnnealedLangevin(30, 40, 0.1),
    "predictor_corrector": PredictorCorrector(300),
}
TIMED = ("flow", "ancestral", "reverse_sde", "predictor_corrector")
ROLES = [
    Roles(np.array(noised, bool), np.array(given, bool))
    for noised, given in (
        ((1, 1, 1), (0, 0, 0)),
        ((1, 0, 0), (0, 1, 1)),
        ((1, 0, 1), (0, 0, 0)),
        ((0, 1, 0), (1, 0, 0)),
    )
]
IDS = ["joint", "conditional", "marginal", "mixed"]


MIXTURE = Mixture(
    np.array([0.3, 0.7]), np.stack([MEAN - 1, MEAN + 1]), np.stack([COVARIANCE, 0.3 * COVARIANCE])
)


def gaussian(mean=MEAN, covariance=COVARIANCE, *, full=True):
    """Return the backbone of one Gaussian."""
    return backbone_of(single(mean, covariance), (mean, covariance), full=full)


def untrained(network=None, parameterisation="denoiser", *, full=True):
    """Return a model that says what the Gaussian with these moments says, exactly."""
    denoiser = Denoiser(network or ResidualMLP(8, 1, 1), parameterisation)
    return denoiser, denoiser.init(np.random.default_rng(0), gaussian(full=full))


def perturbed(denoiser, model, size=0.3):
    """Return a model whose network says something."""
    rng = np.random.default_rng(1)
    weights = jax.tree.map(
        lambda a: (a + size * rng.standard_normal(a.shape)).astype(np.float32), model.weights
    )
    return denoiser, Model(model.backbone, weights)


def many(roles, n):
    return Roles(*(np.tile(flags, (n, 1)) for flags in roles))


def gaussian_of(noised, given, z, noise_scale):
    """Return mean and covariance of the noisy columns given the given ones, by linear algebra."""
    h, g = np.flatnonzero(noised), np.flatnonzero(given)
    gain = COVARIANCE[np.ix_(h, g)] @ np.linalg.inv(COVARIANCE[np.ix_(g, g)]) if len(g) else 0
    mean, cov = MEAN[h], COVARIANCE[np.ix_(h, h)]
    if len(g):
        mean = mean + gain @ (z[g] - MEAN[g])
        cov = cov - gain @ COVARIANCE[np.ix_(g, h)]
    return h, mean, cov + noise_scale**2 * np.eye(len(h))


@pytest.mark.parametrize("name", PROCESSES)
def test_processes_are_consistent(name, double):
    process = PROCESSES[name]
    for t in (0.05, 0.4, 0.9):
        t = jnp.asarray(t)
        assert np.isclose(process.time(process.noise_scale(t)), t, rtol=1e-9)
        # f = α′/α and g² = (σ²)′ − 2 f σ², by finite differences.
        e = 1e-6
        slope = lambda f, t=t, e=e: (f(t + e) - f(t - e)) / (2 * e)  # noqa: E731
        drift = slope(process.signal) / process.signal(t)
        assert np.isclose(process.drift(t), drift, rtol=1e-5, atol=1e-8)
        spread = slope(lambda u: process.noise(u) ** 2) - 2 * drift * process.noise(t) ** 2
        assert np.isclose(process.squared_diffusion(t), spread, rtol=1e-5)
    if name == "exploding":
        process = replace(process, centre=None)
    levels = np.array([float(process.level(jnp.asarray(u))) for u in np.linspace(0, 1, 50)])
    assert np.isclose(levels.min(), process.first, rtol=1e-4)
    assert np.isclose(levels.max(), process.last, rtol=1e-4)
    assert len(np.unique(levels.round(6))) == (12 if name == "ladder" else 50)


@pytest.mark.parametrize("roles", ROLES, ids=IDS)
@pytest.mark.parametrize("noise_scale", [0.01, 0.7, 8.0])
def test_the_backbone_is_the_posterior_of_a_gaussian(roles, noise_scale):
    rng = np.random.default_rng(0)
    y = rng.normal(size=3).astype(np.float32)
    backbone = gaussian()
    found = posterior(backbone, jnp.asarray(y), noise_scale, roles)
    seen = np.flatnonzero(roles.noised | roles.given)
    noise = np.diag(np.where(roles.noised, noise_scale**2, 0.0)[seen])
    gain = COVARIANCE[:, seen] @ np.linalg.inv(COVARIANCE[np.ix_(seen, seen)] + noise)
    np.testing.assert_allclose(found.mean, MEAN + gain @ (y[seen] - MEAN[seen]), atol=2e-5)
    cov = COVARIANCE - gain @ COVARIANCE[seen]
    noised = np.asarray(roles.noised)
    expected = np.sqrt(np.diag(cov)[noised])
    np.testing.assert_allclose(np.asarray(found.deviation)[noised], expected, rtol=0.02)
    h, mean, total = gaussian_of(*roles, y, noise_scale)
    value = log_density(backbone, jnp.asarray(y), noise_scale, roles)
    assert np.isclose(value, multivariate_normal(mean, total).logpdf(y[h]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("roles", ROLES, ids=IDS)
@pytest.mark.parametrize("noise_scale", [0.05, 0.7, 8.0])
def test_the_backbone_of_a_mixture_mixes_by_the_density_of_what_was_seen(roles, noise_scale):
    y = np.random.default_rng(0).normal(size=3).astype(np.float32)
    backbone = backbone_of(MIXTURE, (MEAN, COVARIANCE), full=True)
    np.testing.assert_array_equal(
        posterior(backbone, jnp.asarray(y), noise_scale, roles).mean,
        posterior(alone(backbone), jnp.asarray(y), noise_scale, roles).mean,
    )
    backbone = backbone._replace(shares=np.ones_like(backbone.shares))
    assert backbone.log_weights[0] == -np.inf  # the unit says nothing itself
    found = posterior(backbone, jnp.asarray(y), noise_scale, roles)
    seen = np.flatnonzero(roles.noised | roles.given)
    noise = np.diag(np.where(roles.noised, noise_scale**2, 0.0)[seen])
    shares, means = [], []
    for weight, mean, cov in zip(*vars(MIXTURE).values(), strict=True):
        total = cov[np.ix_(seen, seen)] + noise
        shares.append(weight * multivariate_normal(mean[seen], total).pdf(y[seen]))
        means.append(mean + cov[:, seen] @ np.linalg.solve(total, y[seen] - mean[seen]))
    expected = np.array(shares) @ np.array(means) / np.sum(shares)
    np.testing.assert_allclose(found.mean, expected, atol=1e-4)
    plain = posterior(gaussian(), jnp.asarray(y), noise_scale, roles)
    np.testing.assert_allclose(found.deviation, plain.deviation, rtol=1e-5)
    # Tweedie: the gradient of the log-density is (E[z | y] − y) / s².
    slope = jax.grad(lambda y: log_density(backbone, y, noise_scale, roles))(jnp.asarray(y))
    score = np.where(roles.noised, (found.mean - y) / noise_scale**2, 0.0)
    np.testing.assert_allclose(slope[roles.noised], score[roles.noised], rtol=2e-3, atol=2e-3)


def test_a_diagonal_backbone_is_the_full_one_of_independent_columns():
    y = jnp.asarray([0.4, -1.0, 2.0])
    for roles, s in itertools.product(ROLES, (0.02, 1.0)):
        diagonal = gaussian(full=False)
        full = gaussian(covariance=np.diag(np.diag(COVARIANCE)))
        both = posterior(diagonal, y, s, roles), posterior(full, y, s, roles)
        for a, b in zip(*both, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert np.isclose(log_density(diagonal, y, s, roles), log_density(full, y, s, roles))


@pytest.mark.parametrize("roles", ROLES, ids=IDS)
def test_scores_of_an_untrained_model_are_those_of_the_gaussian(roles):
    Z = np.random.default_rng(0).normal(size=(5, 3))
    for parameterisation in ("denoiser", "energy"):
        denoiser, model = untrained(parameterisation=parameterisation)
        s, h = scores_and_curvatures(denoiser, model, Z, 0.5, many(roles, 5))
        for z, own, curvature in zip(Z, s, h, strict=True):
            columns, mean, cov = gaussian_of(*roles, z, 0.5)
            precision = np.linalg.inv(cov)
            np.testing.assert_allclose(own[columns], -precision @ (z[columns] - mean), atol=2e-4)
            np.testing.assert_allclose(curvature[columns], -np.diag(precision), atol=2e-4)
            assert not own[~np.asarray(roles.noised)].any()


@pytest.mark.parametrize("network", [ResidualMLP(8, 2, 1), ColumnAttention(8, 1, 2, 1)])
def test_an_energy_has_the_score_it_states(network):
    denoiser, model = perturbed(*untrained(network, "energy"))
    Z, e = np.random.default_rng(0).normal(size=(4, 3)), 1e-2
    for roles in ROLES:
        s = scores(denoiser, model, Z, 0.6, many(roles, 4))
        for j in np.flatnonzero(roles.noised):
            step = e * np.eye(3)[j]
            up, down = (
                log_densities(denoiser, model, Z + d, 0.6, many(roles, 4)) for d in (step, -step)
            )
            np.testing.assert_allclose(s[:, j], (up - down) / (2 * e), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("network", [ResidualMLP(8, 2, 1), ColumnAttention(8, 1, 2, 1)])
@pytest.mark.parametrize("parameterisation", ["denoiser", "energy", "noise"])
def test_values_in_absent_columns_change_nothing(network, parameterisation):
    denoiser, model = perturbed(*untrained(network, parameterisation))
    Z = np.random.default_rng(0).normal(size=(4, 3))
    for roles in ROLES:
        absent = ~(roles.noised | roles.given)
        other = np.where(absent, 100.0, Z)
        a = scores(denoiser, model, Z, 0.6, many(roles, 4))
        np.testing.assert_array_equal(a, scores(denoiser, model, other, 0.6, many(roles, 4)))
        if roles.given.any():
            moved = np.where(roles.given, Z + 1, Z)
            assert not np.allclose(a, scores(denoiser, model, moved, 0.6, many(roles, 4)))


def test_sines_and_their_derivatives_are_sines():
    phase = jnp.linspace(-60.0, 60.0, 2001)
    exact = np.asarray(phase, float)
    sine, cosine = sine_and_cosine(phase)
    np.testing.assert_allclose(sine, np.sin(exact), atol=6e-6)  # float32 knows phases to 4e-6
    np.testing.assert_allclose(cosine, np.cos(exact), atol=6e-6)
    second = jax.vmap(jax.grad(jax.grad(lambda p: sine_and_cosine(p)[1])))(phase)
    np.testing.assert_allclose(second, -np.cos(exact), atol=6e-6)


def test_the_losses_are_smallest_at_the_posterior_mean():
    """Between the truth and a wrong denoiser, all losses differ by the mean squared difference."""
    rng = np.random.default_rng(0)
    n, s = 20_000, 0.8
    Z = rng.multivariate_normal(MEAN, COVARIANCE, n).astype(np.float32)
    denoiser, truth = untrained()
    wrong = denoiser.init(rng, gaussian(MEAN + 0.2, 1.3 * COVARIANCE))
    roles = Roles(jnp.ones(3, bool), jnp.zeros(3, bool))

    def losses(loss, model):
        look = lambda y: denoiser.look(model, y, s, roles)  # noqa: E731
        keys = jax.random.split(jax.random.key(0), n)
        one = lambda k, z: loss(k, look, z, s, roles, roles.noised)  # noqa: E731
        return np.asarray(jax.jit(jax.vmap(one))(keys, Z), float)

    Y = rng.multivariate_normal(MEAN, COVARIANCE + s**2 * np.eye(3), n).astype(np.float32)
    clean = [
        np.asarray(jax.vmap(lambda y, m=m: denoiser.look(m, y, s, roles).clean)(Y), float)
        for m in (truth, wrong)
    ]
    expected = 0.5 * ((clean[1] - clean[0]) ** 2).sum(axis=1) / s**2
    plain = MultiscaleDenoising("noise", control_variate=False)
    spread = {}
    for loss in (plain, MultiscaleDenoising("noise"), MultiscaleSliced()):
        gain = losses(loss, wrong) - losses(loss, truth)
        error = np.sqrt(gain.var() / n + expected.var() / n)
        assert abs(gain.mean() - expected.mean()) < 4 * error
        spread[loss] = gain.std()
    assert spread[MultiscaleDenoising("noise")] < spread[plain]


@pytest.mark.parametrize(
    ("sampler", "process"),
    [(sampler, "exploding") for sampler in SAMPLERS]
    # The others do not use the time of the process, and the drift of the straight path has no
    # bound where the signal ends.
    + [(sampler, "sub_preserving") for sampler in TIMED]
    + [(sampler, "preserving") for sampler in TIMED]
    + [(sampler, "straight") for sampler in TIMED if sampler != "reverse_sde"],
)
def test_samplers_reproduce_the_moments_of_a_gaussian(sampler, process):
    n = 4000
    denoiser, model = untrained()
    drawing = Drawing(
        denoiser,
        model,
        PROCESSES[process],
        SAMPLERS[sampler],
        moments=(MEAN, COVARIANCE),
        context=np.zeros(3, bool),
    )
    X = drawing.draw(np.random.default_rng(0), np.zeros((n, 3)), many(ROLES[0], n))
    error = np.sqrt(np.diag(COVARIANCE) / n)
    assert (np.abs(X.mean(axis=0) - MEAN) < 4 * error).all()
    S = np.cov(X.T)
    spread = np.sqrt((COVARIANCE**2 + np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE))) / n)
    assert (np.abs(S - COVARIANCE) < 4 * spread).all()


def test_conditional_draws_and_means_follow_the_gaussian():
    n = 4000
    denoiser, model = untrained()
    drawing = Drawing(
        denoiser,
        model,
        PROCESSES["exploding"],
        ProbabilityFlow(),
        moments=(MEAN, COVARIANCE),
        context=np.zeros(3, bool),
    )
    z = np.array([0.0, 1.5, -0.7])
    roles = ROLES[1]
    h, mean, cov = gaussian_of(*roles, z, 0.0)
    Z = np.tile(z, (n, 1))
    X = drawing.draw(np.random.default_rng(0), Z, many(roles, n))
    np.testing.assert_array_equal(X[:, 1:], Z[:, 1:])
    assert (np.abs(X[:, h].mean(axis=0) - mean) < 4 * np.sqrt(np.diag(cov) / n)).all()
    assert abs(X[:, 0].var() - cov[0, 0]) < 4 * cov[0, 0] * np.sqrt(2 / n)
    np.testing.assert_allclose(drawing.mean(Z[:2], many(roles, 2))[:, h], [mean] * 2, atol=1e-4)


def test_a_linear_constraint_on_a_gaussian_is_exact():
    n = 4000
    A, b, noise = np.array([[1.0, 1.0, 0.0]]), np.array([1.5]), 0.5
    denoiser, model = untrained()
    S = A @ COVARIANCE @ A.T + noise**2
    gain = COVARIANCE @ A.T @ np.linalg.inv(S)
    mean, cov = MEAN + gain @ (b - A @ MEAN), COVARIANCE - gain @ A @ COVARIANCE
    guidance = LinearConstraint(A, b, noise).in_units(np.zeros(3), np.ones(3), 3)
    drawing = Drawing(
        denoiser,
        model,
        PROCESSES["exploding"],
        Ancestral(200),
        moments=(MEAN, COVARIANCE),
        context=np.zeros(3, bool),
        guidance=guidance,
    )
    X = drawing.draw(np.random.default_rng(0), np.zeros((n, 3)), many(ROLES[0], n))
    assert (np.abs(X.mean(axis=0) - mean) < 4 * np.sqrt(np.diag(cov) / n)).all()
    spread = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / n)
    assert (np.abs(np.cov(X.T) - cov) < 4 * spread + 1e-3).all()


@pytest.mark.parametrize("roles", ROLES, ids=IDS)
def test_the_flow_gives_the_density_of_a_gaussian(roles):
    Z = np.random.default_rng(0).normal(size=(6, 3))
    denoiser, model = untrained()
    process, key = PROCESSES["exploding"], jax.random.key(0)
    settings = {"n_projections": None, "n_steps": 40}
    found = flow(key, denoiser, model, process, Z, many(roles, 6), **settings)
    for z, value in zip(Z, found.log_density[:, 0], strict=True):
        h, mean, cov = gaussian_of(*roles, z, process.first)
        assert np.isclose(value, multivariate_normal(mean, cov).logpdf(z[h]), atol=2e-3)
    back = flow_back(denoiser, model, process, found.latent, many(roles, 6), n_steps=40)
    noised = np.asarray(roles.noised)
    np.testing.assert_allclose(back[:, noised], Z[:, noised], atol=1e-3)


def test_random_directions_are_unbiased_for_the_divergence():
    denoiser, model = perturbed(*untrained(), size=0.1)
    Z, roles = np.random.default_rng(0).normal(size=(3, 3)), many(ROLES[0], 3)

    def run(m, tol=None):
        settings = {"n_projections": m, "n_steps": 40, "tolerance": tol}
        key, process = jax.random.key(0), PROCESSES["exploding"]
        return flow(key, denoiser, model, process, Z, roles, **settings).log_density

    exact, m = run(None)[:, 0], 400
    values = run(m)
    error = values.std(axis=1, ddof=1) / np.sqrt(m)
    assert (error > 0).all()
    assert (np.abs(values.mean(axis=1) - exact) < 4 * error).all()
    np.testing.assert_allclose(run(None, 1e-5)[:, 0], exact, atol=5e-3)


def test_roles_cover_all_numbers_of_given_columns():
    class Shares:
        joint, context_drop = 0.5, 0.25

    observed = jnp.array([True, True, False, True])
    context = jnp.array([False, False, False, True])
    draw = lambda k: draw_roles(k, observed, context, Shares)  # noqa: E731
    noised, given = jax.vmap(draw)(jax.random.split(jax.random.key(0), 4000))
    assert not (noised & given).any()
    assert not noised[:, 2:].any()
    assert not given[:, 2].any()
    assert noised.any(axis=1).all()
    share = lambda flags: float(jnp.mean(flags))  # noqa: E731
    assert abs(share(given[:, 3]) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)
    assert share(noised[:, :2].all(axis=1)) > 0.5
    assert 0.05 < share(given[:, 0]) < 0.3


def test_the_noise_range_follows_the_table():
    rng = np.random.default_rng(0)
    few, many_ = rng.normal(size=(50, 2)), rng.normal(size=(20_000, 2))
    assert noise_range(rng, few)[0] > noise_range(rng, many_)[0]
    assert noise_range(rng, 30 * few)[1] > 60


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: VarianceExploding(2.0, 1.0), "0 < first < last"),
        (lambda: VariancePreserving(slowest=3.0, fastest=1.0), "slowest"),
        (lambda: NoiseLadder(n_levels=1), "n_levels"),
        (lambda: ResidualMLP(0), "width"),
        (lambda: ColumnAttention(10, n_heads=4), "multiple"),
        (lambda: MultiscaleDenoising("loud"), "weighting"),
        (lambda: MultiscaleSliced(0), "n_projections"),
        (lambda: Denoiser(ResidualMLP(), "picture"), "parameterisation"),
        (lambda: ProbabilityFlow(tolerance=-1.0), "tolerance"),
        (lambda: Consistency(0), "n_steps"),
        (lambda: AnnealedLangevin(step_size=0.0), "step_size"),
        (lambda: LinearConstraint([[1.0, 0.0]], [1.0, 2.0]), "shapes"),
        (lambda: LinearConstraint([[0.0, 0.0]], [1.0]), "zeros"),
    ],
)
def test_specs_refuse_what_cannot_be(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_guidances_compare_by_value():
    assert ClassifierFree(2.0) == ClassifierFree(2.0)
    assert Classifier(len) != Classifier(sum)
