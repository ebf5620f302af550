"""Densities known up to a constant, as pure functions of one row."""

from sm_estimators.densities._base import (
    AbstractDensity,
    AbstractExponentialFamily,
    AbstractMarginalDensity,
)
from sm_estimators.densities.box import Box
from sm_estimators.densities.exponential_family import ExponentialFamily, pairwise_statistics
from sm_estimators.densities.gaussian import Gaussian
from sm_estimators.densities.gaussian_mixture import GaussianMixture
from sm_estimators.densities.log_density import LogDensity
from sm_estimators.densities.mlp_energy import MLPEnergy
from sm_estimators.densities.pairwise_gaussian import PairwiseGaussian
from sm_estimators.densities.transforms import (
    condition,
    marginalise,
    mixed_score,
    score_and_curvature,
    standardise,
    stein_score,
    temper,
)

__all__ = [
    "AbstractDensity",
    "AbstractExponentialFamily",
    "AbstractMarginalDensity",
    "Box",
    "ExponentialFamily",
    "Gaussian",
    "GaussianMixture",
    "LogDensity",
    "MLPEnergy",
    "PairwiseGaussian",
    "condition",
    "marginalise",
    "mixed_score",
    "pairwise_statistics",
    "score_and_curvature",
    "standardise",
    "stein_score",
    "temper",
]
