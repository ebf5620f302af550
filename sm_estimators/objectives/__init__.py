"""Score-matching losses of one row."""

from sm_estimators.objectives._base import AbstractObjective
from sm_estimators.objectives.denoising import Denoising
from sm_estimators.objectives.explicit import Explicit
from sm_estimators.objectives.sliced import Sliced
from sm_estimators.objectives.weighted import Weighted

__all__ = ["AbstractObjective", "Denoising", "Explicit", "Sliced", "Weighted"]
