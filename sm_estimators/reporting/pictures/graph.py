"""A circle of columns, joined where they depend on each other given all others."""

from typing import Any

import numpy as np

from sm_estimators.plotting._figure import INK, new_figure, shorten
from sm_estimators.reporting.facts.graph import Edge, Graph

SIZE = 6.6
COLOURS = {1: "#0b5a8a", -1: "#d55e00", 0: "#6b727a"}
STYLES: dict[int, Any] = {1: "solid", -1: (0, (4, 1.6)), 0: "solid"}
MOST_NODES, MOST_EDGES = 60, 100
LONGEST = 20
LETTER = 0.036
"""Width of a letter, in radii of the circle."""


def draw_graph(graph: Graph) -> Any:
    """Draw the graph; where there are many columns, those with edges only."""
    nodes = around(graph)
    place = {name: position(k, len(nodes)) for k, name in enumerate(nodes)}
    figure = new_figure(SIZE, SIZE)
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set_aspect("equal")
    reach = 1.12 + LETTER * max(len(shorten(name, LONGEST)) for name in nodes)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    for edge in reversed(graph.edges[:MOST_EDGES]):
        if edge.first in place and edge.second in place:
            draw_edge(ax, place[edge.first], place[edge.second], edge=edge)
    for k, name in enumerate(nodes):
        draw_node(ax, name, k, n=len(nodes))
    return figure


def around(graph: Graph) -> list[str]:
    """Return the columns in an order that puts those that are joined beside each other.

    Along the Fiedler vector of the graph, whose values differ little between strong neighbours.
    """
    names = graph.columns
    if len(names) > MOST_NODES:
        joined = {name for edge in graph.edges for name in (edge.first, edge.second)}
        names = [name for name in names if name in joined][:MOST_NODES]
    index = {name: k for k, name in enumerate(names)}
    W = np.full((len(names), len(names)), 1e-3)
    for edge in graph.edges:
        if edge.first in index and edge.second in index:
            i, j = index[edge.first], index[edge.second]
            W[i, j] = W[j, i] = edge.strength
    if len(names) < 3:
        return list(names)
    vectors = np.linalg.eigh(np.diag(W.sum(axis=1)) - W)[1]
    # the angle in the plane of two such vectors closes the circle
    order = np.argsort(np.arctan2(vectors[:, 2], vectors[:, 1]), kind="stable")
    return [names[k] for k in order]


def position(k: int, n: int) -> tuple[float, float]:
    """Return the place of a column on the circle, the first on top, clockwise."""
    angle = np.pi / 2 - 2 * np.pi * k / n
    return float(np.cos(angle)), float(np.sin(angle))


def draw_edge(ax: Any, start: tuple[float, float], end: tuple[float, float], *, edge: Edge) -> None:
    """Draw a curve that bends towards the middle of the circle, the less the nearer its ends."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    apart = np.hypot(start[0] - end[0], start[1] - end[1]) / 2  # 1 across the circle
    pull = 0.5 * (0.85 - 0.45 * apart)
    bend = (pull * (start[0] + end[0]), pull * (start[1] + end[1]))
    path = Path([start, bend, end], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
    ax.add_patch(
        PathPatch(
            path,
            facecolor="none",
            edgecolor=COLOURS[edge.sign],
            linestyle=STYLES[edge.sign],
            linewidth=0.6 + 6.5 * edge.strength,
            alpha=float(np.clip(0.35 + edge.strength, 0.35, 0.9)),
            capstyle="butt",
        )
    )


def draw_node(ax: Any, name: str, k: int, *, n: int) -> None:
    """Draw a dot and, outside of it along the radius, the name."""
    x, y = position(k, n)
    ax.plot([x], [y], "o", ms=6, color=INK, mec="white", mew=1, zorder=3)
    degrees = float(np.degrees(np.arctan2(y, x)))
    left = x < -1e-9
    ax.text(
        1.06 * x,
        1.06 * y,
        shorten(name, LONGEST),
        rotation=degrees + 180 if left else degrees,
        rotation_mode="anchor",
        ha="right" if left else "left",
        va="center",
        fontsize=8.5 if n <= 40 else 7,
        color=INK,
    )
