"""Fits to several completed tables that answer as one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from sm_estimators.pooling.completion import LARGEST_SEED, count_holes
from sm_estimators.pooling.estimates import PooledEstimates
from sm_estimators.pooling.outcome import AbstractOutcome


@dataclass(frozen=True, eq=False)
class PooledFit:
    """m fits to m completed tables; made by :func:`fit_pooled`.

    Attributes
    ----------
    pooled : PooledEstimates or None
        The coefficients; None with ``variance=None``.
    estimators_ : list
        The fitted clones, or what the callable returned.
    imputers_ : list
        One fitted imputer for each; empty when completed tables were given, or nothing was missing.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from sm_estimators import ScoreMatchingImputer
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> from sm_estimators.pooling import fit_pooled
    >>> buoys = load_oceanbuoys()[["air_temp_c", "humidity", "sea_temp_c"]]
    >>> quick = ScoreMatchingImputer(engine="gaussian")
    >>> fit = fit_pooled(LinearRegression(), buoys, y="air_temp_c", imputer=quick, random_state=0)
    >>> fit.predict(buoys[["humidity", "sea_temp_c"]]).shape
    (736,)
    """

    pooled: PooledEstimates | None
    estimators_: list[Any]
    imputers_: list[Any]
    outcome: AbstractOutcome = field(repr=False)

    def predict(self, X: Any, *, random_state: Any = 0) -> np.ndarray:
        """Predict by all fits together.

        Numbers are averaged; a class is the one whose averaged probability is largest or, for
        classifiers without ``predict_proba``, the one with most votes (of equals, the first).

        Parameters
        ----------
        X : DataFrame or array of shape (n, d)
            Predictors; of a DataFrame, the columns of the fit are taken, by name. Where they have
            holes, each fit sees a completion by its own imputer.
        random_state : int, RandomState instance or None, default=0
            Of completions.

        Returns
        -------
        y : ndarray of shape (n,)
            Predictions.

        Raises
        ------
        ValueError
            For holes when there is no imputer, and without the columns of the fit.
        TypeError
            For fits that do not predict.
        """
        if hasattr(self.estimators_[0], "predict_proba"):
            return self._classes()[self.predict_proba(X, random_state=random_state).argmax(axis=1)]
        answers = self._ask("predict", X, random_state)
        if not is_classifier(self.estimators_[0]):
            return np.mean(answers, axis=0)
        votes = [(np.stack(answers) == c).sum(axis=0) for c in self._classes()]
        return self._classes()[np.argmax(votes, axis=0)]

    def predict_proba(self, X: Any, *, random_state: Any = 0) -> np.ndarray:
        """Average the probabilities of classes.

        Parameters
        ----------
        X, random_state
            As for :meth:`predict`.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            Classes sorted; those that a completed table lacked have probability 0 there.
        """
        answers = self._ask("predict_proba", X, random_state)
        classes, total = self._classes(), 0.0
        for estimator, answer in zip(self.estimators_, answers, strict=True):
            aligned = np.zeros((len(answer), len(classes)))
            aligned[:, np.searchsorted(classes, estimator.classes_)] = answer
            total = total + aligned
        return np.asarray(total / len(self.estimators_))

    def _classes(self) -> np.ndarray:
        """Return the classes of all fits, sorted."""
        return np.unique(np.concatenate([e.classes_ for e in self.estimators_]))

    def _ask(self, method: str, X: Any, random_state: Any) -> list[np.ndarray]:
        """Return the answers of all fits."""
        first = self.estimators_[0]
        if not hasattr(first, "fit") or not hasattr(first, method):
            predicts = hasattr(first, "fit") and hasattr(first, "predict")
            raise TypeError(
                f"`{method}` is not known for fits of type {type(first).__name__}; use "
                + ("`predict`." if predicts else "each of `estimators_` in the way of its package.")
            )
        tables = self._completions(X, random_state)
        return [getattr(e, method)(t) for e, t in zip(self.estimators_, tables, strict=True)]

    def _completions(self, X: Any, random_state: Any) -> list[Any]:
        """Return X without holes, once for each fit."""
        X = self.outcome.predictors(X)
        n_holes = count_holes(X)
        if not n_holes:
            return [X] * len(self.estimators_)
        if not self.imputers_:
            raise ValueError(
                f"`X` has {n_holes} holes, but this fit has no imputer, because it was made of "
                "completed tables or nothing was missing. Complete `X`, or fit to the table with "
                "holes."
            )
        table, random = self.outcome.blank(X), check_random_state(random_state)
        return [
            self.outcome.split(i.impute(table, 1, random_state=random.randint(LARGEST_SEED))[0])[0]
            for i in self.imputers_
        ]
