"""Figures as part of the page: vector graphics inside an ``img``, with words for those who need."""

import importlib.util
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any

from sm_estimators.reporting.markup import Html, note, tag

WITHOUT = (
    "This page has no pictures: they need matplotlib, which is not installed; install it with "
    '`pip install "sm_estimators[plots]"` and make the page again.'
)
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "sm_estimators"}
"""Letters as letters, and the same bytes for the same figure."""
UNDATED = {"Date": None, "Creator": None}


def can_draw() -> bool:
    """Tell whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def picture(
    draw: Callable[[], Any], *, alt: str, title: str = "", about: str = "", wide: bool = False
) -> Html:
    """Return a figure with its caption, nothing where nothing can draw.

    Parameters
    ----------
    draw : callable
        Makes the matplotlib figure.
    alt : str
        What the picture shows, in a sentence.
    title, about : str
        The caption, in strong and in quiet letters.
    wide : bool
        Whether it scrolls in its own box on narrow screens rather than shrink.
    """
    if not can_draw():
        return Html("")
    image = tag("img", src=address(draw()), alt=alt)
    if wide:
        image = tag("div", image, class_="scroll wide", tabindex="0", role="region", aria_label=alt)
    caption = [tag("strong", title)] * bool(title) + [tag("span", f" {about}")] * bool(about)
    return tag("figure", *([tag("figcaption", *caption)] if caption else []), image)


def address(figure: Any) -> str:
    """Return a figure as the address of an image, data and all."""
    from matplotlib import rc_context

    drawn = BytesIO()
    with rc_context(SETTINGS):
        figure.savefig(drawn, format="svg", metadata=UNDATED)
    return "data:image/svg+xml;base64," + b64encode(drawn.getvalue()).decode("ascii")


def warning() -> Html:
    """Say that there are no pictures, where there are none."""
    return Html("") if can_draw() else note(WITHOUT)
