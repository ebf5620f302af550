"""Noise-conditional scores: forward processes, networks, losses, samplers and guidance."""

from sm_estimators.diffusion.consistency import Consistency
from sm_estimators.diffusion.guidance import Classifier, ClassifierFree, LinearConstraint
from sm_estimators.diffusion.losses import MultiscaleDenoising, MultiscaleSliced
from sm_estimators.diffusion.networks import AbstractNetwork, ColumnAttention, ResidualMLP
from sm_estimators.diffusion.processes import (
    AbstractProcess,
    NoiseLadder,
    StraightPath,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from sm_estimators.diffusion.samplers import (
    AbstractNoiseSampler,
    Ancestral,
    AnnealedLangevin,
    PredictorCorrector,
    ProbabilityFlow,
    ReverseSDE,
)

__all__ = [
    "AbstractNetwork",
    "AbstractNoiseSampler",
    "AbstractProcess",
    "Ancestral",
    "AnnealedLangevin",
    "Classifier",
    "ClassifierFree",
    "ColumnAttention",
    "Consistency",
    "LinearConstraint",
    "MultiscaleDenoising",
    "MultiscaleSliced",
    "NoiseLadder",
    "PredictorCorrector",
    "ProbabilityFlow",
    "ResidualMLP",
    "ReverseSDE",
    "StraightPath",
    "SubVariancePreserving",
    "VarianceExploding",
    "VariancePreserving",
]
