"""Forward processes: how noise comes into a row."""

from sm_estimators.diffusion.processes._base import AbstractProcess
from sm_estimators.diffusion.processes.noise_ladder import NoiseLadder
from sm_estimators.diffusion.processes.straight_path import StraightPath
from sm_estimators.diffusion.processes.variance_exploding import VarianceExploding
from sm_estimators.diffusion.processes.variance_preserving import (
    SubVariancePreserving,
    VariancePreserving,
)

__all__ = [
    "AbstractProcess",
    "NoiseLadder",
    "StraightPath",
    "SubVariancePreserving",
    "VarianceExploding",
    "VariancePreserving",
]
