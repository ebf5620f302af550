"""Figures without pyplot, and the colours they share."""

from typing import Any

OBSERVED = "#7f9db9"
"""A greyed blue: what was seen."""
ADDED = "#d55e00"
"""Vermilion (Okabe and Ito 2008): holes, and the values put into them."""
QUIET = "#e9edf1"
"""The background on which holes stand out."""
INK = "#3a3f45"


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, in inches, that saves itself to a file."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is not installed; "
            'install it with `pip install "sm_estimators[plots]"`.'
        ) from error
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07)
    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Any) -> None:
    """Remove the frame that carries no information and soften the rest."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b5bcc4")
    axes.tick_params(colors=INK, labelsize=8, color="#b5bcc4")


def shorten(name: str, length: int = 24) -> str:
    """Cut a long column name in its middle, and keep a dollar sign from starting mathematics."""
    if len(name) > length:
        half = (length - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    return name.replace("$", r"\$")
