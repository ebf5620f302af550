"""The exponential-family estimator."""

from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from sm_estimators.estimators._base import BaseScoreMatching
from sm_estimators.estimators._constraints import COMMON, DETERMINISTIC
from sm_estimators.estimators._shorthand import resolve_objective


class ExponentialFamilyScoreMatching(BaseScoreMatching):
    """Fit log q(x) = θ·t(x) + log h(x) for any statistics t: one pass over the rows and a solve.

    Parameters
    ----------
    statistics : callable, optional
        JAX function of one row (d,) that returns t(x) (k,). Default: x, −x²/2 and −x_i x_j, which
        is the Gaussian with natural parameters. A function defined in a module pickles; a lambda
        does not.
    base_measure : callable, optional
        JAX function of one row that returns log h(x). Default: zero.
    support : Box, optional
        Where the density is positive, such as ``Box(lower=0.0)``; values outside are an error.
        Default: the whole space.
    objective : {"auto", "explicit", "sliced", "denoising"} or objective, default="auto"
        The loss; "auto" is explicit, and weighted by the distance to the boundary in a box. Pass a
        spec for its settings, such as ``Denoising(noise_scale=0.2)`` or ``Weighted(box, cap=0.5)``.
    missing : str or rule, default="auto"
        What to do about holes: "complete_case", "importance", "variational", "persistent_chains",
        "imputation", or a spec for its settings, such as ``Importance(n_draws=100)``. "auto"
        chooses a valid rule and says which in ``missing_``: imputation under "mar", importance
        otherwise.
    mechanism : {"mcar", "mar"} or mechanism, default="mcar"
        What is assumed of the holes: that they are there completely at random, or that the chance
        of a hole depends on seen values only. A rule that is biased under the stated mechanism is
        refused. Or a correction: ``InversePropensity()`` and ``PropensityTilt()`` fit that chance
        to the columns that are always seen, which makes the other rules valid;
        ``NotAtRandom(log_propensity)`` takes its logarithm, a function of the whole row.
    sampler : {"auto", "mala", "ula", "nuts"} or sampler, default="auto"
        How to draw, by chains; "auto" is MALA.
    ridge : float, default=1e-6
        Penalty ½·ridge·Σ Γ_ii θ_i², Γ the matrix of the quadratic loss. "held_out" chooses it by
        the held-out loss; see ``ridge_`` and ``missing_diagnostics_``.
    l1 : float, default=0.0
        Penalty ``l1·Σ |θ_i|`` over the parameters that ``sparse`` names.
    sparse : array-like of bool, shape (k,), optional
        Which parameters ``l1`` applies to. Default: all; with the default statistics, those of the
        products.
    max_iter : int, optional
        Most iterations: steps of EM or L-BFGS (default 1000); complete rows need none.
    tol : float, default=1e-6
        Where L-BFGS (largest gradient) and EM (relative change of the parameters) stop.
    warm_start : bool, default=False
        Start the next ``fit`` at the parameters of the last, where it fits the same density to as
        many columns.
    random_state : int, RandomState instance or None, default=None
        Of ``fit``; ``sample`` and ``impute`` take their own.
    verbose : int, default=0
        Above 0, show progress.

    Attributes
    ----------
    natural_parameters_ : ndarray of shape (k,)
        θ.
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
    Hyvärinen (2007), Some extensions of score matching.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np
    >>> from sm_estimators import ExponentialFamilyScoreMatching
    >>> def quartic(x):
    ...     return jnp.concatenate([-(x**2), -(x**4)])
    >>> X = np.random.default_rng(0).normal(size=(5000, 1))
    >>> fitted = ExponentialFamilyScoreMatching(quartic).fit(X)
    >>> fitted.natural_parameters_.round(1) + 0.0
    array([0.5, 0. ])
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON,
        **DETERMINISTIC,
        "statistics": [callable, None],
        "base_measure": [callable, None],
        "support": "no_validation",
        "l1": [Interval(Real, 0, None, closed="left")],
        "sparse": ["array-like", None],
    }

    def __init__(
        self,
        statistics=None,
        *,
        base_measure=None,
        support=None,
        objective: Any = "auto",
        missing: Any = "auto",
        mechanism: Any = "mcar",
        sampler: Any = "auto",
        ridge=1e-6,
        l1=0.0,
        sparse=None,
        max_iter=None,
        tol=1e-6,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.statistics = statistics
        self.base_measure = base_measure
        self.support = support
        self.objective = objective
        self.missing = missing
        self.mechanism = mechanism
        self.sampler = sampler
        self.ridge = ridge
        self.l1 = l1
        self.sparse = sparse
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _choices(self, n_features):
        """Return the family of the statistics."""
        from sm_estimators.densities import (
            Box,
            ExponentialFamily,
            PairwiseGaussian,
            pairwise_statistics,
        )

        if self.support is not None and not isinstance(self.support, Box):
            raise ValueError(f"`support` must be a Box or None; got {self.support!r}.")
        if self.statistics is None and self.base_measure is None and self.sparse is None:
            family = PairwiseGaussian(self.support)
        else:
            statistics = pairwise_statistics if self.statistics is None else self.statistics
            sparse = None if self.sparse is None else tuple(bool(flag) for flag in self.sparse)
            family = ExponentialFamily(statistics, self.base_measure, self.support, sparse)
        # Γ needs the trace for every statistic anyway: explicit, however many columns.
        explicit = self.objective == "auto" and self.support is None
        objective = "explicit" if explicit else self.objective
        return family, resolve_objective(objective, n_features, self.support)

    def _describe(self) -> None:
        """Hang θ on the estimator."""
        self.natural_parameters_ = self.params_
