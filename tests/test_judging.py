"""Scores rank imputers rightly: by hand, by simulation of a known truth, and in a picture."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from sm_estimators import GaussianScoreMatching, ScoreMatchingImputer
from sm_estimators.judging import energy_i_score, evaluate, masked_cell_scores
from sm_estimators.judging.hiding import hide_cells
from sm_estimators.judging.i_score import project
from sm_estimators.judging.row_means import row_mean
from sm_estimators.judging.scoring_rules import brier, covered, crps, hit, squared_error
from sm_estimators.judging.table import read_table
from sm_estimators.plotting.comparison import plot_comparison

COVARIANCE = pd.DataFrame(
    [[1, 0.8, 0.6], [0.8, 1, 0.6], [0.6, 0.6, 1]], index=list("abc"), columns=list("abc")
)


def table(n=300, seed=0, rate=0.25):
    """Return a Gaussian DataFrame a, b, c with holes in a and b."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.multivariate_normal(np.zeros(3), COVARIANCE, n), columns=list("abc"))
    holes = rng.random(frame.shape) < rate
    holes[:, 2] = False
    return frame.mask(holes)


def mixed(n=120, seed=0):
    """Return a DataFrame of several types with holes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "count": rng.integers(0, 9, n)})
    frame["kind"] = pd.Categorical(np.where(frame["x"] > 0, "high", "low"))
    frame["town"] = rng.choice(["Oslo", "Rome", "Bonn"], n)
    frame["flag"] = rng.random(n) < 0.3
    frame["count"] = frame["count"].astype("Int64")
    frame["flag"] = frame["flag"].astype("boolean")
    holes = rng.random(frame.shape) < 0.15
    holes[:, 0] = False
    return frame.mask(holes)


class Oracle:
    """Draw from the true Gaussian, or from one that is wrong on purpose."""

    def __init__(self, spread=1.0, shift=0.0):
        self.spread, self.shift = spread, shift

    def fit(self, X):
        return self

    def impute(self, X, n_imputations=1, *, random_state=None):
        rng, S = np.random.default_rng(random_state), COVARIANCE.loc[X.columns, X.columns]
        tables = [X.copy() for _ in range(n_imputations)]
        holes = X.isna().to_numpy()
        for pattern in np.unique(holes[holes.any(axis=1)], axis=0):
            rows, o, h = (holes == pattern).all(axis=1), ~pattern, pattern
            S_ho, S_oo = S.loc[h, o].to_numpy(), S.loc[o, o].to_numpy()
            slope = S_ho @ np.linalg.inv(S_oo)
            noise = self.spread**2 * (S.loc[h, h].to_numpy() - slope @ S_ho.T)
            mean = X.loc[rows, o].to_numpy() @ slope.T + self.shift
            for filled in tables:
                draws = rng.multivariate_normal(np.zeros(h.sum()), noise, rows.sum())
                filled.loc[rows, h] = mean + draws
        return tables


class HotDeck:
    """Fill every hole from a random seen row of its column, whatever its type."""

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


# --- rules ---------------------------------------------------------------------------------------


def test_crps_is_its_double_sum():
    rng = np.random.default_rng(0)
    draws, truth = rng.normal(size=(7, 5)), rng.normal(size=5)
    pairs = np.abs(draws[:, None] - draws[None]).sum(axis=(0, 1)) / (2 * 7 * 6)
    np.testing.assert_allclose(crps(draws, truth), np.abs(draws - truth).mean(axis=0) - pairs)
    np.testing.assert_allclose(crps(draws[:1], truth), np.abs(draws[0] - truth))


@pytest.mark.parametrize("n_draws", [2, 20])
def test_scores_do_not_depend_on_the_number_of_draws(n_draws):
    rng = np.random.default_rng(0)
    n, truth = 40_000, 0.3
    draws = rng.normal(size=(n_draws, n))
    found = crps(draws, np.full(n, truth))
    # Of N(0, 1) at y: y(2Φ(y) - 1) + 2φ(y) - 1/√π (Gneiting and Raftery 2007).
    expected = truth * 0.2358228 + 2 * 0.3813878 - 1 / np.sqrt(np.pi)
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(n)
    found = squared_error(draws, np.full(n, truth))
    assert abs(found.mean() - truth**2) < 4 * found.std() / np.sqrt(n)
    p = np.array([0.5, 0.3, 0.2])
    codes = rng.choice(3, size=(n_draws, n), p=p)
    found = brier(codes, np.ones(n, dtype=int))
    expected = ((p - [0, 1, 0]) ** 2).sum()
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(n)


@pytest.mark.parametrize("n_draws", [2, 5, 19, 20, 50])
@pytest.mark.parametrize("level", [0.02, 0.1, 0.5, 0.9])
def test_intervals_of_true_draws_cover_at_their_level(n_draws, level):
    rng = np.random.default_rng(0)
    found = covered(rng.normal(size=(n_draws, 20_000)), rng.normal(size=20_000), level)
    assert abs(found.mean() - level) < 4 * found.std() / np.sqrt(20_000)
    assert np.isnan(covered(np.zeros((1, 3)), np.zeros(3), level)).all()


def test_the_commonest_draw_is_the_guess():
    draws = np.array([[0, 1, 2], [1, 1, 0], [1, 0, 1]])
    np.testing.assert_array_equal(hit(draws, np.array([1, 0, 0])), [1, 0, 1])


def test_cells_of_a_row_belong_together():
    rng = np.random.default_rng(0)
    v = rng.normal(size=50)
    single = row_mean(v, np.arange(50), n_rows=60)
    assert single.standard_error == pytest.approx(v.std(ddof=1) / np.sqrt(50))
    twice = row_mean(np.tile(v, 2), np.tile(np.arange(50), 2), n_rows=60)
    assert twice.standard_error == pytest.approx(single.standard_error)
    assert single.minus(twice).standard_error == pytest.approx(0, abs=1e-12)
    weighted = row_mean(np.tile(v, 2), np.tile(np.arange(50), 2), np.repeat([1, 3], 50), n_rows=60)
    assert weighted.value == pytest.approx(v.mean())


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_hidden_cells_were_seen_and_no_row_is_emptied(rate):
    rng = np.random.default_rng(0)
    seen = rng.random((40, 4)) < 0.6
    hide = hide_cells(seen, np.array([0, 2]), rate, rng)
    assert not (hide & ~seen).any()
    assert not hide[:, [1, 3]].any()
    left = seen & ~hide
    assert (left.any(axis=1) == seen.any(axis=1)).all()
    assert (left.sum(axis=0) >= 2).all()


# --- masked cells --------------------------------------------------------------------------------


def test_a_point_is_scored_by_hand():
    X = table(60).to_numpy()
    scores = masked_cell_scores(SimpleImputer(), X, n_repeats=2, random_state=0)
    cells, scale = scores.cells, np.nanstd(X, axis=0, ddof=1)
    expected = []
    for _, part in cells.groupby("repeat"):
        rows, columns = part["row"].to_numpy(), part["column"].to_numpy()
        hidden = X.copy()
        hidden[rows, columns] = np.nan
        assert np.isfinite(X[rows, columns]).all()
        guess = np.nanmean(hidden, axis=0)[columns]
        expected.append(np.abs(guess - X[rows, columns]) / scale[columns])
    expected = np.concatenate(expected)
    np.testing.assert_allclose(cells["crps"], expected)
    assert set(cells["column"]) == {0, 1}  # the columns with holes
    assert scores.n_draws == 1
    assert scores.table.loc["rmse", "value"] == pytest.approx(np.sqrt((expected**2).mean()))
    assert "coverage" not in scores.table.index
    n_seen = np.isfinite(X[:, :2]).sum()
    assert len(cells) == 2 * round(0.1 * n_seen)


def test_true_draws_have_the_least_score_and_right_intervals():
    X = table(600)
    wrong = {
        "narrow": Oracle(spread=0.5),
        "wide": Oracle(spread=2.0),
        "shifted": Oracle(shift=0.5),
        "marginal": HotDeck(),
        "mean": SimpleImputer().set_output(transform="pandas"),
    }
    comparison = evaluate({"truth": Oracle(), **wrong}, X, random_state=0)
    worse = comparison.differences("truth")
    for measure in ("crps", "energy_i_score"):
        assert (worse[measure] > 4 * worse[f"{measure}_se"]).all(), worse[measure]
    truth = comparison.table.loc["truth"]
    assert abs(truth["coverage"] - 0.9) < 3 * truth["coverage_se"]
    assert comparison.table.loc["narrow", "coverage"] < 0.7
    # The mean of draws is the same whatever their spread, and so is its error.
    for name in ("narrow", "wide"):
        assert abs(worse.loc[name, "rmse"]) < 4 * worse.loc[name, "rmse_se"]


def test_a_fitted_gaussian_is_nearly_the_truth():
    X = table(400)
    imputers = {
        "truth": Oracle(),
        "fitted": ScoreMatchingImputer(engine="gaussian"),
        "deck": HotDeck(),
    }
    differences = evaluate(imputers, X, n_repeats=3, random_state=0).differences("truth")
    assert differences.loc["fitted", "crps"] < 0.05
    assert differences.loc["fitted", "crps"] < differences.loc["deck", "crps"] / 5
    assert differences.loc["fitted", "energy_i_score"] < differences.loc["deck", "energy_i_score"]


def test_expected_scores_of_the_truth():
    """Without holes elsewhere, a is drawn given b and c: CRPS √(v/π) of v = Var(a | b, c)."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.multivariate_normal(np.zeros(3), COVARIANCE, 4000), columns=list("abc"))
    scores = masked_cell_scores(Oracle(), X, columns=["a"], n_repeats=1, random_state=0)
    S = COVARIANCE.to_numpy()
    v = S[0, 0] - S[0, 1:] @ np.linalg.solve(S[1:, 1:], S[1:, 0])
    found = scores.table["value"] * X["a"].std()
    tolerance = 4 * scores.table["standard_error"]
    assert abs(found["crps"] - np.sqrt(v / np.pi)) < tolerance["crps"]
    assert abs(found["rmse"] - np.sqrt(v)) < tolerance["rmse"]
    assert list(scores.by_column.index) == ["a"]


@pytest.mark.parametrize("estimator", [None, GaussianScoreMatching(mechanism="mar")])
@pytest.mark.parametrize("as_array", [True, False])
def test_arrays_and_frames_are_judged_alike(estimator, as_array):
    X = table(80)
    before = X.copy()
    given = X.to_numpy() if as_array else X
    kwargs = {"n_repeats": 2, "n_imputations": 5, "random_state": 3}
    first = masked_cell_scores(ScoreMatchingImputer(estimator), given, **kwargs)
    again = masked_cell_scores(ScoreMatchingImputer(estimator), X, **kwargs)
    pd.testing.assert_frame_equal(first.table, again.table)
    pd.testing.assert_frame_equal(X, before)
    i_scores = [energy_i_score(ScoreMatchingImputer(estimator), g, **kwargs) for g in (given, X)]
    assert float(i_scores[0]) == pytest.approx(float(i_scores[1]))


def test_posterior_samples_are_draws_by_refits():
    X = table(60)
    imputer = IterativeImputer(sample_posterior=True, max_iter=3)
    kwargs = {"n_repeats": 1, "n_imputations": 4, "random_state": 0}
    first = masked_cell_scores(imputer, X, **kwargs)
    assert first.n_draws == 4
    assert "coverage" in first.table.index
    pd.testing.assert_frame_equal(first.table, masked_cell_scores(imputer, X, **kwargs).table)


# --- energy-I-Score ------------------------------------------------------------------------------


def test_the_energy_i_score_by_hand():
    """By the mean, x̃ is the mean of the seen, because that is what the holes were filled with."""
    X = table(100)
    found = energy_i_score(SimpleImputer(), X, standardise=False)
    mean, n = X.mean(), len(X)
    S = {c: (X[c] - mean[c]).abs().mean() for c in "ab"}
    w = {c: X[c].notna().sum() * X[c].isna().sum() / n**2 for c in "ab"}
    assert found.score == pytest.approx((w["a"] * S["a"] + w["b"] * S["b"]) / (w["a"] + w["b"]))
    np.testing.assert_allclose(found.by_column["score"], [S["a"], S["b"]])
    assert list(found.by_column["predictors"]) == [["c"], ["c"]]
    assert found.by_column["weight"].sum() == pytest.approx(1)
    scaled = energy_i_score(SimpleImputer(), X)
    np.testing.assert_allclose(scaled.by_column["score"], [S[c] / X[c].std() for c in "ab"])


def test_predictors_were_seen_wherever_the_column_was():
    seen = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 1, 1]], dtype=bool)
    asked = project(seen, 0)
    assert list(asked.predictors) == [1]
    assert list(asked.test) == [0, 1, 3]
    assert list(asked.train) == [2]
    assert asked.weight == pytest.approx(3 * 1 / 16)
    # No column is always seen with 1; 2 is seen most often with it.
    seen = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool)
    asked = project(seen, 1)
    assert list(asked.predictors) == [2]
    assert list(asked.test) == [0, 1, 3]
    assert list(asked.train) == [4]
    assert asked.weight == pytest.approx(3 * 1 / 25)  # the row that left is judged nowhere


def test_chance_of_the_completed_table_is_in_the_standard_error():
    X = table(120)
    scores = [energy_i_score(HotDeck(), X, random_state=seed) for seed in range(12)]
    spread = np.std([s.score for s in scores], ddof=1)
    stated = np.sqrt(np.mean([s.mean.chance for s in scores]))
    # A variance with 11 degrees of freedom against one with 12 · 4: F within [1/4, 4].
    assert 0.5 < spread / stated < 2
    assert all(s.standard_error > np.sqrt(s.mean.chance) for s in scores)
    assert energy_i_score(KNNImputer(), X).mean.chance == 0


# --- mixed tables --------------------------------------------------------------------------------


def test_categories_are_judged_by_hits_and_brier_score():
    X = mixed()
    before = X.copy()
    scores = masked_cell_scores(HotDeck(), X, random_state=0)
    pd.testing.assert_frame_equal(X, before)
    assert set(scores.by_column.index) == {"count", "kind", "town", "flag"}
    assert scores.by_column["rmse"].notna().sum() == 1  # count
    assert list(scores.table.index) == ["rmse", "crps", "coverage", "accuracy", "brier"]
    # Draws from the shares p have the expected score 1 - Σp²; towns have a third each, about.
    towns = scores.cells[scores.cells["column"] == 3]["brier"]
    assert abs(towns.mean() - 2 / 3) < 4 * towns.std() / np.sqrt(len(towns)) + 0.02
    i_score = energy_i_score(HotDeck(), X, random_state=0)
    assert set(i_score.by_column.index) == {"count", "kind", "town", "flag"}
    assert i_score.by_column.loc["kind", "predictors"] == ["x"]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", "Int64", "float32"])
def test_means_of_whole_numbers_are_scored_as_they_are(dtype):
    whole = np.arange(60) % 10 < 9
    X = pd.DataFrame({"x": np.arange(60.0), "y": pd.Series(whole).astype(float)})
    expected = masked_cell_scores(SimpleImputer(), X, columns=["y"], random_state=0)
    found = masked_cell_scores(
        SimpleImputer(), X.astype({"y": dtype}), columns=["y"], random_state=0
    )
    pd.testing.assert_frame_equal(found.cells, expected.cells)


@pytest.mark.parametrize("value", [0.3, np.nan])
def test_numbers_that_are_no_flags_are_not_made_flags(value):
    X = pd.DataFrame({"x": np.arange(30.0), "y": np.ones(30, dtype=bool)})
    read = read_table(X).read_back(X.assign(y=np.append(value, np.ones(29))))
    np.testing.assert_array_equal(read["y"], [value, *np.ones(29)])


@pytest.mark.parametrize("dtype", [bool, int, "category", str])
def test_complete_columns_of_any_type_can_be_hidden(dtype):
    X = pd.DataFrame({"x": np.arange(40.0), "y": pd.Series(np.arange(40) % 2).astype(dtype)})
    scores = masked_cell_scores(HotDeck(), X, columns=["y"], random_state=0)
    assert list(scores.by_column.index) == ["y"]
    assert ("accuracy" in scores.table.index) == (dtype is not int)


def test_most_frequent_values_of_a_mixed_table():
    X = mixed().astype({"kind": object, "flag": object, "count": float})
    X = X.where(X.notna(), np.nan)
    scores = masked_cell_scores(SimpleImputer(strategy="most_frequent"), X, random_state=0)
    assert 0.5 < scores.by_column.loc["flag", "accuracy"] < 0.9


# --- chance --------------------------------------------------------------------------------------


@pytest.mark.parametrize("refits", [True, False])
def test_every_fit_and_every_draw_has_a_seed_of_its_own(refits):
    seeds = []

    class Recorder(BaseEstimator):
        def __init__(self, *, sample_posterior=refits, random_state=None):
            self.sample_posterior, self.random_state = sample_posterior, random_state

        def fit(self, X):
            seeds.append(self.random_state)
            return self

        def transform(self, X):
            return X.fillna(0.0)

    class Drawing(Recorder):
        def impute(self, X, n_imputations=1, *, random_state=None):
            seeds.append(random_state)
            return [X.fillna(0.0)] * n_imputations

    imputer = Recorder() if refits else Drawing()
    evaluate([imputer], table(80), n_repeats=2, n_imputations=3, random_state=0)
    # Two repeats of: masked cells; the completed table, and two columns of it.
    assert len(seeds) == (2 * (3 + 1 + 2 * 3) if refits else 2 * 2 * (1 + 1 + 2))
    assert len(set(seeds)) == len(seeds)
    assert None not in seeds
    again, seeds[:] = list(seeds), []
    evaluate([imputer], table(80), n_repeats=2, n_imputations=3, random_state=0)
    assert seeds == again


# --- comparisons ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison():
    imputers = {
        "gaussian": ScoreMatchingImputer(engine="gaussian"),
        "mean": SimpleImputer(),
        "deck": HotDeck(),
    }
    return evaluate(imputers, table(200), n_repeats=2, n_imputations=8, random_state=0)


def test_all_imputers_see_the_same_cells(comparison):
    cells = dict(list(comparison.cells.groupby("imputer")))
    assert set(cells) == {"gaussian", "mean", "deck"}
    for part in cells.values():
        columns = ["repeat", "row", "column"]
        np.testing.assert_array_equal(part[columns], cells["mean"][columns])
    alone = masked_cell_scores(
        ScoreMatchingImputer(engine="gaussian"),
        table(200),
        n_repeats=2,
        n_imputations=8,
        random_state=0,
    )
    assert comparison.table.loc["gaussian", "crps"] == alone.table.loc["crps", "value"]
    assert list(comparison.table["n_draws"]) == [8, 1, 8]


def test_the_same_seed_gives_the_same_table(comparison):
    imputers = {
        "gaussian": ScoreMatchingImputer(engine="gaussian"),
        "mean": SimpleImputer(),
        "deck": HotDeck(),
    }
    again = evaluate(imputers, table(200), n_repeats=2, n_imputations=8, random_state=0)
    pd.testing.assert_frame_equal(comparison.table, again.table)
    other = evaluate(imputers, table(200), n_repeats=2, n_imputations=8, random_state=1)
    assert not other.table.equals(again.table)


def test_differences_are_known_better_than_scores(comparison):
    worse = comparison.differences()
    assert list(worse.index) == ["mean", "deck"]
    np.testing.assert_allclose(
        worse["crps"], comparison.table["crps"].drop("gaussian") - comparison.table["crps"].iloc[0]
    )
    assert worse.loc["deck", "rmse_se"] < np.hypot(*comparison.table["rmse_se"].iloc[[0, 2]])
    assert np.isnan(worse.loc["mean", "coverage"])


def test_names_of_a_list_are_numbered():
    imputers = [SimpleImputer(), SimpleImputer(strategy="median"), KNNImputer()]
    found = evaluate(imputers, table(60), n_repeats=1, i_score=False)
    assert list(found.table.index) == ["SimpleImputer", "SimpleImputer-2", "KNNImputer"]
    assert "energy_i_score" not in found.table
    assert found.i_scores == {}
    complete = evaluate([SimpleImputer()], np.random.default_rng(0).normal(size=(30, 2)))
    assert list(complete.by_column.index) == [("SimpleImputer", 0), ("SimpleImputer", 1)]


def test_failures_are_raised_or_recorded():
    imputers = {"mean": SimpleImputer(), "deck": HotDeck()}
    with pytest.raises(ValueError, match=r"str|numeric"):
        evaluate(imputers, mixed(), random_state=0)
    found = evaluate(imputers, mixed(), random_state=0, error_score=np.nan)
    assert list(found.table.index) == ["mean", "deck"]
    assert found.table.loc["mean", "error"].startswith("ValueError: ")
    assert isinstance(found.errors["mean"], ValueError)
    assert np.isnan(found.table.loc["mean", "crps"])
    assert found.table.loc["deck", "error"] == ""
    assert len(plot_comparison(found).axes) == 4


def test_a_warning_of_many_fits_is_said_once():
    imputer = IterativeImputer(max_iter=1)
    with pytest.warns(UserWarning, match=r"\(Said 3 times") as caught:
        masked_cell_scores(imputer, table(60), n_repeats=3, random_state=0)
    assert len(caught) == 1


# --- the picture ---------------------------------------------------------------------------------


def test_the_picture_has_the_scores_best_on_top(comparison):
    figure = comparison.plot()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["RMSE of the means", "CRPS of the draws", "energy-I-Score"]
    ranked = comparison.table.sort_values("crps")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ranked.index)
    points = [c.lines[0].get_xdata()[0] for c in figure.axes[1].containers]
    np.testing.assert_allclose(points, ranked["crps"])
    top, bottom = figure.axes[0].get_ylim()[::-1]
    assert top < bottom


def test_measures_can_be_chosen(comparison, tmp_path):
    figure = plot_comparison(comparison, measures=["coverage"])
    assert figure.axes[0].get_title(loc="left") == "Coverage of 90 % intervals"
    assert "no draws" in [text.get_text() for text in figure.axes[0].texts]
    figure.savefig(tmp_path / "coverage.png")
    part = comparison.plot(measures=["crps"]).subfigures(1, 1)
    assert plot_comparison(comparison, measures=["crps"], figure=part) is part


def test_missing_matplotlib_names_the_extra(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"sm_estimators\[plots\]"):
        comparison.plot()


# --- sentences -----------------------------------------------------------------------------------

X = table(40)


class Lazy:
    """Give a table back as it is."""

    def fit(self, X):
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: masked_cell_scores(SimpleImputer, np.eye(3)), "A class has to be called"),
        (lambda: masked_cell_scores("mean", X), "`imputer` is a str, 'mean'; expected an object"),
        (lambda: masked_cell_scores(Lazy(), X, rate=1.0), "`rate` must lie between 0 and 1"),
        (lambda: masked_cell_scores(Lazy(), X, level=0.0), "`level` must lie"),
        (lambda: masked_cell_scores(Lazy(), X, n_repeats=0), "`n_repeats` must be a whole number"),
        (lambda: masked_cell_scores(Lazy(), X, n_imputations=0), "`n_imputations` must be a whole"),
        (lambda: masked_cell_scores(Lazy(), X, columns=["z"]), "asks for 'z'"),
        (lambda: masked_cell_scores(Lazy(), X, columns=[]), "`columns` is empty"),
        (
            lambda: masked_cell_scores(Lazy(), X, random_state=0),
            "left .* hidden cells of column 'a' empty",
        ),
        (lambda: masked_cell_scores(Lazy(), mixed(), columns=["town"]), "column 'town' empty"),
        (lambda: masked_cell_scores(Lazy(), np.zeros(3)), r"must be a table, \(n, d\)"),
        (lambda: masked_cell_scores(Lazy(), np.zeros((0, 2))), "expected rows and columns"),
        (lambda: masked_cell_scores(Lazy(), np.array([["a"]])), "pass a DataFrame"),
        (lambda: masked_cell_scores(Lazy(), np.zeros((3, 1))), "No cell of `X` can be hidden"),
        (
            lambda: masked_cell_scores(SimpleImputer(), X.assign(d=np.nan).to_numpy()),
            r"returned a table of shape \(40, 3\)|without any observed",
        ),
        (lambda: energy_i_score(Lazy(), X, min_holes=0), "`min_holes` must be a whole number"),
        (lambda: energy_i_score(Lazy(), X, min_holes=40), "No column of `X` can be judged"),
        (lambda: energy_i_score(Lazy(), X[["a"]]), "No column of `X` can be judged"),
        (lambda: evaluate({}, X), "`imputers` is empty"),
        (lambda: evaluate(SimpleImputer(), X), "expected a dict of imputers by name"),
        (lambda: evaluate([SimpleImputer()], X, error_score=0.0), "`error_score` must be 'raise'"),
        (lambda: evaluate([Lazy()], X, error_score=np.nan), r"All of \['Lazy'\] failed, the last"),
        (
            lambda: evaluate([SimpleImputer()], X, i_score=False).differences("z"),
            "`reference` is 'z'",
        ),
        (
            lambda: plot_comparison(evaluate([SimpleImputer()], X), measures=["coverage"]),
            r"`measures` asks for \['coverage'\]",
        ),
    ],
)
def test_errors_are_sentences(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()
