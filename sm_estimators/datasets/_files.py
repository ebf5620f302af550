"""Where the packaged tables lie."""

from importlib import resources
from pathlib import Path


def packaged_path(name: str) -> Path:
    """Return the path of a file that is installed with this folder."""
    return Path(str(resources.files("sm_estimators.datasets").joinpath(name)))
