"""Imputation of tables with columns of any kind, inside and outside of pipelines."""

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sm_estimators.estimators._cell_summaries import deviations, probabilities, quantiles, summarise
from sm_estimators.estimators._fillers import ChainFiller, DensityFiller
from sm_estimators.estimators._magnitudes import refuse_close, refuse_large
from sm_estimators.estimators._table import (
    read_names,
    read_table,
    read_weights,
    refuse_array_for,
    refuse_few_rows,
    refuse_weightless,
)
from sm_estimators.estimators._table_density import TableDensity, positive_count, seed_of
from sm_estimators.estimators._warnings import warn_empty_rows, warn_never_together
from sm_estimators.tables import TableCodec

NUMBERS = ("numeric", "integer")
UNORDERED = ("nominal", "boolean")


class ScoreMatchingImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill the holes of a table with columns of any kind.

    A DataFrame may hold numbers, whole numbers, flags, ordered and unordered categories, text with
    few values, and times; what comes back has its columns, order, index and dtypes, and draws of
    the default engine are values that were seen. Everything is valid when values are missing at
    random (MAR): what was seen of a row may decide what is missing from it.

    Parameters
    ----------
    estimator : score-matching estimator, optional
        A density to impute from, in place of an ``engine``. Columns that are not numbers
        enter it as indicators and z-scores.
    engine : {"auto", "gaussian", "score"}, default="auto"
        What the conditional of a hole is:

        - "auto": a chain of conditionals, one for each column given all others. Each is a mixture
          of a regression, by a Gaussian fitted to the whole table, and of randomised trees whose
          leaves hold seen values, with the shares that predict best where neither has seen the
          row (``shares_``). Trees and draws alternate, so that trees learn from completed rows.
        - "gaussian": ``GaussianScoreMatching(mechanism="mar")``, exact and quick.
        - "score": ``ScoreDiffusion()``, a network of scores at all noise scales.
    strategy : {"mean", "draw"}, default="mean"
        What ``transform`` writes into a hole: its conditional mean (for flags and categories the
        most probable level, or, where levels have an order, the one next to the mean), best by
        squared error, or one draw, which keeps variances and correlations. Means understate both,
        and means of whole numbers need not be whole unless the dtype says so.
    column_types : mapping, optional
        Kinds of columns that should not be inferred: see :class:`~sm_estimators.tables.TableCodec`.
    bounds : mapping, optional
        Pairs (lower, upper) by column that means are clipped into, and seen values must be in.
    n_draws : int, default=40
        Draws averaged for a mean that has no closed form. Such a mean, like any draw, changes
        within its random error when the same row comes at another place of the table.
    max_samples : int, default=20000
        Rows, chosen at random, that "auto" learns from at most. All rows are filled.
    random_state : int, RandomState instance or None, default=0
        Of the fit and of draws. With an integer, equal tables are transformed equally.

    Attributes
    ----------
    estimator_ : score-matching estimator
        The fitted density; not with ``engine="auto"``.
    shares_ : DataFrame of shape (n_features, 2)
        With ``engine="auto"``: shares of "gaussian" and "trees" in the draws of every column.
    mean_shares_ : DataFrame of shape (n_features, 2)
        The same for means.
    columns_ : tuple of Column
        What each column was taken for.
    n_features_in_ : int
        Columns.
    feature_names_in_ : ndarray of str
        Their names, for a DataFrame with string names.

    References
    ----------
    van Buuren (2007), Multiple imputation of discrete and continuous data by fully conditional
    specification. Doove, van Buuren and Dusseldorp (2014), Recursive partitioning for missing data
    imputation in the presence of interaction effects.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sm_estimators import ScoreMatchingImputer
    >>> X = np.array([[1.0, 2.0], [2.0, 4.1], [3.0, 5.9], [4.0, np.nan]])
    >>> ScoreMatchingImputer(engine="gaussian").fit_transform(X)[3].round(1)
    array([4. , 7.9])
    >>> pets = pd.DataFrame({"kind": ["cat", "dog"] * 30, "weight": [4.0, 20.0] * 30})
    >>> pets.loc[0, "kind"] = None
    >>> ScoreMatchingImputer().fit_transform(pets).loc[0, "kind"]
    'cat'
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [TableDensity, None],
        "engine": [StrOptions({"auto", "gaussian", "score"})],
        "strategy": [StrOptions({"mean", "draw"})],
        "column_types": [dict, None],
        "bounds": [dict, None],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        engine="auto",
        strategy="mean",
        column_types=None,
        bounds=None,
        n_draws=40,
        max_samples=20000,
        random_state=0,
    ):
        self.estimator = estimator
        self.engine = engine
        self.strategy = strategy
        self.column_types = column_types
        self.bounds = bounds
        self.n_draws = n_draws
        self.max_samples = max_samples
        self.random_state = random_state

    def __sklearn_tags__(self):
        """Declare that NaN and categories are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Learn what holes could have held.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table with holes: NaN, None, ``pd.NA`` or ``pd.NaT``.
        y : ignored
            For the scikit-learn API.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted imputer.

        Raises
        ------
        ValueError
            For a column without any seen value in rows of positive weight, fewer than two rows,
            infinities and numbers beyond 1e60, text that looks like identifiers, categories of
            one level each and nothing else, and ``column_types`` or ``bounds`` that do not fit the
            table.
        """
        for of_last_fit in ("_filler", "estimator_", "shares_", "mean_shares_"):
            vars(self).pop(of_last_fit, None)
        self._codec = TableCodec(self.column_types, bounds=self.bounds)
        self._framed = isinstance(X, pd.DataFrame)
        values, observed = self._read(X, reset=True)
        self.columns_ = self._codec.columns
        names = [column.name for column in self.columns_]
        refuse_close(names, values, observed)
        weight = read_weights(sample_weight, values)
        counts = observed.any(axis=1) & (weight > 0)
        refuse_few_rows(counts, counts, "imputation")
        refuse_weightless(names, observed[counts])
        if all(column.kind in UNORDERED for column in self.columns_):
            refuse_single_levels(values[counts], observed[counts])
        if self.estimator is None and self.engine == "auto":
            warn_empty_rows(observed)
            warn_never_together(observed, names)
            self._fit_chain(values[counts], observed[counts], weight[counts])
        else:
            self._fit_density(values, observed, weight, sample_weight)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the last fit came to its end."""
        return hasattr(self, "_filler")

    def _fit_chain(self, values: np.ndarray, observed: np.ndarray, weight: np.ndarray) -> None:
        """Learn the conditionals of all columns."""
        from sm_estimators.conditionals import EXPERTS, fit_chain

        rng = np.random.default_rng(seed_of(self.random_state))
        rows = np.arange(len(values))
        if len(rows) > self.max_samples:
            rows = sample_rows(rng, observed, self.max_samples)
        nominal = np.array([column.kind in UNORDERED for column in self.columns_])
        chain = fit_chain(rng, values[rows], observed[rows], nominal, weight=weight[rows])
        self._filler = ChainFiller(chain)
        names = [column.name for column in self.columns_]
        draws, means = (
            [getattr(law, s) for law in chain.laws] for s in ("draw_shares", "mean_shares")
        )
        self.shares_ = pd.DataFrame(draws, index=names, columns=list(EXPERTS))
        self.mean_shares_ = pd.DataFrame(means, index=names, columns=list(EXPERTS))

    def _fit_density(
        self, values: np.ndarray, observed: np.ndarray, weight: np.ndarray, sample_weight
    ) -> None:
        """Fit a density to the table, or to its coordinates where there are other than numbers."""
        from sm_estimators.conditionals.coordinates import learn_coordinates
        from sm_estimators.conditionals.widened import widened

        estimator = self._density()
        coordinates = None
        X: Any = np.where(observed, values, np.nan)
        if any(column.kind not in NUMBERS for column in self.columns_):
            nominal = np.array([column.kind in UNORDERED for column in self.columns_])
            rows = weight > 0
            coordinates = learn_coordinates(values[rows], observed[rows], nominal, weight[rows])
            wide, seen = widened(coordinates, values, observed)
            X = np.where(seen, wide, np.nan)
        elif self._framed:
            X = pd.DataFrame(X, columns=[column.name for column in self.columns_])
        self.estimator_ = estimator.fit(X, sample_weight=sample_weight)
        self._filler = DensityFiller(self.estimator_, coordinates)

    def _density(self) -> Any:
        """Return the unfitted density."""
        from sm_estimators.estimators.gaussian import GaussianScoreMatching
        from sm_estimators.estimators.score_diffusion import ScoreDiffusion

        if self.estimator is not None:
            if self.engine != "auto":
                raise ValueError(
                    f"`engine={self.engine!r}` names a density, but `estimator` is one already: "
                    f"{self.estimator!r}. Give one of the two."
                )
            return clone(self.estimator)
        if self.engine == "gaussian":
            return GaussianScoreMatching(mechanism="mar")
        return ScoreDiffusion(random_state=self.random_state)

    def _read(self, X, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates of a table and what was seen of it."""
        if isinstance(X, pd.DataFrame):
            read_names(self, X, reset=reset)
        else:
            refuse_array_for(self._codec.columns)
            X = read_table(self, X, reset=reset)[0]
        if reset:
            self._codec.fit(X)
        values, observed = self._codec.encode(X)
        refuse_large([column.name for column in self._codec.columns], values, observed)
        return values, observed

    def transform(self, X):
        """Fill the holes of every row, in or out of the fitted table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with holes.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            Seen values are returned bit for bit. A DataFrame keeps columns, order, index and
            dtypes.
        """
        check_is_fitted(self)
        values, observed = self._read(X, reset=False)
        seed = seed_of(self.random_state)
        if self.strategy == "draw":
            filled = self._filler.complete(values, observed, n_tables=1, seed=seed)[0]
        else:
            filled = self._filler.means(values, observed, n_draws=self.n_draws, seed=seed)
        return self._written(X, filled, rounded=False)

    def _written(self, X, filled: np.ndarray, *, rounded: bool):
        """Return the table with coordinates in its holes."""
        if isinstance(X, pd.DataFrame):
            return self._codec.fill(X, filled, rounded=rounded)
        return self._codec.fill(np.asarray(X, dtype=np.float64), filled, rounded=rounded)

    def impute(self, X, n_imputations=1, *, random_state=None):
        """Draw several completed tables, whatever ``strategy`` is.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with holes.
        n_imputations : int, default=1
            Completed tables to draw.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        tables : ndarray of shape (n_imputations, n_samples, n_features), or list of DataFrame
            Seen values are returned bit for bit. For a DataFrame, a list of them with the same
            columns, order, index and dtypes.
        """
        check_is_fitted(self)
        n_tables = positive_count("n_imputations", n_imputations)
        values, observed = self._read(X, reset=False)
        seed = seed_of(random_state)
        tables = self._filler.complete(values, observed, n_tables=n_tables, seed=seed)
        rounded = self.estimator is None and self.engine == "auto"
        written = [self._written(X, table, rounded=rounded) for table in tables]
        return written if isinstance(X, pd.DataFrame) else np.stack(written)

    def quantiles(self, X, q=(0.05, 0.5, 0.95), *, n_imputations=100, random_state=None):
        """Return quantiles of what every hole could have held.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with holes.
        q : sequence of float, or float, default=(0.05, 0.5, 0.95)
            Probabilities; a single one counts as a sequence of one.
        n_imputations : int, default=100
            Draws they are taken from.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        tables : ndarray of shape (len(q), n_samples, n_features), or list of DataFrame
            One table for each probability, seen values where there were some. Holes of columns
            without an order stay holes.
        """
        found = self._summary(
            X, partial(quantiles, q=probabilities(q)), n_imputations, random_state
        )
        written = [self._written(X, table, rounded=False) for table in found]
        return written if isinstance(X, pd.DataFrame) else np.stack(written)

    def _summary(self, X, summary, n_imputations, random_state) -> np.ndarray:
        """Return a summary of draws of every cell, (…, n, d)."""
        check_is_fitted(self)
        n_tables = positive_count("n_imputations", n_imputations)
        values, observed = self._read(X, reset=False)
        unordered = [j for j, column in enumerate(self.columns_) if column.kind in UNORDERED]
        return summarise(
            self._filler,
            values,
            observed,
            partial(summary, unordered=unordered),
            n_tables=n_tables,
            seed=seed_of(random_state),
        )

    def standard_deviations(self, X, *, n_imputations=50, random_state=None):
        """Return how uncertain every cell is after imputation.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with holes.
        n_imputations : int, default=50
            Draws they are computed from, at least 2.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        deviations : ndarray or DataFrame of float, shape (n_samples, n_features)
            Standard deviations of the draws, in the units of the column, seconds for times; 0
            where a value was seen. For columns without an order, the probability that the most
            frequent draw is wrong.
        """
        if positive_count("n_imputations", n_imputations) == 1:
            raise ValueError("`n_imputations` is 1; deviations need 2 draws at least.")
        found = self._summary(X, deviations, n_imputations, random_state)
        if isinstance(X, pd.DataFrame):
            return pd.DataFrame(found, index=X.index, columns=X.columns)
        return found

    def sample(self, n_samples=1, *, random_state=None):
        """Draw whole new rows.

        With ``engine="auto"`` column by column, each given those before it, by the same kinds of
        experts as in imputation; all values are values that were seen in their column. With a
        density, by its own sampler: numbers as it draws them, or, where a column is no number, the
        values and levels that were seen nearest to its draws.

        Parameters
        ----------
        n_samples : int, default=1
            Rows.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            A DataFrame with the columns and dtypes of the fitted one, where it was one.
        """
        check_is_fitted(self)
        n_samples = positive_count("n_samples", n_samples)
        drawn = self._filler.sample(n_samples, seed=seed_of(random_state))
        return self._codec.decode(drawn) if self._framed else drawn

    def score_samples(self, X):
        """Return the log-density of what was seen of every row; low for outliers.

        With ``engine="auto"`` it is log Π_j p(x_j | x_<j), column by column, each given those
        before it. Flags, categories and columns of few values have probabilities, other numbers
        and times a density per unit and per second. A number seen far more often than its
        neighbours, such as a zero, has a probability, divided by the usual distance of
        neighbouring values to be comparable. What was never seen in a column of few values counts
        as half a row. Holes are integrated out by sequential imputation (Kong, Liu and Wong 1994),
        the average of 20 draws, without bias for the density itself, with random numbers from
        ``random_state``; rows without holes need none. Compare rows with the same holes: a density
        of fewer columns has other units.

        With a density it is that of ``estimator_``: of the numbers as they are, or, where a column
        is none, of standardised numbers and indicators of levels as if these were numbers. That
        ranks rows, but is no probability of levels.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with holes.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithms.
        """
        check_is_fitted(self)
        values, observed = self._read(X, reset=False)
        return self._filler.log_density(values, observed, seed=seed_of(self.random_state))


def refuse_single_levels(values: np.ndarray, observed: np.ndarray) -> None:
    """Raise `ValueError` for levels (n, d) of which no column has two."""
    if all(np.ptp(x[seen]) == 0 for x, seen in zip(values.T, observed.T, strict=True)):
        raise ValueError(
            "`X` has a single level in each column and no number, so there is nothing to learn. "
            "Fill the holes with these levels."
        )


def sample_rows(rng: np.random.Generator, observed: np.ndarray, n: int) -> np.ndarray:
    """Return ``n`` rows at random, and one where each column was seen."""
    rows = rng.choice(len(observed), n, replace=False)
    unseen = np.flatnonzero(~observed[rows].any(axis=0))
    return np.union1d(rows, [np.argmax(observed[:, j]) for j in unseen]).astype(int)
