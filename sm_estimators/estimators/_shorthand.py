"""Strings at the door: short names of densities, objectives and samplers."""

from importlib import import_module
from typing import Any

SHORTHAND: dict[str, dict[str, str]] = {
    "density": {"gaussian": "Gaussian", "mixture": "GaussianMixture", "energy": "MLPEnergy"},
    "objective": {
        "explicit": "Explicit",
        "sliced": "Sliced",
        "denoising": "Denoising",
    },
    "sampler": {"mala": "MALA", "ula": "ULA", "nuts": "NUTS"},
    "network": {"mlp": "ResidualMLP", "attention": "ColumnAttention"},
    "process": {
        "variance_exploding": "VarianceExploding",
        "variance_preserving": "VariancePreserving",
        "sub_variance_preserving": "SubVariancePreserving",
        "noise_ladder": "NoiseLadder",
        "straight_path": "StraightPath",
    },
    "diffusion objective": {"denoising": "MultiscaleDenoising", "sliced": "MultiscaleSliced"},
    "diffusion sampler": {
        "probability_flow": "ProbabilityFlow",
        "reverse_sde": "ReverseSDE",
        "predictor_corrector": "PredictorCorrector",
        "annealed_langevin": "AnnealedLangevin",
        "ancestral": "Ancestral",
        "consistency": "Consistency",
    },
}
"""Public names that strings stand for. Each is imported on first use: NUTS alone needs NumPyro."""
ALSO = {
    "objective": ("auto",),
    "sampler": ("auto", "exact"),
    "process": ("auto",),
    "diffusion objective": ("flow_matching",),
    "diffusion sampler": ("auto",),
}
"""Further words, which are understood elsewhere."""
BASES = {
    "density": ("densities", "AbstractDensity"),
    "objective": ("objectives", "AbstractObjective"),
    "sampler": ("samplers", "AbstractSampler"),
    "network": ("diffusion.networks", "AbstractNetwork"),
    "process": ("diffusion.processes", "AbstractProcess"),
    "diffusion objective": ("diffusion.losses", "AbstractDiffusionLoss"),
    "diffusion sampler": ("diffusion.samplers", "AbstractNoiseSampler"),
}
"""The interface of every kind of spec, and where it is."""
MOST_EXPLICIT = 10
"""Columns up to which the explicit trace is affordable for a neural energy."""


def resolve(kind: str, value: Any) -> Any:
    """Return the spec that ``value`` names, or ``value`` if it is one already."""
    if isinstance(value, base(kind)):
        return value
    if isinstance(value, str) and value in SHORTHAND[kind]:
        return getattr(import_module("sm_estimators"), SHORTHAND[kind][value])()
    choices = ", ".join(repr(name) for name in (*ALSO.get(kind, ()), *SHORTHAND[kind]))
    cure = ""
    if isinstance(value, type) and issubclass(value, base(kind)):
        cure = f" Call it: {value.__name__}(...)."
    raise ValueError(
        f"`{kind.removeprefix('diffusion ')}` must be one of {choices}, or an instance of "
        f"{base(kind).__name__}; got {value!r}.{cure}"
    )


def base(kind: str) -> type:
    """Return the interface of a kind of spec. JAX is imported here, on first use."""
    home, name = BASES[kind]
    return getattr(import_module(f"sm_estimators.{home}"), name)


def resolve_objective(objective: Any, n_features: int | None, support: Any = None) -> Any:
    """Return the loss; "auto" is explicit up to 10 columns and sliced above, weighted in a box."""
    if isinstance(objective, str) and objective == "auto":
        if support is not None:
            from sm_estimators.objectives import Weighted

            return Weighted(support)
        objective = "explicit" if (n_features or 0) <= MOST_EXPLICIT else "sliced"
    chosen = resolve("objective", objective)
    if support is not None and not hasattr(chosen, "support"):
        raise ValueError(
            f"`objective={objective!r}` ignores the boundary of the support, where integration by "
            "parts leaves a term. Use 'auto' or Weighted(support, cap=...)."
        )
    return chosen


def resolve_sampler(sampler: Any) -> Any:
    """Return the spec of the chains; "auto" is MALA."""
    is_auto = isinstance(sampler, str) and sampler == "auto"
    return resolve("sampler", "mala" if is_auto else sampler)
