"""Noise-conditional score networks as they were first published."""

from typing import Any, ClassVar

from sm_estimators.estimators._diffusion import BaseDiffusion
from sm_estimators.estimators._shorthand import resolve
from sm_estimators.estimators.score_diffusion import DIFFUSION

CHOSEN = ("process", "objective", "sampler")
"""What the publication decides."""


class NoiseConditionalScore(BaseDiffusion):
    """A noise-conditional score network on a ladder of noise scales, with annealed Langevin.

    As published: the network's output divided by the noise scale is the score, the loss is
    denoising score matching weighted by the squared noise scale, and rows are drawn by Langevin
    steps down the ladder. :class:`ScoreDiffusion` learns faster, from fewer rows, and its draws
    are more exact; this estimator is there for comparison, and where a fixed ladder is wanted.

    Parameters
    ----------
    network : {"mlp", "attention"} or network, default="mlp"
        ``ResidualMLP()`` or ``ColumnAttention()``, or a spec with other sizes.
    n_levels : int, default=20
        Rungs of the ladder, a geometric sequence.
    noise_scales : tuple of float, optional
        Smallest and largest noise scale, in standard deviations of the columns; by default from
        the spacing of nearest neighbours to the largest distance of two rows.
    n_corrections : int, default=50
        Langevin steps at each rung.
    step_size : float, default=0.1
        Of these steps, in units of the squared noise scale.
    missing : {"auto", "hiding", "imputation", "complete_case", "zeroed"}, default="auto"
        What to do about holes. "hiding" hides seen values at random and learns to restore them,
        valid under "mcar"; "imputation" is an EM, valid under "mar" as well; "auto" is the first
        of the two that is valid. "zeroed" is a biased baseline.
    mechanism : {"mcar", "mar"}, default="mcar"
        What is assumed of the holes.
    n_refreshes : int, default=5
        Times that "imputation" draws the holes anew.
    n_flow_steps : int, default=50
        Steps of the probability flow for log-densities and latent codes.
    flow_tolerance : float, optional
        Relative and absolute error per step of log-densities, by an adaptive solver that takes
        the place of ``n_flow_steps``. Needs diffrax (``pip install sm_estimators[adaptive]``).
    n_projections : int, None or "auto", default="auto"
        Random directions for the divergence in log-densities; None is the exact divergence.
        "auto" is exact up to 16 columns and 10 above.
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
        File to keep the state of training in; see :class:`ScoreDiffusion`.
    random_state : int, RandomState instance or None, default=None
        Of ``fit``; ``sample`` and ``impute`` take their own.
    verbose : int, default=0
        Above 0, show progress.

    Attributes
    ----------
    params_ : Model
        Network weights, and the moments of the table, where samplers start.
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
    Song and Ermon (2019), Generative modeling by estimating gradients of the data distribution.
    Song and Ermon (2020), Improved techniques for training score-based generative models.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import NoiseConditionalScore, ResidualMLP
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> estimator = NoiseConditionalScore(ResidualMLP(16, 1), max_iter=300, random_state=0)
    >>> estimator.fit(X).sample(5, random_state=0).shape
    (5, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        **{name: rule for name, rule in DIFFUSION.items() if name not in CHOSEN},
        "n_levels": "no_validation",
        "noise_scales": "no_validation",
        "n_corrections": "no_validation",
        "step_size": "no_validation",
    }

    def __init__(
        self,
        network: Any = "mlp",
        *,
        n_levels=20,
        noise_scales=None,
        n_corrections=50,
        step_size=0.1,
        missing="auto",
        mechanism="mcar",
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
        self.n_levels = n_levels
        self.noise_scales = noise_scales
        self.n_corrections = n_corrections
        self.step_size = step_size
        self.missing = missing
        self.mechanism = mechanism
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
        """Return Langevin down the ladder."""
        from sm_estimators.diffusion.samplers import AnnealedLangevin

        return AnnealedLangevin(self.n_levels, self.n_corrections, self.step_size)

    def _plan(self, n_columns, rule):
        """Return the published choices."""
        from sm_estimators.diffusion.denoiser import Denoiser
        from sm_estimators.diffusion.fit import Plan
        from sm_estimators.diffusion.losses import MultiscaleDenoising
        from sm_estimators.diffusion.processes import NoiseLadder

        del n_columns
        scales = (None, None) if self.noise_scales is None else tuple(self.noise_scales)
        return Plan(
            Denoiser(resolve("network", self.network), "noise"),
            MultiscaleDenoising(weighting="noise"),
            NoiseLadder(*scales, n_levels=self.n_levels),
            rule,
            full_backbone=False,
            n_refreshes=self.n_refreshes,
        )
