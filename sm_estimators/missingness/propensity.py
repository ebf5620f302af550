"""The probability of a pattern of holes, given the columns that are always seen."""

import warnings
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sm_estimators.missingness._label_model import weight_arguments
from sm_estimators.missingness._pattern_models import fit_pattern_models
from sm_estimators.missingness._propensity_input import (
    check_classifier,
    check_min_rows,
    check_rows,
    check_weight,
    default_min_rows,
    predictor_columns,
)
from sm_estimators.missingness.patterns import distinct_patterns

MOST_CLASSES = 50
"""Of the classifier of frequent patterns, whose time grows with their number."""


class PatternPropensity(BaseEstimator):
    r"""Estimate the probability of each row's pattern of holes, with any classifier.

    With :math:`\Lambda` the set of columns seen in a row and A the columns seen in every row, this
    is the propensity

    .. math:: \varphi_\Lambda(x) = P(\text{the columns seen are } \Lambda \mid x_A),

    which is P(Λ | x) if the holes depend on nothing beyond :math:`x_A`. Weighting the rows of
    pattern Λ by :math:`\bar\pi_\Lambda / \varphi_\Lambda(x_A)`, with :math:`\bar\pi_\Lambda` the
    share of the pattern, then turns their distribution into that of all rows.

    Parameters
    ----------
    classifier : scikit-learn classifier with ``predict_proba``, default None
        Cloned, never changed. None is a logistic regression on standardised columns with a
        negligible ridge (C = 10⁴).
    predictors : array-like of int, default None
        Positions of the columns A; they must be seen in every row. None is every such column.
    min_rows : int, default None
        A pattern with fewer rows is rare, see the notes; so is one beyond the 50 most frequent.
        None is ten rows per predictor, and at least 20; a huge number makes every pattern rare.

    Attributes
    ----------
    predictors_ : ndarray of shape (a,)
        Positions of the columns A.
    patterns_ : ndarray of shape (n_patterns, d)
        The distinct patterns of the fit, True = seen, most frequent first.
    shares_ : ndarray of shape (n_patterns,)
        Their weighted shares :math:`\bar\pi`.
    rare_ : ndarray of shape (n_patterns,)
        True for patterns with fewer than ``min_rows`` rows, and beyond the 50 most frequent.
    kind_ : str
        ``"columns"`` if every pattern is rare, so that all propensities are products over columns;
        otherwise ``"patterns"``.
    effective_rows_ : float
        Kish's :math:`(\sum w)^2 / \sum w^2` of the weights of the rows fitted to, times
        ``sample_weight``. Far fewer than the rows: the weighted estimate is noisy.
    largest_share_ : float
        Share of the total weight that the heaviest row has.

    Notes
    -----
    *Frequent patterns* are the classes of one classifier. All rare rows together are one class
    more, or are left out where they are too few for one.

    *Rare patterns* leave too few rows for a class of their own. Their columns are taken as
    independent given :math:`x_A`, so :math:`\varphi_\Lambda = \prod_j P(R_j \mid x_A)` with one
    classifier of two classes per column that has holes, seen or not, fitted to all rows; columns
    that are always lost together count once. This is an approximation if the flags of a row depend
    on one another. A column with fewer holes, or values, than the default of ``min_rows`` has the
    same probability in every row. Patterns that no row of the fit has are treated alike.

    *Why the two may be mixed*: within a pattern only the shape of :math:`\varphi_\Lambda` as a
    function of x matters. A wrong constant weighs one pattern against another, which moves the
    variance of an estimate and not what it estimates, and it cancels in the gradient of the
    logarithm. In the weights of a rare pattern the share is that of the product, its average over
    2000 rows of the table: the few rows of the pattern itself would undo the weighting, and one
    row would always weigh 1.

    *Nothing is clipped.* Clipped weights bring back the bias that weighting removes. Look at
    ``effective_rows_`` and ``largest_share_``, and take fewer predictors if the weights are
    extreme.

    *Flexible classifiers* predict the rows they were fitted to too well: propensities are then too
    near 1 and the weights undo too little. Prefer smooth ones, or regularise and calibrate them.

    References
    ----------
    Rosenbaum and Rubin (1983), "The central role of the propensity score in observational studies
    for causal effects". Robins, Hernán and Brumback (2000), "Marginal structural models and causal
    inference in epidemiology", for stabilised weights. Sun and Tchetgen Tchetgen (2018), "On
    inverse probability weighting for nonmonotone missing at random data". Kish (1965), "Survey
    Sampling". Peduzzi et al. (1996), "A simulation study of the number of events per variable in
    logistic regression analysis".

    Examples
    --------
    >>> from sm_estimators.missingness import ampute
    >>> X = np.random.default_rng(0).normal(size=(2000, 2))
    >>> X[:, 1] += X[:, 0]
    >>> observed = ampute(X, "mar", 0.5, drivers=0, random_state=0).observed
    >>> seen = observed[:, 1]
    >>> propensity = PatternPropensity().fit(X, observed)
    >>> weights = propensity.weights(X, observed)
    >>> float(X[:, 1].mean().round(2)), float(X[seen, 1].mean().round(2))
    (-0.03, -0.44)
    >>> float(np.average(X[seen, 1], weights=weights[seen]).round(2))
    -0.05
    >>> round(propensity.effective_rows_), round(propensity.largest_share_, 3)
    (1413, 0.006)
    """

    patterns_: np.ndarray
    shares_: np.ndarray
    rare_: np.ndarray
    predictors_: np.ndarray

    def __init__(self, classifier: Any = None, predictors: Any = None, *, min_rows: Any = None):
        self.classifier = classifier
        self.predictors = predictors
        self.min_rows = min_rows

    def fit(
        self, X: np.ndarray, observed: np.ndarray, *, sample_weight: np.ndarray | None = None
    ) -> "PatternPropensity":
        """Estimate the propensities.

        Parameters
        ----------
        X, observed : ndarray of shape (n, d)
            Rows, whose values in holes are ignored, and True where a value was seen.
        sample_weight : ndarray of shape (n,), default None
            Non-negative row weights, for classifiers that take them; a warning says where one does
            not. Rows of weight 0 count as absent.

        Returns
        -------
        PatternPropensity
            The object itself.

        Raises
        ------
        ValueError
            If no column is always seen, if a predictor has holes, or if a pattern that was seen
            gets probability 0.
        TypeError
            If ``classifier`` has no ``predict_proba``.
        """
        X, observed = check_rows(X, observed)
        weight = check_weight(sample_weight, len(X))
        X, observed, weight = X[weight > 0], observed[weight > 0], weight[weight > 0]
        self.predictors_ = predictor_columns(self.predictors, observed)
        enough = default_min_rows(len(self.predictors_))
        min_rows = check_min_rows(self.min_rows, enough)
        Z = self._predictor_values(X, observed)
        self.patterns_, label, counts = distinct_patterns(observed)
        self.shares_ = np.bincount(label, weight) / weight.sum()
        self.rare_ = (counts < min_rows) | (np.arange(len(counts)) >= MOST_CLASSES)
        self.kind_ = "columns" if self.rare_.all() else "patterns"
        classifier = check_classifier(self.classifier)
        _warn_if_unweighted(classifier, weight)
        self._models = fit_pattern_models(
            classifier, Z, observed, label, weight, rare=self.rare_, fewest=min(enough, min_rows)
        )
        self._fit_scale(self._models.log_probability(Z, observed, label), label, weight)
        return self

    def log_propensity(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return log φ of each row's own pattern.

        Parameters
        ----------
        X, observed : ndarray of shape (n, d)
            Rows, whose values in holes are ignored, and True where a value was seen.

        Returns
        -------
        ndarray of shape (n,)
            At most 0.
        """
        Z, observed, label = self._prepare(X, observed)
        return self._models.log_probability(Z, observed, label)

    def weights(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        r"""Return the stabilised inverse propensities :math:`\bar\pi_\Lambda / \varphi_\Lambda`.

        Parameters
        ----------
        X, observed : ndarray of shape (n, d)
            Rows, whose values in holes are ignored, and True where a value was seen.

        Returns
        -------
        ndarray of shape (n,)
            Positive and not clipped. They average near 1 within each frequent pattern of the rows
            fitted to.
        """
        Z, observed, label = self._prepare(X, observed)
        log_share = self._log_share[label]
        log_share[label < 0] = self._models.log_share(observed[label < 0])
        return np.exp(log_share - self._models.log_probability(Z, observed, label))

    def gradient(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        r"""Return the gradients :math:`\nabla_x \log \varphi_\Lambda(x_A)` at the rows.

        Exact for a logistic regression, alone or after standardisation; central differences
        otherwise.

        Parameters
        ----------
        X, observed : ndarray of shape (n, d)
            Rows, whose values in holes are ignored, and True where a value was seen.

        Returns
        -------
        ndarray of shape (n, d)
            Per unit of each column; zero outside the predictors.

        Raises
        ------
        ValueError
            If the probabilities are piecewise constant, as those of trees are.
        """
        Z, observed, label = self._prepare(X, observed)
        gradient = np.zeros(observed.shape)
        gradient[:, self.predictors_] = self._models.gradient(Z, observed, label)
        return gradient

    def _fit_scale(self, log_propensity: np.ndarray, label: np.ndarray, weight: np.ndarray) -> None:
        """Set the numerators of the weights, and say how uneven the weights are."""
        self._log_share = np.log(self.shares_)
        self._log_share[self.rare_] = self._models.log_share(self.patterns_[self.rare_])
        log_weights = self._log_share[label] - log_propensity + np.log(weight)
        share = np.exp(log_weights - logsumexp(log_weights))
        self.effective_rows_ = float(1 / (share**2).sum())
        self.largest_share_ = float(share.max())

    def _prepare(
        self, X: np.ndarray, observed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return predictor values, flags, and positions in ``patterns_``, -1 for new patterns."""
        check_is_fitted(self)
        X, observed = check_rows(X, observed)
        n_columns = self.patterns_.shape[1]
        if X.shape[1] != n_columns:
            raise ValueError(
                f"`X` must have the {n_columns} columns of the fit; it has {X.shape[1]}. Pass the "
                "same columns."
            )
        position = {pattern.tobytes(): i for i, pattern in enumerate(self.patterns_)}
        found, group, _ = distinct_patterns(observed)
        known = np.array([position.get(pattern.tobytes(), -1) for pattern in found], int)
        return self._predictor_values(X, observed), observed, known[group]

    def _predictor_values(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return the predictor columns, refusing holes in them."""
        Z, seen = X[:, self.predictors_], observed[:, self.predictors_]
        bad = ~(seen & np.isfinite(Z))
        if bad.any():
            column = self.predictors_[np.flatnonzero(bad.any(axis=0))[0]]
            raise ValueError(
                "`predictors` must be seen and finite in every row; column "
                f"{column} is not in {bad.any(axis=1).sum()} of {len(Z)} rows. Name columns "
                "without holes, or fill them first."
            )
        return Z


def _warn_if_unweighted(classifier: Any, weight: np.ndarray) -> None:
    """Say that a classifier cannot take weights that matter."""
    if np.ptp(weight) > 0 and not weight_arguments(classifier, weight):
        warnings.warn(
            f"`sample_weight` is not used by {classifier!r}, whose fit does not take it: its "
            "probabilities are those of the rows without weights. Use a classifier that does.",
            UserWarning,
            stacklevel=3,
        )
