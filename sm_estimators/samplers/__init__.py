"""Markov chains that draw from a log-density known up to a constant."""

from sm_estimators.samplers._base import AbstractSampler, Sampler
from sm_estimators.samplers.chains import run_chains
from sm_estimators.samplers.conditional_chains import run_conditional_chains
from sm_estimators.samplers.diagnostics import (
    Diagnostics,
    SamplingWarning,
    diagnose,
    diagnose_conditional,
    warn_if_bad,
)
from sm_estimators.samplers.draws import draw, draw_conditional
from sm_estimators.samplers.langevin import MALA, ULA, mala, ula

__all__ = [
    "MALA",
    "ULA",
    "AbstractSampler",
    "Diagnostics",
    "Sampler",
    "SamplingWarning",
    "diagnose",
    "diagnose_conditional",
    "draw",
    "draw_conditional",
    "mala",
    "run_chains",
    "run_conditional_chains",
    "ula",
    "warn_if_bad",
]
