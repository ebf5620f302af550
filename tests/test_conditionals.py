"""Conditionals of columns given all others, and the chain through them."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.tree import ExtraTreeRegressor

from sm_estimators.conditionals import ChainSettings, fit_chain
from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import (
    LevelCoordinates,
    NumberCoordinates,
    blocks_of,
    learn_coordinates,
)
from sm_estimators.conditionals.forest import flattened, grow_tree, joined
from sm_estimators.conditionals.held_out_ridge import RIDGES, USUAL, held_out_ridge
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.shares import draw_shares, mean_shares, on_simplex
from sm_estimators.conditionals.widened import narrowed, pointed, widened

RNG = np.random.default_rng(0)
QUICK = ChainSettings(n_tables=5, n_sweeps=4, n_trees=10, n_kept=2)


def ones(x):
    return np.ones(len(x))


# Coordinates ---------------------------------------------------------------------------------


def test_numbers_come_back_and_keep_their_order():
    rng = np.random.default_rng(0)
    x = np.round(np.exp(rng.normal(size=200)), 1)
    column = NumberCoordinates.of(x, ones(x))
    np.testing.assert_array_equal(column.seen(RNG, column.linear(x)), x)
    np.testing.assert_allclose(column.predicted(column.linear(x)), x, rtol=1e-12)
    z, u = column.linear(x)[:, 0], column.ranked(x)[:, 0]
    assert abs(z.mean()) < 1e-12
    assert abs(z.std() - 1) < 1e-12
    order = np.argsort(x, kind="stable")
    assert (np.diff(u[order]) >= 0).all()
    # mid-ranks of the normal scores are those of the values
    np.testing.assert_allclose(norm.cdf(u), [(x < v).mean() + (x == v).mean() / 2 for v in x])
    assert np.isin(column.draw(rng, rng.normal(size=(50, 1)) * 9, np.ones(1)), x).all()


def test_weights_are_copies_in_coordinates():
    x, weight = np.array([1.0, 3.0, 3.0, 8.0]), np.array([2.0, 1.0, 3.0, 1.0])
    one, other = (
        NumberCoordinates.of(x, weight),
        NumberCoordinates.of(np.repeat(x, [2, 1, 3, 1]), ones(range(7))),
    )
    np.testing.assert_allclose(one.scores, other.scores)
    assert one.centre == pytest.approx(other.centre)
    assert one.scale == pytest.approx(other.scale)


def test_levels_have_indicators_and_probabilities():
    x = np.repeat([0.0, 2.0, 5.0], [6, 3, 1])
    column = LevelCoordinates.of(x, ones(x))
    np.testing.assert_array_equal(column.marked, [2, 5])
    np.testing.assert_array_equal(column.seen(RNG, column.linear(x)), x)
    p = column.probabilities(np.array([[0.5, 0.2], [-0.3, 0.1]]))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[0], [0.3, 0.5, 0.2])
    assert (p > 0).all()
    n = 20_000
    drawn = column.draw(np.random.default_rng(0), np.tile([0.5, 0.2], (n, 1)), np.zeros(2))
    shares = np.array([(drawn == v).mean() for v in (0, 2, 5)])
    assert (np.abs(shares - p[0]) < 4 * np.sqrt(p[0] * (1 - p[0]) / n)).all()


def test_rare_levels_share_the_zero():
    x = np.repeat(np.arange(40.0), np.arange(41, 1, -1))
    column = LevelCoordinates.of(x, ones(x))
    assert column.width == 12
    p = column.probabilities(np.zeros((1, 12)))[0]
    assert p[0] > p[20] > p[39] > 0  # by frequency, the most frequent level among them
    assert p[1] < 0.01  # an indicator of zero says that it is not this level


def test_constant_columns():
    column = NumberCoordinates.of(np.full(9, 3.0), np.ones(9))
    np.testing.assert_array_equal(column.seen(RNG, np.array([[-2.0], [7.0]])), 3.0)
    rounded = NumberCoordinates.of(np.full(51, 0.1), np.ones(51))
    assert (rounded.centre, rounded.scale) == (0.1, 1.0)
    level = LevelCoordinates.of(np.full(9, 1.0), np.ones(9))
    assert level.width == 0
    np.testing.assert_array_equal(level.seen(RNG, np.zeros((4, 0))), 1.0)


def test_drawn_indicators_keep_the_frequencies_of_levels():
    """Also of levels that share the zero, and together with other columns."""
    rng = np.random.default_rng(0)
    n = 40_000
    for shares in ([0.03, 0.97], [0.02, 0.08, 0.3, 0.6], np.full(20, 0.05)):
        codes = rng.choice(len(shares), n, p=shares).astype(float)
        column = LevelCoordinates.of(codes, ones(codes))
        z = column.linear(codes)
        drawn = column.seen(
            rng, rng.multivariate_normal(z.mean(axis=0), np.atleast_2d(np.cov(z.T)), n)
        )
        p = column.shares
        found = np.array([(drawn == code).mean() for code in column.values])
        assert (np.abs(found - p) <= 4.5 * np.sqrt(p * (1 - p) / n)).all()
        near = column.seen(rng, column.linear(codes) + 0.05 * rng.normal(size=z.shape))
        marked = np.isin(codes, column.marked)
        assert (near[marked] == codes[marked]).mean() > 0.95


# Experts -------------------------------------------------------------------------------------


def test_the_linear_law_is_the_regression():
    rng = np.random.default_rng(0)
    S = np.cov(rng.normal(size=(50, 4)), rowvar=False)
    mean, X = rng.normal(size=4), rng.normal(size=(6, 4))
    coordinates = learn_coordinates(X, np.ones(X.shape, bool), np.zeros(4, bool), ones(X))
    law = LinearLaw.of(coordinates[2], slice(2, 3), mean, np.linalg.inv(S))
    o = [0, 1, 3]
    beta = np.linalg.solve(S[np.ix_(o, o)], S[o, 2])
    np.testing.assert_allclose(law.predict(X)[:, 0], mean[2] + (X[:, o] - mean[o]) @ beta)
    assert law.deviation[0] ** 2 == pytest.approx(S[2, 2] - S[2, o] @ beta)


def test_flat_trees_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)).astype(np.float32)
    y = rng.integers(40, size=300)
    grown = [ExtraTreeRegressor(min_samples_leaf=4, random_state=t).fit(X, y) for t in range(3)]
    forest = joined([flattened(tree.tree_, X, y, ones(y)) for tree in grown])
    new = rng.normal(size=(200, 3)).astype(np.float32)
    for t, tree in enumerate(grown):
        first, end = forest.cells(forest.leaves(new, np.arange(200), np.full(200, t)))
        of_leaf, at = tree.apply(X), tree.apply(new)
        for row in range(200):
            held = np.sort(forest.items[first[row] : end[row]])
            np.testing.assert_array_equal(held, np.sort(y[of_leaf == at[row]]))


def test_draws_from_leaves_follow_the_weights():
    rng = np.random.default_rng(0)
    X, y = np.zeros((4, 1), np.float32), np.arange(4)
    weight = np.array([1.0, 0.5, 3.0, 1e-9])
    forest = grow_tree(rng, X, y + 0.5, y, weight, min_leaf=1, max_features=1.0)
    n = 40_000
    drawn = forest.draw(rng, np.zeros((n, 1), np.float32), np.arange(n), np.zeros(n, int))
    p = weight / weight.sum()
    shares = np.array([(drawn == v).mean() for v in y])
    assert (np.abs(shares - p) <= 4 * np.sqrt(p * (1 - p) / n) + 1e-8).all()


def test_rows_of_next_to_no_weight_have_no_leaf():
    rng = np.random.default_rng(0)
    X = np.linspace(0, 1, 100, dtype=np.float32)[:, None]
    y, weight = 100.0 * (X[:, 0] > 0.5), np.where(X[:, 0] > 0.5, 1e-9, 1.0)
    forest = grow_tree(rng, X, y, np.arange(100), weight, min_leaf=1, max_features=1.0)
    drawn = forest.draw(rng, X, np.arange(100), np.zeros(100, int))
    assert (y[drawn] == 0).all()


def test_draws_from_leaves_without_weights_are_uniform():
    rng = np.random.default_rng(0)
    X, items, n = np.zeros((4, 1), np.float32), np.arange(4), 40_000
    trees = [grow_tree(rng, X, items + 0.5, items, np.ones(4), min_leaf=4, max_features=1.0)] * 2
    forest = joined(trees)
    assert forest.cumulated is None
    drawn = forest.draw(rng, np.zeros((n, 1), np.float32), np.arange(n), np.ones(n, int))
    shares = np.bincount(drawn, minlength=4) / n
    assert (np.abs(shares - 1 / 4) <= 4 * np.sqrt(3 / 16 / n)).all()


# Ridge ---------------------------------------------------------------------------------------


def test_the_ridge_follows_what_rows_can_tell():
    """Of 80 rows of noise a small ridge would believe chance; of a sum, a large one little."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(80, 12))
    total = np.hstack([noise, noise.sum(axis=1, keepdims=True)])
    seen = rng.random(noise.shape) > 0.1
    assert held_out_ridge(rng, noise, seen, ones(noise)).ridge >= 0.1
    assert held_out_ridge(rng, total, np.ones(total.shape, bool), ones(total)).ridge <= 1e-4
    assert held_out_ridge(rng, noise[:6], seen[:6], np.ones(6)).ridge == USUAL


def test_a_column_that_a_fold_never_sees_is_no_obstacle():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    seen = np.ones(X.shape, bool)
    seen[1:, 2] = False
    assert held_out_ridge(rng, X, seen, ones(X)).ridge in RIDGES


# Shares --------------------------------------------------------------------------------------


def test_the_simplex_problem_against_a_grid():
    rng = np.random.default_rng(0)
    for _ in range(5):
        A, a = rng.normal(size=(3, 3)), rng.normal(size=3)
        found = on_simplex(a, A @ A.T)
        grid = [
            np.array([u, v, 1 - u - v])
            for u, v in product(np.linspace(0, 1, 101), repeat=2)
            if u + v <= 1
        ]

        def value(w, a=a, Q=A @ A.T):
            return a @ w + 0.5 * w @ Q @ w

        assert found.sum() == pytest.approx(1)
        assert (found >= 0).all()
        assert value(found) <= min(value(w) for w in grid) + 1e-6


def test_the_mixture_that_made_the_rows_gets_its_shares():
    rng = np.random.default_rng(0)
    n, k = 20_000, 4
    from_first = rng.random(n) < 0.7
    y = np.where(from_first, rng.normal(size=n), rng.normal(3, 1, size=n))
    draws = np.stack([rng.normal(size=(k, n)), rng.normal(3, 1, size=(k, n))])
    # CRPS of a mixture is 2nd order flat at its minimum; 20 000 rows give the share within .02
    np.testing.assert_allclose(draw_shares(draws, y, ones(y), nominal=False), [0.7, 0.3], atol=0.03)
    codes = (y > 1.5).astype(float)
    levels = np.stack([np.zeros((k, n)), np.ones((k, n))])
    found = draw_shares(levels, codes, ones(y), nominal=True)
    np.testing.assert_allclose(found[1], codes.mean(), atol=0.02)


def test_shares_follow_the_weights():
    rng = np.random.default_rng(0)
    n, k = 400, 4
    y, first = rng.normal(size=n), np.arange(n) < n // 2
    draws = np.stack(
        [np.where(own, y, 5.0) + 0.1 * rng.normal(size=(k, n)) for own in (first, ~first)]
    )
    draws[:, 0, :10] = np.nan
    for rows, expert in ((first, 0), (~first, 1)):
        weight = np.where(rows, 1.0, 1e-6)
        assert draw_shares(draws, y, weight, nominal=False)[expert] > 0.99
        assert mean_shares(draws, y, weight)[expert] > 0.99


def test_shares_of_means_do_not_punish_spread():
    """A wide expert with the right mean beats a narrow one with a wrong mean."""
    rng = np.random.default_rng(0)
    n, k = 5000, 4
    m = rng.normal(size=n)
    y = m + 0.1 * rng.normal(size=n)
    right = m + 2 * rng.normal(size=(k, n))
    wrong = 0.5 * m + 0.1 * rng.normal(size=(k, n))
    # best convex combination by least squares on the means themselves: all of the right one
    assert mean_shares(np.stack([right, wrong]), y, ones(y))[0] > 0.9


# The chain -----------------------------------------------------------------------------------


def curved(n, seed=0):
    """Return a table whose third column is a curved function of the first, with holes at random.

    The first column decides which values of the third are missing (MAR).
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    X = np.column_stack([x, rng.normal(size=n), x + x**2 + 0.1 * rng.normal(size=n)])
    observed = np.ones(X.shape, bool)
    observed[:, 2] = rng.random(n) > norm.cdf(x)
    observed[:, 1] = rng.random(n) > 0.2
    return X, observed


def test_curves_are_learned_under_mar():
    X, observed = curved(800)
    rng = np.random.default_rng(0)
    holes = ~observed[:, 2]
    errors = {}
    for trees in (True, False):
        settings = ChainSettings(trees=trees)
        chain = fit_chain(rng, X, observed, np.zeros(3, bool), settings=settings)
        means = chain.means(rng, X, observed)
        errors[trees] = np.sqrt(np.mean((means[holes, 2] - X[holes, 2]) ** 2))
    # Extrapolated to large x values lack neighbours; still the regression misses the curve.
    assert errors[True] < 0.5 * errors[False]
    seen_alone = X[observed[:, 2], 2].mean()
    chain = fit_chain(rng, X, observed, np.zeros(3, bool))
    drawn = chain.complete(rng, X, observed, 5)
    truth = X[:, 2].mean()
    assert abs(drawn[:, :, 2].mean() - truth) < 0.3 * abs(seen_alone - truth)


def test_without_trees_the_chain_is_the_gaussian():
    rng = np.random.default_rng(0)
    S = np.array([[1, 0.8, 0.2], [0.8, 1, 0.3], [0.2, 0.3, 1]])
    X = rng.multivariate_normal(np.zeros(3), S, 2000)
    observed = rng.random(X.shape) > 0.3
    observed[~observed.any(axis=1)] = True
    settings = ChainSettings(trees=False, n_sweeps=4)
    chain = fit_chain(rng, X, observed, np.zeros(3, bool), settings=settings)
    n = 4000
    row = np.array([[1.2, np.nan, np.nan]])
    seen = ~np.isnan(row)
    tables = chain.complete(rng, row.repeat(n, 0), seen.repeat(n, 0), 1)[0]
    fitted = chain.start
    units = [(c.centre, c.scale) for c in chain.coordinates]
    z = (1.2 - units[0][0]) / units[0][1]
    C, m = fitted.covariance, fitted.location
    mean = m[1:] + C[1:, 0] / C[0, 0] * (z - m[0])
    var = C[1:, 1:] - np.outer(C[1:, 0], C[0, 1:]) / C[0, 0]
    drawn = (tables[:, 1:] - [u[0] for u in units[1:]]) / [u[1] for u in units[1:]]
    # Values move to the nearest of 1400 seen ones, by less than .02 but for the tails.
    error = np.abs(drawn.mean(axis=0) - mean)
    assert (error < 4 * np.sqrt(np.diag(var) / n) + 0.01).all()
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), var, atol=4 * np.sqrt(2 / n))


def mixed(n=150, seed=0):
    """Return numbers, whole numbers and codes with holes; the code follows the first column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    code = (x > 0) + (x > 1).astype(float)
    X = np.column_stack([x, np.round(3 * x), code, rng.integers(0, 5, n)])
    observed = rng.random(X.shape) > 0.25
    return X, observed, np.array([False, False, True, True])


def test_draws_are_seen_values_and_seen_cells_stay():
    X, observed, nominal = mixed()
    observed[3] = False
    hidden = np.where(observed, X, np.nan)
    chain = fit_chain(np.random.default_rng(0), hidden, observed, nominal, settings=QUICK)
    tables = chain.complete(np.random.default_rng(1), hidden, observed, 3)
    means = chain.means(np.random.default_rng(1), hidden, observed, n_tables=5)
    for j, seen in enumerate(observed.T):
        assert np.isin(tables[:, :, j], X[seen, j]).all()
        assert not nominal[j] or np.isin(means[:, j], X[seen, j]).all()
    for table in (*tables, means):
        np.testing.assert_array_equal(table[observed], X[observed])
    holes = ~observed[:, 2] & observed[:, 0] & observed[:, 1]
    # The code is a function of the first column, but near its two steps.
    assert (means[holes, 2] == X[holes, 2]).mean() > 0.8


def test_values_in_holes_are_never_read():
    X, observed, nominal = mixed(80)
    first, other = (
        fit_chain(
            np.random.default_rng(0), np.where(observed, X, junk), observed, nominal, settings=QUICK
        ).complete(np.random.default_rng(1), np.where(observed, X, junk), observed, 2)
        for junk in (np.nan, 7.0)
    )
    np.testing.assert_array_equal(first, other)


def test_seeds_pickles_and_chunks(monkeypatch):
    X, observed, nominal = mixed(90)
    chain = fit_chain(np.random.default_rng(0), X, observed, nominal, settings=QUICK)
    again = fit_chain(np.random.default_rng(0), X, observed, nominal, settings=QUICK)
    read = pickle.loads(pickle.dumps(chain))
    drawn = chain.complete(np.random.default_rng(1), X, observed, 2)
    for other in (again, read):
        np.testing.assert_array_equal(
            other.complete(np.random.default_rng(1), X, observed, 2), drawn
        )
    assert (chain.complete(np.random.default_rng(2), X, observed, 2) != drawn).any()
    monkeypatch.setattr("sm_estimators.conditionals.chain.CHUNK", 20)
    chunked = chain.complete(np.random.default_rng(1), X, observed, 2)
    assert chunked.shape == drawn.shape
    np.testing.assert_array_equal(chunked[:, observed], drawn[:, observed])
    assert np.isfinite(chunked).all()


def test_a_column_is_hidden_for_a_while():
    X, observed, nominal = mixed(60)
    law = fit_chain(np.random.default_rng(0), X, observed, nominal, settings=QUICK).laws[2]
    other, rows = X.copy(), np.array([3, 5, 40])
    other[rows, 2] = (X[rows, 2] + 1) % 3
    coordinates = learn_coordinates(X, observed, nominal, ones(X))
    tables = Completions(coordinates, np.stack([X, other]))
    before = tables.ranked.copy()
    with tables.hidden(law, rows) as hidden:
        cells = hidden.ranked[hidden.row].reshape(2, 3, -1)
        np.testing.assert_array_equal(cells[0], cells[1])
        np.testing.assert_allclose(cells[0][:, law.block], hidden.z[:3], rtol=1e-6)
        changed = (tables.ranked != before).any(axis=(0, 2))
        np.testing.assert_array_equal(np.flatnonzero(changed), rows)
    np.testing.assert_array_equal(tables.ranked, before)


def test_trees_are_given_predictions_that_do_not_know_the_row(monkeypatch):
    """Of noise, a regression on 19 columns knows the rows it has learned from, and no others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 20))
    observed = rng.random(X.shape) > 0.1
    correlations = []

    def look(self, j, rows, z):
        correlations.append(np.corrcoef(z[0, :, 0], X[rows, j])[0, 1])

    monkeypatch.setattr("sm_estimators.conditionals.fit.Learner._weigh", look)
    fit_chain(rng, X, observed, np.zeros(20, bool), settings=QUICK)
    # In 90 rows one is 0 ± .1, the mean over 20 columns ± .03; knowing the rows, above .4.
    assert np.mean(correlations) < 0.1


def test_columns_of_one_value_alone():
    X = np.column_stack([np.full(30, 2.0), np.full(30, 0.0)])
    observed = np.random.default_rng(0).random(X.shape) > 0.3
    nominal = np.array([False, True])
    chain = fit_chain(RNG, np.where(observed, X, np.nan), observed, nominal, settings=QUICK)
    np.testing.assert_array_equal(chain.complete(RNG, X, observed, 2), np.stack([X, X]))
    np.testing.assert_array_equal(chain.means(RNG, X, observed, n_tables=2), X)
    np.testing.assert_array_equal(chain.sequence.sample(RNG, 5), X[:5])


def test_few_rows_leave_the_gaussian_alone():
    X, observed, nominal = mixed(15)
    observed[0] = True
    chain = fit_chain(np.random.default_rng(0), X, observed, nominal, settings=QUICK)
    assert all(law.forest is None for law in chain.laws)
    assert np.isfinite(chain.complete(np.random.default_rng(1), X, observed, 2)).all()


def test_a_gaussian_table_is_left_to_the_regression():
    rng = np.random.default_rng(0)
    S = 0.9 * np.ones((5, 5)) + 0.1 * np.eye(5)
    X = rng.multivariate_normal(np.zeros(5), S, 400)
    observed = rng.random(X.shape) > 0.2
    chain = fit_chain(rng, X, observed, np.zeros(5, bool))
    assert np.mean([law.mean_shares[0] for law in chain.laws]) > 0.6
    X, observed = curved(400)
    chain = fit_chain(rng, X, observed, np.zeros(3, bool))
    assert chain.laws[2].draw_shares[1] > 0.9


def test_whole_tables_in_coordinates():
    X, observed, nominal = mixed(60)
    coordinates = learn_coordinates(X, observed, nominal, ones(X))
    wide, seen = widened(coordinates, X, observed)
    assert wide.shape == seen.shape == (60, blocks_of(coordinates)[-1].stop)
    for back in (narrowed(RNG, coordinates, wide), pointed(coordinates, wide)):
        np.testing.assert_allclose(back[observed], X[observed], atol=1e-12)
