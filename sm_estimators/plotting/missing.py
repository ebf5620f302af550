"""Holes and what was put into them, on one page."""

from typing import Any

import numpy as np

from sm_estimators.plotting._columns import as_columns
from sm_estimators.plotting._figure import new_figure
from sm_estimators.plotting._histograms import CELL_HEIGHT, CELL_WIDTH, grid_shape
from sm_estimators.plotting.holes import plot_holes
from sm_estimators.plotting.imputed import plot_imputed, with_holes


def plot_missing(X: Any, imputed: Any, *, sort: bool = False) -> Any:
    """Draw the matrix of holes and, under it, imputed values against observed ones.

    Parameters
    ----------
    X : DataFrame or array of shape (n, d)
        The table, NaN in its holes.
    imputed : DataFrame, array (n, d) or (m, n, d), or list of m filled tables
        The same table with its holes filled.
    sort : bool, default=False
        Draw rows with the same holes together in the matrix.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        When matplotlib is missing.
    ValueError
        When the shapes differ or there is no hole.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators.plotting import plot_missing
    >>> X = np.array([[1.0, np.nan], [2.0, 3.0], [2.5, 4.0]])
    >>> figure = plot_missing(X, np.nan_to_num(X, nan=2.0))
    >>> len(figure.axes)
    2
    """
    seen = as_columns(X)
    n_high, n_wide = grid_shape(max(1, len(with_holes(seen))))
    heights = [4.6, n_high * CELL_HEIGHT + 0.7]
    width = max(8.0, n_wide * CELL_WIDTH, 1.6 + 0.62 * min(np.shape(seen.values)[1], 30))
    page = new_figure(width, sum(heights))
    upper, lower = page.subfigures(2, 1, height_ratios=heights, hspace=0.03)
    plot_holes(X, upper.subplots(), sort=sort)
    plot_imputed(X, imputed, figure=lower)
    return page
