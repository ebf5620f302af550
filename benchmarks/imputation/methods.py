"""The imputers that are compared, by name."""

import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.imputation import forests, hyper, own, shelf
from benchmarks.imputation.fitted import Fit

OURS = "ours"
GAUSSIAN = "gaussian_em"


@dataclass(frozen=True)
class Method:
    """A method and what is known of it before it runs.

    Attributes
    ----------
    fit : callable
        From a table with holes and a seed to a `Fitted`.
    packages : tuple of str
        Distributions whose versions are written down.
    elsewhere : str
        What runs in a Python of its own, and its version.
    modules : tuple of str
        Imported before the clock starts: the seconds are those of the work.
    share : int
        Of the draws that are wanted, one in ``share`` is asked of it, because they take long.
    n_max : int, optional
        Rows above which it is left out, because it takes hours.
    """

    fit: Fit
    packages: tuple[str, ...] = ("scikit-learn",)
    elsewhere: str = ""
    modules: tuple[str, ...] = ()
    share: int = 1
    n_max: int | None = None

    def n_draws(self, wanted: int) -> int:
        """Return how many of the wanted draws are asked for."""
        return wanted // self.share

    def prepare(self) -> None:
        """Import what the method needs."""
        for name in self.modules:
            importlib.import_module(name)

    def versions(self) -> str:
        """Return the packages and their versions."""
        here = (f"{name} {version(name)}" for name in self.packages)
        return ", ".join(here) or self.elsewhere


SELF = {"packages": ("sm_estimators",), "modules": ("sm_estimators.estimators", "jax")}

METHODS: dict[str, Method] = {
    "mean": Method(shelf.mean),
    "ice": Method(shelf.ice),
    "ice_posterior": Method(shelf.ice_posterior),
    "ice_extratrees": Method(shelf.ice_extratrees),
    "knn": Method(shelf.knn),
    "miceforest": Method(
        forests.miceforest,
        packages=("miceforest", "lightgbm"),
        modules=("miceforest",),
        share=2,
    ),
    "gaussian_em": Method(own.gaussian_em, **SELF),
    "ours": Method(own.ours, **SELF),
    "hyperimpute": Method(hyper.hyperimpute, packages=(), elsewhere="hyperimpute 0.1.17"),
    "forest_diffusion": Method(
        forests.forest_diffusion,
        packages=("ForestDiffusion", "xgboost"),
        modules=("ForestDiffusion",),
        share=5,
        n_max=1000,
    ),
}


def check(names: Iterable[str]) -> None:
    """Refuse names that do not exist, and HyperImpute without its Python."""
    for name in names:
        if name not in METHODS:
            raise ValueError(f"`methods` must be among {', '.join(METHODS)}; got {name!r}.")
    if "hyperimpute" in names and hyper.PYTHON not in os.environ:
        raise ValueError(f"for hyperimpute, {hyper.PYTHON} must name a Python that has it.")
