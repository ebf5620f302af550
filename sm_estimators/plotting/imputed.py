"""Imputed values against observed ones, column by column."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_estimators.plotting._columns import Columns, as_columns, as_imputations, positions
from sm_estimators.plotting._histograms import Comparison, add_legend, draw_comparison, grid


def plot_imputed(
    X: Any, imputed: Any, *, columns: Sequence[Any] | None = None, figure: Any = None
) -> Any:
    """Draw, for each column with holes, the observed and the imputed values.

    Both histograms have area one. Imputed values need not look like the observed ones (holes
    may sit in rows that differ), but each difference should have a reason. Fewer than twenty
    values are drawn as ticks. Conditional means are narrower than the draws they average.

    Parameters
    ----------
    X : DataFrame or array of shape (n, d)
        The table, NaN in its holes.
    imputed : DataFrame, array (n, d) or (m, n, d), or list of m filled tables
        The same table with its holes filled; several imputations are pooled.
    columns : sequence of names or positions, default=None
        Which columns to draw; by default every column that has a hole.
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
        When the shapes differ, a column is unknown, or there is no hole.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators.plotting import plot_imputed
    >>> X = np.array([[1.0, np.nan], [2.0, 3.0], [2.5, 4.0]])
    >>> figure = plot_imputed(X, np.nan_to_num(X, nan=2.0))
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['x1']
    """
    seen = as_columns(X)
    filled = as_imputations(imputed, seen)
    chosen = with_holes(seen) if columns is None else positions(columns, seen.names)
    if not chosen:
        raise ValueError("`X` has no hole, so there is no imputed value to draw.")
    figure, axes = grid(len(chosen), figure)
    for ax, j in zip(axes, chosen, strict=True):
        draw_comparison(ax, comparison(seen, filled, j))
    times = "" if len(filled) == 1 else f" ({len(filled)} imputations)"
    add_legend(figure, "observed", f"imputed{times}")
    return figure


def with_holes(seen: Columns) -> list[int]:
    """Return the positions of the columns that have a hole."""
    return [int(j) for j in np.flatnonzero(np.isnan(seen.values).any(axis=0))]


def comparison(seen: Columns, filled: np.ndarray, j: int) -> Comparison:
    """Part a column into what was seen and what was put into its holes."""
    hole = np.isnan(seen.values[:, j])
    n_holes = int(hole.sum())
    note = f"{n_holes} hole{'' if n_holes == 1 else 's'} in {hole.size} rows"
    added = filled[:, hole, j].ravel()
    return Comparison(seen.names[j], note, seen.values[~hole, j], added[~np.isnan(added)])
