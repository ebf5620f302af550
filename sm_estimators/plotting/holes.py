"""The matrix of holes."""

from typing import Any

import numpy as np

from sm_estimators.plotting._columns import as_columns
from sm_estimators.plotting._figure import ADDED, INK, QUIET, new_figure, shorten

MAX_BANDS = 400
"""Taller tables are drawn in bands of rows, shaded by their share of holes."""


def plot_holes(X: Any, ax: Any = None, *, sort: bool = False) -> Any:
    """Draw which cells of a table were not seen.

    Rows run downwards and columns across; a hole is vermilion. Tables of more than 400 rows are
    drawn in bands, each shaded by the share of its rows that have the hole.

    Parameters
    ----------
    X : DataFrame or array of shape (n, d)
        The table, NaN in its holes. Columns of a DataFrame that are not numeric are left out.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; by default a new figure sized to the table.
    sort : bool, default=False
        Draw rows with the same holes together, fewest holes first, instead of in their order.

    Returns
    -------
    matplotlib.axes.Axes
        Its ``figure.savefig("holes.png")`` writes the picture.

    Raises
    ------
    ImportError
        When matplotlib is missing.
    ValueError
        When there is no numeric column or no row.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators.plotting import plot_holes
    >>> ax = plot_holes(np.array([[1.0, np.nan], [2.0, 3.0]]))
    >>> ax.get_title(loc="left")
    '1 hole in 4 cells (25 %), 1 of 2 rows complete'
    """
    names, values = as_columns(X)
    holes = np.isnan(values)
    n_rows, n_columns = holes.shape
    if ax is None:
        ax = new_figure(max(5.5, 1.6 + 0.62 * min(n_columns, 30)), 5.2).subplots()
    order = pattern_order(holes) if sort else np.arange(n_rows)
    ax.imshow(
        bands(holes[order]),
        cmap=hole_colours(),
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="none",
        extent=(-0.5, n_columns - 0.5, n_rows + 0.5, 0.5),
    )
    label_columns(ax, names, holes.mean(axis=0))
    label_rows(ax, n_rows, sort)
    ax.set_title(summary(holes), fontsize=10, color=INK, loc="left", pad=10)
    return ax


def pattern_order(holes: np.ndarray) -> np.ndarray:
    """Order rows by their number of holes, then by which columns have them."""
    return np.lexsort((*holes.T[::-1], holes.sum(axis=1)))


def bands(holes: np.ndarray) -> np.ndarray:
    """Average consecutive rows until no more than ``MAX_BANDS`` are left."""
    if len(holes) <= MAX_BANDS:
        return holes.astype(float)
    starts = np.linspace(0, len(holes), MAX_BANDS, endpoint=False).astype(int)
    sums = np.add.reduceat(holes, starts, axis=0, dtype=float)
    return sums / np.diff(np.append(starts, len(holes)))[:, None]


def hole_colours() -> Any:
    """Return the colour map from no hole to all holes."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("holes", [QUIET, ADDED])


def label_columns(ax: Any, names: list[str], rates: np.ndarray) -> None:
    """Write each column's name and share of holes above it, and part the columns."""
    n_columns = len(names)
    labels = [
        f"{shorten(name, 20)}  {percent(rate)}" for name, rate in zip(names, rates, strict=True)
    ]
    size = float(np.clip(260 / n_columns, 4.5, 8.5))
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(n_columns), labels, fontsize=size, color=INK)
    ax.tick_params(axis="x", length=0, pad=3)
    for label in ax.get_xticklabels():
        label.set(
            rotation=40 if n_columns <= 20 else 90, ha="left" if n_columns <= 20 else "center"
        )
        label.set_rotation_mode("anchor" if n_columns <= 20 else "default")
    ax.vlines(np.arange(n_columns - 1) + 0.5, 0, 1, transform=ax.get_xaxis_transform(), color="w")


def label_rows(ax: Any, n_rows: int, sort: bool) -> None:
    """Say what the vertical axis counts."""
    ax.set_ylabel("rows, sorted by pattern" if sort else "row", fontsize=9, color=INK)
    ax.locator_params(axis="y", integer=True, nbins=8)
    ax.tick_params(axis="y", labelsize=8, colors=INK)
    ax.set_ylim(n_rows + 0.5, 0.5)
    ax.spines[:].set_visible(False)


def percent(rate: float) -> str:
    """Write a share with as many digits as it deserves, and never a hole as none."""
    if rate == 0:
        return "0 %"
    if rate < 0.0005:
        return "<0.1 %"
    return f"{100 * rate:.1f} %" if rate < 0.0995 else f"{100 * rate:.0f} %"


def summary(holes: np.ndarray) -> str:
    """Count the holes and the complete rows."""
    n_holes, n_complete = int(holes.sum()), int((~holes.any(axis=1)).sum())
    return (
        f"{n_holes} hole{'' if n_holes == 1 else 's'} in {holes.size} cells "
        f"({percent(holes.mean())}), {n_complete} of {len(holes)} rows complete"
    )
