"""The state of a training run on disk.

A checkpoint is a NumPy archive: the leaves of the state, the course of the held-out loss, the
values of the table where they are drawn again in training, and a fingerprint of what is trained on
what. It is written to a new file that then takes the place of the last checkpoint, so that an
interruption leaves one or the other. Loading one runs no code.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sm_estimators._precision import to_numpy
from sm_estimators.fitting.course import Course


def fingerprint(*what: Any) -> str:
    """Return a hash of specs, settings and arrays."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(what):
        array = np.asarray(leaf)
        digest.update(
            f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
        )
    digest.update(repr(jax.tree.structure(what)).encode())
    return digest.hexdigest()


class Checkpoint:
    """A file that a training run is kept in.

    Parameters
    ----------
    path : path-like
        The file; it may be there already if it holds a checkpoint of the same fit.
    of : str
        Fingerprint of the fit.
    """

    def __init__(self, path: Any, of: str):
        self.path, self.of = Path(path), of

    def load(self, state: Any, course: Course, values: np.ndarray) -> Any:
        """Return state, rounds taken and values, and fill in the course; None without a file.

        Raises
        ------
        ValueError
            If the file holds something else, or a checkpoint of another fit.
        """
        if not self.path.exists():
            return None
        kept = self._read()
        if str(kept["fingerprint"]) != self.of:
            raise ValueError(
                f"`checkpoint` names {str(self.path)!r}, which holds another fit: other rows, "
                "parameters or seed. Name another file, or remove this one."
            )
        leaves, structure = jax.tree.flatten((state, state.average))
        parts = [kept[f"leaf{i}"] for i in range(len(leaves))]
        state, course.best = jax.tree.unflatten(structure, parts)
        course.losses, course.steps = kept["losses"].tolist(), kept["steps"].tolist()
        course.since = int(kept["since"])
        return (
            jax.tree.map(jax.numpy.asarray, state),
            int(kept["round"]),
            kept.get("values", values),
        )

    def _read(self) -> dict[str, np.ndarray]:
        """Return what is in the file."""
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                kept = {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError) as error:
            kept = {"error": np.array(str(error))}
        if "fingerprint" not in kept:
            raise ValueError(
                f"`checkpoint` names {str(self.path)!r}, which is no checkpoint and is left as it "
                "is. Name a file that is not there yet."
            )
        return kept

    def keep(self, state: Any, course: Course, round_: int, values: np.ndarray) -> None:
        """Write the state."""
        leaves = jax.tree.leaves(to_numpy((state, course.best)))
        contents: dict[str, Any] = {f"leaf{i}": leaf for i, leaf in enumerate(leaves)}
        contents |= {"losses": course.losses, "steps": course.steps, "since": course.since}
        contents |= {"fingerprint": self.of, "round": round_, "values": values}
        unfinished = self.path.with_name(self.path.name + ".part")
        with unfinished.open("wb") as file:
            np.savez(file, **contents)
        os.replace(unfinished, self.path)
