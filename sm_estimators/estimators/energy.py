"""The neural estimator."""

from typing import Any, ClassVar

from sm_estimators.estimators._base import BaseScoreMatching
from sm_estimators.estimators._constraints import COMMON, MINIBATCH
from sm_estimators.estimators._shorthand import resolve_objective


class EnergyScoreMatching(BaseScoreMatching):
    """Fit a Gaussian times the exponential of a neural network to a table with holes.

    Training starts at the Gaussian fit and stops when a held-out loss no longer improves, so a
    small table falls back to the Gaussian. Columns are standardised inside.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(64, 64)
        Width of each hidden layer.
    objective : {"auto", "explicit", "sliced", "denoising"} or objective, default="auto"
        The loss; "auto" is explicit up to 10 columns and sliced above, where the explicit trace
        would cost a derivative per column.
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
        Penalty ½·ridge·‖params‖² on weights and biases.
    max_iter : int, optional
        Most iterations: minibatches (default 5000).
    learning_rate : float, default=1e-3
        Of Adam.
    batch_size : int, default=256
        Rows per step.
    validation_fraction : float, default=0.1
        Share of the rows held out to decide when to stop.
    n_iter_no_change : int, default=10
        Looks at the held-out loss, one every 50 steps, without improvement before the fit stops.
    warm_start : bool, default=False
        Start the next ``fit`` at the parameters of the last, where it fits the same density to as
        many columns.
    random_state : int, RandomState instance or None, default=None
        Of ``fit``; ``sample`` and ``impute`` take their own.
    verbose : int, default=0
        Above 0, show progress.

    Attributes
    ----------
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
    Song, Garg, Shi and Ermon (2020), Sliced score matching.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import EnergyScoreMatching
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> estimator = EnergyScoreMatching((16,), max_iter=200, random_state=0)
    >>> _ = estimator.set_params(n_iter_no_change=2).fit(X)
    >>> estimator.stein_score(X).shape
    (300, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON,
        **MINIBATCH,
        "hidden_sizes": ["array-like"],
    }

    def __init__(
        self,
        hidden_sizes=(64, 64),
        *,
        objective: Any = "auto",
        missing: Any = "auto",
        mechanism: Any = "mcar",
        sampler: Any = "auto",
        ridge=1e-6,
        max_iter=None,
        learning_rate=1e-3,
        batch_size=256,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.hidden_sizes = hidden_sizes
        self.objective = objective
        self.missing = missing
        self.mechanism = mechanism
        self.sampler = sampler
        self.ridge = ridge
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _choices(self, n_features):
        """Return the energy of these layers."""
        from sm_estimators.densities import MLPEnergy

        return MLPEnergy(tuple(self.hidden_sizes)), resolve_objective(self.objective, n_features)
