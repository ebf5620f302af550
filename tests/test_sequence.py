"""Whole rows, column by column: drawn, and scored where some of their cells are missing."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from sm_estimators import ScoreMatchingImputer
from sm_estimators.conditionals import ChainSettings, fit_chain, sequence_fit
from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import learn_coordinates
from sm_estimators.conditionals.curve import Curve
from sm_estimators.conditionals.curve_choice import chosen_curves
from sm_estimators.conditionals.likelihood_shares import likelihood_shares
from sm_estimators.conditionals.line import atoms
from sm_estimators.conditionals.moments import RIDGES, pooled_moments
from sm_estimators.conditionals.sequence import stratified
from sm_estimators.conditionals.sequence_fit import fit_sequence

QUICK = ChainSettings(n_tables=5, n_sweeps=4, n_trees=10, n_kept=2)
CELLS = np.array(list(product(range(3), repeat=3)), float)


@pytest.fixture(scope="module")
def sequence():
    """Return the model of three dependent columns of three values, one of them a number."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 300)
    b = (a + rng.integers(0, 2, 300)) % 3
    c = np.where(rng.random(300) < 0.8, b, rng.integers(0, 3, 300))
    X = np.column_stack([a, b, c]).astype(float)
    observed = rng.random(X.shape) > 0.2
    nominal = np.array([True, True, False])
    return fit_chain(rng, X, observed, nominal, settings=QUICK).sequence


def probabilities(sequence, values, observed, n_draws=20):
    rng = np.random.default_rng(0)
    return np.exp(sequence.log_density(rng, values, observed, n_draws=n_draws))


def test_probabilities_of_rows_sum_to_one(sequence):
    p = probabilities(sequence, CELLS, np.ones(CELLS.shape, bool))
    assert p.sum() == pytest.approx(1)
    # b is a or the next value: the columns depend.
    together = (CELLS[:, 1] - CELLS[:, 0]) % 3 < 2
    assert p[together].sum() > 0.9


@pytest.mark.parametrize("hole", [0, 1, 2])
def test_holes_are_summed_out(sequence, hole):
    p = probabilities(sequence, CELLS, np.ones(CELLS.shape, bool))
    rest = np.array(list(product(range(3), repeat=2)), float)
    rows = np.insert(rest, hole, np.nan, axis=1)
    exact = [p[(np.delete(CELLS, hole, axis=1) == r).all(axis=1)].sum() for r in rest]
    estimates = np.exp([log_density(sequence, rows, seed, 50) for seed in range(60)])
    error = estimates.std(axis=0, ddof=1) / np.sqrt(60)
    # Rows whose hole comes last in the sequence need no draws, and are exact.
    assert (np.abs(estimates.mean(axis=0) - exact) < 4 * error + 1e-12).all()


def test_draws_have_the_probabilities(sequence):
    p = probabilities(sequence, CELLS, np.ones(CELLS.shape, bool))
    n = 20_000
    drawn = sequence.sample(np.random.default_rng(1), n)
    shares = np.array([(drawn == cell).all(axis=1).mean() for cell in CELLS])
    assert (np.abs(shares - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-4).all()


def mixed(n=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    town = np.where(x > 0, "Rio", "Oslo")
    frame = pd.DataFrame({"x": x, "y": -x + 0.2 * rng.normal(size=n), "town": town})
    return frame.mask(rng.random(frame.shape) < 0.15)


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_outliers_score_low_and_rows_are_drawn(engine):
    frame = mixed()
    frame = frame[frame.notna().any(axis=1)]
    imputer = ScoreMatchingImputer(engine=engine).fit(frame)
    usual = imputer.score_samples(frame)
    assert usual.shape == (len(frame),)
    assert np.isfinite(usual).all()
    odd = pd.DataFrame({"x": [2.0, 2.0, -1.0], "y": [2.0, -2.0, np.nan], "town": ["Rio"] * 3})
    scores = imputer.score_samples(odd)
    assert scores[0] < scores[1] - 2  # y should be near minus x
    drawn = imputer.sample(300, random_state=0)
    pd.testing.assert_series_equal(drawn.dtypes, frame.dtypes)
    assert set(drawn["town"]) == {"Rio", "Oslo"}
    assert np.corrcoef(drawn["x"], drawn["y"])[0, 1] < -0.8
    pd.testing.assert_frame_equal(imputer.sample(300, random_state=0), drawn)
    np.testing.assert_array_equal(imputer.score_samples(odd), scores)


# --- columns of numbers ------------------------------------------------------------------------


def learned(values, seed=0):
    """Return a sequence learned from a complete table of numbers."""
    observed, weight = np.ones(values.shape, bool), np.ones(len(values))
    coordinates = learn_coordinates(values, observed, np.zeros(values.shape[1], bool), weight)
    tables = Completions(coordinates, values[None])
    return fit_sequence(np.random.default_rng(seed), tables, observed, weight)


def log_density(sequence, values, seed=0, n_draws=20):
    values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    return sequence.log_density(rng, values, ~np.isnan(values), n_draws)


@pytest.fixture(scope="module")
def numbers():
    """Return the model of two skewed columns; the second is zero in a third of the rows."""
    rng = np.random.default_rng(1)
    x = np.exp(rng.normal(size=300))
    y = np.where(rng.random(300) < 1 / 3, 0.0, x + rng.gamma(2.0, size=300))
    sequence = learned(np.stack([x, y], axis=1))
    assert [factor.column for factor in sequence.factors] == [0, 1]
    assert np.isfinite(sequence.curves[0].width)
    assert sequence.factors[1].support.atom.sum() == 1
    return sequence


def quadrature(curve, n):
    """Return points up to 4 ranges around the seen values, dense among them, and weights."""
    low, high = curve.values[[0, -1]]
    ends = np.arcsinh(400.0)
    x = (low + high) / 2 + (high - low) / 100 * np.sinh(np.linspace(-ends, ends, n))
    return x, np.gradient(x)


def test_densities_integrate_to_one(numbers):
    """Of the first column; of the second given the first, together with the mass at its atom."""
    x, dx = quadrature(numbers.curves[0], 8001)
    marginal = np.exp(log_density(numbers, np.stack([x, np.full(len(x), np.nan)], axis=1)))
    # The narrowest kernels are a few points wide: with the trapezoidal rule errors are below .002.
    assert marginal @ dx == pytest.approx(1, abs=2e-3)
    y, dy = quadrature(numbers.curves[1], 8001)
    step = np.quantile(np.diff(numbers.curves[1].values), 0.1)  # by which a mass is divided
    for given in (0.3, 1.0, 5.0):
        whole = np.exp(log_density(numbers, [[given, np.nan]])[0])
        atom = np.exp(log_density(numbers, [[given, 0.0]])[0]) * step / whole
        rest = np.exp(log_density(numbers, np.stack([np.full(len(y), given), y], axis=1))) @ dy
        assert 0.1 < atom < 0.6
        assert atom + rest / whole == pytest.approx(1, abs=2e-3)


def test_density_of_a_gaussian():
    """The mean log-ratio to the truth is a divergence: positive, and small after 800 rows."""
    rng = np.random.default_rng(2)
    S = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])
    sequence = learned(rng.multivariate_normal(np.zeros(3), S, 800))
    X = rng.multivariate_normal(np.zeros(3), S, 1000)
    ratio = multivariate_normal(np.zeros(3), S).logpdf(X) - log_density(sequence, X)
    error = ratio.std() / np.sqrt(len(X))
    assert -3 * error < ratio.mean() < 0.05 + 3 * error


def test_no_row_is_impossible(sequence, numbers):
    assert np.isfinite(log_density(numbers, [[1e9, -1e9], [-1e300, np.nan]])).all()
    assert log_density(numbers, [[np.nan, np.nan]]) == pytest.approx(0, abs=1e-12)
    strange = log_density(sequence, [[7.0, 0.5, 3.0]])
    assert np.isfinite(strange).all()
    assert strange < log_density(sequence, CELLS).max() - 5


@pytest.mark.parametrize("y", [0.0, 1.5])
def test_sequential_imputation_has_no_bias(numbers, y):
    """The mean of many estimates, each of few draws, is the integral."""
    x, dx = quadrature(numbers.curves[0], 8001)
    exact = np.exp(log_density(numbers, np.stack([x, np.full(len(x), y)], axis=1))) @ dx
    estimates = [np.exp(log_density(numbers, [[np.nan, y]], seed, 5)[0]) for seed in range(200)]
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert error < 0.1 * exact
    assert abs(np.mean(estimates) - exact) < 4 * error + 2e-3 * exact


def test_a_row_does_not_know_its_neighbours(numbers):
    X = numbers.sample(np.random.default_rng(0), 40)
    X[::2, 0], X[1::4, 1] = np.nan, np.nan
    order = np.random.default_rng(1).permutation(40)
    together = log_density(numbers, X)
    np.testing.assert_allclose(log_density(numbers, X[order]), together[order], rtol=1e-5)
    np.testing.assert_allclose(log_density(numbers, X[4:5]), together[4:5], rtol=1e-5)
    np.testing.assert_array_equal(log_density(numbers, X), together)


def test_more_rows_than_a_column_learns_from(monkeypatch):
    monkeypatch.setattr(sequence_fit, "MAX_ROWS", 100)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 1))
    X = np.hstack([x, x + 0.1 * rng.normal(size=x.shape)])
    drawn = learned(X).sample(rng, 400)
    assert np.isin(drawn, X).all()
    assert np.corrcoef(drawn.T)[0, 1] > 0.9
    assert np.isfinite(log_density(learned(X), X)).all()


@pytest.mark.parametrize("rare", [0.0, 3.0])
def test_a_level_that_a_column_does_not_learn_from(monkeypatch, rare):
    """Other levels keep their own probabilities, and the level has a small one."""
    monkeypatch.setattr(sequence_fit, "MAX_ROWS", 100)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 1))
    X = np.hstack([x, 1.0 + (x > 0)])
    X[0, 1] = rare
    coordinates = learn_coordinates(X, X == X, np.array([False, True]), np.ones(2000))
    learned = fit_sequence(rng, Completions(coordinates, X[None]), X == X, np.ones(2000))
    drawn = learned.sample(rng, 3000)
    assert ((drawn[:, 1] == 2) == (drawn[:, 0] > 0)).mean() > 0.95
    rows = np.array([[1.0, 2.0], [1.0, rare]])
    usual, odd = learned.log_density(rng, rows, np.ones((2, 2), bool))
    assert 3 < usual - odd < 12


def test_strata():
    u = stratified(np.random.default_rng(0), 20, 3)
    assert (np.sort((u * 20).astype(int), axis=0) == np.arange(20)[:, None, None]).all()


def given(sequence, factor, x, n):
    """Return what n rows, that begin with the number x, say about the second column."""
    t = np.tile([sequence.curves[0].forward(np.array([x]))[0], 0.0], (1, n, 1))
    tables = Completions(sequence.coordinates, t)
    return factor.predict(tables.linear[0], tables.ranked[0])


def test_draws_follow_the_density(numbers):
    """A share of n draws differs by more than 1.95 / √n nowhere, with 99.9 % (Kolmogorov)."""
    factor, n = numbers.factors[1], 4000
    uniforms = np.random.default_rng(0).uniform(1e-12, 1 - 1e-12, (n, 4))
    t = factor.draw(uniforms, given(numbers, factor, 1.0, n))
    low, high = np.quantile(t, [0.0, 0.999])
    grid = np.linspace(low - 1, high + 1, 4001)
    density = factor.density(grid, given(numbers, factor, 1.0, len(grid)))
    zero = numbers.curves[1].forward(np.zeros(1))
    mass = factor.density(zero, given(numbers, factor, 1.0, 1))[0]
    mass *= factor.support.step[factor.support.atom][0]
    below = np.cumsum(density) * (grid[1] - grid[0])
    assert mass > 0.1
    for point in np.quantile(t, [0.02, 0.2, 0.5, 0.8, 0.98]) + 1e-6:
        expected = np.interp(point, grid, below) + mass * (point >= zero[0])
        assert abs((t <= point).mean() - expected) < 1.95 / np.sqrt(n) + 2e-3


def test_samples_are_seen_values_in_new_rows():
    rng = np.random.default_rng(3)
    X = np.round(rng.multivariate_normal(np.zeros(4), np.eye(4) + 0.5, 300), 2)
    new = learned(X).sample(rng, 600)
    assert all(np.isin(new[:, j], X[:, j]).all() for j in range(4))
    # Two rows agree in 4 columns of some 200 values each about once in a billion.
    assert not (new[:, None] == X).all(axis=2).any()
    # The standard error of a correlation is at most 1/√n, of 300 rows and of 600.
    difference = np.corrcoef(new.T) - np.corrcoef(X.T)
    assert (np.abs(difference) < 4 * np.sqrt(1 / 300 + 1 / 600)).all()


# --- how it is learned -------------------------------------------------------------------------


def test_shares_are_those_of_largest_likelihood():
    rng = np.random.default_rng(4)
    parts, weight = rng.gamma(1.0, size=(3, 200)), rng.random(200)
    shares = likelihood_shares(parts, weight, always=2)

    def loss(s):
        return -weight @ np.log(np.append(s, 1 - s.sum()) @ parts)

    best = minimize(loss, [0.3, 0.3], bounds=[(1e-6, 0.49)] * 2).fun
    assert loss(shares[:2]) - best < 1e-2
    assert shares.sum() == pytest.approx(1)


def test_parts_without_use_are_dropped():
    parts = np.stack([np.ones(100), np.full(100, 1e-3), np.full(100, 1e-3)])
    shares = likelihood_shares(parts, np.ones(100), always=2)
    assert shares[1] == 0
    assert 0 < shares[2] < 1e-3


def test_curves():
    """The map of a log-normal column is nearly a logarithm; that of a Gaussian one is straight."""
    z, weight = np.random.default_rng(5).normal(size=500), np.ones(500)
    assert np.isinf(Curve.of(z, weight).width)
    curve = Curve.of(np.exp(z), weight)
    t = curve.forward(np.exp(z))
    assert np.corrcoef(t, z)[0, 1] > 0.995
    np.testing.assert_array_equal(curve.seen(t), np.exp(z))
    x = np.array([0.5, 3.0])
    slope = (curve.forward(x + 1e-6) - curve.forward(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(curve.log_slope(x), np.log(slope), rtol=1e-5)
    # Unit and origin of the column do not matter.
    moved = Curve.of(1e3 * np.exp(z) - 7, weight)
    np.testing.assert_allclose(moved.curved, curve.curved, rtol=1e-8)


def test_a_sum_stays_straight():
    """Skewed columns are mapped, but not where their sum is a column, too."""
    x = np.exp(np.random.default_rng(6).normal(size=(500, 2)))
    weight = np.ones(500)

    def choice(columns):
        curves = [Curve.of(column, weight) for column in columns.T]
        curved = np.stack([c.forward(x) for c, x in zip(curves, columns.T, strict=True)], axis=1)
        gain = [c.log_slope(x).mean() for c, x in zip(curves, columns.T, strict=True)]
        gain += np.log(columns.std(axis=0) / curved.std(axis=0))
        z = [(t - t.mean(axis=0)) / t.std(axis=0) for t in (columns, curved)]
        return chosen_curves(*z, gain, weight)

    assert choice(x).all()
    assert not choice(np.column_stack([x, x.sum(axis=1)])).any()


def test_atoms():
    masses = np.array([0.01, 0.4, 0.01, 0.02, 0.1, 0.09, 0.1, 0.09, 0.09, 0.09])
    assert np.flatnonzero(atoms(masses)).tolist() == [1]


def test_ridge_is_chosen_by_rows_held_out():
    """20 rows of 30 columns need a ridge; two columns that nearly agree must not have one."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(500, 1))
    wide, narrow = rng.normal(size=(20, 30)), x + 0.01 * rng.normal(size=(500, 2))
    ridges = []
    for X in (wide, narrow):
        covariance = pooled_moments(rng, X[None], np.ones(len(X))).covariance
        ridges.append(covariance[0, 0] / X[:, 0].var() - 1)
    assert ridges[0] == pytest.approx(RIDGES[-1])
    assert ridges[1] == pytest.approx(RIDGES[0])


# --- at the door -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pets():
    """Return a table with holes in columns of all kinds, and an imputer fitted to it."""
    rng = np.random.default_rng(8)
    n = 160
    dog = rng.random(n) < 0.5
    weight = np.where(dog, rng.normal(20, 3, n), rng.normal(4, 0.7, n))
    frame = pd.DataFrame(
        {
            "kind": np.where(dog, "dog", "cat"),
            "weight": weight,
            "height": (10 + 1.5 * weight + rng.normal(0, 1.5, n)).astype(np.float32),
            "visits": pd.array(rng.poisson(np.where(dog, 3, 1)), dtype="Int64"),
            "indoor": pd.array(rng.random(n) < np.where(dog, 0.2, 0.8), dtype="boolean"),
            "born": pd.Timestamp("2015-03-01") + pd.to_timedelta(rng.integers(0, 3000, n), "D"),
        }
    )
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    return frame, ScoreMatchingImputer().fit(frame)


def test_sampled_frames(pets):
    frame, imputer = pets
    new = imputer.sample(300, random_state=0)
    pd.testing.assert_series_equal(new.dtypes, frame.dtypes)
    assert new.shape == (300, 6)
    assert not new.isna().any(axis=None)
    assert all(new[name].isin(frame[name]).all() for name in frame)
    # Means of 80 dogs and 80 cats have standard errors of 0.33 and 0.08; some 2 of 150 rows drawn
    # may have got the other kind, 16 apart.
    means = new.groupby("kind")["weight"].mean()
    assert abs(means["dog"] - 20) < 4 * 0.33 + 0.5
    assert abs(means["cat"] - 4) < 4 * 0.08 + 0.5


def test_outliers_in_a_table_of_all_kinds(pets):
    _, imputer = pets
    usual = imputer.sample(200, random_state=1)
    holes = np.random.default_rng(9).random(usual.shape) < 0.1
    strange = usual.assign(kind=np.where(usual["kind"] == "dog", "cat", "dog"))
    scores = imputer.score_samples(strange.mask(holes))
    # Hardly any dog is like a cat: with the other kind, nearly every row is less likely.
    kind_seen = ~holes[:, 0]
    lower = scores < imputer.score_samples(usual.mask(holes))
    assert lower[kind_seen].mean() > 0.95
    again = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(again.score_samples(strange.mask(holes)), scores)


@pytest.mark.parametrize("n", [2, 5, 25])
def test_few_rows(n):
    frame = pd.DataFrame({"a": np.arange(n) * 1.5, "b": ["x", "y"] * (n // 2) + ["x"] * (n % 2)})
    imputer = ScoreMatchingImputer().fit(frame)
    assert imputer.sample(10, random_state=0)["b"].isin(["x", "y"]).all()
    assert np.isfinite(imputer.score_samples(frame)).all()


def test_densities_of_numbers_and_of_indicators(pets):
    rng = np.random.default_rng(10)
    X = rng.multivariate_normal([1.0, -2.0], [[1.0, 0.6], [0.6, 2.0]], 200)
    X[::7, 1] = np.nan
    assert isinstance(ScoreMatchingImputer().fit(X).sample(3, random_state=0), np.ndarray)
    imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    np.testing.assert_array_equal(imputer.score_samples(X), imputer.estimator_.score_samples(X))
    drawn = imputer.sample(4, random_state=0)
    assert drawn.shape == (4, 2)
    assert not np.isin(drawn, X).any()
    frame, _ = pets
    imputer = ScoreMatchingImputer(engine="gaussian").fit(frame)
    new = imputer.sample(50, random_state=0)
    pd.testing.assert_series_equal(new.dtypes, frame.dtypes)
    assert new["kind"].isin(["dog", "cat"]).all()
    assert np.isfinite(imputer.score_samples(frame)).all()
