"""The door of noise-conditional models: what their estimators share."""

from abc import abstractmethod
from dataclasses import fields, replace
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sm_estimators.estimators._context import read_context
from sm_estimators.estimators._table import read_table, read_weights, refill, refuse_few_rows
from sm_estimators.estimators._table_density import TableDensity, positive_count, seed_of
from sm_estimators.estimators._warnings import (
    warn_biased_rule,
    warn_empty_rows,
    warn_never_together,
    warn_unconverged,
)

MOST_EXACT = 16
"""Columns up to which the divergence is computed exactly by default."""


class BaseDiffusion(TableDensity):
    """Fit, evaluate, sample, impute, encode; what is fitted is said in ``_plan``."""

    _parameter_constraints: ClassVar[dict] = {}
    missing: str
    mechanism: str
    n_flow_steps: int
    n_projections: Any
    flow_tolerance: Any
    warm_start: bool
    checkpoint: Any
    random_state: Any
    n_features_in_: int

    @abstractmethod
    def _plan(self, n_columns: int, rule: str) -> Any:
        """Return what to fit to a table of so many columns, context included."""

    @abstractmethod
    def _sampler(self) -> Any:
        """Return what takes noise to rows."""

    def _settings(self) -> Any:
        """Return how long and hard to train."""
        from sm_estimators.diffusion.training import Settings

        return Settings(**{f.name: getattr(self, f.name) for f in fields(Settings)})

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the model to a table with holes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers; NaN where nothing was seen.
        y : array-like of shape (n_samples,) or (n_samples, n_covariates), optional
            What rows may later be drawn given: labels (text, truth values, whole numbers) or
            covariates (other numbers). NaN and None where nothing is known. The model learns the
            rows with and without it, so everything also works with no ``y`` given.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights; an integer weight equals that many copies of the row.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For infinities, text, a column without any seen value, fewer than two rows, a rule for
            holes that is biased under the mechanism, and a ``checkpoint`` of another fit.
        FloatingPointError
            When the loss is not finite.
        KeyboardInterrupt
            When the user interrupts; the estimator is then fitted with the best weights so far.
        """
        from sm_estimators.diffusion.fit import fit_diffusion, keeps
        from sm_estimators.diffusion.hole_rules import HOLE_RULES, resolve_hole_rule

        self._sampler()
        refuse_unseeded_checkpoint(self.checkpoint, self.random_state)
        previous = self._previous_weights()
        X, observed = read_table(self, X, reset=True)
        weight = read_weights(sample_weight, X)
        rule = resolve_hole_rule(self.missing, self.mechanism)
        self._context, columns = read_context(y, len(X))
        table, context = with_context(X, columns, weight)
        used = keeps(rule, table.observed, context) & (weight > 0)
        refuse_few_rows(observed.any(axis=1) & (weight > 0), used, rule)
        warn_empty_rows(observed)
        warn_never_together(observed, getattr(self, "feature_names_in_", None))
        warn_biased_rule(rule, HOLE_RULES[rule])
        plan = self._plan(table.X.shape[1], rule)
        seed = seed_of(self.random_state)
        if previous is not None and previous[:2] != (plan.denoiser, len(context)):
            previous = None
        fit = fit_diffusion(
            plan,
            table,
            context,
            seed=seed,
            settings=self._settings(),
            initial=None if previous is None else previous[2],
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
        )
        self._keep(fit, rule)
        self._state, self._seed = None, seed
        warn_unconverged(fit.trained, neural=True)
        if fit.trained.interrupted:
            raise KeyboardInterrupt(fit.trained.message)
        return self

    def _keep(self, fit, rule: str) -> None:
        """Hang a fit on the estimator."""
        recipe, self._units, trained = fit
        self.denoiser_, self.process_, self.loss_ = recipe.denoiser, recipe.process, recipe.loss
        self._recipe = recipe
        self.params_ = trained.model
        self.noise_scales_ = (float(recipe.process.first), float(recipe.process.last))
        self.missing_, self.mechanism_ = rule, self.mechanism
        self.n_iter_, self.converged_ = trained.n_iter, trained.converged
        self.loss_curve_ = trained.losses
        if hasattr(self, "fast_params_"):
            del self.fast_params_  # of another fit
        if self._context.classes is not None:
            self.classes_ = self._context.classes
        elif hasattr(self, "classes_"):
            del self.classes_

    def _previous_weights(self):
        """Return denoiser, columns and weights of the last fit, where it is to be gone on from."""
        if not self.warm_start or not hasattr(self, "params_"):
            return None
        return self.denoiser_, len(self._units.location), self.params_.weights

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train on new rows, one pass over them, from where training stands.

        The first call of an unfitted estimator sets the units of the columns and the noise scales
        from its rows: make it a large part. No rows are held out, and the learning rate does not
        fall. Earlier rows are not seen again, so a stream should come in random order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            New rows; holes are hidden, or dropped, as ``missing`` says, but not imputed.
        y : array-like of shape (n_samples,) or (n_samples, n_covariates), optional
            Labels or covariates, of the kind of the first call.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : object
            The estimator.
        """
        from sm_estimators.diffusion.hole_rules import resolve_hole_rule
        from sm_estimators.diffusion.increments import first_fit, n_batches, take_pass

        rule = resolve_hole_rule(self.missing, self.mechanism)
        if rule == "imputation":
            raise ValueError(
                "`partial_fit` cannot impute: an EM needs the whole table. Use `fit`, or "
                "`missing='hiding'` where holes are there completely at random."
            )
        first = not hasattr(self, "params_")
        X = read_table(self, X, reset=first)[0]
        weight = read_weights(sample_weight, X)
        if first:
            self._context, columns = read_context(y, len(X))
        else:
            columns = self._context.encode(y, len(X))
        table, context = with_context(X, columns, weight)
        settings = self._settings()
        if first:
            self._seed, self._state = seed_of(self.random_state), None
            plan = self._plan(table.X.shape[1], rule)
            self._keep(first_fit(plan, table, context, self._seed), rule)
        self.params_, self._state = take_pass(
            self._recipe,
            self.params_,
            self._units,
            table,
            context,
            rule=rule,
            settings=settings,
            seed=self._seed,
            state=self._state,
            start=self.n_iter_,
        )
        self.n_iter_ += n_batches(table, settings)
        return self

    def distill(self, X, y=None, sample_weight=None, *, max_iter=None):
        """Train a network that draws rows in a few evaluations, for ``sampler="consistency"``.

        A consistency model: it learns from the fitted one, which stays as it is and goes on to
        give scores and densities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, best those of the fit; NaN where nothing was seen. Holes are hidden, as under
            "hiding", or, where the fit imputed, drawn once.
        y : array-like, optional
            Labels or covariates, if the fit had them.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.
        max_iter : int, optional
            Minibatches; by default those of the fit.

        Returns
        -------
        self : object
            The estimator, with the attribute ``fast_params_``.

        References
        ----------
        Song, Dhariwal, Chen and Sutskever (2023), Consistency models.
        """
        from jax import random

        from sm_estimators.diffusion.consistency import distil
        from sm_estimators.diffusion.fit import keeps, training_rows

        check_is_fitted(self)
        X = read_table(self, X, reset=False)[0]
        weight = read_weights(sample_weight, X)
        if self.missing_ == "imputation":
            X = self._drawn(np.random.default_rng(self._seed), X, y, None)
        table, context = with_context(X, self._context.encode(y, len(X)), weight)
        table = table.take(keeps(self.missing_, table.observed, context) & (weight > 0))
        refuse_few_rows(table.weight > 0, table.weight > 0, self.missing_)
        Z = self._units.standardise(table.X, table.observed)
        rows = training_rows(self.missing_, table, Z, Z, context)
        settings = self._settings()
        if max_iter is not None:
            settings = replace(settings, max_iter=positive_count("max_iter", max_iter))
        key = random.key(self._seed)
        self.fast_params_ = distil(key, self._recipe, self.params_, rows, context, settings)
        return self

    def _rows(self, X, y) -> tuple[np.ndarray, np.ndarray, Any]:
        """Return standardised rows, what was seen of them, and their roles in a joint density."""
        from sm_estimators.diffusion.roles import Roles

        check_is_fitted(self)
        X, observed = read_table(self, X, reset=False)
        columns = self._context.encode(y, len(X))
        table, context = with_context(X, columns, np.ones(len(X)))
        Z = self._units.standardise(table.X, table.observed)
        return Z, observed, Roles(table.observed & ~context, table.observed & context)

    @property
    def _scale(self) -> np.ndarray:
        """Standard deviations of the columns of X."""
        return self._units.scale[: self.n_features_in_]

    def _context_flags(self) -> np.ndarray:
        """Return which columns of the model are context."""
        return np.arange(len(self._units.location)) >= self.n_features_in_

    def score(self, X, y=None, sample_weight=None):
        """Return minus the mean explicit score-matching loss; higher is better.

        The criterion of all estimators of this package, at the smallest noise scale. It depends on
        the units of the columns: compare models on one table only. Rows with holes are scored by
        the marginal density of what was seen of them; rows without a seen value do not count.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Held-out rows; NaN where nothing was seen.
        y : array-like, optional
            What the density is given.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        score : float
            Minus the Fisher divergence to the data, up to a constant of the data.
        """
        from sm_estimators.diffusion.evaluate import scores_and_curvatures

        Z, observed, roles = self._rows(X, y if self._context.n_columns else None)
        weight = read_weights(sample_weight, observed) * observed.any(axis=1)
        if not weight.any():
            raise ValueError("`X` has no row with a seen value and a positive weight to score.")
        first = self.noise_scales_[0]
        s, h = scores_and_curvatures(self.denoiser_, self.params_, Z, first, roles)
        losses = (0.5 * s**2 + h)[:, : self.n_features_in_] / self._scale**2
        return -float(np.average(losses.sum(axis=1), weights=weight))

    def score_samples(self, X, y=None, *, return_standard_error=False):
        """Return the normalised log-density of the seen part of every row.

        By the probability-flow equation, in ``n_flow_steps`` steps. It is the density of rows with
        noise of the smallest scale, and integrates to one up to the error of the solver.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen.
        y : array-like, optional
            What the density is given, if the fit had a ``y``: one value for all rows, or one each.
        return_standard_error : bool, default=False
            Also return the standard error of every value. It is zero where the divergence is
            exact; see ``n_projections``.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats, per units of the columns.
        standard_error : ndarray of shape (n_samples,)
            Only with ``return_standard_error``.
        """
        flow = self._flow(X, y)
        values = flow.log_density
        log_density = values.mean(axis=1) - self._log_units(X)
        if not return_standard_error:
            return log_density
        m = values.shape[1]
        if m == 1:
            error = np.full(len(values), np.nan if self._projections() == 1 else 0.0)
        else:
            error = values.std(axis=1, ddof=1) / np.sqrt(m)
        return log_density, error

    def _log_units(self, X) -> np.ndarray:
        """Return the logarithm of the product of the scales of the seen columns of every row."""
        observed = read_table(self, X, reset=False)[1]
        return observed @ np.log(self._scale)

    def _projections(self) -> int | None:
        """Return the random directions of a divergence; None for the exact one."""
        if self.n_projections != "auto":
            return self.n_projections
        return None if self.n_features_in_ <= MOST_EXACT else 10

    def _flow(self, X, y):
        """Return latent codes and log-densities in standardised units."""
        from jax import random

        from sm_estimators.diffusion.likelihood import flow

        Z, _, roles = self._rows(X, y)
        return flow(
            random.key(self._seed),
            self.denoiser_,
            self.params_,
            self.process_,
            Z,
            roles,
            n_projections=self._projections(),
            n_steps=self.n_flow_steps,
            tolerance=self.flow_tolerance,
        )

    def stein_score(self, X, noise_scale=None, *, y=None):
        """Return the gradient of the log-density with respect to the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen.
        noise_scale : float, optional
            The density is that of rows with Gaussian noise of this many standard deviations of
            every column; by default the smallest scale of the fit.
        y : array-like, optional
            What the density is given.

        Returns
        -------
        stein_score : ndarray of shape (n_samples, n_features)
            Of the seen part; NaN in holes.
        """
        from sm_estimators.diffusion.evaluate import scores

        Z, observed, roles = self._rows(X, y)
        first, last = self.noise_scales_
        noise_scale = first if noise_scale is None else float(noise_scale)
        if not first * 0.999 <= noise_scale <= last * 1.001:
            raise ValueError(
                f"`noise_scale` must lie between the scales of the fit, {first:.4g} and {last:.4g} "
                f"standard deviations; got {noise_scale!r}."
            )
        s = scores(self.denoiser_, self.params_, Z, noise_scale, roles)
        return np.where(observed, s[:, : self.n_features_in_] / self._scale, np.nan)

    def sample(self, n_samples=1, *, y=None, guidance=None, random_state=None):
        """Draw rows.

        Parameters
        ----------
        n_samples : int, default=1
            Rows to draw.
        y : scalar or array-like, optional
            What they are given, if the fit had a ``y``: one value for all rows, or one each.
        guidance : guidance, optional
            What else leads them: ``ClassifierFree(weight)``, ``Classifier(log_probability)`` or
            ``LinearConstraint(A, b)``.
        random_state : int, RandomState instance or None, default=None
            None draws afresh at every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the table.
        """
        check_is_fitted(self)
        n = positive_count("n_samples", n_samples)
        nothing = np.full((n, self.n_features_in_), np.nan)
        rng = np.random.default_rng(seed_of(random_state))
        return self._drawn(rng, nothing, y, guidance)

    def impute(self, X, n_imputations=1, *, y=None, guidance=None, random_state=None):
        """Draw the holes of every row given what was seen of it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where nothing was seen. They need not be those of the fit.
        n_imputations : int, default=1
            Completed tables to draw.
        y : scalar or array-like, optional
            What rows are given besides, if the fit had a ``y``.
        guidance : guidance, optional
            What else leads the draws, as for ``sample``.
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
        rng = np.random.default_rng(seed_of(random_state))
        tables = [self._drawn(rng, values, y, guidance) for _ in range(n_imputations)]
        if hasattr(X, "iloc"):
            return [refill(X, observed, table) for table in tables]
        return np.stack(tables)

    def _drawn(self, rng: np.random.Generator, X: np.ndarray, y, guidance) -> np.ndarray:
        """Return a table whose holes are drawn."""
        return self._filled(X, y, guidance, lambda drawing, Z, roles: drawing.draw(rng, Z, roles))

    def _filled(self, X: np.ndarray, y, guidance, fill) -> np.ndarray:
        """Return a table whose holes ``fill`` fills, with seen values kept bit for bit."""
        from sm_estimators.diffusion.roles import Roles

        observed = ~np.isnan(X)
        rows = ~observed.all(axis=1)
        filled = X.copy()
        if not rows.any():
            return filled
        columns = self._context.encode(y, len(X))[rows]
        table, context = with_context(X[rows], columns, np.ones(len(columns)))
        Z = self._units.standardise(table.X, table.observed)
        roles = Roles(~table.observed & ~context, table.observed)
        Z = fill(self._drawing(guidance), Z, roles)[:, : self.n_features_in_]
        back = self._units.location[: self.n_features_in_] + self._scale * Z
        filled[rows] = np.where(observed[rows], X[rows], back)
        return filled

    def _drawing(self, guidance=None):
        """Return what draws rows."""
        from sm_estimators.diffusion.consistency import Consistency
        from sm_estimators.diffusion.draws import Drawing
        from sm_estimators.diffusion.guidance import AbstractGuidance

        if guidance is not None:
            if not isinstance(guidance, AbstractGuidance):
                raise ValueError(
                    "`guidance` must be ClassifierFree(weight), Classifier(log_probability) or "
                    f"LinearConstraint(A, b); got {guidance!r}."
                )
            guidance = guidance.in_units(
                self._units.location, self._units.scale, self.n_features_in_
            )
        sampler, model = self._sampler(), self.params_
        if isinstance(sampler, Consistency):
            if not hasattr(self, "fast_params_"):
                raise NotFittedError(
                    "`sampler='consistency'` needs a distilled network: call `distill(X)` first."
                )
            model = self.fast_params_
        return Drawing(
            self.denoiser_,
            model,
            self.process_,
            sampler,
            moments=self._units.moments,
            context=self._context_flags(),
            guidance=guidance,
        )

    def _completions(self, X, observed, *, n_imputations, seed):
        """Return tables whose holes are drawn."""
        rng = np.random.default_rng(seed)
        self.sampling_diagnostics_ = {}
        return np.stack([self._drawn(rng, X, None, None) for _ in range(n_imputations)])

    def _means(self, X, observed):
        """Return E[holes | seen]: one evaluation at the largest noise scale."""
        return self._filled(X, None, None, lambda drawing, Z, roles: drawing.mean(Z, roles))

    def encode(self, X, y=None):
        """Return latent codes: where the probability flow takes complete rows.

        Codes of rows that follow the model are nearly standard normal, and near rows have near
        codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows without holes.
        y : array-like, optional
            What rows are given, if the fit had a ``y``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_features)
            ``decode`` takes them back.
        """
        check_is_fitted(self)
        if not read_table(self, X, reset=False)[1].all():
            raise ValueError("`encode` needs rows without holes; fill them with `impute` first.")
        latent = self._flow(X, y).latent[:, : self.n_features_in_]
        return latent / np.sqrt(1 + self.noise_scales_[1] ** 2)

    def decode(self, codes, y=None):
        """Return the rows that the probability flow makes of latent codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_features)
            As ``encode`` returns them; standard normal codes give new rows.
        y : array-like, optional
            What rows are given, if the fit had a ``y``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the table.
        """
        from sm_estimators.diffusion.likelihood import flow_back
        from sm_estimators.diffusion.roles import Roles

        check_is_fitted(self)
        codes = np.asarray(codes, float)
        if codes.ndim != 2 or codes.shape[1] != self.n_features_in_:
            raise ValueError(
                f"`codes` must have the shape (n_samples, {self.n_features_in_}); got "
                f"{codes.shape}."
            )
        columns = self._context.encode(y, len(codes))
        table, context = with_context(codes, columns, np.ones(len(codes)))
        Y = self._units.standardise(table.X, table.observed)
        Y[:, ~context] = codes * np.sqrt(1 + self.noise_scales_[1] ** 2)
        roles = Roles(table.observed & ~context, table.observed & context)
        Z = flow_back(
            self.denoiser_, self.params_, self.process_, Y, roles, n_steps=self.n_flow_steps
        )[:, : self.n_features_in_]
        return self._units.location[: self.n_features_in_] + self._scale * Z

    def interpolate(self, start, end, n_points=10, y=None):
        """Return rows between two rows, along the arc between their latent codes.

        Parameters
        ----------
        start, end : array-like of shape (n_features,)
            Rows without holes.
        n_points : int, default=10
            Rows on the way, both ends included.
        y : scalar or array-like, optional
            What rows are given, if the fit had a ``y``.

        Returns
        -------
        X : ndarray of shape (n_points, n_features)
            In the units of the table.

        References
        ----------
        White (2016), Sampling generative networks.
        """
        n_points = positive_count("n_points", n_points)
        a, b = self.encode(np.stack([np.asarray(start, float), np.asarray(end, float)]), y)
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        angle = np.arccos(np.clip(a @ b / lengths, -1, 1)) if lengths > 0 else 0.0
        t = np.linspace(0, 1, n_points)[:, None]
        if np.sin(angle) < 1e-6:
            return self.decode((1 - t) * a + t * b, y)
        return self.decode((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle), y)


def refuse_unseeded_checkpoint(checkpoint: Any, random_state: Any) -> None:
    """Raise `ValueError` for a fit that could not be taken up again."""
    if checkpoint is not None and not isinstance(random_state, Integral):
        raise ValueError(
            "`checkpoint` needs an integer `random_state`, or the same fit could not be taken up "
            f"again; got random_state={random_state!r}."
        )


def with_context(X: np.ndarray, columns: np.ndarray, weight: np.ndarray):
    """Return a table with context columns behind its own, and the flags of the context."""
    from sm_estimators.fitting import Table

    joined = np.hstack([X, columns])
    context = np.arange(joined.shape[1]) >= X.shape[1]
    return Table(joined, ~np.isnan(joined), weight), context
