"""Several imputers judged by the same cells."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sm_estimators.judging.i_score import EnergyIScore
from sm_estimators.judging.masked_cells import MaskedCellScores
from sm_estimators.judging.row_means import RowMean

NAMES = ("rmse", "crps", "coverage", "accuracy", "brier", "energy_i_score")
"""Measures in the order of the table."""


@dataclass(frozen=True, eq=False)
class ImputerComparison:
    """Imputers and their scores; made by :func:`evaluate`.

    Attributes
    ----------
    table : DataFrame
        A row per imputer. For each measure that applies a column, and one with ``_se`` after its
        name for its standard error; ``n_draws``, 1 for imputers that do not draw and 0 for those
        that failed. After failures, ``error`` says what an imputer raised.
    by_column : DataFrame
        The measures for each imputer and column of the table.
    cells : DataFrame
        Every hidden cell of every imputer with its scores.
    i_scores : dict
        The :class:`EnergyIScore` of each imputer; empty when no column could be judged that way.
    errors : dict
        What was raised by the imputers that failed.
    level : float
        Of the intervals whose coverage was counted.
    """

    table: pd.DataFrame
    by_column: pd.DataFrame
    cells: pd.DataFrame
    i_scores: dict[str, EnergyIScore]
    errors: dict[str, Exception]
    level: float
    means: dict[str, dict[str, RowMean]] = field(repr=False)

    def differences(self, reference: str | None = None) -> pd.DataFrame:
        """Return how much worse each imputer is than one of them, with standard errors.

        All were judged by the same cells, so that what makes a cell hard cancels: differences are
        known better than the two scores.

        Parameters
        ----------
        reference : str, optional
            Its name; by default the one with the lowest CRPS, Brier score or energy-I-Score, the
            first of these that applies.

        Returns
        -------
        differences : DataFrame
            Columns as in ``table``: score minus that of the reference, and standard errors. A
            difference of less than two standard errors may be chance.
        """
        reference = self._best() if reference is None else reference
        if reference not in self.means:
            raise ValueError(f"`reference` is {reference!r}; expected one of {list(self.means)}.")
        base = self.means[reference]
        rows = {
            name: _flat({k: mean.minus(base[k]) for k, mean in means.items()})
            for name, means in self.means.items()
            if name != reference
        }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("imputer")
        return frame.dropna(axis="columns", how="all")

    def _best(self) -> str:
        """Return the name of the imputer with the lowest proper score."""
        ranked = next(k for k in ("crps", "brier", "energy_i_score") if k in self.table)
        return str(self.table[ranked].idxmin())

    def plot(self, *, measures: Sequence[str] | None = None, figure: Any = None) -> Any:
        """Draw the scores; see :func:`sm_estimators.plotting.plot_comparison`."""
        from sm_estimators.plotting.comparison import plot_comparison

        return plot_comparison(self, measures=measures, figure=figure)


def compare(
    names: list[str],
    masked: dict[str, MaskedCellScores],
    i_scores: dict[str, EnergyIScore],
    errors: dict[str, Exception],
    level: float,
) -> ImputerComparison:
    """Put the scores of all imputers side by side."""
    means = {name: dict(scores.means) for name, scores in masked.items()}
    for name, i_score in i_scores.items():
        means[name]["energy_i_score"] = i_score.mean
    return ImputerComparison(
        table=_table(names, means, masked, errors),
        by_column=_stack({name: _columns(masked[name], i_scores.get(name)) for name in masked}),
        cells=_stack({name: scores.cells for name, scores in masked.items()}).reset_index(0),
        i_scores=i_scores,
        errors=errors,
        level=level,
        means=means,
    )


def _flat(means: dict[str, RowMean]) -> dict[str, float]:
    """Return values and standard errors, one after the other."""
    flat = {}
    for name in NAMES:
        if name in means:
            flat[name], flat[f"{name}_se"] = means[name].value, means[name].standard_error
    return flat


def _table(names: list[str], means: Any, masked: Any, errors: Any) -> pd.DataFrame:
    """Return a row per imputer, in the order they were given."""
    rows = {name: _flat(means[name]) if name in means else {} for name in names}
    frame = pd.DataFrame.from_dict(rows, orient="index").reindex(names).rename_axis("imputer")
    frame = frame.dropna(axis="columns", how="all")
    frame["n_draws"] = [masked[name].n_draws if name in masked else 0 for name in names]
    if errors:
        said = {name: f"{type(error).__name__}: {error}" for name, error in errors.items()}
        frame["error"] = [said.get(name, "") for name in names]
    return frame


def _columns(scores: MaskedCellScores, i_score: EnergyIScore | None) -> pd.DataFrame:
    """Return the measures by column, the energy-I-Score among them."""
    if i_score is None:
        return scores.by_column
    added = i_score.by_column[["score"]].set_axis(["energy_i_score"], axis="columns")
    return scores.by_column.join(added, how="outer")


def _stack(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Put frames under one another, with the name of the imputer before their index."""
    return pd.concat(frames, names=["imputer"]) if frames else pd.DataFrame()
