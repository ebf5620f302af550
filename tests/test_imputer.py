"""The imputer: what goes in comes back with its holes filled and nothing else changed."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sm_estimators import (
    Denoising,
    ExponentialFamilyScoreMatching,
    GaussianScoreMatching,
    ScoreMatchingEstimator,
    ScoreMatchingImputer,
)

COVARIANCE = np.array([[1, 0.6, 0], [0.6, 2, 0.3], [0, 0.3, 0.5]])


def table(n=60, seed=0):
    """Return a table with a fifth of its cells empty, and no empty row."""
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal([1, -2, 0], COVARIANCE, n)
    holes = rng.random(X.shape) < 0.2
    holes[holes.all(axis=1)] = False
    return np.where(holes, np.nan, X)


def regression(estimator, x):
    """Return the conditional means of the holes of a row, by the textbook formula."""
    seen, m, S = ~np.isnan(x), estimator.location_, estimator.covariance_
    return m[~seen] + S[np.ix_(~seen, seen)] @ np.linalg.solve(
        S[np.ix_(seen, seen)], x[seen] - m[seen]
    )


# --- values ----------------------------------------------------------------------------------


def test_means_are_regressions():
    X = table()
    imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    filled = imputer.transform(X)
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    expected = np.concatenate([regression(imputer.estimator_, x) for x in X])
    np.testing.assert_allclose(filled[np.isnan(X)], expected, rtol=1e-7, atol=1e-9)


def test_rows_do_not_know_their_neighbours():
    X, new = table(), table(40, seed=1)
    imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    order = np.random.default_rng(0).permutation(len(new))
    together = imputer.transform(new)
    np.testing.assert_allclose(imputer.transform(new[order]), together[order], rtol=1e-12)
    np.testing.assert_allclose(imputer.transform(new[5:9]), together[5:9], rtol=1e-12)


def test_an_empty_row_gets_the_means():
    X = np.vstack([table(), np.full(3, np.nan)])
    with pytest.warns(UserWarning, match="1 of 61 rows"):
        imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    np.testing.assert_allclose(imputer.transform(X)[-1], imputer.estimator_.location_)
    draws = imputer.impute(X[-1:].repeat(4000, axis=0), random_state=0)[0]
    standard = (draws - imputer.estimator_.location_).mean(axis=0)
    standard /= np.sqrt(np.diag(imputer.estimator_.covariance_) / 4000)
    assert (np.abs(standard) < 4).all()


def test_columns_never_seen_together_are_named():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
    table.loc[:29, "a"], table.loc[30:, "c"] = np.nan, np.nan
    with pytest.warns(UserWarning, match="A pair of columns was never seen together, 'a' and 'c'"):
        ScoreMatchingImputer().fit(table)


def test_draws_vary_as_much_as_the_table_leaves_open():
    x = np.array([[0.5, np.nan, np.nan]]).repeat(20_000, axis=0)
    imputer = ScoreMatchingImputer(engine="gaussian", strategy="draw").fit(table(500))
    draws, S = imputer.transform(x), imputer.estimator_.covariance_
    open_to = S[1:, 1:] - np.outer(S[1:, 0], S[0, 1:]) / S[0, 0]
    # The standard error of a variance estimated from n draws is its √(2/n)-th part.
    variance = draws[:, 1:].var(axis=0)
    np.testing.assert_allclose(variance, np.diag(open_to), rtol=4 * np.sqrt(2 / 20_000))
    assert (draws[:, 0] == 0.5).all()


def test_means_by_chains():
    """The pairwise family is the Gaussian, but draws by chains."""
    complete, X = np.random.default_rng(0).multivariate_normal([1, -2, 0], COVARIANCE, 500), table()
    gaussian = GaussianScoreMatching().fit(complete)
    imputer = ScoreMatchingImputer(ExponentialFamilyScoreMatching(), n_draws=20).fit(complete)
    filled, holes = imputer.transform(X), np.isnan(X)
    np.testing.assert_array_equal(filled[~holes], X[~holes])
    np.testing.assert_array_equal(imputer.transform(X), filled)
    expected = np.concatenate([regression(gaussian, x) for x in X])
    # The mean of 20 draws misses the conditional mean by its standard deviation / √20, at most
    # the marginal one / √20; the worst of some 40 holes within 4.5 of those.
    largest = np.sqrt(np.diag(gaussian.covariance_))[np.nonzero(holes)[1]] / np.sqrt(20)
    assert (np.abs(filled[holes] - expected) < 4.5 * largest).all()
    assert imputer.estimator_.sampling_diagnostics_["r_hat"] < 1.1


def test_seeds():
    X = table()
    drawn = ScoreMatchingImputer(engine="gaussian", strategy="draw").fit(X)
    np.testing.assert_array_equal(drawn.transform(X), drawn.transform(X))
    other = ScoreMatchingImputer(engine="gaussian", strategy="draw", random_state=1).fit(X)
    assert (other.transform(X) != drawn.transform(X)).any()
    afresh = ScoreMatchingImputer(engine="gaussian", strategy="draw", random_state=None).fit(X)
    assert (afresh.transform(X) != afresh.transform(X)).any()
    np.testing.assert_array_equal(drawn.impute(X, random_state=2), drawn.impute(X, random_state=2))
    assert (drawn.impute(X) != drawn.impute(X)).any()


def test_shapes_of_imputations():
    X = table()
    imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    tables = imputer.impute(X[:7], n_imputations=5, random_state=0)
    assert tables.shape == (5, 7, 3)
    assert np.isfinite(tables).all()
    seen = ~np.isnan(X[:7])
    for filled in tables:
        np.testing.assert_array_equal(filled[seen], X[:7][seen])


# --- data frames -------------------------------------------------------------------------------


def mixed_frame():
    """Return a data frame with a hole in every kind of column that can have one."""
    X, rng = table(), np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "float": X[:, 0],
            "single": X[:, 1].astype(np.float32),
            "nullable": pd.array(X[:, 2], dtype="Float64"),
            "whole": pd.array(np.round(3 * X[:, 0]), dtype="Int64"),
            "byte": pd.array(np.round(100 + 80 * X[:, 2]).clip(0, 255), dtype="UInt8"),
            "flag": pd.array(np.where(np.isnan(X[:, 1]), None, X[:, 1] > -2), dtype="boolean"),
            "count": rng.integers(0, 9, len(X)),
        },
        index=rng.permutation(len(X)) // 2,  # unordered, with repeats
    )
    frame["nullable"] = frame["nullable"].mask(np.isnan(X[:, 2]))
    return frame


def assert_only_holes_changed(filled, given):
    assert list(filled.columns) == list(given.columns)
    assert filled.index.equals(given.index)
    assert (filled.dtypes == given.dtypes).all()
    assert not filled.isna().any(axis=None)
    for name in given:
        seen = given[name].notna()
        assert filled[name][seen].to_numpy().tobytes() == given[name][seen].to_numpy().tobytes()


@pytest.mark.parametrize("strategy", ["mean", "draw"])
def test_data_frames_keep_everything(strategy):
    frame = mixed_frame()
    before = frame.copy(deep=True)
    imputer = ScoreMatchingImputer(engine="gaussian", strategy=strategy)
    assert_only_holes_changed(imputer.fit_transform(frame), frame)
    pd.testing.assert_frame_equal(frame, before)
    for filled in imputer.impute(frame, 3, random_state=0):
        assert_only_holes_changed(filled, frame)
    assert_only_holes_changed(imputer.transform(frame.iloc[4:9]), frame.iloc[4:9])


def test_whole_numbers_stay_in_range():
    x = np.r_[np.arange(250.0, 256), np.zeros(20)]
    frame = pd.DataFrame({"byte": pd.array(x, dtype="UInt8"), "other": 10 * x})
    frame.loc[len(frame)] = [pd.NA, 9999.0]
    frame.loc[len(frame)] = [pd.NA, -9999.0]
    frame["byte"] = frame["byte"].astype("UInt8")
    filled = ScoreMatchingImputer(engine="gaussian").fit(frame[:-2]).transform(frame)
    assert filled["byte"].tolist()[-2:] == [255, 0]


def test_columns_named_by_numbers():
    frame = pd.DataFrame(table(), columns=[3, 1, 2])
    imputer = ScoreMatchingImputer(engine="gaussian").fit(frame)
    assert_only_holes_changed(imputer.transform(frame), frame)
    assert not hasattr(imputer, "feature_names_in_")


def test_outputs():
    X, names = table(), ["a", "b", "c"]
    frame = pd.DataFrame(X, columns=names, index=np.arange(60)[::-1])
    imputer = ScoreMatchingImputer(engine="gaussian").fit(frame)
    assert imputer.get_feature_names_out().tolist() == names
    with pytest.raises(ValueError, match="input_features is not equal"):
        imputer.get_feature_names_out(["a", "b", "z"])
    by_default = imputer.transform(frame)
    as_frame = imputer.set_output(transform="pandas").transform(frame)
    pd.testing.assert_frame_equal(as_frame, by_default)
    assert_only_holes_changed(as_frame, frame)
    unnamed = (
        ScoreMatchingImputer(engine="gaussian").fit(X).set_output(transform="pandas").transform(X)
    )
    assert list(unnamed.columns) == ["x0", "x1", "x2"]
    back = clone(imputer).set_output(transform="default").fit(X).transform(X)
    np.testing.assert_array_equal(back, unnamed)


def test_nothing_missing():
    X = np.random.default_rng(0).normal(size=(40, 3))
    for given in (X, pd.DataFrame(X)):
        for strategy in ("mean", "draw"):
            filled = ScoreMatchingImputer(engine="gaussian", strategy=strategy).fit_transform(given)
            np.testing.assert_array_equal(filled, given)
            assert filled is not given


# --- inside scikit-learn -----------------------------------------------------------------------


def labelled():
    X = table(200)
    return X, np.nan_to_num(X[:, 0]) - np.nan_to_num(X[:, 2]) > 0.5


def test_in_a_pipeline():
    X, y = labelled()
    pipeline = make_pipeline(
        ScoreMatchingImputer(engine="gaussian"), StandardScaler(), LogisticRegression()
    )
    assert pipeline.fit(X, y).score(X, y) > 0.8  # guessing the larger class: about one half
    by_hand = StandardScaler().fit_transform(
        ScoreMatchingImputer(engine="gaussian").fit_transform(X)
    )
    np.testing.assert_allclose(pipeline[:-1].transform(X), by_hand)


def test_searches_through_a_pipeline():
    X, y = labelled()
    pipeline = make_pipeline(ScoreMatchingImputer(), LogisticRegression())
    grid = {
        "scorematchingimputer__strategy": ["mean", "draw"],
        "scorematchingimputer__estimator": [
            GaussianScoreMatching(ridge=0.1),
            GaussianScoreMatching(objective=Denoising(noise_scale=0.5)),
        ],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.7).all()


def test_any_density_and_weights():
    X = table()
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    estimator = ScoreMatchingEstimator("mixture", max_iter=10, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit stopped before it converged")
        imputer = ScoreMatchingImputer(estimator).fit(X, sample_weight=weight)
        repeated = ScoreMatchingImputer(estimator).fit(np.repeat(X, weight, axis=0))
    assert not hasattr(estimator, "params_")
    np.testing.assert_allclose(imputer.transform(X), repeated.transform(X), rtol=1e-6)


# --- columns of any kind, by the chain of conditionals -------------------------------------------


def everything(n=80, seed=0):
    """Return a data frame of every kind of column, with holes, in which columns depend."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    level = np.digitize(x, [-0.5, 0.5])
    frame = pd.DataFrame(
        {
            "real": x,
            "single": (2 * x + rng.normal(size=n)).astype(np.float32),
            "whole": pd.array(np.round(10 * x).astype(int), dtype="Int64"),
            "flag": pd.array(x > 0, dtype="boolean"),
            "town": np.array(["Oslo", "Rio", "Ulm"])[level],
            "size": pd.Categorical.from_codes(level, ["S", "M", "L"], ordered=True),
            "kind": pd.Categorical.from_codes(level, ["a", "b", "c"]),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.round(50 * x), unit="D"),
        },
        index=rng.permutation(n),
    )
    holes = rng.random(frame.shape) < 0.2
    for j in range(frame.shape[1]):
        frame.isetitem(j, frame.iloc[:, j].mask(holes[:, j]))
    return frame


def same_where_seen(filled, given):
    assert filled.index.equals(given.index)
    pd.testing.assert_series_equal(filled.dtypes, given.dtypes)
    assert not filled.isna().any(axis=None)
    for name in given:
        seen = given[name].notna()
        pd.testing.assert_series_equal(filled[name][seen], given[name][seen], check_exact=True)


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
@pytest.mark.parametrize("strategy", ["mean", "draw"])
def test_every_kind_of_column_comes_back(engine, strategy):
    frame = everything()
    before = frame.copy(deep=True)
    imputer = ScoreMatchingImputer(engine=engine, strategy=strategy)
    same_where_seen(imputer.fit_transform(frame), frame)
    pd.testing.assert_frame_equal(frame, before)
    drawn = imputer.impute(frame, 2, random_state=0)
    for filled in drawn:
        same_where_seen(filled, frame)
        assert set(filled["whole"]) <= set(frame["whole"].dropna())
        assert set(filled["day"]) <= set(frame["day"].dropna())
    same_where_seen(imputer.transform(frame.iloc[5:9]), frame.iloc[5:9])
    again = imputer.impute(frame, 2, random_state=0)[1]
    pd.testing.assert_frame_equal(again, drawn[1])


def test_categories_follow_the_other_columns():
    frame = everything(300)
    filled = ScoreMatchingImputer().fit_transform(frame)
    rest = frame[["real", "whole", "town", "size"]].notna().all(axis=1)
    holes = frame["kind"].isna() & rest
    expected = filled["size"][holes].map({"S": "a", "M": "b", "L": "c"}).astype(str)
    # The size says the kind outright; guessing would be right in less than half of the rows.
    assert (filled["kind"][holes].astype(str) == expected).mean() > 0.9


def test_uncertainty_of_cells():
    frame = everything()
    imputer = ScoreMatchingImputer().fit(frame)
    deviations = imputer.standard_deviations(frame, random_state=0)
    seen = frame.notna()
    assert (deviations.to_numpy()[seen] == 0).all()
    assert deviations.index.equals(frame.index)
    assert (deviations[["town", "kind", "flag"]].to_numpy() <= 1).all()
    days = deviations["day"][frame["day"].isna()]  # in seconds; the other columns nearly know them
    assert ((days == 0) | (days > 86400 / 50)).all()
    assert (days > 0).any()
    low, middle, high = imputer.quantiles(frame, random_state=0)
    for name in ("real", "single", "whole", "day", "size"):
        codes = [t[name].cat.codes if name == "size" else t[name] for t in (low, middle, high)]
        assert (codes[0] <= codes[1]).all()
        assert (codes[1] <= codes[2]).all()
    assert low["kind"].isna().equals(frame["kind"].isna())
    for q in (1.5, [0.1, -0.1], [], "half", None):
        with pytest.raises(ValueError, match="`q` must be probabilities"):
            imputer.quantiles(frame, q)
    for count, words in ((1, "2 draws at least"), (0, "positive whole"), (True, "positive whole")):
        with pytest.raises(ValueError, match=words):
            imputer.standard_deviations(frame, n_imputations=count)
    (alone,) = imputer.quantiles(frame, 0.5, random_state=0)
    pd.testing.assert_frame_equal(alone, middle)


def test_intervals_of_cells_cover():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([1, -2, 0], COVARIANCE, 600)
    holes = rng.random(X.shape) < 0.2
    holes[holes.all(axis=1)] = False
    given = np.where(holes, np.nan, X)
    imputer = ScoreMatchingImputer().fit(given)
    low, high = imputer.quantiles(given, [0.05, 0.95], random_state=0)
    inside = ((low <= X) & (high >= X))[holes]
    # .9 with a standard error of √(.09 / 360) = .016; quantiles of 100 draws are .01 too narrow.
    assert abs(inside.mean() - 0.89) < 4 * 0.016


def test_uncertainty_of_cells_a_few_rows_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([1, -2], [[1, 0.6], [0.6, 1]], 40)
    X[::2, 1] = np.nan
    imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    options = {"n_imputations": 400, "random_state": 0}
    whole = imputer.standard_deviations(X, **options), *imputer.quantiles(X, [0.2, 0.6], **options)
    monkeypatch.setattr("sm_estimators.estimators._cell_summaries.LARGEST_BLOCK", 2 * 400 * 20)
    apart = imputer.standard_deviations(X, **options), *imputer.quantiles(X, [0.2, 0.6], **options)
    seen = ~np.isnan(X)
    covariance = imputer.estimator_.covariance_
    sd = np.sqrt(covariance[1, 1] - covariance[0, 1] ** 2 / covariance[0, 0])
    # Deviations of 400 draws have a relative standard error of .035; no row repeats another's.
    assert (np.abs(apart[0][~seen] / sd - 1) < 4.5 * 0.035).all()
    assert len(np.unique(apart[0][~seen])) == (~seen).sum()
    for one, other in zip(apart, whole, strict=True):
        assert (one[seen] == other[seen]).all()
        # The first rows are drawn alike. A quantile of 400 draws has a standard error of .07 sd.
        assert np.abs(one - other).max() < 4.5 * 2**0.5 * 0.07 * sd


def test_no_rows_have_no_uncertainty():
    frame = everything()
    imputer = ScoreMatchingImputer(engine="gaussian").fit(frame)
    assert imputer.standard_deviations(frame[:0]).shape == (0, frame.shape[1])
    assert [len(table) for table in imputer.quantiles(frame[:0], [0.1, 0.9])] == [0, 0]


def test_shares_are_reported():
    frame = everything()
    imputer = ScoreMatchingImputer().fit(frame)
    for shares in (imputer.shares_, imputer.mean_shares_):
        assert list(shares.index) == list(frame.columns)
        assert list(shares.columns) == ["gaussian", "trees"]
        np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert [column.kind for column in imputer.columns_][3:6] == ["boolean", "nominal", "ordinal"]


def test_kinds_and_bounds_can_be_stated():
    frame = pd.DataFrame({"code": [1, 2, 3] * 20, "x": np.arange(60.0)})
    frame.loc[::7, "code"] = np.nan
    imputer = ScoreMatchingImputer(column_types={"code": "nominal"}, bounds={"x": (0, None)})
    filled = imputer.fit_transform(frame)
    assert set(filled["code"]) <= {1, 2, 3}
    frame.loc[0, "x"] = -1.0
    with pytest.raises(ValueError, match="widen the bounds"):
        imputer.fit(frame)


def test_part_of_a_long_table_is_enough_to_learn_from():
    X = np.random.default_rng(0).multivariate_normal([1, -2, 0], COVARIANCE, 900)
    X[::3, 0] = np.nan
    filled = ScoreMatchingImputer(max_samples=200).fit_transform(X)
    assert np.isfinite(filled).all()


def test_new_levels_and_other_columns_are_refused():
    frame = everything()
    imputer = ScoreMatchingImputer().fit(frame)
    other = frame.assign(town=frame["town"].where(frame["town"] != "Oslo", "Bonn"))
    with pytest.raises(ValueError, match="'Bonn'"):
        imputer.transform(other)
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="`estimator` is one already"):
        ScoreMatchingImputer(GaussianScoreMatching(), engine="gaussian").fit(frame)
    with pytest.raises(ValueError, match="Nothing was seen in columns"):
        ScoreMatchingImputer().fit(frame.assign(town=None))


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_weights_near_zero_are_like_none(engine):
    rng = np.random.default_rng(0)
    light = np.arange(200) < 100
    a = np.where(light, 100.0, 0.0) + rng.normal(size=200)
    kind = np.where(light, "a", rng.choice(["b", "c"], 200))
    X = pd.DataFrame({"a": a, "b": rng.normal(size=200), "kind": kind})
    X.loc[::5, ["a", "kind"]] = np.nan
    imputer = ScoreMatchingImputer(engine=engine).fit(X, sample_weight=np.where(light, 1e-9, 1.0))
    (drawn,) = imputer.impute(X[["a", "b", "kind"]], random_state=0)
    assert (drawn.loc[::5, "a"].abs() < 10).all()
    assert (drawn.loc[::5, "kind"] != "a").all()


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_a_constant_may_be_another_in_new_rows(engine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(151, 3))
    X[:, 1] = 0.1  # whose mean is another number
    X[9:20, 0] = np.nan
    imputer = ScoreMatchingImputer(engine=engine).fit(X)
    assert abs(imputer.transform([[np.nan, 0.2, 0.5]])[0, 0]) < 5


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_magnitudes(engine):
    X = pd.DataFrame({"x": [1.0, 2, 3, 4, np.nan, 6] * 5, "y": [2.0, 1, 4, 3, 5, np.nan] * 5})
    for factor in (1e-55, 1e30, 1e55):
        imputer = ScoreMatchingImputer(engine=engine).fit(X.assign(x=X["x"] * factor))
        filled = imputer.transform(X.assign(x=X["x"] * factor))
        assert filled["x"].between(0, 7 * factor).all()
        assert np.isfinite(imputer.score_samples(X.assign(x=X["x"] * factor))).all()
    for factor, words in ((1e200, r"size 6e\+200 in column 'x'"), (1e-160, "within 5e-160")):
        with pytest.raises(ValueError, match=words):
            ScoreMatchingImputer(engine=engine).fit(X.assign(x=X["x"] * factor))


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_magnitudes_of_new_rows(engine):
    """Far values are foreseen, further ones refused; rows may be as close as they like."""
    X = table()
    imputer = ScoreMatchingImputer(engine=engine).fit(X)
    assert np.isfinite(imputer.transform([[1e30, np.nan, 0.0], [0.0, 1e-70, np.nan]])).all()
    with pytest.raises(ValueError, match=r"size 1e\+200 in column 0"):
        imputer.transform([[1e200, np.nan, 0.0]])


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_single_levels_alone_are_refused(engine):
    X = pd.DataFrame({"a": ["x", None] * 20, "b": [True, None, True, True] * 10})
    with pytest.raises(ValueError, match="a single level in each column"):
        ScoreMatchingImputer(engine=engine).fit(X.astype({"b": "boolean"}))
    filled = ScoreMatchingImputer(engine=engine).fit_transform(X.assign(c=np.arange(40.0)))
    assert (filled["a"] == "x").all()


def test_a_failed_fit_leaves_nothing():
    X = table()
    imputer = ScoreMatchingImputer().fit(X)
    with pytest.raises(ValueError, match="at least 2"):
        imputer.fit(X[~np.isnan(X).any(axis=1)][:1])
    for call in (imputer.transform, imputer.score_samples, imputer.impute):
        with pytest.raises(NotFittedError):
            call(X)
    imputer.set_params(engine="gaussian").fit(X)
    assert not hasattr(imputer, "shares_")


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_columns_seen_in_rows_of_weight_zero_only_are_refused(engine):
    X, weight = pd.DataFrame(table(), columns=list("abc")), np.ones(60)
    X["d"] = np.nan
    X.loc[3, "d"], weight[3] = 1.0, 0.0
    with pytest.raises(ValueError, match=r"columns \['d'\] of `X` in rows of positive"):
        ScoreMatchingImputer(engine=engine).fit(X, sample_weight=weight)


def test_numbers_in_columns_of_objects():
    X = pd.DataFrame({"a": np.arange(8.0), "b": pd.Series([1, 2, 3, None] * 2, dtype=object)})
    imputer = ScoreMatchingImputer(engine="gaussian").fit(X)
    assert imputer.transform(X)["b"].notna().all()
    assert np.isfinite(imputer.score_samples(X)).all()


def test_many_levels_in_few_rows_are_no_warning():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 40), "b": np.ones(40)})
    X.loc[3, "a"] = None
    assert ScoreMatchingImputer().fit_transform(X).loc[3, "a"] in set(X["a"])


def test_levels_drawn_by_a_density_keep_their_frequencies():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"rare": rng.random(400) < 0.04, "town": rng.integers(40, size=400).astype(str)}
    ).astype({"rare": "boolean"})
    X["x"] = rng.normal(size=400)
    holes = rng.random(400) < 0.3
    X.loc[holes, ["rare", "town"]] = pd.NA
    tables = ScoreMatchingImputer(engine="gaussian").fit(X).impute(X, 50, random_state=0)
    share = np.mean([t.loc[holes, "rare"].mean() for t in tables])
    expected = X["rare"].mean()
    # Draws vary by the binomial; their mean follows the share of the rows that were seen.
    error = np.sqrt(expected * (1 - expected) / (50 * holes.sum()))
    assert share == pytest.approx(expected, abs=5 * error + 0.003)
    assert len(set(pd.concat([t.loc[holes, "town"] for t in tables]))) > 35
