"""The log-probability of a label given a row, by any classifier, and its gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

STEP = 1e-4
"""Of the finite differences, in standard deviations of the column."""
TINY_STEP = 1e-7
"""Crosses hardly any threshold of a tree, but moves every smooth probability."""
N_PROBES = 200


@dataclass(frozen=True, eq=False)
class LabelModel:
    """P(label | z), fitted; without a classifier, the shares of the labels."""

    classifier: Any
    labels: np.ndarray
    """(k,) distinct labels in increasing order; the classifier knows them as 0 to k - 1."""
    shares: np.ndarray
    """(k,) weighted share of each label."""
    spread: np.ndarray
    """(a,) standard deviation of each column, 1 where it is constant."""
    probes: np.ndarray
    """A few of the rows fitted to, on which smoothness is checked."""

    def probabilities(self, Z: np.ndarray) -> np.ndarray:
        """Return P(label | z_i) of every row i and label, (n, k)."""
        if self.classifier is None or len(Z) == 0:
            return np.tile(self.shares, (len(Z), 1))
        return self.classifier.predict_proba(Z)

    def log_probability(self, Z: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return log P(label_i | z_i) of every row i."""
        code = np.searchsorted(self.labels, label)
        p = self.probabilities(Z)[np.arange(len(Z)), code]
        _check_positive(p, self.classifier)
        return np.log(p)

    def gradient(self, Z: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return the gradient of log P(label_i | z_i) with respect to z_i, (n, a)."""
        if self.classifier is None or len(Z) == 0:
            return np.zeros(Z.shape)
        slopes = _slopes(self.classifier)
        if slopes is not None:
            code = np.searchsorted(self.labels, label)
            return slopes[code] - self.probabilities(Z) @ slopes
        self._check_smooth()
        return self._differences(Z, label)

    def _differences(self, Z: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return central differences of the log-probability."""
        gradient = np.empty(Z.shape)
        for k, step in enumerate(STEP * self.spread):
            low, high = _neighbours(Z, k, step)
            rise = self.log_probability(high, label) - self.log_probability(low, label)
            gradient[:, k] = rise / (high[:, k] - low[:, k])
        return gradient

    def _check_smooth(self) -> None:
        """Refuse probabilities that vary between rows but not around them."""
        p = self.probabilities(self.probes)
        moved = np.zeros(len(p), bool)
        for k, step in enumerate(TINY_STEP * self.spread):
            low, high = map(self.probabilities, _neighbours(self.probes, k, step))
            moved |= (low != high).any(axis=1)
        if moved.mean() < 0.1 and np.ptp(p, axis=0).max() > 0:
            raise ValueError(
                "`classifier` must have probabilities that vary smoothly for a gradient; those of "
                f"{self.classifier!r} do not change around {np.mean(~moved):.0%} of the rows, as "
                "with trees, forests, boosting and nearest neighbours. Use the weights instead of "
                "the gradient, or a smooth classifier such as the default."
            )


def fit_label_model(
    classifier: Any, Z: np.ndarray, label: np.ndarray, weight: np.ndarray, *, fewest: int
) -> LabelModel:
    """Fit a clone of ``classifier``, unless a lone or rare label leaves nothing to learn."""
    labels, code, counts = np.unique(label, return_inverse=True, return_counts=True)
    spread = Z.std(axis=0)
    fitted: Any = None
    if len(labels) > 1 and counts.min() >= fewest:
        fitted = clone(classifier)
        fitted.fit(Z, code, **(weight_arguments(classifier, weight) if np.ptp(weight) > 0 else {}))
    return LabelModel(
        fitted,
        labels,
        np.bincount(code, weight) / weight.sum(),
        np.where(spread > 0, spread, 1.0),
        Z[:: max(1, len(Z) // N_PROBES)],
    )


def weight_arguments(classifier: Any, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weights under the names by which a fit takes them, or nothing if it does not."""
    if not isinstance(classifier, Pipeline):
        takes = has_fit_parameter(classifier, "sample_weight")
        return {"sample_weight": weight} if takes else {}
    takers = [name for name, step in classifier.steps if has_fit_parameter(step, "sample_weight")]
    if classifier.steps[-1][0] not in takers:
        return {}
    return {f"{name}__sample_weight": weight for name in takers}


def _slopes(classifier: Any) -> np.ndarray | None:
    """Return the (k, a) slopes of the log-odds if they are linear in z, else None."""
    steps = classifier.steps if isinstance(classifier, Pipeline) else [("", classifier)]
    *before, last = [step for _, step in steps if step not in (None, "passthrough")]
    if not isinstance(last, LogisticRegression):
        return None
    if not all(isinstance(step, StandardScaler) for step in before):
        return None
    slopes = np.vstack([np.zeros_like(last.coef_), last.coef_]) if _binary(last) else last.coef_
    for step in before:
        slopes = slopes if step.scale_ is None else slopes / step.scale_
    return slopes


def _binary(classifier: LogisticRegression) -> bool:
    """Tell whether a logistic regression keeps the slope of one of two labels only."""
    return len(classifier.coef_) == 1


def _neighbours(Z: np.ndarray, k: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows moved down and up in column k."""
    low, high = Z.copy(), Z.copy()
    low[:, k] -= step
    high[:, k] += step
    return low, high


def _check_positive(p: np.ndarray, classifier: Any) -> None:
    """Refuse probabilities of zero for what did happen."""
    if not (p > 0).all():
        raise ValueError(
            "`classifier` must give every pattern that is seen a positive probability; that of "
            f"{classifier!r} is not in {(~(p > 0)).sum()} of {len(p)} rows, whose weights would "
            "be infinite. Use a smoother one, such as the default, or calibrate it."
        )
