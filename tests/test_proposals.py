"""Where the draws of the holes come from: laws, log-densities, and how they follow a model."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import COVARIANCE, MEAN, density_case, table
from scipy.stats import multivariate_normal, truncnorm

from sm_estimators.densities import Box, Gaussian
from sm_estimators.densities.gaussian_conditional import GaussianConditional, truncated_normal
from sm_estimators.missing import (
    CustomProposal,
    GaussianProposal,
    Importance,
    LangevinChains,
    Placed,
    VariationalGaussian,
    VariationalNetwork,
)
from sm_estimators.missing.proposals.variational import Context, conditional_draws

INF = np.inf
PATTERNS = np.array([[True, False, True], [False, True, False], [False, False, True]])
POINT = np.array([0.6, 0.4, -0.3])
OCTANT = Box(lower=(0.0, -INF, -1.0), upper=(INF, INF, 1.5))
TRUTH = Gaussian().from_moments(MEAN, COVARIANCE)


def placed(X, observed, *, moments=(MEAN, COVARIANCE), support=None):
    """Return rows as a proposal sees them, NaN in the holes."""
    holed = np.where(observed, X, np.nan)
    return Placed(holed, observed, np.ones(len(X)), moments, support)


def equal_rows(observed, n, **options):
    """Return one row ``n`` times: its draws are independent from row to row."""
    return placed(np.tile(POINT, (n, 1)), np.tile(observed, (n, 1)), **options)


def conditional(observed):
    """Return mean and covariance of the holes of the point under the truth."""
    hole = ~observed
    pull = COVARIANCE[np.ix_(hole, observed)] @ np.linalg.inv(
        COVARIANCE[np.ix_(observed, observed)]
    )
    mean = MEAN[hole] + pull @ (POINT - MEAN)[observed]
    return mean, COVARIANCE[np.ix_(hole, hole)] - pull @ COVARIANCE[np.ix_(observed, hole)]


def assert_mean(numbers, expected, margin=0.0):
    """Assert a mean over independent rows within 4 standard errors."""
    error = numbers.std(axis=0) / np.sqrt(len(numbers))
    assert (np.abs(numbers.mean(axis=0) - expected) < 4 * error + margin).all()
    return error


def assert_moments(draws, mean, covariance):
    """Assert the moments of independent draws (n, k) within 4 standard errors."""
    gaps = draws - mean
    assert_mean(gaps, 0.0)
    assert_mean(gaps[:, :, None] * gaps[:, None, :], covariance)


# Normals between bounds.


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (-1.0, 2.0),
        (-INF, 0.5),
        (3.0, INF),
        (8.0, 9.0),
        (-INF, -10.0),
        (30.0, 31.0),
        (-31.0, -30.0),
        (-INF, INF),
        (0.1, 0.1001),
    ],
)
def test_truncated_normals_are_those_of_scipy(lower, upper):
    u = np.linspace(0.01, 0.99, 25)
    z, log_density = truncated_normal(u, np.full(25, lower), np.full(25, upper))
    assert ((z >= lower) & (z <= upper)).all()
    # SciPy inverts the survival function where the interval lies in the upper tail
    flip = lower > 0
    expected = -truncnorm.ppf(u, -upper, -lower) if flip else truncnorm.ppf(u, lower, upper)
    np.testing.assert_allclose(z, expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(log_density, truncnorm.logpdf(z, lower, upper), rtol=1e-7)


# The Gaussian.


@pytest.mark.parametrize("observed", PATTERNS)
def test_in_a_box_the_gaussian_integrates_to_the_chance_of_the_box(observed):
    # E_π [N(z) / π(z)] over draws of the holes is the chance that the conditional normal gives to
    # the box, which SciPy integrates.
    rows, n_draws = equal_rows(observed, 400, support=OCTANT), 16
    proposal = GaussianProposal(inflation=1.5)
    Z, log_density = proposal.draw(np.random.default_rng(0), rows.moments, rows, n_draws)
    lower, upper = OCTANT.bounds(3)
    assert ((lower <= Z) & (upper >= Z)).all()
    np.testing.assert_array_equal(Z[:, :, observed], np.tile(POINT[observed], (400, n_draws, 1)))
    mean, covariance = conditional(observed)
    law = multivariate_normal(mean, covariance)
    ratios = np.exp(law.logpdf(Z[..., ~observed]).reshape(log_density.shape) - log_density)
    expected = law.cdf(upper[~observed], lower_limit=lower[~observed])
    error = assert_mean(ratios.mean(axis=1), expected, margin=1e-5)  # of SciPy's integration
    assert error < 0.02
    assert expected < 0.95 or observed[0]


def test_the_t_has_its_density():
    rows = equal_rows(PATTERNS[1], 400)
    proposal = GaussianProposal(inflation=1.0, degrees_of_freedom=5.0)
    Z, log_density = proposal.draw(np.random.default_rng(0), rows.moments, rows, 16)
    mean, covariance = conditional(PATTERNS[1])
    ratios = np.exp(
        multivariate_normal(mean, covariance).logpdf(Z[..., ~PATTERNS[1]]) - log_density
    )
    assert assert_mean(ratios.mean(axis=1), 1.0) < 0.02


def weighted_completions(n=4000, n_draws=8):
    """Return rows of the truth, draws from far off, and the weights that make up for it."""
    rng = np.random.default_rng(3)
    X = Gaussian().sample(TRUTH, rng, n)
    observed = rng.random(X.shape) > 0.4
    rows = placed(X, observed, moments=(MEAN + 0.5, 2 * np.eye(3)))
    Z, log_density = GaussianProposal().draw(rng, rows.moments, rows, n_draws)
    log_weights = multivariate_normal(MEAN, COVARIANCE).logpdf(Z) - log_density
    log_weights -= np.logaddexp.reduce(log_weights, axis=1, keepdims=True)
    return rows, {"completions": Z, "log_weights": log_weights}


def test_a_refitted_gaussian_has_the_moments_of_the_weighted_completions():
    rows, last = weighted_completions()
    rows = rows._replace(weight=np.random.default_rng(1).integers(0, 3, len(rows.X)).astype(float))
    rng, state = np.random.default_rng(0), rows.moments
    location, covariance = GaussianProposal().refit(rng, state, Gaussian(), TRUTH, rows, **last)
    weights = (rows.weight[:, None] * np.exp(last["log_weights"])).ravel()
    flat = last["completions"].reshape(-1, 3)
    expected = np.average(flat, axis=0, weights=weights)
    np.testing.assert_allclose(location, expected, rtol=1e-10)
    expected = np.cov(flat.T, aweights=weights, bias=True)
    np.testing.assert_allclose(covariance, expected, rtol=1e-6)
    # They are those of the model: 4000 rows, 60 % seen, errors of √(Var / 2400) and √2 that, for
    # products; the weights of 8 draws have a bias of an eighth of what is missing at most.
    assert np.abs(location - MEAN).max() < 0.12
    assert np.abs(covariance - COVARIANCE).max() < 0.2
    assert np.abs(rows.moments[0] - MEAN).min() == pytest.approx(0.5)


# Variational families.


def test_conditional_draws_have_the_law_of_the_conditional(double):
    n, K, location = 20_000, jnp.linalg.inv(jnp.array(COVARIANCE)), jnp.array(MEAN)

    def place(observed, noise):
        v = jnp.array(np.where(observed, POINT, 0.0))
        return np.array(conditional_draws(K, location, v, jnp.array(observed), jnp.array(noise)))

    noise = np.random.default_rng(0).standard_normal((n, 3))
    for observed in [*PATTERNS, np.zeros(3, bool)]:
        Z = place(observed, noise)
        np.testing.assert_array_equal(Z[:, observed], np.tile(POINT[observed], (n, 1)))
        mean, covariance = conditional(observed) if observed.any() else (MEAN, COVARIANCE)
        assert_moments(Z[:, ~observed], mean, covariance)
        # Linear in the noise: the factor of the covariance is exact, not only on average.
        steps = np.vstack([np.zeros(3), np.eye(3)])
        parts = place(observed, steps)
        factor = (parts[1:] - parts[0])[:, ~observed]
        np.testing.assert_allclose(parts[0, ~observed], mean, rtol=1e-10)
        np.testing.assert_allclose(factor.T @ factor, covariance, rtol=1e-10, atol=1e-12)


def family_log_density(family, phi, context, v):
    """Return log π of the holes of v, the seen values given."""
    if isinstance(family, VariationalGaussian):
        joint = Gaussian().log_density(phi, v)
        return joint - Gaussian().marginal_log_density(phi, v, context.observed)
    mean, width = family.moments(phi, context)
    terms = -0.5 * ((v - mean) / width) ** 2 - jnp.log(width) - 0.5 * jnp.log(2 * jnp.pi)
    return jnp.sum(jnp.where(context.observed, 0.0, terms))


FAMILIES = {
    "gaussian": VariationalGaussian(inflation=1.0),
    "network": VariationalNetwork((5,), inflation=1.0),
    "isotropic": VariationalNetwork((5,), spread="isotropic", backbone=False, inflation=1.0),
}


def untrained_state(family, rows, size=0.3):
    """Return a state away from any start, so that nothing in it is zero by chance."""
    phi, units = family.start(np.random.default_rng(0), rows)
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda a: a + size * rng.standard_normal(np.shape(a)), phi), units


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_scores_and_log_densities_belong_together(name, double):
    family, observed = FAMILIES[name], PATTERNS[1]
    rows = equal_rows(observed, 5)
    phi, units = untrained_state(family, rows)
    Z, log_density = family.draw(np.random.default_rng(1), (phi, units), rows, 3)
    context = jax.tree.map(lambda a: jnp.array(a[0]), contexts_of(family, units, rows))
    phi = jax.tree.map(jnp.asarray, phi)
    one = jax.jit(partial(family_log_density, family, phi, context))
    for i in range(5):
        for k in range(3):
            v = units.real(jnp.array(Z[i, k]))
            expected = one(v) - np.log(units.scale)[~observed].sum()
            np.testing.assert_allclose(log_density[i, k], expected, rtol=1e-9)
    score, slope = family.score(phi, context, v), jax.grad(one)(v)
    np.testing.assert_allclose(score[~observed], slope[~observed], rtol=1e-9)
    noise = np.random.default_rng(3).standard_normal((4000, 3))
    V = np.asarray(family.place(phi, context, jnp.array(noise)))
    np.testing.assert_array_equal(V[:, observed], np.tile(context.v[observed], (4000, 1)))
    # E ∇log π = 0 over the family's own draws
    scores = np.asarray(jax.vmap(partial(family.score, phi, context))(jnp.array(V)))
    assert_mean(scores[:, ~observed], 0.0)


def contexts_of(family, units, rows):
    """Return what a family is told of every row."""
    if isinstance(family, VariationalNetwork):
        return family._contexts(units, rows)
    V = (np.where(rows.observed, rows.X, 0.0) - units.centre) / units.scale
    V = np.where(rows.observed, V, 0.0)
    return Context(V, rows.observed, np.zeros_like(V))


@pytest.mark.parametrize("observed", PATTERNS[[0, 1]])
@pytest.mark.parametrize("name", ["gaussian", "network"])
def test_in_a_box_the_slope_is_part_of_the_density(name, observed):
    # E_π [p(z) / π(z)] = 1 for a density p of the holes inside the box: independent columns,
    # one a normal cut at its bounds, one a plain normal, one cut on both sides.
    family = replace(FAMILIES[name], inflation=1.5)
    X, flags = (part[:300] for part in table("truncated", "mcar"))
    state = untrained_state(family, placed(X, flags, support=OCTANT), size=0.1)
    rows = equal_rows(observed, 500, support=OCTANT)
    Z, log_density = family.draw(np.random.default_rng(1), state, rows, 16)
    lower, upper = OCTANT.bounds(3)
    assert ((lower < Z) & (upper > Z)).all()
    laws = [
        truncnorm((a - m) / 0.5, (b - m) / 0.5, loc=m, scale=0.5)
        for a, b, m in zip(lower, upper, [1.2, 0.0, 0.3], strict=True)
    ]
    parts = np.stack([law.logpdf(Z[..., j]) for j, law in enumerate(laws)], axis=2)
    ratios = np.exp(np.where(observed, 0.0, parts).sum(axis=2) - log_density)
    assert assert_mean(ratios.mean(axis=1), 1.0) < 0.04


def gaussian_rows(n=400):
    """Return rows of the truth, and the moments of another Gaussian."""
    rng = np.random.default_rng(5)
    X = Gaussian().sample(TRUTH, rng, n)
    observed = rng.random(X.shape) > 0.4
    observed[:, 1] |= ~observed.any(axis=1)
    return placed(X, observed, moments=(MEAN + 0.7, np.diag([2.0, 0.8, 1.5])))


@pytest.mark.parametrize("divergence", ["reverse_kl", "fisher"])
def test_the_gaussian_family_arrives_at_the_exact_conditional(divergence):
    # Both divergences are zero there, draw by draw, so that nothing is left of the noise of the
    # steps: what remains is how far Adam got.
    rows = gaussian_rows()
    family = VariationalGaussian(divergence, n_steps=600, learning_rate=0.05)
    rng, state = np.random.default_rng(0), family.start(np.random.default_rng(0), rows)
    last = {"completions": np.zeros((400, 1, 3)), "log_weights": np.zeros((400, 1))}
    exact = GaussianConditional(MEAN, COVARIANCE)

    def gaps(state):
        phi, units = state
        location, covariance = Gaussian().moments(phi)
        ours = GaussianConditional(
            units.centre + units.scale * location, covariance * np.outer(units.scale, units.scale)
        )
        means = ours.mean(rows.X, rows.observed) - exact.mean(rows.X, rows.observed)
        factors = ours.factors(rows.observed) - exact.factors(rows.observed)
        return np.abs(means).max(), np.abs(factors).max()

    assert min(gaps(state)) > 0.2
    state = family.refit(rng, state, Gaussian(), TRUTH, rows, **last)
    assert max(gaps(state)) < 0.01


def reverse_divergence(family, state, rows):
    """Return log π − log q(holes | seen) of one draw per row, for the Gaussian truth."""
    Z, log_density = family.draw(np.random.default_rng(9), state, rows, 16)
    gaps = np.zeros(len(Z))
    for i, o in enumerate(rows.observed):
        joint = multivariate_normal(MEAN, COVARIANCE).logpdf(Z[i])
        seen = multivariate_normal(MEAN[o], COVARIANCE[np.ix_(o, o)]).logpdf(rows.X[i, o])
        gaps[i] = (log_density[i] - joint + seen).mean()
    return gaps


@pytest.mark.parametrize("divergence", ["reverse_kl", "fisher"])
def test_fitting_the_network_lowers_the_divergence(divergence):
    # Independent normals cannot come nearer to a Gaussian than ½ Σ log K_jj − ½ log det K_mm.
    rows = gaussian_rows()
    family = VariationalNetwork((16,), divergence=divergence, inflation=1.0, n_steps=400)
    state = family.start(np.random.default_rng(0), rows)
    last = {"completions": np.zeros((400, 1, 3)), "log_weights": np.zeros((400, 1))}
    before = reverse_divergence(family, state, rows)
    state = family.refit(np.random.default_rng(0), state, Gaussian(), TRUTH, rows, **last)
    after = reverse_divergence(family, state, rows)
    K = np.linalg.inv(COVARIANCE)
    least = np.array(
        [
            0.5 * (np.log(np.diag(K)[~o]).sum() - np.linalg.slogdet(K[np.ix_(~o, ~o)])[1])
            for o in rows.observed
        ]
    )
    error = (before - after).std() / np.sqrt(len(before))
    assert (before - after).mean() > 8 * error
    excess = (after - least).mean()
    assert excess > -4 * (after - least).std() / np.sqrt(len(after))
    assert excess < 0.1 * (before - least).mean()


# A user's own.


def well_behaved(rng, X, observed, n_draws):
    """Return standard normal draws with their log-density."""
    Z = rng.standard_normal((len(X), n_draws, X.shape[1]))
    log_density = np.where(observed[:, None], 0.0, -0.5 * Z**2).sum(axis=2)
    return np.where(observed[:, None], X[:, None], Z), log_density


def test_a_custom_proposal_sees_no_hole_and_touches_nothing_seen():
    calls = []

    def spoils(rng, X, observed, n_draws):
        calls.append((X, observed))
        Z, log_density = well_behaved(rng, X, observed, n_draws)
        return np.where(observed[:, None], 99.0, Z), log_density

    X, observed = (part[:20] for part in table("gaussian", "mcar"))
    rows = placed(np.where(observed, X, 7.0), observed)
    draws = CustomProposal(spoils).draw(np.random.default_rng(0), None, rows, 4)
    (given, flags) = calls[0]
    assert np.isnan(given[~observed]).all()
    np.testing.assert_array_equal(flags, observed)
    expected = np.broadcast_to(X[:, None], draws.completions.shape)
    seen = np.broadcast_to(observed[:, None], expected.shape)
    np.testing.assert_array_equal(draws.completions[seen], expected[seen])


def spoiled(change):
    def function(rng, X, observed, n_draws):
        return change(*well_behaved(rng, X, observed, n_draws))

    return CustomProposal(function)


@pytest.mark.parametrize(
    ("proposal", "sentence"),
    [
        (
            spoiled(lambda Z, log_density: (Z[:, :2], log_density)),
            r"must return completions \(20, 3, 3\) and log-densities \(20, 3\); it returned "
            r"\(20, 2, 3\) and \(20, 3\)",
        ),
        (
            spoiled(lambda Z, log_density: (Z, log_density.sum(axis=1))),
            r"it returned \(20, 3, 3\) and \(20,\)",
        ),
        (spoiled(lambda Z, log_density: (Z * np.nan, log_density)), "values that are not finite"),
        (spoiled(lambda Z, log_density: (Z, log_density - INF)), "values that are not finite"),
        (
            spoiled(lambda Z, log_density: (Z - 50, log_density)),
            r"left \d+ rows without a draw inside the support",
        ),
    ],
)
def test_errors_of_a_custom_proposal_are_sentences(proposal, sentence):
    X, observed = (part[:20] for part in table("truncated", "mcar"))
    rows = placed(X, observed, support=OCTANT)
    with pytest.raises(ValueError, match=sentence):
        proposal.draw(np.random.default_rng(0), None, rows, 3)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: GaussianProposal(inflation=0.0), "`inflation` must be positive; got 0.0"),
        (
            lambda: GaussianProposal(degrees_of_freedom=-1.0),
            "`degrees_of_freedom` must be positive",
        ),
        (lambda: VariationalGaussian(n_steps=0), "`n_steps` must be at least 1"),
        (lambda: VariationalGaussian(inflation=-1.0), "`inflation` must be positive; got -1.0"),
        (lambda: VariationalNetwork(learning_rate=0.0), "`learning_rate` positive"),
        (lambda: LangevinChains(0), "`n_steps` must be at least 1; got 0"),
        (lambda: Importance(proposal=GaussianProposal), "`proposal` must be a proposal such as"),
    ],
)
def test_errors_are_sentences(build, sentence):
    with pytest.raises((ValueError, TypeError), match=rf"(?s){sentence}"):
        build()


# Chains.


def test_chains_leave_the_conditional_invariant_and_move():
    # 4000 chains start at exact draws of the conditional of one row: after some steps they are
    # draws of it again. Chains of a row share their step size, so rows are what is independent.
    observed, n, n_draws = PATTERNS[1], 400, 10
    rows = equal_rows(observed, n)
    exact = GaussianConditional(MEAN, COVARIANCE)
    repeated = np.tile(POINT, (n * n_draws, 1)), np.tile(observed, (n * n_draws, 1))
    start = exact.draw(np.random.default_rng(4), *repeated).reshape(n, n_draws, 3)
    proposal = LangevinChains(n_steps=10)
    state, draws = proposal.redraw(
        np.random.default_rng(0),
        rows.moments,
        Gaussian(),
        TRUTH,
        rows,
        completions=start,
        log_weights=np.zeros((n, n_draws)),
    )
    assert state is rows.moments
    mean, covariance = conditional(observed)
    gaps = draws.completions[..., ~observed] - mean
    assert_mean(gaps.mean(axis=1), 0.0)
    assert_mean((gaps[..., :, None] * gaps[..., None, :]).mean(axis=1), covariance)
    np.testing.assert_array_equal(draws.completions[..., observed], start[..., observed])
    before, after = (Z[..., ~observed].reshape(n * n_draws, 2) for Z in (start, draws.completions))
    assert np.abs(np.corrcoef(before[:, 0], after[:, 0])[0, 1]) < 0.5
    # the log-density of the draws is that of the density they were moved by
    expected = multivariate_normal(MEAN, COVARIANCE).logpdf(draws.completions)
    np.testing.assert_allclose(draws.log_density, expected, rtol=1e-10)


def test_chains_come_to_the_model_from_elsewhere():
    # Two refreshes of 30 steps from 2 standard deviations away.
    observed, n = PATTERNS[1], 300
    rows = equal_rows(observed, n, moments=(MEAN + 2.0, 2 * COVARIANCE))
    proposal, state, rng = LangevinChains(), rows.moments, np.random.default_rng(0)
    draws = proposal.draw(rng, state, rows, 4)
    mean, covariance = conditional(observed)
    far = np.abs(draws.completions[..., ~observed].mean(axis=(0, 1)) - mean)
    assert far.min() > 0.5
    for _ in range(2):
        state, draws = proposal.redraw(
            rng,
            state,
            Gaussian(),
            TRUTH,
            rows,
            completions=draws.completions,
            log_weights=np.zeros((n, 4)),
        )
    gaps = draws.completions[..., ~observed] - mean
    assert_mean(gaps.mean(axis=1), 0.0)
    assert_mean((gaps[..., :, None] * gaps[..., None, :]).mean(axis=1), covariance)


def test_chains_stay_in_the_support():
    case = density_case("truncated")
    X, observed = (part[:200] for part in table("truncated", "mcar"))
    rows = placed(X, observed, support=case.density.support)
    proposal, rng = LangevinChains(10), np.random.default_rng(0)
    draws = proposal.draw(rng, rows.moments, rows, 4)
    last = {"completions": draws.completions, "log_weights": np.zeros((200, 4))}
    _, moved = proposal.redraw(rng, rows.moments, case.density, case.params, rows, **last)
    lower, upper = case.density.support.bounds(3)
    for Z in (draws.completions, moved.completions):
        assert ((lower <= Z) & (upper >= Z)).all()
    assert np.isfinite(moved.log_density).all()
