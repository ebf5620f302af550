"""Small pictures of one column: what was seen, and what was put into its holes."""

from typing import Any

import numpy as np

from sm_estimators.plotting._figure import ADDED, INK, OBSERVED, new_figure, shorten, tidy
from sm_estimators.plotting._histograms import bin_edges
from sm_estimators.reporting import words
from sm_estimators.reporting.facts.imputations import Filled

WIDTH, HEIGHT = 2.75, 1.55
MOST_LEVELS = 6
FEW = 15
"""Below this many imputed values each is a tick."""
MOST_BINS_OF_ONE = 36
"""Whole numbers of a smaller range have a bin each."""


def draw_filled(filled: Filled) -> Any:
    """Draw one column."""
    return draw_numbers(filled) if filled.is_number else draw_levels(filled)


def draw_numbers(filled: Filled) -> Any:
    """Draw histograms of area one over each other."""
    figure = new_figure(WIDTH, HEIGHT)
    ax = figure.subplots()
    tidy(ax)
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])
    added = filled.imputed.ravel()
    edges = edges_of(filled)
    ax.hist(filled.seen, edges, density=True, color=OBSERVED, alpha=0.75)
    if added.size >= FEW:
        ax.hist(added, edges, density=True, histtype="step", color=ADDED, linewidth=1.5)
    else:
        ax.vlines(added, 0, 0.16, transform=ax.get_xaxis_transform(), color=ADDED, linewidth=1.4)
    ax.locator_params(axis="x", nbins=4)
    if filled.column.origin is not None:
        ax.locator_params(axis="x", nbins=2)
        ax.xaxis.set_major_formatter(lambda x, _: words.value(filled.column, x))
    return figure


def edges_of(filled: Filled) -> np.ndarray:
    """Return common bins: one per whole number where there are few, else as fine as fits."""
    added = filled.imputed.ravel()
    low = min(filled.seen.min(), added.min())
    high = max(filled.seen.max(), added.max())
    if filled.column.kind == "integer" and high - low <= MOST_BINS_OF_ONE:
        return np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    return bin_edges(filled.seen, added)


def draw_levels(filled: Filled) -> Any:
    """Draw a pair of bars for each frequent level."""
    seen, imputed = (filled.shares(x) for x in (filled.seen, filled.imputed))
    codes = shown_levels(filled.column.kind, seen)
    figure = new_figure(WIDTH, max(HEIGHT, 0.62 + 0.27 * len(codes)))
    ax = figure.subplots()
    tidy(ax)
    ax.spines[["left", "bottom"]].set_visible(False)
    y = np.arange(len(codes))
    ax.barh(y - 0.2, 100 * seen[codes], 0.36, color=OBSERVED, alpha=0.85)
    ax.barh(y + 0.2, 100 * imputed[codes], 0.36, facecolor="white", edgecolor=ADDED, linewidth=1.4)
    names = [shorten(words.level(filled.column, code), 16) for code in codes.tolist()]
    ax.set_yticks(y, names, fontsize=8, color=INK)
    ax.set_ylim(len(codes) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=3)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g} %")
    return figure


def shown_levels(kind: str, seen: np.ndarray) -> np.ndarray:
    """Return codes of the most frequent levels, ordered ones in their order."""
    order = np.argsort(-seen, kind="stable")
    most = order[: min(MOST_LEVELS, int((seen > 0).sum()))]
    return np.sort(most) if kind in ("ordinal", "boolean") else most
