"""Imputation inside pipelines."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sm_estimators.estimators._table import read_table, refill
from sm_estimators.estimators._table_density import TableDensity, seed_of
from sm_estimators.estimators.gaussian import GaussianScoreMatching


class ScoreMatchingImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill holes in from a density fitted by score matching.

    Parameters
    ----------
    estimator : score-matching estimator, optional
        The density; ``GaussianScoreMatching()`` by default.
    strategy : {"mean", "draw"}, default="mean"
        What ``transform`` writes into a hole: its conditional mean, best by squared error, or one
        draw, which keeps variances and correlations. Means understate both.
    n_draws : int, default=20
        Draws averaged for a mean that has no closed form. Such a mean, like any draw, changes
        within its random error when the same row comes at another place of the table.
    random_state : int, RandomState instance or None, default=0
        Of draws. With an integer, equal tables are transformed equally.

    Attributes
    ----------
    estimator_ : score-matching estimator
        The fitted density.
    n_features_in_ : int
        Columns.
    feature_names_in_ : ndarray of str
        Their names, for a DataFrame with string names.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import ScoreMatchingImputer
    >>> X = np.array([[1.0, 2.0], [2.0, 4.1], [3.0, 5.9], [4.0, np.nan]])
    >>> ScoreMatchingImputer().fit_transform(X)[3].round(1)
    array([4. , 7.9])
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [TableDensity, None],
        "strategy": [StrOptions({"mean", "draw"})],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, strategy="mean", n_draws=20, random_state=0):
        self.estimator = estimator
        self.strategy = strategy
        self.n_draws = n_draws
        self.random_state = random_state

    def __sklearn_tags__(self):
        """Declare that NaN is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the density.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers; NaN where nothing was seen.
        y : ignored
            For the scikit-learn API.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted imputer.
        """
        read_table(self, X, reset=True)
        given = GaussianScoreMatching() if self.estimator is None else self.estimator
        estimator: Any = clone(given)
        self.estimator_ = estimator.fit(X, sample_weight=sample_weight)
        return self

    def transform(self, X):
        """Fill the holes of every row, in or out of the fitted table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            Seen values are returned bit for bit. A DataFrame keeps columns, order, index and
            dtypes.
        """
        check_is_fitted(self)
        values, observed = read_table(self, X, reset=False)
        return refill(X, observed, self._fill(values, observed))

    def _fill(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return the table with means or draws in its holes."""
        estimator = self.estimator_
        if self.strategy == "mean" and (means := estimator._means(X, observed)) is not None:
            return means
        n_draws = self.n_draws if self.strategy == "mean" else 1
        tables = estimator._completions(
            X, observed, n_imputations=n_draws, seed=seed_of(self.random_state)
        )
        return np.where(observed, X, tables.mean(axis=0))

    def impute(self, X, n_imputations=1, *, random_state=None):
        """Draw several completed tables, whatever ``strategy`` is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen.
        n_imputations : int, default=1
            Completed tables to draw.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        tables : ndarray of shape (n_imputations, n_samples, n_features), or list of DataFrame
            As the estimators' ``impute``.
        """
        check_is_fitted(self)
        return self.estimator_.impute(X, n_imputations, random_state=random_state)
