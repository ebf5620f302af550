"""Imputers side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.plotting._figure import ADDED, INK, OBSERVED, QUIET, new_figure, shorten, tidy

TITLES = {
    "rmse": "RMSE of the means",
    "crps": "CRPS of the draws",
    "coverage": "Coverage",
    "accuracy": "Accuracy",
    "brier": "Brier score",
    "energy_i_score": "energy-I-Score",
}
SHOWN = ("rmse", "crps", "brier", "energy_i_score")
"""Measures drawn by default: the lower, the better."""
PANEL_WIDTH, ROW_HEIGHT = 2.5, 0.34


def plot_comparison(
    comparison: Any, *, measures: Sequence[str] | None = None, figure: Any = None
) -> Any:
    """Draw the scores of imputers that were judged by the same cells.

    A panel per measure and a line per imputer, the best on top, with bars of two standard errors to
    each side. Vermilion marks the best of a panel. Imputers that do not draw have open circles:
    their CRPS is their absolute error. All were judged by the same cells, so two imputers may
    differ for certain although their bars overlap; ``comparison.differences()`` says so.

    Parameters
    ----------
    comparison : ImputerComparison
        What :func:`sm_estimators.judging.evaluate` returns.
    measures : sequence of str, default=None
        Of "rmse", "crps", "coverage", "accuracy", "brier" and "energy_i_score"; by default all that
        apply but coverage and accuracy.
    figure : matplotlib.figure.Figure or SubFigure, default=None
        Where to draw; by default a new figure of fitting size.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        When matplotlib is missing.
    ValueError
        When a measure is unknown, or none is left to draw.

    Examples
    --------
    >>> from sklearn.impute import KNNImputer, SimpleImputer
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.judging import evaluate
    >>> from sm_estimators.plotting.comparison import plot_comparison
    >>> comparison = evaluate([SimpleImputer(), KNNImputer()], load_oceanbuoys(), random_state=0)
    >>> figure = plot_comparison(comparison)
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['RMSE of the means', 'CRPS of the draws', 'energy-I-Score']
    """
    table = comparison.table
    chosen = choose(table, measures)
    table = table.loc[rank(table, chosen)]
    if figure is None:
        width = 1.0 + 0.075 * longest(table) + PANEL_WIDTH * len(chosen)
        figure = new_figure(width, 1.1 + ROW_HEIGHT * max(len(table), 2))
    axes = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for ax, measure in zip(axes, chosen, strict=True):
        draw_measure(ax, table, measure)
    if "coverage" in chosen:
        mark_level(axes[chosen.index("coverage")], comparison.level)
    name_rows(axes[0], table)
    figure.supxlabel(caption(table, chosen), fontsize=8, color=INK)
    return figure


def choose(table: pd.DataFrame, measures: Sequence[str] | None) -> list[str]:
    """Return the measures to draw."""
    applies = [name for name in TITLES if name in table]
    unknown = [name for name in measures or () if name not in applies]
    if unknown:
        raise ValueError(f"`measures` asks for {unknown}; the comparison has {applies}.")
    chosen = [n for n in SHOWN if n in applies] if measures is None else list(measures)
    if not chosen:
        raise ValueError("There is no measure to draw: no imputer has a score.")
    return chosen


def rank(table: pd.DataFrame, chosen: list[str]) -> list[Any]:
    """Return the imputers, best first: by a proper score where one is drawn; failures last."""
    by = next((name for name in ("crps", "brier", "energy_i_score") if name in chosen), chosen[0])
    return list(table.sort_values(by, ascending=by not in ("accuracy", "coverage")).index)


def longest(table: pd.DataFrame) -> int:
    """Return how many letters the longest shown name has."""
    return max(len(shorten(str(name))) for name in table.index)


def draw_measure(ax: Any, table: pd.DataFrame, measure: str) -> None:
    """Draw one panel: points with bars, and words where there is no point."""
    tidy(ax)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=QUIET)
    ax.set_axisbelow(True)
    ax.margins(x=0.08)
    ax.set_title(TITLES[measure], loc="left", fontsize=9, color=INK)
    values, errors = table[measure].to_numpy(), table[f"{measure}_se"].to_numpy()
    best = best_of(values, measure)
    for y, (value, error, draws) in enumerate(zip(values, errors, table["n_draws"], strict=True)):
        if np.isnan(value):
            absent(ax, y, "failed" if draws == 0 else "no draws")
            continue
        colour = ADDED if y == best else OBSERVED
        face = colour if draws > 1 else "white"
        ax.errorbar(value, y, xerr=2 * error, color=colour, fmt="o", ms=6, mfc=face, lw=1.4)


def best_of(values: np.ndarray, measure: str) -> int:
    """Return which line is best; none for coverage, where more is not better."""
    if measure == "coverage" or np.isnan(values).all():
        return -1
    return int(np.nanargmax(values) if measure == "accuracy" else np.nanargmin(values))


def absent(ax: Any, y: int, why: str) -> None:
    """Say why a line has no point."""
    ax.text(
        0.5, y, why, transform=ax.get_yaxis_transform(), fontsize=8, color="#8a929b", ha="center",
        va="center",
    )  # fmt: skip


def mark_level(ax: Any, level: float) -> None:
    """Draw the line on which intervals cover as often as they claim."""
    ax.axvline(level, color=INK, lw=0.9, ls="--", zorder=1.5)
    ax.set_title(f"Coverage of {100 * level:g} % intervals", loc="left", fontsize=9, color=INK)


def name_rows(ax: Any, table: pd.DataFrame) -> None:
    """Write the names of the imputers, the best on top."""
    ax.set_yticks(range(len(table)), [shorten(str(name)) for name in table.index], fontsize=9)
    ax.set_ylim(len(table) - 0.5, -0.5)


def caption(table: pd.DataFrame, chosen: list[str]) -> str:
    """Return what the marks mean, in the words that apply."""
    lower = "" if {"coverage", "accuracy"} & set(chosen) else "lower is better"
    points = "open circles: no draws" if 1 in set(table["n_draws"]) else ""
    return "; ".join(part for part in (lower, "bars: ± 2 standard errors", points) if part)
