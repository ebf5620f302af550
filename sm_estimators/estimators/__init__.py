"""The door: scikit-learn estimators."""

from sm_estimators.estimators.energy import EnergyScoreMatching
from sm_estimators.estimators.exponential_family import ExponentialFamilyScoreMatching
from sm_estimators.estimators.gaussian import GaussianScoreMatching
from sm_estimators.estimators.imputer import ScoreMatchingImputer
from sm_estimators.estimators.noise_conditional_score import NoiseConditionalScore
from sm_estimators.estimators.score_diffusion import ScoreDiffusion
from sm_estimators.estimators.score_matching import ScoreMatchingEstimator

__all__ = [
    "EnergyScoreMatching",
    "ExponentialFamilyScoreMatching",
    "GaussianScoreMatching",
    "NoiseConditionalScore",
    "ScoreDiffusion",
    "ScoreMatchingEstimator",
    "ScoreMatchingImputer",
]
