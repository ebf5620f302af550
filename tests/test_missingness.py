import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import chdtrc, logit

from sm_estimators.datasets import load_concrete_mar, load_oceanbuoys
from sm_estimators.missingness import (
    ampute,
    describe_missing,
    little_mcar_test,
    logistic_mcar_test,
)

MECHANISMS = ["mcar", "mar", "mnar"]


@pytest.fixture(scope="module", name="X")
def correlated_and_skewed():
    """4000 correlated rows of five columns, one of them skewed."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(4000, 5)) @ (np.eye(5) + 0.4 * np.tri(5, k=-1).T)
    Z[:, 3] = np.exp(Z[:, 3])
    return Z


def options(mechanism):
    return {"drivers": [0, 4]} if mechanism == "mar" else {}


# ---- ampute: the mechanism is what it says -------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_expected_and_realised_rates_per_column(X, mechanism, rate):
    holes = ampute(X, mechanism, rate, steepness=2.0, random_state=1, **options(mechanism))
    columns = [1, 2, 3] if mechanism == "mar" else range(5)
    for j in columns:
        p = holes.propensities[:, j]
        assert abs(p.mean() - (1 - rate)) < 1e-10  # solved for, to the tolerance of the root
        # Given the table, flags are independent Bernoulli(p): the sum has variance Σ p (1 − p).
        error = holes.observed[:, j].sum() - p.sum()
        assert abs(error) < 4 * np.sqrt((p * (1 - p)).sum())


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_propensities_are_calibrated_in_bins(X, mechanism):
    holes = ampute(X, mechanism, 0.4, steepness=1.5, random_state=2, **options(mechanism))
    random = (holes.propensities < 1).ravel()
    p, seen = holes.propensities.ravel()[random], holes.observed.ravel()[random]
    order = np.argsort(p, kind="stable")
    for part in np.array_split(order, 10):
        deviation = seen[part].sum() - p[part].sum()
        assert abs(deviation) < 4 * np.sqrt((p[part] * (1 - p[part])).sum())


def test_flags_are_independent_given_the_row(X):
    holes = ampute(X, "mnar", 0.4, steepness=2.0, random_state=3)
    p, seen = holes.propensities, holes.observed
    residual = (seen[:, 1] - p[:, 1]) * (seen[:, 2] - p[:, 2])
    variance = np.prod(p[:, 1:3] * (1 - p[:, 1:3]), axis=1)
    assert abs(residual.sum()) < 4 * np.sqrt(variance.sum())


def test_mar_propensities_depend_on_the_drivers_alone(X):
    other = X.copy()
    other[:, 1:4] = np.random.default_rng(9).permutation(X[:, 1:4])
    first = ampute(X, "mar", 0.3, drivers=[0, 4], random_state=4)
    second = ampute(other, "mar", 0.3, drivers=[0, 4], random_state=4)
    np.testing.assert_array_equal(first.propensities, second.propensities)
    np.testing.assert_array_equal(first.propensities[:, [0, 4]], 1.0)
    assert first.observed[:, [0, 4]].all()


def test_mnar_propensities_depend_on_their_own_column_alone(X):
    other = X.copy()
    other[:, 1:] = np.random.default_rng(9).permutation(X[:, 1:])
    first, second = (ampute(T, "mnar", 0.3, random_state=4).propensities for T in (X, other))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])
    by_value = first[np.argsort(X[:, 3]), 3]
    assert (np.diff(by_value) <= 0).all()


def test_log_odds_have_the_documented_slope(X):
    def standardised(x):
        return (x - x.mean()) / x.std()

    # Log-odds of a loss are −logit(p): exact where p is small, to 1e-16 / (1 − p) where it is not.
    own = ampute(X, "mnar", 0.3, steepness=1.7).propensities[:, 3]
    assert np.polyfit(standardised(X[:, 3]), -logit(own), 1)[0] == pytest.approx(1.7, rel=1e-8)
    own = ampute(X, "mnar", 0.3, steepness=-1.7).propensities[:, 1]
    assert np.polyfit(standardised(X[:, 1]), -logit(own), 1)[0] == pytest.approx(-1.7, rel=1e-8)
    z = standardised(standardised(X[:, 0]) + standardised(X[:, 4]))
    driven = ampute(X, "mar", 0.3, drivers=[0, 4], steepness=2.5).propensities[:, 1]
    slope, intercept = np.polyfit(z, -logit(driven), 1)
    assert slope == pytest.approx(2.5, rel=1e-8)
    np.testing.assert_allclose(-logit(driven), intercept + slope * z, atol=1e-8)


def test_steepness_zero_is_mcar(X):
    for mechanism in ("mar", "mnar"):
        holes = ampute(X, mechanism, 0.3, steepness=0.0, random_state=0)
        random = holes.propensities[holes.propensities < 1]
        np.testing.assert_allclose(random, 0.7, atol=1e-12)


def test_propensities_suffice_for_inverse_weighting(X):
    holes = ampute(X, "mar", 0.5, drivers=0, steepness=2.0, random_state=5)
    seen, p = holes.observed[:, 1], holes.propensities[:, 1]
    x, truth = X[:, 1], X[:, 1].mean()
    naive_error = x[seen].mean() - truth
    assert abs(naive_error) > 5 * x.std() / np.sqrt(seen.sum())  # the mechanism is not ignorable
    # Horvitz-Thompson: variance Σ x² (1 − p) / p over the fixed table.
    weighted_error = (x * seen / p).mean() - truth
    assert abs(weighted_error) < 4 * np.sqrt((x**2 * (1 - p) / p).sum()) / len(x)


# ---- ampute: the door ----------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_same_seed_same_result_and_input_untouched(X, mechanism):
    before = X.copy()
    first, second = (ampute(X, mechanism, 0.3, random_state=7) for _ in range(2))
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.propensities, second.propensities)
    other = ampute(X, mechanism, 0.3, random_state=8)
    assert (first.observed != other.observed).any()
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(first.observed, ~np.isnan(first.X))
    np.testing.assert_array_equal(first.X[first.observed], X[first.observed])


@pytest.mark.parametrize(
    "make", [np.random.RandomState, np.random.default_rng, int, np.int64], ids=lambda m: m.__name__
)
def test_kinds_of_random_state(X, make):
    first, second = (ampute(X, random_state=make(3)).observed for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "make", [np.random.RandomState, np.random.default_rng], ids=lambda make: make.__name__
)
def test_a_generator_moves_on(X, make):
    state = make(3)
    assert (ampute(X, random_state=state).observed != ampute(X, random_state=state).observed).any()


def test_dataframe_round_trip():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "n": rng.integers(0, 9, 60),
            "flag": rng.random(60) < 0.5,
            "half": rng.normal(size=60).astype(np.float32),
            "nullable": pd.array(rng.integers(0, 9, 60), dtype="Int64"),
        },
        index=pd.Index(range(100, 160), name="id"),
    )
    before = frame.copy(deep=True)
    holes = ampute(frame, "mar", 0.4, drivers="n", random_state=0)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_index_equal(holes.X.index, frame.index)
    pd.testing.assert_index_equal(holes.X.columns, frame.columns)
    assert [str(t) for t in holes.X.dtypes] == ["float64", "float64", "float32", "float64"]
    full = frame.astype(float).to_numpy()
    np.testing.assert_array_equal(holes.X.to_numpy()[holes.observed], full[holes.observed])
    np.testing.assert_array_equal(holes.X.notna().to_numpy(), holes.observed)
    array = ampute(full, "mar", 0.4, drivers=0, random_state=0)
    np.testing.assert_array_equal(array.observed, holes.observed)


def test_repeated_column_names_survive():
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "a", "b"])
    out = ampute(frame, random_state=0).X
    assert list(out.columns) == ["a", "a", "b"]
    with pytest.raises(ValueError, match="2 columns"):
        ampute(frame, "mar", drivers="a")
    assert ampute(frame, "mar", drivers=1, random_state=0).observed[:, 1].all()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_holes_in_the_input_stay_and_have_no_propensity(X, mechanism):
    holed = X.copy()
    holed[::3, 1] = np.nan
    holed[:, 2] = np.nan
    holes = ampute(holed, mechanism, 0.3, random_state=0, **options(mechanism))
    gone = np.isnan(holed)
    assert np.isnan(holes.propensities[gone]).all()
    assert not holes.observed[gone].any()
    assert holes.propensities[~gone[:, 1], 1].mean() == pytest.approx(0.7, abs=1e-10)


def test_default_drivers_are_complete_columns_and_about_a_third():
    X = np.random.default_rng(0).normal(size=(50, 10))
    X[0, :5] = np.nan
    X[:, 5] = 1.0
    holes = ampute(X, "mar", 0.5, random_state=3)
    drivers = np.flatnonzero((holes.propensities == 1).all(axis=0))
    assert len(drivers) == 3
    assert set(drivers) <= {6, 7, 8, 9}
    two = ampute(X[:, 8:], "mar", random_state=0)
    assert (two.propensities == 1).all(axis=0).sum() == 1


def test_rows_may_lose_everything_under_mcar_and_the_report_counts_them():
    holes = ampute(np.ones((2000, 2)), rate=0.6, random_state=0)
    share = 0.6**2
    n_empty = describe_missing(holes.X).n_empty_rows
    assert abs(n_empty - 2000 * share) < 4 * np.sqrt(2000 * share * (1 - share))


def test_extreme_scales_and_steep_slopes():
    X = np.random.default_rng(0).normal(size=(200, 3)) * [1e200, 1e-200, 1.0]
    holes = ampute(X, "mnar", 0.25, steepness=1000.0, random_state=0)
    np.testing.assert_allclose(holes.propensities.mean(axis=0), 0.75, atol=1e-10)


GOOD = np.arange(12.0).reshape(4, 3)
TEXT = pd.DataFrame({"a": [1.0, 2.0], "name": ["x", "y"]})


@pytest.mark.parametrize(
    ("X", "arguments", "error", "words"),
    [
        (GOOD, {"mechanism": "MAR"}, ValueError, "`mechanism` must be one of 'mcar'"),
        (GOOD, {"rate": 0.0}, ValueError, "`rate` must be a number strictly between 0 and 1"),
        (GOOD, {"rate": 1}, ValueError, "`rate`.*got 1"),
        (GOOD, {"rate": float("nan")}, ValueError, "`rate`.*got nan"),
        (GOOD, {"steepness": np.inf}, ValueError, "`steepness`.*got inf"),
        (GOOD, {"drivers": 0}, ValueError, "`drivers` decide only under mechanism='mar'"),
        (GOOD, {"random_state": -1}, TypeError, "`random_state`.*got -1"),
        (GOOD, {"random_state": True}, TypeError, "`random_state`.*got True"),
        (GOOD, {"mechanism": "mar", "drivers": []}, ValueError, "names 0 of 3"),
        (GOOD, {"mechanism": "mar", "drivers": [0, 1, 2]}, ValueError, "names 3 of 3"),
        (GOOD, {"mechanism": "mar", "drivers": "b"}, ValueError, "'b' fits no column"),
        (GOOD, {"mechanism": "mar", "drivers": 3}, ValueError, "3 fits no column"),
        (GOOD[:, :1], {"mechanism": "mar"}, ValueError, "at least two columns"),
        (GOOD * [1, -1, 1], {"mechanism": "mar", "drivers": [0, 1]}, ValueError, "sum that varies"),
        (GOOD * 0, {"mechanism": "mar"}, ValueError, "a complete column that varies"),
        (GOOD[0], {}, ValueError, "two-dimensional.*shape \\(3,\\)"),
        (GOOD[:0], {}, ValueError, "at least one row.*\\(0, 3\\)"),
        ([[1.0, 2.0], [3.0]], {}, ValueError, "rows of equal length"),
        (TEXT, {}, TypeError, "'name'"),
        (np.array([["a", "b"]]), {}, TypeError, "real numbers only"),
        (GOOD + 1j, {}, TypeError, "complex"),
        (np.where(GOOD == 5, np.inf, GOOD), {}, ValueError, "1 infinite value, .*row 1, column 2"),
    ],
)
def test_ampute_errors_are_sentences(X, arguments, error, words):
    with pytest.raises(error, match=words):
        ampute(X, **arguments)


def test_drivers_with_holes_are_named():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"complete columns.*'a'"):
        ampute(frame, "mar", drivers=["a"])


# ---- describe_missing ----------------------------------------------------------------------


def test_counts_against_brute_force():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((300, 4)) < [0.1, 0.5, 0.3, 0.0], np.nan, 1.0)
    seen = ~np.isnan(X)
    report = describe_missing(X)
    rows = [tuple(row) for row in seen.tolist()]
    counts = {row: rows.count(row) for row in set(rows)}
    got = [tuple(row) for row in report.patterns.to_numpy().tolist()]
    assert dict(zip(got, report.pattern_counts.tolist(), strict=True)) == counts
    assert (np.diff(report.pattern_counts) <= 0).all()
    both = [[(seen[:, i] & seen[:, j]).sum() for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(report.co_observed.to_numpy(), both)
    assert report.n_complete_rows == sum(map(all, rows))
    assert report.n_missing == (~seen).sum() == report.columns["n_missing"].sum()
    assert report.rate == pytest.approx((~seen).mean())


def test_many_columns_cross_a_word_of_bits():
    seen = np.ones((3, 130), bool)
    seen[1, 129] = seen[2, 64] = False
    report = describe_missing(np.where(seen, 0.0, np.nan))
    assert report.n_patterns == 3
    assert report.n_complete_rows == 1


def test_any_columns_and_their_kinds():
    frame = pd.DataFrame(
        {
            "x": [1.0, np.inf],
            "i": [1, 2],
            "b": [True, False],
            "s": ["u", None],
            "c": pd.Categorical(["u", None]),
            "t": pd.to_datetime(["2020-01-01", None]),
            "n": pd.array([1, None], dtype="Int64"),
            "o": [None, None],
        }
    )
    report = describe_missing(frame)
    kinds = ["float", "integer", "boolean", "text", "category", "datetime", "integer", "object"]
    assert report.columns["kind"].tolist() == kinds
    assert report.columns["n_missing"].tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    assert report.empty_columns == ("o",)


def test_pairs_never_seen_together():
    X = pd.DataFrame({"a": [1, None, 3.0], "b": [None, 2.0, None], "c": [1.0, 2.0, 3.0]})
    report = describe_missing(X)
    assert report.never_co_observed == (("a", "b"),)
    assert "1 pair never seen together: a & b" in str(report)


def test_report_of_a_complete_table_and_plurals():
    assert str(describe_missing([[1.0]])) == (
        "1 row by 1 column, 0 of 1 cell missing (0.0 %)\n"
        "1 complete row, no rows with holes, no rows without any value\n\n"
        "1 pattern\n  1 row (100.0 %)  nothing missing"
    )


def test_report_shows_ten_patterns_and_says_so():
    X = ampute(np.ones((400, 6)), rate=0.4, random_state=0).X
    report = describe_missing(X)
    text = str(report)
    assert report.n_patterns > 10
    assert f"{report.n_patterns} patterns, the 10 most frequent" in text
    assert sum("missing:" in line or "nothing missing" in line for line in text.split("\n")) == 10


def test_large_table_is_counted_in_bounded_time_and_memory():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((100_000, 50)) < 0.3, np.nan, 1.0)
    report = describe_missing(X)
    assert report.pattern_counts.sum() == 100_000
    assert report.co_observed.iloc[3, 7] == (~np.isnan(X[:, [3, 7]])).all(axis=1).sum()
    assert len(str(report)) < 3000


# ---- little_mcar_test ----------------------------------------------------------------------


def test_two_columns_against_the_closed_form():
    # y complete, w seen in group 1 only: by Anderson's factorisation the regression of w on y
    # fits group 1 exactly, so d² = Σ_g n_g (ȳ_g − ȳ)² / s²_y with one degree of freedom.
    rng = np.random.default_rng(0)
    y = rng.normal(size=80)
    w = y + rng.normal(size=80)
    seen = rng.random(80) < 0.6
    result = little_mcar_test(np.column_stack([y, np.where(seen, w, np.nan)]))
    groups = [y[seen], y[~seen]]
    d2 = sum(len(g) * (g.mean() - y.mean()) ** 2 for g in groups) / y.var()
    assert result.statistic == pytest.approx(d2, rel=1e-5)  # EM stops at 1e-7 of its step
    assert (result.dof, result.n_patterns, result.n_rows) == (1, 2, 80)
    assert result.pvalue == pytest.approx(chdtrc(1, d2), rel=1e-5)


def test_ocean_buoys_against_the_published_figure():
    # mcar_test(oceanbuoys) in the documentation of naniar (R): 747., 31 degrees, 6 patterns.
    result = little_mcar_test(load_oceanbuoys())
    assert result.statistic == pytest.approx(747, abs=0.5)
    assert (result.dof, result.n_patterns) == (31, 6)


def correlated(rng):
    return rng.normal(size=(200, 3)) @ np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


def rejection_rate(n_replicates, make):
    rng = np.random.default_rng(0)
    pvalues = [little_mcar_test(make(rng)).pvalue for _ in range(n_replicates)]
    return np.mean(np.array(pvalues) < 0.05)


def test_size_under_mcar():
    rate = rejection_rate(200, lambda rng: ampute(correlated(rng), rate=0.2, random_state=rng).X)
    assert abs(rate - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200)  # three binomial standard errors


def test_power_under_mar():
    def make(rng):
        return ampute(correlated(rng), "mar", 0.3, drivers=0, steepness=1.5, random_state=rng).X

    assert rejection_rate(40, make) > 0.95


def test_self_masking_of_independent_columns_is_invisible():
    # The mean of a seen column is then shifted alike in every pattern, as the docstring says.
    def make(rng):
        return ampute(rng.normal(size=(300, 2)), "mnar", 0.3, random_state=rng).X

    assert rejection_rate(200, make) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_units_rows_without_values_and_constant_columns_change_nothing():
    X = ampute(correlated(np.random.default_rng(1)), rate=0.2, random_state=1).X
    base = little_mcar_test(X)
    frame = pd.DataFrame(X * [1e200, 1e-200, -1.0] + [0.0, 0.0, 1.0], columns=["a", "b", "c"])
    frame["one"], frame["void"] = 1.0, np.nan
    frame.loc[len(frame)] = np.nan
    result = little_mcar_test(frame)
    assert result.statistic == pytest.approx(base.statistic, rel=1e-4)
    assert result[1] == base[1]
    assert result.columns == ("a", "b", "c")
    assert result.dropped == {
        "one": "constant: every value seen is 1",
        "void": "no value was seen",
    }


def test_little_errors_are_sentences():
    X = correlated(np.random.default_rng(0))
    with pytest.raises(ValueError, match="must have holes to test"):
        little_mcar_test(X)
    apart = X.copy()
    apart[:100, 0] = apart[100:, 1] = np.nan
    with pytest.raises(ValueError, match="0 and 1 never are"):
        little_mcar_test(apart)
    short = np.where(np.eye(3, dtype=bool), np.nan, X[:3])
    with pytest.raises(ValueError, match="3 usable rows and 3 columns"):
        little_mcar_test(short)
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(s=X[:, 0] + X[:, 1])
    holed = ampute(frame, rate=0.2, random_state=0).X
    with pytest.raises(ValueError, match="'a', 'b', 's' are collinear"):
        little_mcar_test(holed)


def test_concrete_is_not_rejected_as_its_docstring_says():
    assert little_mcar_test(load_concrete_mar()[0]).pvalue == pytest.approx(0.20, abs=0.005)


# ---- logistic_mcar_test --------------------------------------------------------------------


def test_complete_predictors_against_the_closed_form():
    # Rao's statistic of a logistic regression is n R² of the linear one, as the null is flat.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3)) @ (np.eye(3) + np.tri(3))
    lost = rng.random(150) < 0.3
    Z = np.column_stack([np.ones(150), X])
    residual = lost - Z @ np.linalg.lstsq(Z, lost, rcond=None)[0]
    expected = 150 * (1 - residual.var() / lost.var())
    result = logistic_mcar_test(np.column_stack([X, np.where(lost, np.nan, 1.0)]))
    row = result.columns.loc[3]
    assert row["statistic"] == pytest.approx(expected, rel=1e-9)
    assert (row["dof"], row["n_missing"], result.n_rows) == (3, lost.sum(), 150)
    assert result.pvalue == row["pvalue"] == pytest.approx(chdtrc(3, expected), rel=1e-9)


def dependent_holes(X, rng):
    """Lose cells without looking at X, flags depending on each other with and without a sign."""
    common = rng.normal(size=(len(X), 1))
    lost = common + rng.normal(size=X.shape) < -0.6
    lost[:, 2] = np.where(common[:, 0] > 0, lost[:, 1], ~lost[:, 1] & lost[:, 2])
    lost[:, 0] = False
    return np.where(lost, np.nan, X)


def four_columns(rng, n=250):
    return rng.normal(size=(n, 4)) @ (np.eye(4) + 0.5 * np.tri(4, k=-1).T)


def logistic_pvalues(n_replicates, make, **options):
    """P-values of all columns, and of the columns together, of many tables."""
    rng = np.random.default_rng(0)
    results = [logistic_mcar_test(make(rng), **options) for _ in range(n_replicates)]
    return np.array([r.columns["pvalue"] for r in results]), np.array([r.pvalue for r in results])


@pytest.mark.parametrize("quadratic", [False, True])
def test_size_under_dependent_patterns(quadratic):
    each, together = logistic_pvalues(
        400, lambda rng: dependent_holes(four_columns(rng), rng), quadratic=quadratic
    )
    error = np.sqrt(0.05 * 0.95 / 400)
    # Three columns per table, with an error of at most that of one.
    assert abs((each < 0.05).mean() - 0.05) < 3 * error
    assert (together < 0.05).mean() < 0.05 + 3 * error  # Bonferroni may only be too careful


def test_moments_given_the_patterns():
    # Shuffling complete rows under fixed patterns: chi-squared has mean k and variance 2 k.
    rng = np.random.default_rng(0)
    X = four_columns(rng)
    holes = np.isnan(dependent_holes(X, rng))
    draws = [
        logistic_mcar_test(np.where(holes, np.nan, rng.permutation(X))).columns for _ in range(300)
    ]
    dof = draws[0]["dof"].to_numpy()
    mean = np.mean([draw["statistic"] for draw in draws], axis=0)
    # Three means are compared with those of the limit; four errors leave room for terms of 1 / n.
    assert (np.abs(mean - dof) < 4 * np.sqrt(2 * dof / 300)).all()


def test_logistic_power_under_mar():
    def make(rng):
        return ampute(four_columns(rng), "mar", 0.3, drivers=0, steepness=1.0, random_state=rng).X

    assert (logistic_pvalues(40, make)[1] < 0.05).mean() > 0.95


def test_power_when_columns_are_always_lost_together():
    # Flags that decide each other must not hide that both depend on the first column.
    def make(rng):
        X = four_columns(rng)
        X[rng.random(250) < 1 / (1 + np.exp(1 - X[:, 0])), 1:3] = np.nan
        return X

    each, _ = logistic_pvalues(40, make)
    assert ((each < 0.05).mean(axis=0) > 0.95).all()


def lost_in_both_tails(rng):
    X = four_columns(rng, 400)
    X[rng.random(400) < 1 / (1 + np.exp(2 - X[:, 0] ** 2)), 1] = np.nan
    return X


def test_squares_show_what_means_do_not():
    assert (logistic_pvalues(40, lost_in_both_tails, quadratic=True)[1] < 0.05).mean() > 0.95
    # The means of all patterns agree, so Little's test and linear terms reject as under MCAR; a
    # difference of spreads changes their size a little, so the bound is loose.
    assert rejection_rate(200, lost_in_both_tails) < 0.15
    assert (logistic_pvalues(200, lost_in_both_tails)[1] < 0.05).mean() < 0.15


def test_self_masking_of_independent_columns_is_invisible_to_scores_too():
    def make(rng):
        return ampute(rng.normal(size=(300, 2)), "mnar", 0.3, random_state=rng).X

    each, _ = logistic_pvalues(200, make)
    assert (each < 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_separated_holes_have_a_finite_statistic():
    x = np.random.default_rng(0).normal(size=100)
    result = logistic_mcar_test(np.column_stack([x, np.where(x > 0.5, np.nan, 1.0)]))
    assert 20 < result.columns.loc[1, "statistic"] <= 100
    assert result.pvalue < 1e-5


@pytest.mark.parametrize("quadratic", [False, True])
def test_units_and_collinear_columns_change_nothing(quadratic):
    rng = np.random.default_rng(1)
    X = dependent_holes(four_columns(rng), rng)
    base = logistic_mcar_test(X, quadratic=quadratic)
    frame = pd.DataFrame(
        X * [1e200, -1e-200, 1.0, 3.0] + [0.0, 0.0, 5.0, 0.0], columns=list("abcd")
    )
    frame["same"], frame["one"], frame["void"] = X[:, 0] - 4, 1.0, np.nan
    frame.loc[len(frame)] = np.nan
    result = logistic_mcar_test(frame.astype(float), quadratic=quadratic)
    assert result.n_rows == base.n_rows
    for name in "bcd":
        row, before = result.columns.loc[name], base.columns.loc["abcd".index(name)]
        assert row["statistic"] == pytest.approx(before["statistic"], rel=1e-6)
        assert row["dof"] == before["dof"]


def test_binary_columns_have_no_square_of_their_own():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 2, 100), np.where(rng.random(100) < 0.3, np.nan, 1.0)])
    assert logistic_mcar_test(X, quadratic=True).columns.loc[1, "dof"] == 1
    X[:, 0] = np.repeat([-1.0, 1.0], 50)
    assert logistic_mcar_test(X, quadratic=True).columns.loc[1, "dof"] == 1


def test_columns_that_cannot_be_tested_are_reported():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    X.loc[:3, "b"] = np.nan
    X.loc[2:, "c"] = np.nan
    X.loc[20:30, "d"] = np.nan
    result = logistic_mcar_test(X)
    assert list(result.columns.index) == ["d"]
    assert result.dropped == {"b": "4 holes, fewer than 5", "c": "2 values, fewer than 5"}
    alone = pd.DataFrame({"a": X["a"].where(X.index < 30), "b": X["a"].where(X.index >= 30)})
    with pytest.raises(ValueError, match=r"of 2 with holes none.*'a' has no other column that var"):
        logistic_mcar_test(alone)
    with pytest.raises(ValueError, match=r"must have holes to test.*60 complete rows of 1"):
        logistic_mcar_test(X[["a"]])


def test_holm_adjustment():
    rng = np.random.default_rng(4)
    X = dependent_holes(four_columns(rng), rng)
    X[X[:, 0] > 1, 3] = np.nan
    result = logistic_mcar_test(X)
    p = result.columns.sort_values("pvalue")
    expected = np.maximum.accumulate(p["pvalue"].to_numpy() * [3, 2, 1])
    np.testing.assert_allclose(p["adjusted_pvalue"], np.minimum(expected, 1))
    assert result.pvalue == pytest.approx(3 * p["pvalue"].min())


def test_concrete_is_not_rejected_by_scores_either():
    assert logistic_mcar_test(load_concrete_mar()[0]).pvalue > 0.2


@pytest.mark.parametrize("heavy", ["jax", "sklearn"])
def test_import_does_not_load(heavy):
    code = f"import sys, sm_estimators.missingness; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
