"""The general noise-conditional estimator."""

from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from sm_estimators.estimators._constraints import MINIBATCH
from sm_estimators.estimators._diffusion import BaseDiffusion
from sm_estimators.estimators._shorthand import resolve

DIFFUSION: dict = {
    **MINIBATCH,
    "network": "no_validation",
    "process": "no_validation",
    "objective": "no_validation",
    "missing": "no_validation",
    "mechanism": "no_validation",
    "sampler": "no_validation",
    "n_refreshes": [Interval(Integral, 0, None, closed="left")],
    "n_flow_steps": [Interval(Integral, 1, None, closed="left")],
    "n_projections": [Interval(Integral, 1, None, closed="left"), None, StrOptions({"auto"})],
    "flow_tolerance": [Interval(Real, 0, None, closed="neither"), None],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "ema_decay": [Interval(Real, 0, 1, closed="left")],
    "warm_start": ["boolean"],
    "checkpoint": "no_validation",
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
"""What scikit-learn checks of the parameters that both estimators have."""


class ScoreDiffusion(BaseDiffusion):
    """Fit the scores of a table at all noise scales: a diffusion model with a density.

    A network learns E[z | z + noise] at noise scales from the spacing of the rows to the size of
    the table, as a correction of what a Gaussian with the same moments would say, and is joined by
    a mixture of Gaussians. Samplers follow it from noise to data; the probability flow gives
    normalised log-densities; holes are drawn given what was seen. Modes far apart get their
    weights right, which losses of one noise scale cannot see. Columns are standardised inside.

    Parameters
    ----------
    network : {"mlp", "attention"} or network, default="mlp"
        ``ResidualMLP()`` or ``ColumnAttention()``, or a spec with other sizes.
    process : {"auto", "variance_exploding", "variance_preserving", "sub_variance_preserving", \
"noise_ladder", "straight_path"} or process, default="auto"
        The forward process: which noise scales training and samplers look at. "auto" is
        variance exploding, and the straight path for flow matching. Scales that a spec leaves
        open are set by the table.
    objective : {"denoising", "sliced", "flow_matching"} or objective, default="denoising"
        The loss at each noise scale. "flow_matching" is denoising weighted as the velocity of the
        straight path.
    parameterisation : {"denoiser", "energy", "noise"}, default="denoiser"
        What the network's output means: a correction of the Gaussian denoiser; an energy, so that
        the score is a true gradient (about three times as dear); or the noise, without a Gaussian.
    backbone : {"auto", "full", "diagonal"}, default="auto"
        Covariance of the Gaussian that the network corrects. "full" costs d³ per look at a row;
        "auto" is full up to 24 columns, labels and covariates included.
    n_components : int or "auto", default="auto"
        Gaussians in a mixture that is fitted beside the network and joined to it at each noise
        scale as rows held out decide. 1 leaves the network alone. "auto" is 1 where covariances
        are diagonal, and otherwise the number with the best likelihood of those rows, up to 48
        and fewer with many columns. Not used by ``partial_fit``, which holds no rows out, nor
        with the parameterisation "noise".
    missing : {"auto", "hiding", "imputation", "complete_case", "zeroed"}, default="auto"
        What to do about holes. "hiding" hides seen values at random and learns to restore them,
        valid under "mcar"; "imputation" is an EM, valid under "mar" as well; "auto" is the first
        of the two that is valid. "zeroed" is a biased baseline.
    mechanism : {"mcar", "mar"}, default="mcar"
        What is assumed of the holes: that they are there completely at random, or that the chance
        of a hole depends on seen values only.
    sampler : {"auto", "probability_flow", "reverse_sde", "predictor_corrector", \
"annealed_langevin", "ancestral", "consistency"} or sampler, default="auto"
        From noise to rows; "auto" is the probability flow. "consistency" needs ``distill``.
    joint : float, default=0.5
        Share of the looks in training that ask for all columns at once; the others give some
        columns and ask for the rest. 1 trains for sampling and densities alone, and makes
        ``impute`` poor.
    context_drop : float, default=0.2
        Share of the looks in training that are not told ``y``.
    n_refreshes : int, default=5
        Times that "imputation" draws the holes anew.
    n_flow_steps : int, default=50
        Steps of the probability flow for log-densities and latent codes.
    flow_tolerance : float, optional
        Relative and absolute error per step of log-densities, by an adaptive solver that takes
        the place of ``n_flow_steps``. Needs diffrax (``pip install sm_estimators[adaptive]``).
    n_projections : int, None or "auto", default="auto"
        Random directions for the divergence in log-densities (Hutchinson 1990); None is the exact
        divergence, at a derivative per column. "auto" is exact up to 16 columns and 10 above.
    max_iter : int, default=5000
        Minibatches; the learning rate falls to zero over them.
    learning_rate : float, default=2e-3
        Of Adam, at its highest.
    batch_size : int, default=128
        Rows per step, each with two noises.
    validation_fraction : float, default=0.1
        Share of the rows held out to decide which weights are best and when to stop.
    n_iter_no_change : int, default=20
        Looks at the held-out loss, one every 100 steps, without improvement before the fit stops.
    ema_decay : float, default=0.999
        Of the moving average of the weights.
    warm_start : bool, default=False
        Start the next ``fit`` at the weights of the last, where the network and the number of
        columns are the same.
    checkpoint : path-like, optional
        File to keep the state of training in, every 100 steps. A fit of the same rows with the
        same parameters and seed takes it up from there and ends where it would have ended; a file
        that holds anything else is an error and is left alone. Needs an integer ``random_state``.
    random_state : int, RandomState instance or None, default=None
        Of ``fit``; ``sample`` and ``impute`` take their own.
    verbose : int, default=0
        Above 0, show progress.

    Attributes
    ----------
    params_ : Model
        Backbone and network weights, in standardised units.
    denoiser_, process_, loss_ : spec
        What was fitted, with the noise scales filled in.
    noise_scales_ : tuple of float
        Smallest and largest noise scale, in standard deviations of the columns.
    missing_, mechanism_ : str
        The rule for holes, and what was assumed of them.
    classes_ : ndarray
        Labels, if ``y`` holds labels.
    n_iter_ : int
        Steps taken.
    converged_ : bool
        Whether the fit ended by itself.
    loss_curve_ : ndarray
        Held-out loss per column, before training and after every 100 steps.
    n_features_in_ : int
        Columns.
    feature_names_in_ : ndarray of str
        Their names, for a DataFrame with string names.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole (2021), Score-based generative modeling
    through stochastic differential equations.
    Karras, Aittala, Aila and Laine (2022), Elucidating the design space of diffusion-based
    generative models.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import ResidualMLP, ScoreDiffusion
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-3, 1, (150, 2)), rng.normal(3, 1, (150, 2))])
    >>> X[::7, 1] = np.nan
    >>> estimator = ScoreDiffusion(ResidualMLP(16, 1), max_iter=300, random_state=0).fit(X)
    >>> estimator.sample(5, random_state=0).shape, estimator.score_samples(X).shape
    ((5, 2), (300,))
    """

    _parameter_constraints: ClassVar[dict] = {
        **DIFFUSION,
        "parameterisation": "no_validation",
        "backbone": [StrOptions({"auto", "full", "diagonal"})],
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "joint": [Interval(Real, 0, 1, closed="both")],
        "context_drop": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        network: Any = "mlp",
        *,
        process: Any = "auto",
        objective: Any = "denoising",
        parameterisation="denoiser",
        backbone="auto",
        n_components: Any = "auto",
        missing="auto",
        mechanism="mcar",
        sampler: Any = "auto",
        joint=0.5,
        context_drop=0.2,
        n_refreshes=5,
        n_flow_steps=50,
        flow_tolerance=None,
        n_projections: Any = "auto",
        max_iter=5000,
        learning_rate=2e-3,
        batch_size=128,
        validation_fraction=0.1,
        n_iter_no_change=20,
        ema_decay=0.999,
        warm_start=False,
        checkpoint=None,
        random_state=None,
        verbose=0,
    ):
        self.network = network
        self.process = process
        self.objective = objective
        self.parameterisation = parameterisation
        self.backbone = backbone
        self.n_components = n_components
        self.missing = missing
        self.mechanism = mechanism
        self.sampler = sampler
        self.joint = joint
        self.context_drop = context_drop
        self.n_refreshes = n_refreshes
        self.n_flow_steps = n_flow_steps
        self.flow_tolerance = flow_tolerance
        self.n_projections = n_projections
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.ema_decay = ema_decay
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    def _sampler(self):
        """Return the sampler that was asked for; "auto" is the probability flow."""
        is_auto = isinstance(self.sampler, str) and self.sampler == "auto"
        return resolve("diffusion sampler", "probability_flow" if is_auto else self.sampler)

    def _plan(self, n_columns, rule):
        """Resolve names."""
        from sm_estimators.diffusion.backbone import MOST_COLUMNS
        from sm_estimators.diffusion.denoiser import Denoiser
        from sm_estimators.diffusion.fit import Plan

        is_auto = isinstance(self.process, str) and self.process == "auto"
        process = "variance_exploding" if is_auto else self.process
        objective = self.objective
        if isinstance(objective, str) and objective == "flow_matching":
            from sm_estimators.diffusion.losses import MultiscaleDenoising

            objective = MultiscaleDenoising(weighting="velocity")
            process = "straight_path" if is_auto else process
        full = n_columns <= MOST_COLUMNS if self.backbone == "auto" else self.backbone == "full"
        return Plan(
            Denoiser(resolve("network", self.network), self.parameterisation),
            resolve("diffusion objective", objective),
            resolve("process", process),
            rule,
            full,
            None if isinstance(self.n_components, str) else int(self.n_components),
            float(self.joint),
            float(self.context_drop),
            self.n_refreshes,
        )
