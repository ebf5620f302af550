"""Whole rows, column by column: drawn, and scored where some of their cells are missing."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sm_estimators import ScoreMatchingImputer
from sm_estimators.conditionals import ChainSettings, fit_chain

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
    estimate = probabilities(sequence, rows, ~np.isnan(rows), n_draws=4000)
    # Draws are stratified: the error is of the order 1/m, far below 1/√m = .016.
    np.testing.assert_allclose(estimate, exact, rtol=0.016)


def test_draws_have_the_probabilities(sequence):
    p = probabilities(sequence, CELLS, np.ones(CELLS.shape, bool))
    n = 20_000
    drawn = sequence.sample(np.random.default_rng(1), n)
    shares = np.array([(drawn == cell).all(axis=1).mean() for cell in CELLS])
    assert (np.abs(shares - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-4).all()


def test_the_density_integrates_to_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=250)
    X = np.column_stack([x, x**2 + 0.3 * rng.normal(size=250)])
    observed = rng.random(X.shape) > 0.15
    observed[~observed.any(axis=1)] = True
    sequence = fit_chain(rng, X, observed, np.zeros(2, bool), settings=QUICK).sequence
    u, v = np.linspace(-9, 9, 181), np.linspace(-25, 40, 651)
    grid = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
    density = probabilities(sequence, grid, np.ones(grid.shape, bool))
    total = density.sum() * (u[1] - u[0]) * (v[1] - v[0])
    # Heavy tails of the background are outside of the grid.
    assert 0.9 < total < 1.02


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
