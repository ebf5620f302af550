"""Pictures as writers: made when called, saved to the path they are given."""

from typing import Any

import pandas as pd

from sm_estimators.cli.outputs import Writer

DOTS_PER_INCH = 150


def draw_holes(frame: pd.DataFrame) -> Writer:
    """Return what draws the holes of columns of any kind."""
    from sm_estimators.plotting import plot_holes

    seen = frame.notna()
    return saving(lambda: plot_holes(seen.where(seen).astype(float)).figure)


def draw_missing(frame: pd.DataFrame, imputed: list[Any]) -> Writer:
    """Return what draws the holes and the values put into them."""
    from sm_estimators.plotting import plot_missing

    return saving(lambda: plot_missing(frame, imputed))


def draw_samples(frame: pd.DataFrame, samples: pd.DataFrame) -> Writer:
    """Return what draws samples against the table."""
    from sm_estimators.plotting import plot_samples

    return saving(lambda: plot_samples(frame.astype(float), samples.astype(float)))


def saving(make: Any) -> Writer:
    """Return what makes a figure and saves it."""
    return lambda path: make().savefig(path, dpi=DOTS_PER_INCH)
