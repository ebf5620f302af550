"""Pictures show every hole and every imputed value, and leave pyplot alone."""

import sys

import numpy as np
import pandas as pd
import pytest

from sm_estimators import GaussianScoreMatching, Importance
from sm_estimators.plotting import (
    plot_holes,
    plot_imputed,
    plot_missing,
    plot_missing_diagnostics,
    plot_samples,
)
from sm_estimators.plotting._diagnostic_panels import support_in_words, together_in_words
from sm_estimators.plotting._histograms import bin_edges, grid_shape
from sm_estimators.plotting.holes import MAX_BANDS, bands, pattern_order, percent


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["warm", "cold", "full"])
    frame.loc[rng.random(60) < 0.5, "warm"] = np.nan
    frame.loc[:2, "cold"] = np.nan
    return frame.assign(town="Oslo")


@pytest.fixture
def filled(table):
    return table.fillna({"warm": 0.5, "cold": 100.0})


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_the_matrix_of_holes_has_the_holes(table):
    axes = plot_holes(table)
    shown = axes.images[0].get_array()
    np.testing.assert_array_equal(shown, table[["warm", "cold", "full"]].isna())
    n_holes = int(table.isna().to_numpy().sum())
    assert axes.get_title(loc="left").startswith(f"{n_holes} holes in 180 cells")
    assert [label.get_text() for label in axes.get_xticklabels()][1:] == [
        "cold  5.0 %",
        "full  0 %",
    ]


def test_sorting_puts_equal_patterns_together(table):
    holes = table[["warm", "cold", "full"]].isna().to_numpy()
    shown = plot_holes(table, sort=True).images[0].get_array()
    np.testing.assert_array_equal(shown, holes[pattern_order(holes)])
    changes = (np.diff(np.asarray(shown), axis=0) != 0).any(axis=1).sum()
    assert changes == len(np.unique(holes, axis=0)) - 1


@pytest.mark.parametrize("n_rows", [3, MAX_BANDS, MAX_BANDS + 1, 1003])
def test_bands_keep_the_share_of_holes(n_rows):
    holes = np.random.default_rng(1).random((n_rows, 4)) < 0.3
    shades = bands(holes)
    assert len(shades) == min(n_rows, MAX_BANDS)
    weights = np.diff(np.linspace(0, n_rows, len(shades) + 1).astype(int))
    np.testing.assert_allclose(weights @ shades, holes.sum(axis=0))


def test_imputed_values_are_drawn_for_columns_with_holes_only(table, filled):
    figure = plot_imputed(table, filled)
    assert titles(figure) == ["warm", "cold"]
    assert [axes.texts[0].get_text() for axes in figure.axes][1] == "3 holes in 60 rows"
    ticks = figure.axes[1].collections[0].get_segments()
    assert [segment[0][0] for segment in ticks] == [100.0] * 3
    assert figure.axes[1].get_xlim()[1] > 100
    assert len(figure.legends) == 1


def test_columns_can_be_chosen_by_name_or_position(table, filled):
    assert titles(plot_imputed(table, filled, columns=["cold"])) == ["cold"]
    assert titles(plot_imputed(table, filled, columns=[2, 0])) == ["full", "warm"]


@pytest.mark.parametrize("form", ["frames", "stack", "shuffled"])
def test_several_imputations_are_pooled(table, filled, form):
    numeric = filled[["warm", "cold", "full"]]
    several = {
        "frames": [numeric, numeric],
        "stack": np.stack([numeric, numeric]),
        "shuffled": [filled[["full", "town", "cold", "warm"]]] * 2,
    }[form]
    figure = plot_imputed(table, several)
    assert len(figure.axes[1].collections[0].get_segments()) == 6
    assert figure.legends[0].get_texts()[1].get_text() == "imputed (2 imputations)"


def test_the_page_holds_both_pictures(table, filled, tmp_path):
    figure = plot_missing(table, filled)
    assert titles(figure)[1:] == ["warm", "cold"]
    figure.savefig(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_samples_show_the_most_correlated_pair():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(50, 3))
    X[:, 2] = -X[:, 0] + 0.1 * rng.normal(size=50)
    X[:5, 1] = np.nan
    figure = plot_samples(X, rng.normal(size=(20, 3)))
    assert titles(figure) == ["x0", "x1", "x2", "x0 and x2"]
    assert titles(plot_samples(X, X, pair=["x1", 0]))[-1] == "x1 and x0"
    assert titles(plot_samples(X[:, :1], X[:, :1])) == ["x0"]


def test_an_axes_or_a_figure_can_be_given(table, filled):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert plot_holes(table, axes) is axes
    figure = Figure()
    assert plot_imputed(table, filled, figure=figure) is figure


def test_bins_cover_both_samples_even_constant_ones():
    edges = bin_edges(np.zeros(5), np.array([2.0]))
    assert edges[0] == 0
    assert edges[-1] == 2
    np.testing.assert_allclose(bin_edges(np.ones(3), np.ones(2)), [0.5, 1.5])


@pytest.mark.parametrize("n", range(1, 30))
def test_the_grid_has_a_cell_for_each_column(n):
    n_high, n_wide = grid_shape(n)
    assert n <= n_high * n_wide < n + n_wide
    assert n_wide <= 4


def test_a_rare_hole_is_not_rounded_away():
    assert percent(0.0) == "0 %"
    assert percent(1e-5) == "<0.1 %"
    assert percent(0.126) == "13 %"


def test_constant_empty_and_wide_tables_are_drawn(tmp_path):
    X = np.full((5, 40), np.nan)
    X[:, 0] = 1.0
    X[0, 1] = 2.0
    plot_missing(X, np.nan_to_num(X, nan=2.0)).savefig(tmp_path / "wide.png")
    plot_samples(X[:, :2], np.zeros((3, 2))).savefig(tmp_path / "samples.png")


def test_pyplot_is_never_imported(table, filled):
    before = "matplotlib.pyplot" in sys.modules
    plot_missing(table, filled)
    assert ("matplotlib.pyplot" in sys.modules) == before


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: plot_holes(np.zeros(3)), r"`X` must be a table, \(n, d\), but has shape \(3,\)"),
        (lambda: plot_holes(pd.DataFrame({"a": ["x"]})), "0 numeric columns"),
        (lambda: plot_holes(np.array([[np.inf]])), "`X` contains infinity"),
        (lambda: plot_imputed(np.zeros((2, 2)), np.zeros((2, 2))), "`X` has no hole"),
        (lambda: plot_imputed(np.zeros((2, 2)), np.zeros((3, 2))), r"shape of `X`, \(2, 2\)"),
        (
            lambda: plot_imputed(pd.DataFrame({"a": [np.nan]}), pd.DataFrame({"b": [1.0]})),
            "`imputed` lacks the columns a of `X`",
        ),
        (
            lambda: plot_imputed(np.zeros((2, 2)), np.zeros((2, 2)), columns=["height"]),
            "`columns` asks for 'height', which is not among x0, x1",
        ),
        (lambda: plot_samples(np.zeros((2, 2)), np.zeros((2, 3))), "must have the 2 columns"),
    ],
)
def test_errors_are_sentences(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_missing_matplotlib_names_the_extra(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"sm_estimators\[plots\]"):
        plot_holes(table)


def reporting(n_columns, diagnostics):
    """Return an estimator that reports these diagnostics."""
    estimator = GaussianScoreMatching()
    estimator.n_features_in_ = n_columns
    estimator.missing_diagnostics_ = diagnostics
    return estimator


def holes_of(n_columns, never=(), spare=3):
    """Return the diagnostics of a table, without those of draws."""
    counts = np.full((n_columns, n_columns), 7)
    for i, j in never:
        counts[i, j] = counts[j, i] = 0
    return {"co_observed": counts, "never_together": list(never), "least_supported": spare}


def weights_of(n_columns):
    """Return the diagnostics of draws, rounds and ridges."""
    sizes = np.linspace(1.0, 20.0, 50)
    by_holes = {k: 20.0 / k for k in range(1, n_columns + 1)}
    rounds = [
        {"effective_sample_size": 9.0, "effective_sample_size_5_percent": 4.0, "change": change}
        for change in (np.nan, 0.5, 0.02, 0.0)
    ]
    return {
        "effective_sample_size": sizes,
        "effective_sample_size_median": 10.5,
        "effective_sample_size_5_percent": 2.0,
        "effective_sample_size_by_holes": by_holes,
        "rounds": rounds,
        "held_out_loss": {1.0: -1.0, 0.1: -2.0, 0.01: -1.5},
    }


ALL_PANELS = [
    "Effective draws of a row",
    "Effective draws, round by round",
    "Change of the parameters",
    "Held-out loss",
    "Rows that show each pair of columns",
]


def test_a_fit_without_draws_shows_who_was_seen_together(table):
    numeric = table[["warm", "cold", "full"]]
    figure = plot_missing_diagnostics(GaussianScoreMatching().fit(numeric))
    assert titles(figure) == ALL_PANELS[-1:]
    seen = numeric.notna().to_numpy().astype(int)
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, seen.T @ seen)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert str(int(seen[:, 0].sum())) in written
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(numeric)


def test_draws_are_shown_by_the_number_of_holes(table, tmp_path):
    rule = Importance(n_draws=10, n_refreshes=3)
    estimator = GaussianScoreMatching(missing=rule, max_iter=2, random_state=0)
    estimator.fit(table[["warm", "cold", "full"]])
    figure = plot_missing_diagnostics(estimator)
    assert titles(figure) == [*ALL_PANELS[:3], ALL_PANELS[-1]]
    sizes, rounds = figure.axes[0], figure.axes[1]
    by_holes = estimator.missing_diagnostics_["effective_sample_size_by_holes"]
    shown = {tuple(line.get_xdata()): tuple(line.get_ydata()) for line in sizes.lines}
    assert shown[tuple(by_holes)] == tuple(by_holes.values())
    assert any(set(line.get_ydata()) == {5} for line in sizes.lines)
    assert rounds.get_xlim() == (0.5, 4.5)
    figure.savefig(tmp_path / "diagnostics.png")
    assert (tmp_path / "diagnostics.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("n_columns", [1, 2, 9, 10, 50])
def test_narrow_and_wide_diagnostics_are_drawn(n_columns, tmp_path):
    found = holes_of(n_columns) | weights_of(n_columns)
    figure = plot_missing_diagnostics(reporting(n_columns, found))
    figure.savefig(tmp_path / "diagnostics.png", dpi=40)
    assert [title for title in titles(figure) if title] == ALL_PANELS
    last = [axes for axes in figure.axes if axes.images]
    assert last[0].get_position().height > 0.5


def test_the_smallest_held_out_loss_is_marked():
    found = {"held_out_loss": weights_of(1)["held_out_loss"]}
    (axes,) = plot_missing_diagnostics(reporting(3, found)).axes
    assert axes.get_title(loc="left") == "Held-out loss"
    assert axes.texts[0].get_text() == "smallest at ridge = 0.1"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0.01, 0.1, 1.0])


def test_pairs_never_seen_together_are_marked_and_counted():
    figure = plot_missing_diagnostics(reporting(12, holes_of(12, never=[(0, 3)], spare=-2)))
    hidden = figure.axes[0].images[0].get_array().mask
    assert np.argwhere(hidden).tolist() == [[0, 3], [3, 0]]
    note = figure.axes[0].texts[0].get_text()
    assert note.startswith("1 pair was never seen together")
    assert "2 rows short" in note.replace("\n", " ")


def test_numbers_are_said_in_words():
    assert "3 pairs were" in together_in_words(3)
    assert "no lower bound" in support_in_words(-1)
    assert "1 row short" in support_in_words(-1)
    assert "just as many" in support_in_words(0)
    assert "has 1 row more" in support_in_words(1)


def test_diagnostics_need_a_fit_with_holes(filled):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        plot_missing_diagnostics(GaussianScoreMatching())
    complete = GaussianScoreMatching().fit(filled[["warm", "full"]])
    with pytest.raises(ValueError, match="fitted to a table without holes"):
        plot_missing_diagnostics(complete)
