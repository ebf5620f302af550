"""The matrix of holes of any table, in bands where it is large."""

from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.plotting._figure import INK, new_figure
from sm_estimators.plotting.holes import bands, hole_colours, label_rows, plot_holes

WIDTH, HEIGHT = 9.6, 4.6
MOST_NAMED = 60
"""Columns; more are drawn without their names, in bands."""


def draw_holes(frame: pd.DataFrame) -> Any:
    """Draw which cells were not seen."""
    seen = frame.notna()
    width = float(np.clip(2.2 + 0.3 * frame.shape[1], 4.6, WIDTH))
    figure = new_figure(width, HEIGHT)
    if frame.shape[1] <= MOST_NAMED:
        ax = plot_holes(seen.where(seen).astype(float), figure.subplots())
        ax.set_title("", loc="left")
        return figure
    draw_many(figure.subplots(), ~seen.to_numpy())
    return figure


def draw_many(ax: Any, holes: np.ndarray) -> None:
    """Draw bands of rows and of columns, each shaded by its share of holes."""
    n_rows, n_columns = holes.shape
    ax.imshow(
        bands(bands(holes).T).T,
        cmap=hole_colours(),
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="none",
        extent=(0.5, n_columns + 0.5, n_rows + 0.5, 0.5),
    )
    label_rows(ax, n_rows, sort=False)
    ax.set_xlabel("column, by its place in the table", fontsize=9, color=INK)
    ax.tick_params(axis="x", labelsize=8, colors=INK)
