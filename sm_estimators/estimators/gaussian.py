"""The Gaussian estimator."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from sm_estimators.estimators._base import BaseScoreMatching
from sm_estimators.estimators._constraints import COMMON, DETERMINISTIC
from sm_estimators.estimators._shorthand import resolve_objective

ZERO = 1e-10
"""Partial correlation below which a sparse fit has none."""


class GaussianScoreMatching(BaseScoreMatching):
    """Fit a multivariate Gaussian to a table with holes.

    On complete rows the score-matching estimate is the maximum-likelihood one; denoising adds its
    noise variance to the covariance. With holes, "imputation" is the EM of maximum likelihood,
    valid under MCAR and MAR, and "exact" is marginal score matching with its analytic gradient.
    Everything is computed in closed form or by small deterministic iterations; nothing is compiled
    for the fit except under "importance".

    Parameters
    ----------
    objective : {"explicit", "sliced", "denoising"} or objective, default="explicit"
        The loss. Pass a spec for its settings, such as ``Denoising(noise_scale=0.2)``.
    missing : str or rule, default="auto"
        What to do about holes: "complete_case", "exact", "importance", "variational",
        "persistent_chains", "imputation", or a spec for its settings, such as
        ``Importance(n_draws=100)``. "auto" chooses a valid rule and says which in ``missing_``:
        imputation, but importance under ``NotAtRandom``.
    mechanism : {"mcar", "mar"} or mechanism, default="mcar"
        What is assumed of the holes: that they are there completely at random, or that the chance
        of a hole depends on seen values only. A rule that is biased under the stated mechanism is
        refused. Or a correction: ``InversePropensity()`` and ``PropensityTilt()`` fit that chance
        to the columns that are always seen, which makes the other rules valid;
        ``NotAtRandom(log_propensity)`` takes its logarithm, a function of the whole row.
    sampler : {"auto", "exact", "mala", "ula", "nuts"} or sampler, default="auto"
        How to draw; "auto" is exact where possible and MALA elsewhere.
    ridge : float, default=1e-6
        Added to the diagonal of the covariance, in units of each column's variance (1 for a
        constant column). It keeps duplicated and constant columns from being an error.
    l1 : float, default=0.0
        Penalty ``l1·Σ_{i≠j} |K_ij|`` on the precision K of the standardised columns: the larger,
        the more pairs of columns are conditionally independent. For complete rows, "imputation" and
        "exact"; from :func:`sm_estimators.missing.penalty.l1_max` on, no pair is left.
    max_eigenvalue : float, optional
        Largest eigenvalue of the precision of the standardised columns; None for no cap. It holds
        fits of few rows that would otherwise run away. Where ``l1`` is available.
    max_iter : int, optional
        Most iterations: steps of EM, L-BFGS or proximal descent (default 1000).
    tol : float, default=1e-6
        Where L-BFGS (largest gradient), proximal descent (conditions of optimality) and EM
        (relative change of the parameters) stop.
    warm_start : bool, default=False
        Start the next ``fit`` at the parameters of the last, where it is iterative and needs a
        start ("importance").
    random_state : int, RandomState instance or None, default=None
        Of ``fit``; ``sample`` and ``impute`` take their own.
    verbose : int, default=0
        Above 0, show progress.

    Attributes
    ----------
    location_ : ndarray of shape (n_features,)
        Mean.
    covariance_ : ndarray of shape (n_features, n_features)
        Covariance.
    precision_ : ndarray of shape (n_features, n_features)
        Its inverse. With ``l1``, entries below 1e-10 √(K_ii K_jj) are exact zeros: ``params_``
        holds a factor of K, whose product restores them up to rounding only.
    params_ : pytree of ndarray
        Parameters of ``density_``, in the units of the table.
    density_, objective_ : spec
        What was fitted, and how.
    ridge_ : float
        The ridge of the fit, given or chosen.
    missing_ : str
        The rule for holes.
    mechanism_ : str
        The mechanism, in a word.
    missing_diagnostics_ : dict
        What is known of the holes; empty for a complete table. ``co_observed``, how many rows show
        each pair of columns, and ``never_together``, the pairs that none does;
        ``least_supported``, how many rows the worst pattern has beyond what its columns need, or
        lacks. For rules that draw, ``effective_sample_size``, the draws that the weights leave of
        each row with holes, with ``_median``, ``_5_percent`` and ``_by_holes``; where draws are
        refreshed, ``rounds``. With ``ridge="held_out"``, ``held_out_loss``.
        :func:`~sm_estimators.plotting.plot_missing_diagnostics` draws them.
    sampling_diagnostics_ : dict
        Of the last ``sample`` or ``impute``: ``r_hat``, ``effective_sample_size``, and more.
    n_iter_ : int
        Iterations taken; 1 for a closed form.
    converged_ : bool
        Whether the fit ended by itself.
    loss_curve_ : ndarray
        Course of the loss; for neural energies, the held-out one.
    n_features_in_ : int
        Columns.
    feature_names_in_ : ndarray of str
        Their names, for a DataFrame with string names.

    References
    ----------
    Hyvärinen (2005), Estimation of non-normalized statistical models by score matching.
    Zhang and Zou (2014), Sparse precision matrix estimation via lasso penalized D-trace loss.
    Uehara, Matsuda and Kim (2020), Imputation estimators for unnormalized models with missing data.

    Examples
    --------
    >>> from sm_estimators import GaussianScoreMatching
    >>> from sm_estimators.datasets import load_oceanbuoys
    >>> buoys = load_oceanbuoys()
    >>> estimator = GaussianScoreMatching().fit(buoys)
    >>> estimator.missing_, estimator.covariance_.shape
    ('imputation', (8, 8))
    >>> int(estimator.impute(buoys, random_state=0)[0].isna().sum().sum())
    0
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON,
        **DETERMINISTIC,
        "l1": [Interval(Real, 0, None, closed="left")],
        "max_eigenvalue": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        *,
        objective: Any = "explicit",
        missing: Any = "auto",
        mechanism: Any = "mcar",
        sampler: Any = "auto",
        ridge=1e-6,
        l1=0.0,
        max_eigenvalue=None,
        max_iter=None,
        tol=1e-6,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.objective = objective
        self.missing = missing
        self.mechanism = mechanism
        self.sampler = sampler
        self.ridge = ridge
        self.l1 = l1
        self.max_eigenvalue = max_eigenvalue
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _choices(self, n_features):
        """Return the Gaussian."""
        from sm_estimators.densities import Gaussian

        return Gaussian(), resolve_objective(self.objective, n_features)

    def _describe(self) -> None:
        """Hang mean, covariance and precision on the estimator."""
        self.location_, self.covariance_ = self.density_.moments(self.params_)
        self.precision_ = self.density_.precision(self.params_)
        if self.l1 > 0:
            root = np.sqrt(np.diag(self.precision_))
            self.precision_[np.abs(self.precision_) < ZERO * np.outer(root, root)] = 0.0
