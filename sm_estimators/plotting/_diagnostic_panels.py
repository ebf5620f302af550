"""The panels of the diagnostics of a fit, each drawn from ``missing_diagnostics_``."""

from textwrap import fill
from typing import Any

import numpy as np

from sm_estimators.plotting._figure import ADDED, INK, OBSERVED, QUIET, shorten
from sm_estimators.plotting.holes import percent

FEWEST_DRAWS = 5
"""Effective draws per row below which a median cannot be trusted; the fit warns there too."""
MOST_WRITTEN = 9
"""Columns up to which counts are written into their cells."""
GREY = "#6b727a"


def heading(axes: Any, title: str, note: str) -> None:
    """Write a title with a small note under it."""
    lines = note.count("\n") + 1
    axes.set_title(title, fontsize=9.5, color=INK, loc="left", pad=5 + 11 * lines)
    axes.annotate(
        note,
        (0, 1),
        xytext=(0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=7.5,
        color=GREY,
        va="bottom",
    )


def label(axes: Any, x: str, y: str) -> None:
    """Name the two directions."""
    axes.set_xlabel(x, fontsize=8, color=INK)
    axes.set_ylabel(y, fontsize=8, color=INK)


def draw_line_of_fewest(axes: Any) -> None:
    """Draw the number of draws below which a fit warns."""
    axes.axhline(FEWEST_DRAWS, color=ADDED, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)


def draw_sizes(axes: Any, found: dict[str, Any]) -> None:
    """Draw how many draws the weights leave: of all rows, and by the number of holes."""
    sizes, medians = found["effective_sample_size"], found["effective_sample_size_by_holes"]
    holes = sorted(medians)
    apart = holes[0] - max(1.0, 0.12 * (holes[-1] - holes[0]))
    width = 0.5 * (holes[0] - apart)
    look = {name: {"color": INK} for name in ("boxprops", "whiskerprops", "capprops")}
    axes.boxplot(
        sizes,
        positions=[apart],
        widths=width,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        **look | {"boxprops": {"facecolor": OBSERVED, "edgecolor": INK}},
        medianprops={"color": INK},
    )
    axes.plot(holes, [medians[k] for k in holes], "o-", color=OBSERVED, markersize=4)
    draw_line_of_fewest(axes)
    shown = [k for k in holes if (k - holes[0]) % -(-len(holes) // 8) == 0]
    axes.set_xticks([apart, *shown], ["all", *map(str, shown)])
    axes.set_xlim(apart - width, holes[-1] + width)
    axes.set_ylim(0, 1.08 * max(np.quantile(sizes, 0.95), *medians.values(), FEWEST_DRAWS))
    axes.locator_params(axis="y", integer=True, nbins=6)
    median, few = found["effective_sample_size_median"], float((sizes < FEWEST_DRAWS).mean())
    note = f"median {median:.3g}; {percent(few)} of {rows(len(sizes))} below {FEWEST_DRAWS}"
    heading(axes, "Effective draws of a row", note)
    label(axes, "holes in the row (medians)", "effective draws")


def shade_averaged(axes: Any, n_rounds: int) -> None:
    """Shade the second half of the rounds, and let the axis count them."""
    axes.axvspan(n_rounds // 2 + 0.5, n_rounds + 0.5, color=QUIET, zorder=0)
    axes.set_xlim(0.5, n_rounds + 0.5)
    axes.locator_params(axis="x", integer=True, nbins=8, min_n_ticks=1)


def draw_round_sizes(axes: Any, found: dict[str, Any]) -> None:
    """Draw how many draws the weights left after each round."""
    rounds = found["rounds"]
    number = np.arange(1, len(rounds) + 1)
    shade_averaged(axes, len(rounds))
    draw_line_of_fewest(axes)
    for key, style, name in (
        ("effective_sample_size", "o-", "median of the rows"),
        ("effective_sample_size_5_percent", "o:", "5 % of the rows are below"),
    ):
        values = [r[key] for r in rounds]
        axes.plot(number, values, style, color=OBSERVED, markersize=3.5, label=name)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.1 * FEWEST_DRAWS))
    axes.locator_params(axis="y", integer=True, nbins=6)
    axes.legend(fontsize=7.5, frameon=False, loc="best", labelcolor=INK)
    heading(axes, "Effective draws, round by round", "shaded: the rounds that are averaged")
    label(axes, "round", "effective draws")


def draw_changes(axes: Any, found: dict[str, Any]) -> None:
    """Draw by how much the parameters changed from round to round."""
    changes = np.array([r["change"] for r in found["rounds"]])
    shade_averaged(axes, len(changes))
    axes.plot(np.arange(1, len(changes) + 1), changes, "o-", color=OBSERVED, markersize=3.5)
    scale_logarithmically(axes, changes[np.isfinite(changes)])
    heading(axes, "Change of the parameters", "the largest, relative; does it still fall?")
    label(axes, "round", "relative change")


def scale_logarithmically(axes: Any, values: np.ndarray) -> None:
    """Give positive values a logarithmic axis with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if values.min() <= 0:
        return
    decades = np.log10(values.max() / values.min())
    subdivisions = (1, 1.5, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 2 else (1,)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=subdivisions))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_held_out(axes: Any, found: dict[str, Any]) -> None:
    """Draw the held-out loss against the ridge, the smallest marked."""
    losses = dict(sorted(found["held_out_loss"].items()))
    ridges = np.array(list(losses))
    values = np.array(list(losses.values()))
    best = int(np.argmin(values))
    axes.plot(ridges, values, "o-", color=OBSERVED, markersize=3.5)
    axes.plot(ridges[best], values[best], "o", color=ADDED, markersize=6)
    axes.set_xscale("log")
    heading(axes, "Held-out loss", f"smallest at ridge = {ridges[best]:g}")
    label(axes, "ridge", "mean marginal loss")


def heat_map_side(n_columns: int) -> float:
    """Return the side of the heat map in inches: readable with 2 columns and with 50."""
    return float(np.clip(3.2 + 0.09 * n_columns, 3.4, 6.4))


def draw_together(part: Any, found: dict[str, Any], names: list[str]) -> None:
    """Draw how many rows show each pair of columns."""
    from matplotlib.colors import LinearSegmentedColormap

    counts, pairs = found["co_observed"], found["never_together"]
    never = np.zeros(counts.shape, bool)
    for i, j in pairs:
        never[i, j] = never[j, i] = True
    axes = part.subplots()
    colours = LinearSegmentedColormap.from_list("together", [QUIET, OBSERVED])
    colours = colours.with_extremes(bad=ADDED)
    shown = np.ma.array(counts, mask=never)
    image = axes.imshow(shown, cmap=colours, vmin=0, vmax=counts.max(), interpolation="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=3)
    name_cells(axes, names)
    if len(names) <= MOST_WRITTEN:
        for i, j in np.ndindex(counts.shape):
            colour = "white" if never[i, j] else INK
            axes.text(j, i, counts[i, j], ha="center", va="center", fontsize=7.5, color=colour)
    else:
        bar = part.colorbar(image, ax=axes, shrink=0.7, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7.5, colors=INK, length=0)
    lines = [together_in_words(len(pairs)), support_in_words(found["least_supported"])]
    width = int(18 * heat_map_side(len(names)))
    heading(
        axes,
        "Rows that show each pair of columns",
        "\n".join(fill(line, width) for line in lines),
    )


def name_cells(axes: Any, names: list[str]) -> None:
    """Write the names of the columns along both sides."""
    size = float(np.clip(260 / len(names), 4.5, 8.5))
    short = [shorten(name, 16) for name in names]
    places = np.arange(len(names))
    axes.set_xticks(places, short, fontsize=size, color=INK, rotation=90 if len(names) > 4 else 0)
    axes.set_yticks(places, short, fontsize=size, color=INK)


def together_in_words(n_pairs: int) -> str:
    """Say how many pairs of columns were never seen together."""
    if n_pairs == 0:
        return "Every two columns were seen together."
    pairs = "1 pair was" if n_pairs == 1 else f"{n_pairs} pairs were"
    return f"{pairs} never seen together (vermilion): the model alone speaks of it."


def support_in_words(spare: int) -> str:
    """Say how many rows the worst pattern of holes has beyond what its columns need."""
    if spare < 0:
        return (
            f"The worst pattern is {rows(-spare)} short of what its columns need: without a ridge "
            "the loss of marginal score matching has no lower bound."
        )
    if spare == 0:
        return "The worst pattern has just as many rows as its columns need."
    return f"The worst pattern has {rows(spare)} more than its columns need."


def rows(count: int) -> str:
    """Count rows in words."""
    return "1 row" if count == 1 else f"{count} rows"
