"""The imputer: what goes in comes back with its holes filled and nothing else changed."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
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
    unnamed = ScoreMatchingImputer(engine="gaussian").fit(X).set_output(transform="pandas").transform(X)
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
    pipeline = make_pipeline(ScoreMatchingImputer(engine="gaussian"), StandardScaler(), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.8  # guessing the larger class: about one half
    by_hand = StandardScaler().fit_transform(ScoreMatchingImputer(engine="gaussian").fit_transform(X))
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
