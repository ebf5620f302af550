"""Samplers of noise-conditional models."""

from sm_estimators.diffusion.samplers._base import AbstractNoiseSampler
from sm_estimators.diffusion.samplers.ancestral import Ancestral
from sm_estimators.diffusion.samplers.langevin import AnnealedLangevin, PredictorCorrector
from sm_estimators.diffusion.samplers.probability_flow import ProbabilityFlow
from sm_estimators.diffusion.samplers.reverse_sde import ReverseSDE

__all__ = [
    "AbstractNoiseSampler",
    "Ancestral",
    "AnnealedLangevin",
    "PredictorCorrector",
    "ProbabilityFlow",
    "ReverseSDE",
]
