"""Strings at the door: short names of densities, objectives and samplers."""

from typing import Any

MOST_EXPLICIT = 10
"""Columns up to which the explicit trace is affordable for a neural energy."""


def shorthand(kind: str) -> dict[str, Any]:
    """Return the specs that strings stand for. JAX is imported here, on first use."""
    from sm_estimators.densities import Gaussian, GaussianMixture, MLPEnergy
    from sm_estimators.numpyro_bridge import NUTS
    from sm_estimators.objectives import Denoising, Explicit, Sliced
    from sm_estimators.samplers import MALA, ULA

    names = {
        "density": {"gaussian": Gaussian, "mixture": GaussianMixture, "energy": MLPEnergy},
        "objective": {"explicit": Explicit, "sliced": Sliced, "denoising": Denoising},
        "sampler": {"mala": MALA, "ula": ULA, "nuts": NUTS},
    }
    return names[kind]


def resolve(kind: str, value: Any, base: type, *, also: tuple[str, ...] = ()) -> Any:
    """Return the spec that ``value`` names, or ``value`` if it is one already."""
    if isinstance(value, base):
        return value
    names = shorthand(kind)
    if isinstance(value, str) and value in names:
        return names[value]()
    choices = ", ".join(repr(name) for name in (*names, *also))
    raise ValueError(
        f"`{kind}` must be one of {choices}, or an instance of {base.__name__}; got {value!r}."
    )


def resolve_objective(objective: Any, n_features: int | None) -> Any:
    """Return the loss; "auto" is explicit up to 10 columns and sliced above."""
    from sm_estimators.objectives import AbstractObjective

    if objective == "auto":
        objective = "explicit" if (n_features or 0) <= MOST_EXPLICIT else "sliced"
    return resolve("objective", objective, AbstractObjective, also=("auto",))
