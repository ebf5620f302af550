"""Rows drawn from a fitted density against the rows it was fitted to."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_estimators.plotting._columns import Columns, as_columns, matching, positions
from sm_estimators.plotting._figure import ADDED, INK, OBSERVED, shorten, tidy
from sm_estimators.plotting._histograms import Comparison, add_legend, draw_comparison, grid

MAX_POINTS = 1000


def plot_samples(
    X: Any,
    samples: Any,
    *,
    columns: Sequence[Any] | None = None,
    pair: Sequence[Any] | None = None,
    figure: Any = None,
) -> Any:
    """Draw sampled values against observed ones for each column, and one pair of columns.

    Parameters
    ----------
    X : DataFrame or array of shape (n, d)
        The table; holes are left out.
    samples : DataFrame or array of shape (n_samples, d)
        Rows drawn from a density of the same columns.
    columns : sequence of names or positions, default=None
        Which columns to draw; by default all.
    pair : two names or positions, default=None
        The columns of the scatter plot; by default the two most correlated of ``columns``. It
        shows at most 1000 rows of each table, evenly spaced.
    figure : matplotlib.figure.Figure or SubFigure, default=None
        Where to draw; by default a new figure sized to the number of columns.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        When matplotlib is missing.
    ValueError
        When the tables have different columns, or a column is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators.plotting import plot_samples
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> figure = plot_samples(X, X + 0.1)
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['x0', 'x1', 'x0 and x1']
    """
    seen = as_columns(X)
    drawn = matching(samples, seen, "samples")
    if drawn.shape[1] != seen.values.shape[1]:
        raise ValueError(
            f"`samples` must have the {seen.values.shape[1]} columns of `X`, "
            f"but has {drawn.shape[1]}."
        )
    chosen = list(range(len(seen.names))) if columns is None else positions(columns, seen.names)
    two = most_correlated(seen, chosen) if pair is None else positions(pair, seen.names)
    figure, axes = grid(len(chosen) + bool(two), figure)
    for ax, j in zip(axes, chosen, strict=False):
        draw_comparison(ax, comparison(seen, drawn, j))
    if two:
        draw_pair(axes[-1], seen, drawn, two)
    add_legend(figure, f"observed ({len(seen.values)} rows)", f"sampled ({len(drawn)} rows)")
    return figure


def comparison(seen: Columns, drawn: np.ndarray, j: int) -> Comparison:
    """Set the seen values of a column beside the sampled ones."""
    values, added = (column[~np.isnan(column)] for column in (seen.values[:, j], drawn[:, j]))
    return Comparison(seen.names[j], f"{len(values)} values seen", values, added)


def most_correlated(seen: Columns, chosen: list[int]) -> list[int]:
    """Return the two columns with the largest |correlation| over rows that have both."""
    import pandas as pd

    if len(chosen) < 2:
        return []
    correlation = pd.DataFrame(seen.values[:, chosen]).corr().abs().fillna(0).to_numpy(copy=True)
    np.fill_diagonal(correlation, -1)
    i, j = np.unravel_index(correlation.argmax(), correlation.shape)
    return [chosen[int(i)], chosen[int(j)]]


def draw_pair(axes: Any, seen: Columns, drawn: np.ndarray, two: list[int]) -> None:
    """Scatter two columns, sampled rows over observed ones."""
    i, j = two
    tidy(axes)
    for values, colour in ((seen.values, OBSERVED), (drawn, ADDED)):
        step = -(-len(values) // MAX_POINTS)
        axes.scatter(
            values[::step, i], values[::step, j], s=5, color=colour, alpha=0.5, linewidths=0
        )
    axes.set_title(
        f"{shorten(seen.names[i], 15)} and {shorten(seen.names[j], 15)}",
        fontsize=9.5,
        color=INK,
        loc="left",
        pad=16,
    )
    axes.locator_params(nbins=5)
    axes.set_xlabel(shorten(seen.names[i]), fontsize=8, color=INK)
    axes.set_ylabel(shorten(seen.names[j]), fontsize=8, color=INK)
