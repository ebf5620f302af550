"""Fixed draws of the holes from a widened Gaussian conditional."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sm_estimators._spec import static
from sm_estimators._typing import LogDensityFn, Params
from sm_estimators.densities import AbstractDensity, marginalise
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing._base import AbstractMissing, Rows


@dataclass(frozen=True)
class AbstractProposed(AbstractMissing):
    """A rule that works on draws z_k ~ π(· | x_observed), made once before the fit.

    π is the conditional of a Gaussian fitted to the table by EM, with its covariance widened. A
    concrete rule says what to do with the draws.
    """

    n_draws: int = static(default=20)
    inflation: float = 1.5
    degrees_of_freedom: float = float("inf")

    def __post_init__(self):
        if self.n_draws < 1:
            raise ValueError(f"`n_draws` must be at least 1; got {self.n_draws}.")
        for name in ("inflation", "degrees_of_freedom"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive; got {getattr(self, name)}.")

    def prepare(
        self,
        rng: np.random.Generator,
        X: Float[np.ndarray, "n d"],
        observed: Bool[np.ndarray, "n d"],
        weight: Float[np.ndarray, " n"],
        moments: tuple[np.ndarray, np.ndarray],
    ) -> Rows:
        """Draw the holes of every row; log weights are −log π."""
        completions, log_proposal = GaussianConditional(*moments).propose(
            rng,
            X,
            observed,
            self.n_draws,
            inflation=float(self.inflation),
            degrees_of_freedom=float(self.degrees_of_freedom),
        )
        return Rows(np.where(observed, X, 0.0), observed, completions, -log_proposal, weight)

    def observed_log_density(
        self, density: AbstractDensity, params: Params, row: Rows
    ) -> LogDensityFn:
        """Return log (1/r) Σ_k q(x_observed, z_k) / π(z_k | x_observed)."""

        def log_density_fn(x):
            return density.log_density(params, x)

        return marginalise(log_density_fn, row.observed, row.completions, row.log_weights)
