"""Fit unnormalised densities to tables with holes by score matching.

Names are imported when they are first used: ``import sm_estimators`` loads neither JAX nor
scikit-learn, and changes no configuration.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "estimators": (
        "EnergyScoreMatching",
        "ExponentialFamilyScoreMatching",
        "GaussianScoreMatching",
        "NoiseConditionalScore",
        "ScoreDiffusion",
        "ScoreMatchingEstimator",
        "ScoreMatchingImputer",
    ),
    "estimators.mechanisms": ("InversePropensity", "NotAtRandom", "PropensityTilt"),
    "densities": (
        "Box",
        "ExponentialFamily",
        "Gaussian",
        "GaussianMixture",
        "LogDensity",
        "MLPEnergy",
        "PairwiseGaussian",
        "pairwise_statistics",
    ),
    "objectives": ("Denoising", "Explicit", "Sliced", "Weighted"),
    "missing": (
        "CompleteCase",
        "CustomProposal",
        "Exact",
        "GaussianProposal",
        "Importance",
        "Imputation",
        "LangevinChains",
        "PersistentChains",
        "Variational",
        "VariationalGaussian",
        "VariationalNetwork",
        "Zeroed",
    ),
    "samplers": ("MALA", "ULA", "SamplingWarning"),
    "diffusion": (
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
    ),
    "numpyro_bridge": ("NUTS", "FittedDensity", "FromDistribution", "FromModel"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_FOLDERS = tuple(home for home in _HOMES if "." not in home)
_SUBPACKAGES = (
    *_FOLDERS,
    "datasets",
    "judging",
    "missingness",
    "plotting",
    "pooling",
    "reporting",
    "tables",
)

__all__ = sorted(_HOME_OF)

if TYPE_CHECKING:
    from sm_estimators.densities import (
        Box,
        ExponentialFamily,
        Gaussian,
        GaussianMixture,
        LogDensity,
        MLPEnergy,
        PairwiseGaussian,
        pairwise_statistics,
    )
    from sm_estimators.diffusion import (
        Ancestral,
        AnnealedLangevin,
        Classifier,
        ClassifierFree,
        ColumnAttention,
        Consistency,
        LinearConstraint,
        MultiscaleDenoising,
        MultiscaleSliced,
        NoiseLadder,
        PredictorCorrector,
        ProbabilityFlow,
        ResidualMLP,
        ReverseSDE,
        StraightPath,
        SubVariancePreserving,
        VarianceExploding,
        VariancePreserving,
    )
    from sm_estimators.estimators import (
        EnergyScoreMatching,
        ExponentialFamilyScoreMatching,
        GaussianScoreMatching,
        NoiseConditionalScore,
        ScoreDiffusion,
        ScoreMatchingEstimator,
        ScoreMatchingImputer,
    )
    from sm_estimators.estimators.mechanisms import (
        InversePropensity,
        NotAtRandom,
        PropensityTilt,
    )
    from sm_estimators.missing import (
        CompleteCase,
        CustomProposal,
        Exact,
        GaussianProposal,
        Importance,
        Imputation,
        LangevinChains,
        PersistentChains,
        Variational,
        VariationalGaussian,
        VariationalNetwork,
        Zeroed,
    )
    from sm_estimators.numpyro_bridge import NUTS, FittedDensity, FromDistribution, FromModel
    from sm_estimators.objectives import Denoising, Explicit, Sliced, Weighted
    from sm_estimators.samplers import MALA, ULA, SamplingWarning


def __getattr__(name: str):
    """Import a public name on first use (PEP 562)."""
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    if name in _SUBPACKAGES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, *_SUBPACKAGES, "__version__"]
