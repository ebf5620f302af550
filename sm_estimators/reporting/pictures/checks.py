"""Pictures of how imputations vary, and of how honest they are."""

from typing import Any

import numpy as np

from sm_estimators.plotting._figure import ADDED, INK, OBSERVED, QUIET, new_figure, shorten, tidy
from sm_estimators.reporting.facts.hidden import N_DRAWS, RANKS, HiddenNumbers
from sm_estimators.reporting.facts.imputations import Filled

WIDTH = 4.8
MOST_LINES = 30
SHADES = {0.5: "#0b5a8a", 0.8: "#b5651d", 0.9: "#5c3d7a"}
MARKS = {0.5: "o", 0.8: "s", 0.9: "D"}


def named_axes(rest: float, names: list[str], *, line: float = 0.23) -> tuple[Any, Any]:
    """Return a figure and axes with a line for each name, the first on top; heights in inches."""
    figure = new_figure(WIDTH, rest + line * len(names))
    ax = figure.subplots()
    tidy(ax)
    ax.spines["left"].set_visible(False)
    ax.set_yticks(range(len(names)), [shorten(name, 20) for name in names], fontsize=8, color=INK)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_axisbelow(True)
    ax.grid(axis="y", color=QUIET)
    return figure, ax


def draw_coverage(numbers: list[HiddenNumbers]) -> Any:
    """Draw the coverage of three intervals of each column, with the band of chance."""
    shown = numbers[:MOST_LINES]
    figure, ax = named_axes(0.95, [str(one.column.name) for one in shown], line=0.36)
    y = np.arange(len(shown))
    for level, shift in zip(RANKS, (-0.24, 0.0, 0.24), strict=True):
        colour, nominal = SHADES[level], 100 * level
        half = 200 * np.array([one.standard_error(level) for one in shown])
        ends = np.clip(nominal - half, 0, None), np.clip(nominal + half, None, 100)
        covered = [100 * one.coverage(level) for one in shown]
        ax.axvline(nominal, color=colour, lw=0.9, ls="--", zorder=0)
        ax.hlines(y + shift, *ends, color=colour, alpha=0.3, lw=4)
        ax.plot(covered, y + shift, MARKS[level], color=colour, ms=4, label=f"{nominal:.0f} %")
    ax.set_xlim(0, 103)
    ax.set_xlabel("% of the hidden values inside", fontsize=8, color=INK)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8, handlelength=1)
    return figure


def draw_ranks(ranks: np.ndarray) -> Any:
    """Draw how often hidden values have each rank among the draws, with the band of chance."""
    n_bins = 20 if len(ranks) >= 400 else 10 if len(ranks) >= 100 else 5
    counts = np.histogram(ranks, bins=n_bins, range=(-0.5, N_DRAWS + 0.5))[0]
    expected = len(ranks) / n_bins
    error = np.sqrt(expected * (1 - 1 / n_bins))
    figure = new_figure(WIDTH, 2.3)
    ax = figure.subplots()
    tidy(ax)
    ax.axhspan(max(expected - 2 * error, 0), expected + 2 * error, color=ADDED, alpha=0.18, lw=0)
    ax.axhline(expected, color=ADDED, lw=1)
    ax.bar((np.arange(n_bins) + 0.5) / n_bins, counts, 0.92 / n_bins, color=OBSERVED, alpha=0.85)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.set_xlabel("share of the draws below the hidden value", fontsize=8, color=INK)
    ax.set_ylabel("cells", fontsize=8, color=INK)
    return figure


def draw_courses(columns: list[Filled], moment: str) -> Any:
    """Draw the mean or the deviation of the imputed values of each imputation, column by column.

    Means in deviations of the seen values from their mean, deviations as multiples of theirs.
    """
    shown = columns[:MOST_LINES]
    figure, ax = named_axes(0.75, [str(one.column.name) for one in shown])
    for y, one in enumerate(shown):
        scale = max(one.seen.std(), np.finfo(float).tiny)
        if moment == "mean":
            x = (one.imputed.mean(axis=1) - one.seen.mean()) / scale
        else:
            x = one.imputed.std(axis=1) / scale
        ax.plot([x.min(), x.max()], [y, y], color=OBSERVED, lw=1.2, zorder=1)
        ax.plot(x, np.full(len(x), y), "o", color=ADDED, ms=4, alpha=0.65, mew=0)
    ax.axvline(0 if moment == "mean" else 1, color=INK, lw=0.9, ls="--", zorder=0)
    unit = {"mean": "standard deviations of the seen values", "spread": "ratio"}[moment]
    ax.set_xlabel(unit, fontsize=8, color=INK)
    ax.locator_params(axis="x", nbins=6)
    return figure
