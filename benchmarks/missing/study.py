"""Many fits of one design: errors and seconds of every method, over seeds."""

import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from benchmarks.machine import RESULTS

MARKERS = "osD^v<>PX*hpd8"
Found = dict[tuple, list[tuple[float, float]]]
"""(setting, method) -> pairs of error and seconds, one per seed."""


def measure(fit: Callable[[], float]) -> tuple[float, float]:
    """Return the error and the seconds of a fit; infinity where the method has no answer."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            error = fit()
        except (ValueError, FloatingPointError, np.linalg.LinAlgError):
            error = np.inf
    return float(error) if np.isfinite(error) else np.inf, time.perf_counter() - start


def summary(values: Iterable[tuple[float, float]], digits: int = 3) -> str:
    """Return median and quartiles of the errors, in words where there was often no answer."""
    errors = np.array([error for error, _ in values])
    if np.isinf(errors).mean() >= 0.5:
        return "none"
    low, median, high = np.quantile(errors, [0.25, 0.5, 0.75], method="nearest")
    return f"{median:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def seconds(values: Iterable[tuple[float, float]]) -> str:
    """Return the median seconds; what is compiled on first use hardly touches a median."""
    return f"{np.median([s for _, s in values]):.2f}"


def draw_curves(
    found: Found,
    x: list,
    names: list[str],
    *,
    xlabel: str,
    ylabel: str,
    path: str,
    log: bool = True,
) -> None:
    """Save medians and quartiles against the setting, one curve per method."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(8, 4.6))
    for i, name in enumerate(names):
        errors = np.array([[e for e, _ in found[setting, name]] for setting in x])
        with np.errstate(invalid="ignore"):
            low, median, high = np.quantile(errors, [0.25, 0.5, 0.75], axis=1, method="nearest")
        style = {
            "color": f"C{i % 10}",
            "ls": "-" if i < 10 else "--",
            "marker": MARKERS[i % len(MARKERS)],
        }
        shown = np.isfinite(median)
        ax.plot(np.array(x)[shown], median[shown], label=name, ms=4, **style)
        inside = shown & np.isfinite(high)
        ax.fill_between(
            np.array(x)[inside], low[inside], high[inside], alpha=0.12, color=style["color"], lw=0
        )
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=7, frameon=False)
    figure.set_layout_engine("constrained")
    Path(RESULTS).mkdir(exist_ok=True)
    figure.savefig(RESULTS / path, dpi=150)
    plt.close(figure)
