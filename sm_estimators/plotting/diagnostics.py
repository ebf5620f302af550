"""How a fit fared with the holes of its table."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sm_estimators.plotting._diagnostic_panels import (
    draw_changes,
    draw_held_out,
    draw_round_sizes,
    draw_sizes,
    draw_together,
    heat_map_side,
)
from sm_estimators.plotting._figure import new_figure, tidy

PANEL_WIDTH, PANEL_HEIGHT = 3.4, 2.4
Panel = Callable[[Any, dict[str, Any]], None]


def plot_missing_diagnostics(estimator: Any) -> Any:
    """Draw what a fitted estimator reports about its holes in ``missing_diagnostics_``.

    As many of these panels as apply:

    - how many draws the weights leave of each row with holes, all rows together (box from quartile
      to quartile, whiskers from 5 % to 95 %) and in the median by the number of holes, with the
      line at 5 below which a fit warns;
    - the same after each refresh of the draws, and by how much the parameters changed; the
      shaded rounds are averaged;
    - the mean held-out loss of every ridge that was tried;
    - how many rows show each pair of columns, with vermilion for pairs never seen together. The
      words above say whether some pattern of holes has fewer rows than its columns need: then
      the loss of marginal score matching has no lower bound without a ridge.

    Parameters
    ----------
    estimator : score-matching estimator
        Fitted to a table with holes, or with ``ridge="held_out"``.

    Returns
    -------
    matplotlib.figure.Figure
        Its ``savefig("diagnostics.png")`` writes the picture.

    Raises
    ------
    ImportError
        When matplotlib is missing.
    sklearn.exceptions.NotFittedError
        When the estimator is not fitted.
    ValueError
        When the table of the fit was complete, or was added up by ``partial_fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import GaussianScoreMatching
    >>> from sm_estimators.plotting import plot_missing_diagnostics
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> X[:10, 0] = np.nan
    >>> figure = plot_missing_diagnostics(GaussianScoreMatching().fit(X))
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['Rows that show each pair of columns']
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator, "missing_diagnostics_")
    found = estimator.missing_diagnostics_
    if not found:
        raise ValueError(
            "`estimator` was fitted to a table without holes, or by `partial_fit`, so there is "
            "nothing to draw about its holes. Fit it to a table with NaN where nothing was seen."
        )
    small, squared = panels(found), "co_observed" in found
    side = heat_map_side(len(found["co_observed"])) if squared else 0.0
    n_high, n_wide = small_grid(len(small), side)
    widths = [n_wide * PANEL_WIDTH, side + 0.9 if squared else 0.0]
    figure = new_figure(sum(widths), max(n_high * PANEL_HEIGHT, side + 0.9 if squared else 0.0))
    parts = [figure]
    if small and squared:
        parts = list(figure.subfigures(1, 2, width_ratios=widths, wspace=0.03))
    if small:
        draw_small(parts[0], small, found, (n_high, n_wide))
    if squared:
        draw_together(parts[-1], found, column_names(estimator))
    return figure


def panels(found: dict[str, Any]) -> list[Panel]:
    """Return the small panels that the diagnostics have something for."""
    chosen: list[Panel] = []
    if "effective_sample_size" in found:
        chosen.append(draw_sizes)
    rounds = found.get("rounds", [])
    if np.isfinite([r["effective_sample_size"] for r in rounds]).any():
        chosen.append(draw_round_sizes)
    if np.isfinite([r["change"] for r in rounds]).any():
        chosen.append(draw_changes)
    if "held_out_loss" in found:
        chosen.append(draw_held_out)
    return chosen


def small_grid(n_panels: int, side: float) -> tuple[int, int]:
    """Return rows and columns of the small panels, two high beside a heat map of that side."""
    if n_panels == 0:
        return 0, 0
    n_high = 1 if side == 0 or (n_panels == 1 and side < 1.8 * PANEL_HEIGHT) else 2
    return n_high, -(-n_panels // n_high)


def column_names(estimator: Any) -> list[str]:
    """Return the names of the columns of the fit."""
    n = estimator.n_features_in_
    return [str(c) for c in getattr(estimator, "feature_names_in_", [f"x{j}" for j in range(n)])]


def draw_small(part: Any, small: list[Panel], found: dict[str, Any], grid: tuple[int, int]) -> None:
    """Draw the small panels, row by row."""
    cells = part.subplots(*grid, squeeze=False).ravel()
    for unused in cells[len(small) :]:
        unused.remove()
    for axes, draw in zip(cells, small, strict=False):
        tidy(axes)
        draw(axes, found)
