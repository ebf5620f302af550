"""A grid of small histograms, observed values against added ones."""

from typing import Any, NamedTuple

import numpy as np

from sm_estimators.plotting._figure import ADDED, INK, OBSERVED, new_figure, shorten, tidy

CELL_WIDTH, CELL_HEIGHT = 2.7, 2.0
FEW = 20
"""Below this many added values a histogram is made of noise: each value is drawn as a tick."""


class Comparison(NamedTuple):
    """One small picture: a column's name, a note under it, and the two samples."""

    name: str
    note: str
    observed: np.ndarray
    added: np.ndarray


def grid_shape(n_cells: int) -> tuple[int, int]:
    """Return rows and columns of a grid at most four wide that leaves few cells empty."""
    if n_cells <= 4:
        return 1, n_cells
    n_wide = min((4, 3), key=lambda wide: -n_cells % wide)
    return -(-n_cells // n_wide), n_wide


def grid(n_cells: int, figure: Any = None) -> tuple[Any, list[Any]]:
    """Return a figure and its ``n_cells`` axes."""
    n_high, n_wide = grid_shape(n_cells)
    if figure is None:
        figure = new_figure(max(n_wide, 2) * CELL_WIDTH, n_high * CELL_HEIGHT + 0.7)
    axes = figure.subplots(n_high, n_wide, squeeze=False).ravel()
    for unused in axes[n_cells:]:
        unused.remove()
    return figure, list(axes[:n_cells])


def bin_edges(observed: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Return common edges: as fine as the observed values bear, covering both samples."""
    both = np.concatenate([observed, added])
    low, high = both.min(), both.max()
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    n_bins = len(np.histogram_bin_edges(observed, "auto", (low, high))) - 1 if observed.size else 10
    return np.linspace(low, high, int(np.clip(n_bins, 8, 36)) + 1)


def draw_comparison(axes: Any, comparison: Comparison) -> None:
    """Draw the two samples of one column over each other, each with area one."""
    name, note, observed, added = comparison
    tidy(axes)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=5)
    axes.set_title(shorten(name), fontsize=9.5, color=INK, loc="left", pad=16)
    axes.text(0, 1.03, note, transform=axes.transAxes, fontsize=7.5, color="#6b727a", va="bottom")
    if observed.size + added.size == 0:
        return
    edges = bin_edges(observed, added)
    if observed.size:
        axes.hist(observed, edges, density=True, color=OBSERVED, alpha=0.75)
    if added.size >= FEW:
        axes.hist(added, edges, density=True, histtype="step", color=ADDED, linewidth=1.6)
    elif added.size:
        axes.vlines(
            added, 0, 0.14, transform=axes.get_xaxis_transform(), color=ADDED, linewidth=1.6
        )
    axes.set_ylim(bottom=0)


def add_legend(figure: Any, observed_label: str, added_label: str) -> None:
    """Explain the two colours once, above the grid."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=OBSERVED, alpha=0.75, label=observed_label),
        Patch(facecolor="none", edgecolor=ADDED, linewidth=1.6, label=added_label),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=8.5)
