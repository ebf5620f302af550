"""Rubin's rules: the formulas by hand, coverage by simulation, fits against least squares."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)

from sm_estimators import GaussianScoreMatching, ScoreMatchingImputer
from sm_estimators.pooling import (
    correlation_statistic,
    fit_pooled,
    mean_statistic,
    pool,
    pool_tables,
)
from sm_estimators.pooling.rubin import degrees_of_freedom

SLOPES = np.array([2.0, -1.0])


def regression(n=200, seed=0):
    """Return predictors and an outcome 1 + 2a - b + noise."""
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], n)
    return X, 1 + X @ SLOPES + rng.normal(size=n)


def with_holes(X, rate=0.3, seed=1):
    """Return a copy with holes completely at random, but no empty row."""
    holes = np.random.default_rng(seed).random(X.shape) < rate
    if X.shape[1] > 1:
        holes[holes.all(axis=1)] = False
    return np.where(holes, np.nan, X)


def frame(n=200, seed=0, rate=0.3):
    """Return a DataFrame a, b, y with holes everywhere."""
    X, y = regression(n, seed)
    return pd.DataFrame(with_holes(np.column_stack([X, y]), rate), columns=["a", "b", "y"])


def ordinary(X, y):
    """Return least squares in the manner of statsmodels."""
    Z = np.column_stack([np.ones(len(X)), X])
    params, rss, *_ = np.linalg.lstsq(Z, np.asarray(y), rcond=None)
    df = len(Z) - Z.shape[1]
    covariance = rss[0] / df * np.linalg.inv(Z.T @ Z)
    names = pd.Index(["const", *getattr(X, "columns", ["x1", "x2"][: np.shape(X)[1]])])
    return SimpleNamespace(
        params=pd.Series(params, index=names),
        bse=pd.Series(np.sqrt(np.diag(covariance)), index=names),
        cov_params=lambda: pd.DataFrame(covariance, names, names),
        df_resid=df,
    )


class HotDeck:
    """Fill every hole from a random seen row of its column, whatever its dtype."""

    def fit(self, X):
        self.columns_ = {c: X[c].dropna() for c in X}
        return self

    def impute(self, X, n_imputations=1, *, random_state=None):
        rng, tables = np.random.default_rng(random_state), []
        for _ in range(n_imputations):
            filled = X.copy()
            for c, seen in self.columns_.items():
                holes = X[c].isna()
                filled.loc[holes, c] = seen.iloc[rng.integers(len(seen), size=holes.sum())].array
            tables.append(filled)
        return tables


class WeightedDeck(HotDeck):
    """Fill every hole from the seen rows of its column, as often as their weights say."""

    def fit(self, X, sample_weight):
        return super().fit(X.loc[X.index.repeat(sample_weight)])


# --- the rules -----------------------------------------------------------------------------------


def test_rubins_rules_by_hand():
    estimates, variances, df_complete, m = [3.0, 3.6, 3.3, 2.9], [0.25, 0.30, 0.28, 0.27], 30, 4
    mean = sum(estimates) / m
    within = sum(variances) / m
    between = sum((q - mean) ** 2 for q in estimates) / (m - 1)
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    old = (m - 1) / share**2
    seen = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
    df = old * seen / (old + seen)
    r = (1 + 1 / m) * between / within
    pooled = pool(estimates, variances, df_complete=df_complete)
    assert pooled.estimate == pytest.approx([mean])
    assert pooled.standard_error == pytest.approx([math.sqrt(total)])
    assert pooled.df == pytest.approx([df])
    assert pooled.relative_increase == pytest.approx([r])
    assert pooled.fraction_missing == pytest.approx([(r + 2 / (df + 3)) / (r + 1)])
    half = stats.t(df).ppf(0.95) * math.sqrt(total)
    np.testing.assert_allclose(pooled.confidence_intervals(0.9), [[mean - half, mean + half]])
    p = 2 * stats.t(df).cdf(-abs(mean - 2) / math.sqrt(total))
    assert pooled.p_values(2.0) == pytest.approx([p])


def test_limits_of_the_degrees_of_freedom():
    r = np.array([0.1, 1.0, 5.0])
    share = r / (1 + r)
    rubin = (10 - 1) * (1 + 1 / r) ** 2
    np.testing.assert_allclose(degrees_of_freedom(share, 10, np.full(3, np.inf)), rubin)
    np.testing.assert_allclose(degrees_of_freedom(share, 10, np.full(3, 1e9)), rubin, rtol=1e-4)
    finite = degrees_of_freedom(share, 10, np.full(3, 20.0))
    assert (finite < np.minimum(rubin, 20)).all()
    # As B → 0, ν → ν_c (ν_c + 1)/(ν_c + 3); where B = 0 there was no hole.
    nearly = degrees_of_freedom(np.array([1e-9]), 10, np.array([20.0]))
    np.testing.assert_allclose(nearly, 20 * 21 / 23, rtol=1e-6)
    assert degrees_of_freedom(np.array([0.0]), 10, np.array([20.0])) == 20


def test_analyses_that_agree_say_what_one_says():
    pooled = pool(np.tile([0.1, 0.3], (5, 1)), np.tile([0.04, 0.09], (5, 1)), df_complete=12)
    np.testing.assert_array_equal(pooled.df, [12, 12])
    np.testing.assert_array_equal(pooled.fraction_missing, [0, 0])
    np.testing.assert_allclose(pooled.standard_error, [0.2, 0.3])
    assert np.isinf(pool([1.0, 1.0], [0.1, 0.1]).df).all()


def test_estimates_with_no_variance_of_their_own_have_the_degrees_of_freedom_of_their_spread():
    pooled = pool([1.0, 1.1, 1.2], [0.0, 0.0, 0.0], df_complete=10)
    assert pooled.df == 2
    half = stats.t(2).ppf(0.975) * np.sqrt((1 + 1 / 3) * 0.01)
    np.testing.assert_allclose(pooled.confidence_intervals(), [[1.1 - half, 1.1 + half]])


def test_estimates_that_never_vary_are_no_warning():
    pooled = pool([[0.0, 1.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert pooled.standard_error[0] == 0
    assert np.isnan(pooled.p_values()[0])
    np.testing.assert_array_equal(pooled.fraction_missing, [0, 1])
    assert pooled.df[1] == 1


def test_intervals_cover_after_proper_imputation():
    """Bayesian draws for the mean of a normal sample, two fifths of it missing."""
    n, n_seen, m, replicates = 50, 30, 10, 2000
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(n_seen, replicates))
    variance = seen.var(axis=0, ddof=1) * (n_seen - 1) / rng.chisquare(n_seen - 1, (m, replicates))
    mean = rng.normal(seen.mean(axis=0), np.sqrt(variance / n_seen))
    drawn = rng.normal(mean[:, None], np.sqrt(variance)[:, None], (m, n - n_seen, replicates))
    tables = np.concatenate([np.broadcast_to(seen, (m, *seen.shape)), drawn], axis=1)
    pooled = pool(tables.mean(axis=1), tables.var(axis=1, ddof=1) / n, df_complete=n - 1)
    lower, upper = pooled.confidence_intervals().T
    coverage = ((lower < 0) & (upper > 0)).mean()
    assert abs(coverage - 0.95) < 3 * np.sqrt(0.95 * 0.05 / replicates)
    # Of the information about a mean, the missing rows took their share.
    assert np.median(pooled.fraction_missing) == pytest.approx(0.4, abs=0.1)


def test_wald_test_of_one_coefficient_is_its_t_test():
    rng = np.random.default_rng(0)
    pooled = pool(rng.normal(1, 0.1, (6, 1)), np.full((6, 1, 1), 0.04))
    found = pooled.wald_test()
    assert found.statistic == pytest.approx((pooled.estimate / pooled.standard_error)[0] ** 2)
    assert pooled.covariance == pytest.approx(pooled.standard_error[:, None] ** 2)


def test_wald_test_by_hand_and_without_holes():
    Q = np.array([[1.0, 0.5, 9], [1.2, 0.4, 8], [0.8, 0.7, 7], [1.1, 0.3, 9]])
    U = np.array([[0.2, 0.05, 0], [0.05, 0.3, 0], [0, 0, 1]])
    found = pool(Q, np.tile(U, (4, 1, 1)), names="abc").wald_test(["a", "b"], value=0.1)
    q, W, B = Q[:, :2].mean(axis=0) - 0.1, U[:2, :2], np.cov(Q[:, :2].T)
    r = 1.25 * np.trace(B @ np.linalg.inv(W)) / 2
    statistic = q @ np.linalg.inv(W) @ q / (2 * (1 + r))
    df = 4 + (6 - 4) * (1 + (1 - 2 / 6) / r) ** 2
    np.testing.assert_allclose(found, (statistic, 2, df, stats.f(2, df).sf(statistic)))
    same = pool(np.tile(Q[0], (3, 1)), np.tile(U, (3, 1, 1))).wald_test(["x0", "x1"])
    expected = Q[0, :2] @ np.linalg.inv(W) @ Q[0, :2]
    assert same.p_value == pytest.approx(stats.chi2(2).sf(expected))


def test_the_wald_test_of_analyses_that_agree_has_their_degrees_of_freedom():
    U = np.tile(0.01 * np.eye(2), (20, 1, 1))
    same = pool(np.tile([0.1, 0.7], (20, 1)), U, df_complete=5)  # whose mean is rounded
    np.testing.assert_array_equal(same.between_covariance, np.zeros((2, 2)))
    statistic = (0.1**2 + 0.7**2) / 0.01 / 2
    np.testing.assert_allclose(
        same.wald_test(), (statistic, 2, 5, stats.f(2, 5).sf(statistic)), rtol=1e-9
    )
    half = pool(np.column_stack([np.tile(0.1, 20), np.arange(20)]), U)
    np.testing.assert_allclose(half.between_covariance, np.diag([0, 35]))


def test_results_bring_names_covariances_and_degrees_of_freedom():
    fits = [ordinary(*regression(30, seed)) for seed in range(3)]
    pooled = pool(fits)
    assert pooled.names == ("const", "x1", "x2")
    np.testing.assert_array_equal(pooled.df_complete, [27, 27, 27])
    np.testing.assert_allclose(pooled.within, np.mean([f.bse**2 for f in fits], axis=0))
    bare = [SimpleNamespace(params=f.params.to_numpy(), bse=f.bse.to_numpy()) for f in fits]
    assert pool(bare).names == ("x0", "x1", "x2")
    np.testing.assert_allclose(pool(bare, df_complete=27).df, pooled.df)
    with pytest.raises(ValueError, match="variances only"):
        pool(bare).wald_test()


def test_the_frame_has_a_row_per_coefficient():
    pooled = pool([[1.0, 2.0], [1.1, 2.2]], [[0.1, 0.1], [0.1, 0.1]], names=["a", "b"])
    assert list(pooled.to_frame().index) == ["a", "b"]
    odds = pooled.to_frame(transform=np.exp)
    np.testing.assert_allclose(odds["estimate"], np.exp(pooled.estimate))
    np.testing.assert_allclose(odds["lower"], np.exp(pooled.confidence_intervals()[:, 0]))
    assert "standard_error" not in odds
    falling = pooled.confidence_intervals(transform=np.negative)
    assert (falling[:, 0] < falling[:, 1]).all()


# --- statistics ----------------------------------------------------------------------------------


def test_means_and_correlations_of_a_complete_table():
    X, y = regression(50)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(y=y, town="Oslo")
    means = pool_tables([table, table], mean_statistic())
    assert means.names == ("a", "b", "y")
    np.testing.assert_allclose(means.estimate[:2], X.mean(axis=0))
    lower, upper = stats.ttest_1samp(y, 0).confidence_interval(0.95)
    np.testing.assert_allclose(means.confidence_intervals()[2], [lower, upper])
    r = pool_tables([table, table], correlation_statistic([["a", "y"]]))
    expected = stats.pearsonr(X[:, 0], y)
    shown = r.to_frame(transform=np.tanh).loc["a, y"]
    assert shown["estimate"] == pytest.approx(expected.statistic)
    np.testing.assert_allclose(shown[["lower", "upper"]], expected.confidence_interval(), rtol=1e-9)
    assert pool_tables(np.stack([X, X]), correlation_statistic()).names == ("0, 1",)


def test_a_statistic_of_ones_own_has_names():
    tables = [np.arange(6.0).reshape(3, 2), np.arange(1, 7.0).reshape(3, 2)]
    pooled = pool_tables(tables, lambda t: (t.max(axis=0), np.eye(2)), names=["first", "second"])
    assert pooled.names == ("first", "second")
    np.testing.assert_allclose(pooled.covariance, np.eye(2) + 1.5 * 0.5 * np.ones((2, 2)))


# --- fits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [LinearRegression(), Ridge(alpha=0), ordinary])
@pytest.mark.parametrize("named", [True, False])
def test_a_complete_table_gives_least_squares(estimator, named):
    X, y = regression(40)
    if named:
        table = pd.DataFrame(X, columns=["a", "b"]).assign(y=y)
        fit = fit_pooled(estimator, table, "y", n_imputations=2)
    else:
        fit = fit_pooled(estimator, X, y, n_imputations=2)
    expected = ordinary(X, y)
    np.testing.assert_allclose(fit.pooled.estimate, expected.params, rtol=1e-8)
    np.testing.assert_allclose(fit.pooled.standard_error, expected.bse, rtol=1e-8)
    np.testing.assert_array_equal(fit.pooled.df, 37)
    p = 2 * stats.t(37).sf(np.abs(expected.params / expected.bse))
    np.testing.assert_allclose(fit.pooled.p_values(), p, rtol=1e-6)
    if estimator is not ordinary:
        names = ("intercept", "a", "b") if named else ("intercept", "x0", "x1")
        assert fit.pooled.names == names
        np.testing.assert_allclose(
            fit.predict(table[["a", "b"]] if named else X),
            np.column_stack([np.ones(40), X]) @ expected.params,
        )


def test_logistic_regression_has_the_inverse_information():
    X, y = regression(400)
    y = (y > 1).astype(int)
    fit = fit_pooled(LogisticRegression(C=np.inf, tol=1e-10), X, y, n_imputations=2)
    Z, theta = np.column_stack([np.ones(400), X]), fit.pooled.estimate
    p = 1 / (1 + np.exp(-Z @ theta))
    np.testing.assert_allclose(Z.T @ (y - p), 0, atol=1e-3)
    information = Z.T @ (Z * (p * (1 - p))[:, None])
    np.testing.assert_allclose(fit.pooled.covariance, np.linalg.inv(information), rtol=1e-8)


@pytest.mark.parametrize("apart", [True, False])
def test_holes_widen_intervals_around_the_truth(apart):
    table = frame(400)
    X, y = (table[["a", "b"]], table["y"]) if apart else (table, "y")
    imputer = ScoreMatchingImputer(engine="gaussian") if apart else None  # the default takes long
    pooled = fit_pooled(LinearRegression(), X, y, imputer=imputer, random_state=0).pooled
    assert pooled.names == ("intercept", "a", "b")
    full = ordinary(*regression(400))
    assert (pooled.standard_error > full.bse).all()
    assert ((pooled.fraction_missing > 0.2) & (pooled.fraction_missing < 0.9)).all()
    assert (np.abs(pooled.estimate - [1, *SLOPES]) < 4 * pooled.standard_error).all()


def test_the_outcome_is_in_the_imputation():
    """Without it, the slope would shrink by the share of holes, here by a third."""
    X, y = regression(2000)
    holes = with_holes(X[:, :1], 0.33)
    pooled = fit_pooled(LinearRegression(), holes, y, n_imputations=5, random_state=0).pooled
    assert abs(pooled.estimate[1] - 1.5) < 4 * pooled.standard_error[1]  # 2 - 1 · cov(a, b)
    assert pooled.standard_error[1] < 0.1


def test_an_imputer_fitted_once_is_too_sure_of_itself():
    ratio = []
    for seed in range(5):
        kept = {
            bootstrap: fit_pooled(
                LinearRegression(),
                frame(60, seed, rate=0.4),
                "y",
                imputer=ScoreMatchingImputer(engine="gaussian"),
                bootstrap_imputer=bootstrap,
                n_imputations=10,
                random_state=seed,
            ).pooled.standard_error
            for bootstrap in (True, False)
        }
        ratio.append(np.log(kept[True] / kept[False]).mean())
    assert np.mean(ratio) > 3 * np.std(ratio, ddof=1) / np.sqrt(5)


def test_the_same_seed_gives_the_same_fit_and_leaves_the_table_alone():
    table = frame(80)
    before, order = table.copy(), ["b", "a"]
    fits = [
        fit_pooled(LinearRegression(), table, "y", n_imputations=3, random_state=4) for _ in "ab"
    ]
    np.testing.assert_array_equal(fits[0].pooled.estimate, fits[1].pooled.estimate)
    pd.testing.assert_frame_equal(table, before)
    new = table[[*order, "y"]]
    np.testing.assert_array_equal(fits[0].predict(new), fits[1].predict(table[["a", "b"]]))
    assert not np.array_equal(fits[0].predict(new, random_state=1), fits[0].predict(new))
    again = pickle.loads(pickle.dumps(fits[0]))
    np.testing.assert_array_equal(again.predict(new), fits[0].predict(new))


def test_predictions_average_over_completions():
    X, y = regression(300)
    quick = {"imputer": ScoreMatchingImputer(engine="gaussian"), "n_imputations": 50}
    fit = fit_pooled(LinearRegression(), with_holes(X), y, random_state=0, **quick)
    new = np.array([[1.0, np.nan]])
    # b given a = 1 is N(.5, .75): its mean makes 1 + 2 - .5, and 50 draws spread by √(.75 / 50).
    assert abs(fit.predict(new)[0] - 2.5) < 4 * np.sqrt(0.75 / 50)
    assert fit.predict(new.repeat(3, axis=0)).shape == (3,)


@pytest.mark.parametrize(
    ("bootstrap", "imputer"),
    [(True, None), (False, GaussianScoreMatching(mechanism="mar")), (False, None)],
)
def test_any_imputer_with_draws_will_do(bootstrap, imputer):
    table = frame(60).to_numpy()
    fit = fit_pooled(
        LinearRegression(),
        table[:, :2],
        table[:, 2],
        imputer=imputer,
        bootstrap_imputer=bootstrap,
        n_imputations=3,
        random_state=0,
    )
    assert len({id(i) for i in fit.imputers_}) == (3 if bootstrap else 1)
    assert np.isfinite(fit.predict(table[:, :2])).all()


def test_completed_tables_are_taken_as_they_are():
    table = frame(60)
    tables = ScoreMatchingImputer(engine="gaussian").fit(table).impute(table, 3, random_state=0)
    fit = fit_pooled(LinearRegression(), tables, "y")
    expected = [ordinary(t[["a", "b"]], t["y"]).params for t in tables]
    np.testing.assert_allclose(fit.pooled.estimate, np.mean(expected, axis=0))
    stacked = np.stack([t.to_numpy() for t in tables])
    apart = fit_pooled(LinearRegression(), stacked[..., :2], stacked[0, :, 2])
    np.testing.assert_allclose(apart.estimators_[0].coef_, expected[0][1:])
    with pytest.raises(ValueError, match="no imputer"):
        fit.predict(table[["a", "b"]])


@pytest.mark.parametrize("deck", [HotDeck, WeightedDeck])
@pytest.mark.parametrize("seed", range(6))
def test_a_resample_shows_something_of_every_column(deck, seed):
    table = frame(150).assign(c=np.nan, d=np.nan)
    table.loc[:2, ["c", "d"]] = [[1.0, 4.0], [2.0, np.nan], [3.0, np.nan]]
    fit = fit_pooled(
        LinearRegression(), table, "y", imputer=deck(), variance=None, random_state=seed
    )
    shown = [set(i.columns_["c"]) for i in fit.imputers_]
    assert all(shown)
    assert len(set(map(frozenset, shown))) > 1
    assert all(set(i.columns_["d"]) == {4.0} for i in fit.imputers_)


def test_the_columns_of_the_fit_are_taken_in_its_order():
    table = frame(60)
    fit = fit_pooled(
        LinearRegression(),
        table,
        "y",
        imputer=ScoreMatchingImputer(engine="gaussian"),
        n_imputations=2,
        random_state=0,
    )
    whole = table[["a", "b"]].dropna()
    expected = fit.predict(whole)
    np.testing.assert_allclose(fit.predict(table.loc[whole.index, ["y", "b", "a"]]), expected)
    apart = fit_pooled(LinearRegression(), whole, expected, n_imputations=2)
    np.testing.assert_allclose(apart.predict(whole[["b", "a"]]), expected)
    with pytest.raises(ValueError, match="columns of the fit"):
        fit.predict(whole[["a"]])


def test_any_label_names_the_outcome():
    table = frame(60)
    labels = pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("z", "y")])
    quick = {"imputer": HotDeck(), "n_imputations": 3, "random_state": 0}
    plain = fit_pooled(LinearRegression(), table, "y", **quick)
    for columns, y in ((labels, ("z", "y")), (pd.to_datetime(["2020", "2021", "2022"]), None)):
        named = table.set_axis(columns, axis=1)
        fit = fit_pooled(LinearRegression(), named, columns[2] if y is None else y, **quick)
        np.testing.assert_allclose(fit.pooled.estimate, plain.pooled.estimate)
        assert fit.predict(named).shape == (60,)
    values = tuple(table["y"])
    assert fit_pooled(LinearRegression(), table[["a", "b"]], values, **quick).outcome.apart
    with pytest.raises(ValueError, match="`y` is 'z', which is not among"):
        fit_pooled(LinearRegression(), table.set_axis(labels, axis=1), "z", **quick)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("dtype", ["boolean", "category"])
def test_flags_are_predicted_as_flags(apart, dtype):
    table = frame(60)
    flags = pd.Series(np.arange(60) % 3 == 0, dtype="boolean").astype(dtype)
    holed = table.assign(y=flags.mask(table.index < 6))
    X, y = (table[["a", "b"]], flags) if apart else (holed, "y")
    fit = fit_pooled(
        LogisticRegression(C=np.inf), X, y, imputer=HotDeck(), n_imputations=2, random_state=0
    )
    assert fit.predict(table[["a", "b"]]).dtype == bool


def test_the_bootstrap_agrees_with_theory():
    X, y = regression(300)
    pooled = {
        variance: fit_pooled(
            LinearRegression(),
            X,
            y,
            variance=variance,
            n_imputations=2,
            n_bootstrap=400,
            random_state=0,
        ).pooled
        for variance in ("auto", "bootstrap")
    }
    ratio = pooled["bootstrap"].standard_error / pooled["auto"].standard_error
    # A standard deviation of 2 · 400 draws is known to 1/√1600 of itself, of 300 rows to 1/√600.
    assert (np.abs(ratio - 1) < 4 * np.sqrt(1 / 1600 + 1 / 600)).all()
    lasso = fit_pooled(
        Lasso(0.1), X, y, variance="bootstrap", n_imputations=2, n_bootstrap=10, random_state=0
    )
    assert lasso.pooled.names == ("intercept", "x0", "x1")


def test_classes_with_holes_in_a_mixed_table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=90), "b": rng.normal(size=90)})
    table["kind"] = np.where(table["a"] > 0, "high", "low")
    table.loc[rng.random(90) < 0.2, "kind"] = None
    table.loc[rng.random(90) < 0.2, "a"] = np.nan
    table["kind"] = table["kind"].astype("category")
    fit = fit_pooled(
        LogisticRegression(C=np.inf),
        table,
        "kind",
        imputer=HotDeck(),
        n_imputations=4,
        random_state=0,
    )
    new = table[["a", "b"]]
    probabilities = fit.predict_proba(new)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    expected = np.array(["high", "low"])[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(fit.predict(new), expected)


def test_votes_where_there_are_no_probabilities():
    X, y = regression(90)
    X = with_holes(X)
    y = np.where(y > 1, "high", "low")
    codes = (y == "low").astype(int)
    fit = fit_pooled(RidgeClassifier(), X, codes, variance=None, n_imputations=5, random_state=0)
    assert fit.pooled is None
    tables = fit._completions(X, 0)
    votes = np.stack([e.predict(t) for e, t in zip(fit.estimators_, tables, strict=True)])
    np.testing.assert_array_equal(fit.predict(X), (votes.sum(axis=0) > 2.5).astype(int))
    with pytest.raises(TypeError, match="predict_proba"):
        fit.predict_proba(X)


def test_classes_that_a_table_lacks_have_no_probability_there():
    rng = np.random.default_rng(0)
    tables = [pd.DataFrame({"a": rng.normal(size=30), "y": np.arange(30) % k}) for k in (2, 3)]
    forest = RandomForestClassifier(3, random_state=0)
    fit = fit_pooled(forest, tables, "y", variance=None)
    probabilities = fit.predict_proba(tables[0][["a"]])
    assert probabilities.shape == (30, 3)
    np.testing.assert_allclose(
        probabilities[:, 2], fit.estimators_[1].predict_proba(tables[0][["a"]])[:, 2] / 2
    )


# --- sentences -----------------------------------------------------------------------------------

X, Y = regression(20)
TABLE = pd.DataFrame(X, columns=["a", "b"]).assign(y=Y)
HOLES = with_holes(X)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pool([1.0], [0.1]), "holds 1 analysis, but Rubin's rules need at least 2"),
        (lambda: pool([ordinary(X, Y)]), "holds 1 analysis"),
        (lambda: pool([]), "holds 0|shapes"),
        (lambda: pool([1.0, 2.0]), "expected results with `params`"),
        (lambda: pool(None), "`estimates` is a NoneType; expected a sequence"),
        (lambda: pool([[1.0, 2], [1, 2]], [0.1, 0.1, 0.1]), r"shapes \(2, 2\) and \(3,\)"),
        (lambda: pool([1.0, np.nan], [0.1, 0.1]), "`estimates` contains NaN.*table 1"),
        (lambda: pool([1.0, 1.0], [0.1, -0.1]), "`variances` contains -0.1"),
        (lambda: pool([1.0, 1.0], [0.1, 0.1], df_complete=0), "`df_complete` must be positive"),
        (lambda: pool([1.0, 1.0], [0.1, 0.1], names=["a", "b"]), "`names` has 2 names"),
        (lambda: pool([ordinary(X, Y), ordinary(X[:, :1], Y)]), r"numbers of coefficients, \[2, 3"),
        (lambda: pool([1.0, 1.0], [0.1, 0.1]).confidence_intervals(95.0), "`level` must lie"),
        (lambda: pool([1.0, 2.0], [[[0.1]], [[0.1]]]).wald_test(["z"]), "`coefficients` must name"),
        (lambda: pool_tables([HOLES, HOLES], mean_statistic()), "still has"),
        (lambda: pool_tables(TABLE, mean_statistic()), "`tables` is a DataFrame; expected several"),
        (lambda: pool_tables(None, mean_statistic()), "`tables` is a NoneType; expected several"),
        (
            lambda: pool_tables([TABLE.assign(c=TABLE["a"])] * 2, correlation_statistic()),
            "correlation of 'a' and 'c' is 1",
        ),
        (lambda: fit_pooled(Lasso(), X, Y), "knows no variances.*Lasso"),
        (lambda: fit_pooled(LinearRegression(positive=True), X, Y), "knows no variances"),
        (lambda: fit_pooled(LogisticRegression(), X, Y), "knows no variances"),
        (lambda: fit_pooled(LinearRegression(), X, Y, variance="magic"), "must be 'auto'"),
        (lambda: fit_pooled(LinearRegression(), X, Y, n_imputations=1), "at least 2, but is 1"),
        (lambda: fit_pooled(LinearRegression(), X), "`y` is needed"),
        (lambda: fit_pooled(LinearRegression(), X, "y"), "without column names"),
        (lambda: fit_pooled(LinearRegression(), [], []), r"`X` has shape \(0,\); expected a table"),
        (lambda: fit_pooled(LinearRegression(), X[:0], Y[:0]), r"`X` has shape \(0, 2\)"),
        (
            lambda: fit_pooled(LinearRegression(), HOLES, Y, imputer=SimpleImputer()),
            "`imputer` is a SimpleImputer.*expected an object with `fit` and `impute`",
        ),
        (
            lambda: fit_pooled(LinearRegression(), HOLES, Y, imputer=ScoreMatchingImputer),
            "A class has to be called first",
        ),
        (lambda: fit_pooled(LinearRegression(), TABLE, "z"), "not among the columns"),
        (lambda: fit_pooled(LinearRegression(), HOLES, Y[:5]), r"`y` has shape \(5,\)"),
        (lambda: fit_pooled(LinearRegression(), HOLES, Y.astype(str) + "!"), "not numbers"),
        (lambda: fit_pooled(LinearRegression(), X, np.stack([Y, Y], 1)), r"shape \(20, 2\)"),
        (lambda: fit_pooled(LinearRegression(), [X, HOLES], Y), "Table 1 of `X`.*holes"),
        (lambda: fit_pooled(LinearRegression(), X[:3], Y[:3]), "3 coefficients to 3 rows"),
        (lambda: fit_pooled(LinearRegression(), X[:, [0, 0]], Y), "combination of others"),
        (
            lambda: fit_pooled(LogisticRegression(C=np.inf), X, np.arange(20) % 3),
            "has 3 classes",
        ),
        (
            lambda: fit_pooled(LogisticRegression(C=np.inf), HOLES, np.where(Y > 3, np.nan, Y > 1)),
            "takes classes, but numbers are imputed as numbers",
        ),
        (
            lambda: fit_pooled(
                LogisticRegression(C=np.inf), TABLE.assign(y=np.where(Y > 3, np.nan, Y > 1)), "y"
            ),
            "Make the classes a category column",
        ),
        (
            lambda: fit_pooled(
                RandomForestClassifier(2), X, Y > 1, variance="bootstrap", n_imputations=2
            ),
            "has no `coef_`",
        ),
        (lambda: fit_pooled(LinearRegression(), X, Y).predict(HOLES), "has no imputer"),
        (lambda: fit_pooled(ordinary, X, Y).predict(X), "`predict` is not known"),
        (
            lambda: fit_pooled(LinearRegression(), X, Y).predict_proba(X),
            "`predict_proba` is not known for fits of type LinearRegression; use `predict`",
        ),
        (
            lambda: fit_pooled(
                LinearRegression(), TABLE.mask(TABLE > 2), "y", n_imputations=2
            ).predict(pd.DataFrame({"a": [np.nan]})),
            "columns of the fit",
        ),
    ],
)
def test_errors_are_sentences(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()
