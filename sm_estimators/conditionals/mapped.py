"""Completed tables after a smooth map of each column."""

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import learn_coordinates
from sm_estimators.conditionals.curve import Curve
from sm_estimators.conditionals.curve_choice import chosen_curves


def mapped(
    tables: Completions, observed: Bool[np.ndarray, "n d"], weight: Float[np.ndarray, " n"]
) -> tuple[Completions, list[Curve]]:
    """Return tables of mapped columns, and the maps, straight where a curve helps nobody."""
    seen = [(x[rows], weight[rows]) for x, rows in zip(tables.values[0].T, observed.T, strict=True)]
    straight = [Curve.straight(x) for x, _ in seen]
    curves = [
        line if column.nominal else Curve.of(x, w)
        for column, line, (x, w) in zip(tables.coordinates, straight, seen, strict=True)
    ]
    curved = mapped_by(curves, tables, observed, weight)
    gain = np.zeros(tables.linear.shape[-1])
    for j, (curve, (x, w)) in enumerate(zip(curves, seen, strict=True)):
        if np.isfinite(curve.width):
            scale, new = (one.coordinates[j].scale for one in (tables, curved))  # type: ignore[union-attr]
            gain[tables.blocks[j]] = w @ curve.log_slope(x) / w.sum() + np.log(scale / new)
    chosen = chosen_curves(tables.linear[0], curved.linear[0], gain, weight)
    places = zip(tables.blocks, curves, straight, strict=True)
    curves = [curve if chosen[block].any() else line for block, curve, line in places]
    return mapped_by(curves, tables, observed, weight), curves


def mapped_by(
    curves: list[Curve], tables: Completions, observed: np.ndarray, weight: np.ndarray
) -> Completions:
    """Return tables of columns after these maps."""
    columns = zip(curves, np.moveaxis(tables.values, 2, 0), strict=True)
    values = np.stack([curve.forward(x) for curve, x in columns], axis=2)
    nominal = np.array([column.nominal for column in tables.coordinates])
    return Completions(learn_coordinates(values[0], observed, nominal, weight), values)
