"""One classifier for the frequent patterns of a table, one per column for the rare."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sm_estimators.missingness._label_model import LabelModel, fit_label_model

BLOCK_SIZE = 2_000_000
"""Doubles of one block of patterns times reference rows."""
N_REFERENCE = 2000


@dataclass(frozen=True, eq=False)
class PatternModels:
    """P(pattern | z), fitted."""

    rare: np.ndarray
    """(n_patterns,) True where a pattern is a product over columns."""
    joint: LabelModel
    """Of the position of a frequent pattern."""
    by_column: dict[int, LabelModel]
    """Of the flag of each column that has holes and values, one for columns of equal flags."""
    reference: np.ndarray
    """Some of the rows fitted to, over which propensities are averaged."""
    reference_weight: np.ndarray

    def log_probability(self, Z: np.ndarray, observed: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return log P(pattern_i | z_i); the position of a pattern new to the fit is -1."""
        return self._combine(LabelModel.log_probability, Z, observed, label)

    def gradient(self, Z: np.ndarray, observed: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return the gradient of the log-probability with respect to z_i, (n, a)."""
        return self._combine(LabelModel.gradient, Z, observed, label)

    def log_share(self, patterns: np.ndarray) -> np.ndarray:
        """Return the log of the mean over the reference rows of the product over columns.

        The share of a pattern that has few rows, or none, without counting them.
        """
        tiny = np.finfo(float).tiny
        logs = [
            np.log(np.maximum(model.probabilities(self.reference), tiny))
            for model in self.by_column.values()
        ]
        lost = np.log(self.reference_weight / self.reference_weight.sum())
        gain = np.array([log[:, 1] - log[:, 0] for log in logs]).reshape(len(logs), len(lost))
        lost = lost + sum(log[:, 0] for log in logs)
        flags = patterns[:, list(self.by_column)].astype(float)
        n_parts = -(-len(patterns) * len(lost) // BLOCK_SIZE)
        parts = np.array_split(flags, max(1, n_parts))
        return np.concatenate([np.asarray(logsumexp(lost + p @ gain, axis=1)) for p in parts])

    def _combine(
        self,
        of: Callable[[LabelModel, np.ndarray, np.ndarray], np.ndarray],
        Z: np.ndarray,
        observed: np.ndarray,
        label: np.ndarray,
    ) -> np.ndarray:
        """Evaluate the joint model of frequent patterns, and add up the columns' for the others."""
        frequent = (label >= 0) & ~self.rare[label]
        rest = ~frequent
        direct = of(self.joint, Z[frequent], label[frequent])
        total = np.zeros((len(Z), *direct.shape[1:]))
        total[frequent] = direct
        for j, model in self.by_column.items():
            total[rest] += of(model, Z[rest], observed[rest, j].astype(int))
        return total


def fit_pattern_models(
    classifier: Any,
    Z: np.ndarray,
    observed: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray,
    *,
    rare: np.ndarray,
    fewest: int,
) -> PatternModels:
    """Fit clones of ``classifier``; ``fewest`` rare rows together make one class more."""
    is_rare = rare[label]
    kept = ~is_rare | (is_rare.sum() >= fewest) | is_rare.all()
    joint = np.where(is_rare, len(rare), label)
    every = max(1, len(Z) // N_REFERENCE)
    holed = np.flatnonzero(np.ptp(observed.astype(int), axis=0))
    distinct = np.unique(observed[:, holed], axis=1, return_index=True)[1]
    return PatternModels(
        rare,
        fit_label_model(classifier, Z[kept], joint[kept], weight[kept], fewest=1),
        {
            int(j): fit_label_model(
                classifier, Z, observed[:, j].astype(int), weight, fewest=fewest
            )
            for j in np.sort(holed[distinct])
        },
        Z[::every],
        weight[::every],
    )
