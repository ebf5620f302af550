"""The door: a scikit-learn estimator around the pure core.

:class:`BaseScoreMatching` validates, calls the core once and keeps what came back as NumPy arrays.
A concrete estimator says in ``_choices`` which density, objective and rule its parameters mean,
and may hang further attributes on itself in ``_describe``.
"""

from abc import abstractmethod
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sm_estimators.estimators._constraints import COMMON
from sm_estimators.estimators._table import read_table, read_weights, refill, refuse_few_rows
from sm_estimators.estimators._table_density import (
    MAX_SEED,
    TableDensity,
    positive_count,
    seed_of,
)
from sm_estimators.estimators._warnings import (
    warn_baseline,
    warn_empty_rows,
    warn_few_draws,
    warn_few_rows_left,
    warn_never_together,
    warn_unconverged,
    warn_unsupported,
)
from sm_estimators.estimators.mechanisms import AbstractMechanism

N_STARTS = 1024
"""Completed rows of the table that are kept as starting points of chains."""


def is_quadratic(estimator: "BaseScoreMatching") -> bool:
    """Return whether the loss is quadratic, so that tables can be added up."""
    from sm_estimators.densities import AbstractExponentialFamily, Gaussian

    density = estimator._choices(None)[0]
    if isinstance(density, (Gaussian, AbstractExponentialFamily)):
        return True
    raise AttributeError(
        f"`partial_fit` needs a loss that is quadratic in the parameters (a Gaussian or an "
        f"exponential family); that of {type(density).__name__} is not."
    )


def addable(X: np.ndarray, observed: np.ndarray, weight: np.ndarray, rule):
    """Return the complete rows that count, with their weights; refuse holes no rule drops."""
    from sm_estimators.missing import CompleteCase

    complete = observed.all(axis=1)
    if not complete.all() and not isinstance(rule, CompleteCase):
        raise ValueError(
            f"`partial_fit` adds up complete rows, but {(~complete).sum()} of {len(X)} have "
            "holes. Use `fit` on the whole table, or `missing='complete_case'` to drop them."
        )
    counts = complete & (weight > 0)
    if not counts.any():
        raise ValueError(
            f"None of the {len(X)} rows is complete and has a positive weight, so there is nothing "
            "to add. Skip this part of the table."
        )
    return X[counts], weight[counts]


def has_marginals(density) -> bool:
    """Return whether holes can be integrated out of the density in closed form."""
    from sm_estimators.densities import AbstractMarginalDensity

    return isinstance(density, AbstractMarginalDensity)


def refuse_selection(mechanism: Any) -> None:
    """Raise `ValueError` where the held-out loss would be that of another density."""
    name = mechanism.describe() if isinstance(mechanism, AbstractMechanism) else mechanism
    if name in ("mar", "mnar"):
        raise ValueError(
            "`ridge='held_out'` compares the marginal losses of held-out rows, which are biased "
            f"under the mechanism {name!r}. Give a number, or use `mechanism=InversePropensity()`."
        )


class BaseScoreMatching(TableDensity):
    """Fit, evaluate, sample, impute."""

    _parameter_constraints: ClassVar[dict] = COMMON
    missing: Any
    mechanism: Any
    sampler: Any
    ridge: Any
    n_features_in_: int
    _sums: Any
    warm_start: bool
    random_state: Any

    @abstractmethod
    def _choices(self, n_features: int | None) -> tuple[Any, Any]:
        """Return density and objective."""

    def _describe(self) -> None:
        """Hang further attributes on the fitted estimator."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the density to a table with holes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers; NaN where nothing was seen.
        y : ignored
            For the scikit-learn API.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights; an integer weight equals that many copies of the row.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For infinities, text, a column without any seen value, fewer than two rows, and
            combinations of rule and mechanism that are biased.
        FloatingPointError
            When the loss is not finite.
        """
        from sm_estimators.estimators._diagnostics import missing_diagnostics
        from sm_estimators.estimators._draws import check_sampler
        from sm_estimators.fitting import Table, fit_density, select_ridge
        from sm_estimators.missing import rule_name

        previous_width = getattr(self, "n_features_in_", None)
        X, observed = read_table(self, X, reset=True)
        weight = read_weights(sample_weight, X)
        density, objective = self._choices(X.shape[1])
        check_sampler(density, self.sampler)
        rule = self._rule(density, objective)
        refuse_few_rows(observed.any(axis=1) & (weight > 0), rule.keeps(observed), rule_name(rule))
        warn_empty_rows(observed)
        warn_never_together(observed, getattr(self, "feature_names_in_", None))
        warn_baseline(rule)
        settings = self._settings(density)
        table = self._corrected(Table(X, observed, weight))
        initial = self._previous(density) if previous_width == X.shape[1] else None
        problem = {"seed": seed_of(self.random_state), "initial": initial}
        held_out = None
        if self.ridge == "held_out":
            refuse_selection(self.mechanism)
            settings, held_out = select_ridge(
                density, objective, rule, table, settings=settings, **problem
            )
        warn_unsupported(rule, observed, settings.ridge)
        fit = fit_density(density, objective, rule, table, settings=settings, **problem)
        self._sums, self._fit_seed = None, problem["seed"]
        self._keep(fit, density, objective, rule)
        self.ridge_ = settings.ridge
        self.missing_diagnostics_ = missing_diagnostics(fit, observed[weight > 0], held_out)
        self._starts = self._completed(X[weight > 0], observed[weight > 0])
        if fit.interrupted:
            raise KeyboardInterrupt(fit.message)
        return self

    def _corrected(self, table):
        """Return the table with what a model of the mechanism adds to it."""
        if not isinstance(self.mechanism, AbstractMechanism):
            return table
        names = getattr(self, "feature_names_in_", np.arange(table.X.shape[1]))
        corrected = self.mechanism.corrected_table(table, names)
        warn_few_rows_left(table.weight, corrected.weight)
        return corrected

    def _rule(self, density, objective):
        """Return the rule for holes, refused where it is no rule or needs another density."""
        from sm_estimators.missing import AbstractMissing, Exact, Imputation, resolve_rule

        if not isinstance(self.missing, (str, AbstractMissing)):
            raise ValueError(
                "`missing` must be a name such as 'auto' or a rule such as Importance(n_draws=50); "
                f"got {self.missing!r}."
            )
        corrects = isinstance(self.mechanism, AbstractMechanism)
        of = self.mechanism.of if corrects else self.mechanism
        rule = resolve_rule(self.missing, mechanism=of, density=density)
        if corrects:
            if self.missing == "auto" and self.mechanism.describe() == "mnar":
                rule = Imputation()
            rule = self.mechanism.corrected_rule(rule, objective)
        elif getattr(rule, "log_propensity", None) is not None:
            raise ValueError(
                "`missing` holds a `log_propensity`, of which `mechanism` knows nothing. Pass "
                "`mechanism=NotAtRandom(log_propensity)`; it hands it to the rule."
            )
        if isinstance(rule, Exact) and not has_marginals(density):
            raise ValueError(
                "`missing='exact'` needs a density with closed-form marginals (Gaussian or "
                f"GaussianMixture); got {type(density).__name__}. Use 'importance' or "
                "'imputation', which work for every density."
            )
        return rule

    def _previous(self, density):
        """Return the parameters that ``warm_start`` goes on from, if any."""
        if self.warm_start and getattr(self, "density_", None) == density:
            return self.params_
        return None

    def _settings(self, density):
        """Return how long and hard to optimise."""
        from sm_estimators.fitting import Settings

        given = {f: getattr(self, f.name) for f in fields(Settings) if hasattr(self, f.name)}
        given = {f: value for f, value in given.items() if value != "held_out"}
        chosen = {"ridge": density.default_ridge, "max_iter": 5000 if density.neural else 1000}
        for f, value in given.items():
            if value is not None:
                chosen[f.name] = type(f.default)(value)  # users write 0 for 0.0
        return Settings(**chosen)

    def _keep(self, fit, density, objective, rule) -> None:
        """Hang the fit on the estimator and warn about what went wrong."""
        from sm_estimators.missing import rule_name

        self.density_, self.objective_ = density, objective
        self.params_ = fit.params
        self.missing_ = rule_name(rule)
        corrects = isinstance(self.mechanism, AbstractMechanism)
        self.mechanism_ = self.mechanism.describe() if corrects else self.mechanism
        self.n_iter_ = fit.n_iter
        self.converged_ = fit.converged
        self.loss_curve_ = fit.losses
        self._moments = fit.moments
        self.missing_diagnostics_ = {}
        self._describe()
        warn_few_draws(rule, fit.effective_sample_size)
        warn_unconverged(fit, neural=density.neural)

    def _completed(self, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return some rows of the table, holes drawn from a Gaussian conditional."""
        from sm_estimators.densities.gaussian_conditional import GaussianConditional

        rng = np.random.default_rng(0)
        some = rng.permutation(len(X))[:N_STARTS]
        support = self.density_.support
        bounds = None if support is None else support.bounds(X.shape[1])
        conditional = GaussianConditional(*self._moments)
        return conditional.draw(rng, X[some], observed[some], bounds=bounds)

    @available_if(is_quadratic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Add rows to a fit whose loss is quadratic, without seeing the earlier ones again.

        Only complete rows can be added up. Rows with holes are dropped where that is what
        ``missing="complete_case"`` says, and refused otherwise. The first call after ``fit``
        starts anew: a fit does not keep the sums that rows could be added to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            New rows.
        y : ignored
            For the scikit-learn API.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : object
            The estimator fitted to all rows so far.
        """
        from sm_estimators.fitting.streaming import add_rows, fit_sums

        first = getattr(self, "_sums", None) is None
        X, observed = read_table(self, X, reset=first)
        weight = read_weights(sample_weight, X)
        density, objective = self._choices(X.shape[1])
        rule = self._rule(density, objective)
        X, weight = addable(X, observed, weight, rule)
        n_parts = 1 if first else self._n_parts + 1
        # Every part has noise of its own, else small parts would repeat one another's.
        seed = (seed_of(self.random_state) + n_parts) % MAX_SEED
        new = add_rows(density, objective, X, weight, seed)
        starts = X if first else np.vstack([self._starts, X])
        sums = new if first else self._sums + new
        settings = self._settings(density)
        self._keep(fit_sums(density, objective, sums, settings), density, objective, rule)
        self._sums, self._n_parts = sums, n_parts
        self._fit_seed, self.ridge_ = seed, settings.ridge
        self._starts = np.random.default_rng(seed).permutation(starts)[:N_STARTS]
        return self

    def _evaluate(self, what: Any, X) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a quantity of every row, with the rows and flags it belongs to."""
        from sm_estimators.fitting import evaluate

        check_is_fitted(self)
        X, observed = read_table(self, X, reset=False)
        return evaluate(what, self.density_, self.params_, X, observed, self._moments), X, observed

    def score(self, X, y=None, sample_weight=None):
        """Return minus the mean explicit score-matching loss; higher is better.

        The same criterion whatever objective was trained. Rows with holes are scored by the
        marginal density of what was seen of them. It depends on the units of the columns: compare
        models on one table only. Rows without a seen value do not count.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Held-out rows; NaN where nothing was seen.
        y : ignored
            For the scikit-learn API.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        score : float
            Minus the Fisher divergence to the data, up to a constant of the data.
        """
        losses, X, observed = self._evaluate("loss", X)
        weight = read_weights(sample_weight, X) * observed.any(axis=1)
        if not weight.any():
            raise ValueError("`X` has no row with a seen value and a positive weight to score.")
        return -float(np.average(losses, weights=weight))

    def score_samples(self, X):
        """Return the log-density of the seen part of every row.

        Normalised for Gaussians, their mixtures and NumPyro distributions. For every other density
        it is up to one constant, the same for all rows and patterns of holes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats, per units of the columns.
        """
        return self._evaluate("log_density", X)[0]

    def stein_score(self, X):
        """Return the gradient of the log-density with respect to the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen.

        Returns
        -------
        stein_score : ndarray of shape (n_samples, n_features)
            ∇ₓ log q of the seen part; NaN in holes.
        """
        gradient, _, observed = self._evaluate("stein_score", X)
        return np.where(observed, gradient, np.nan)

    def confidence_intervals(
        self,
        X,
        *,
        level=0.95,
        method="sandwich",
        n_resamples=200,
        sample_weight=None,
        random_state=None,
    ):
        r"""Return standard errors and confidence intervals of what was fitted.

        With :math:`\psi_i` the gradient of the loss of row i in the parameters (with holes filled
        in by "imputation", one whose weights move with them) and :math:`w_i` the weight that a
        mechanism gives the row, an estimate that solves :math:`\sum_i w_i \psi_i(\theta) = 0` has
        the covariance

        .. math:: H^{-1} \Big(\sum_i w_i^2 \psi_i \psi_i^\top\Big) H^{-\top}, \qquad
            H = \sum_i w_i \nabla \psi_i(\theta),

        whether or not the density is right; the ridge counts as part of the loss. Quantities that
        are functions of the parameters follow by the delta method. Intervals are estimate ± z
        standard errors, on the scale of the quantity.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The table of the fit, which the estimator does not keep. Draws of the holes are made
            again, from the seed of the fit.
        level : float, default=0.95
            Chance that an interval covers the truth.
        method : {"sandwich", "bootstrap"}, default="sandwich"
            "bootstrap" fits again to rows drawn with replacement, from where the fit ended and
            with new draws of the holes, and takes standard deviations. It has the errors of fitted
            propensities in it, and holds in smaller tables, where the sandwich is too narrow.
        n_resamples : int, default=200
            Tables of the bootstrap; its standard errors have a relative error of
            1 / √(2 n_resamples).
        sample_weight : array-like of shape (n_samples,), optional
            That of the fit. An integer weight equals that many copies of the row, so the weights
            add up to the number of rows.
        random_state : int, RandomState instance or None, default=None
            Of the bootstrap.

        Returns
        -------
        table : DataFrame
            Columns "estimate", "standard_error", "lower", "upper"; one row per quantity, such as
            "location[a]" and "covariance[a, b]" (the upper triangle) of a Gaussian, or
            "natural_parameters[0]". Parameters of NumPyro programs are on their unconstrained
            scale. The standard error is infinite where the table does not identify a quantity.

        Raises
        ------
        ValueError
            For neural energies, and for fits with ``l1`` or ``max_eigenvalue``.

        Warns
        -----
        UserWarning
            If the parameters do not solve the equation on ``X``: another table, or an unfinished
            fit.

        Notes
        -----
        Under ``InversePropensity`` and ``PropensityTilt`` the sandwich takes the propensities for
        known. Where they come from a model that is right, the intervals are then too wide rather
        than too narrow (Robins, Rotnitzky and Zhao 1994).

        What is covered is what the fit estimates with any number of rows: not the truth where a
        rule is biased under the mechanism, a ridge shrinks, few draws per row leave a bias, or the
        density is wrong.

        References
        ----------
        Huber (1967), The behavior of maximum likelihood estimates under nonstandard conditions.
        Louis (1982), Finding the observed information matrix when using the EM algorithm.
        Efron (1979), Bootstrap methods: another look at the jackknife.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_estimators import GaussianScoreMatching
        >>> X = np.random.default_rng(0).normal(size=(400, 2))
        >>> table = GaussianScoreMatching().fit(X).confidence_intervals(X)
        >>> table.loc["location[0]"].round(2).tolist()
        [-0.07, 0.05, -0.17, 0.03]
        >>> table.index[2:5].tolist()
        ['covariance[0, 0]', 'covariance[0, 1]', 'covariance[1, 1]']
        """
        from sm_estimators.estimators import _inference as inference

        check_is_fitted(self)
        inference.check_request(level, method, n_resamples)
        inference.refuse_irregular(self.density_, self._settings(self.density_))
        if method == "sandwich":
            quantities = inference.sandwich(self, X, sample_weight)
        else:
            rng = np.random.default_rng(seed_of(random_state))
            quantities = inference.bootstrap(
                self, X, sample_weight, n_resamples=n_resamples, rng=rng
            )
        columns = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))
        return inference.intervals(quantities, self.density_.column_axes, columns, level=level)

    def _fitted(self):
        """Return what the samplers need."""
        from sm_estimators.estimators._draws import Fitted

        selection = getattr(self.mechanism, "log_propensity", None)
        return Fitted(self.density_, self.params_, self._moments, self._starts, selection)

    def sample(self, n_samples=1, *, random_state=None):
        """Draw rows from the fitted density.

        Exactly for Gaussians and their mixtures; by chains started at rows of the table otherwise
        (``sampler``), with ``sampling_diagnostics_`` to judge them by.

        Parameters
        ----------
        n_samples : int, default=1
            Rows to draw.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the table.
        """
        from sm_estimators.estimators._draws import sample

        check_is_fitted(self)
        draws, self.sampling_diagnostics_ = sample(
            self._fitted(),
            self.sampler,
            positive_count("n_samples", n_samples),
            seed_of(random_state),
        )
        return draws

    def impute(self, X, n_imputations=1, *, random_state=None):
        """Draw the holes of every row given what was seen of it.

        Draws, not means: several imputations differ as much as the table leaves open. The rows
        need not be those of the fit.

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
            Seen values are returned bit for bit. For a DataFrame, a list of them with the same
            columns, order, index and dtypes.
        """
        check_is_fitted(self)
        n_imputations = positive_count("n_imputations", n_imputations)
        values, observed = read_table(self, X, reset=False)
        seed = seed_of(random_state)
        filled = self._completions(values, observed, n_imputations=n_imputations, seed=seed)
        if hasattr(X, "iloc"):
            return [refill(X, observed, table) for table in filled]
        return filled

    def _completions(self, X, observed, *, n_imputations, seed):
        """Return tables whose holes are drawn, exactly or by chains."""
        from sm_estimators.estimators._draws import complete

        tables, self.sampling_diagnostics_ = complete(
            self._fitted(), self.sampler, X, observed, n_imputations=n_imputations, seed=seed
        )
        return tables

    def _means(self, X, observed):
        """Return conditional means where they have a closed form."""
        from sm_estimators.estimators._draws import is_exact

        fitted: Any = self._fitted()
        if is_exact(fitted.density, self.sampler):
            return fitted.density.conditional_mean(fitted.params, X, observed)
        return None

    def to_numpyro(self):
        """Return the fitted density as a NumPyro distribution.

        It has ``log_prob`` (up to a constant unless the density is normalised) and ``sample``, and
        works under NUTS, alone or inside a bigger model.

        Returns
        -------
        distribution : numpyro.distributions.Distribution
            With event shape (n_features,).
        """
        from copy import deepcopy

        from sm_estimators.numpyro_bridge import FittedDensity

        check_is_fitted(self)
        if self.density_.support is not None:
            raise ValueError(
                "`to_numpyro` needs a density on the whole space; this one lives in a box, which "
                "NumPyro would leave. Transform the columns before the fit instead."
            )
        scale = np.linalg.cholesky(self._moments[1])
        # Copies: JAX remembers arrays it met while tracing, and NumPyro traces in float32.
        params, starts = deepcopy((self.params_, self._starts))
        return FittedDensity(self.density_, params, starts, scale=scale)
