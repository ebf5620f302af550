"""Models on the command line: chosen by options, fitted, kept in a file, read again.

A model is a fitted ``ScoreMatchingImputer``, which knows its column names. Its file is a
joblib file, and loading one runs code from it: only load files you trust.
"""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from sm_estimators.cli.command_error import USAGE, CommandError, say
from sm_estimators.cli.kinds import read_table_as
from sm_estimators.cli.modelled import (
    as_stored,
    modelled,
    modelled_by,
    notes,
    notes_on_codes,
    whole_frame,
    whole_frame_by,
)
from sm_estimators.cli.outputs import Writer
from sm_estimators.cli.tables import Table

FORMAT = "sm_estimators model 1"


@dataclass(frozen=True)
class Choices:
    """What the user asked of a fit; None leaves the choice to the estimator."""

    engine: str | None = None
    density: str | None = None
    objective: str | None = None
    missing: str | None = None
    mechanism: str | None = None
    ridge: float | None = None
    max_iter: int | None = None

    def given(self) -> dict[str, Any]:
        """Return the choices that were made."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def whole(self) -> bool:
        """Tell whether all columns are modelled, not the numbers alone; refuse both at once."""
        others = [name for name in self.given() if name != "engine"]
        if self.engine and others:
            raise CommandError(
                f"{spelled(others)} belongs to a density of the numeric columns, but `--engine` "
                "models all columns; drop one.",
                USAGE,
            )
        return not others


def check_choices(
    choices: Choices,
    load_model: Path | None,
    save_model: Path | None = None,
    *,
    types: list[str] | None,
) -> None:
    """Refuse options for a fit that will not happen, and a model file that is not there."""
    if load_model is None:
        return
    if save_model:
        raise CommandError(
            "--save-model keeps a fit, but --load-model makes none; drop one.", USAGE
        )
    given = [*choices.given(), *(["type"] if types else [])]
    if given:
        options = spelled(given)
        raise CommandError(f"{options} would change a fit, but --load-model makes none.", USAGE)
    if not load_model.is_file():
        raise CommandError(f"There is no file {load_model}; check the name.", USAGE)


def spelled(names: Iterable[str]) -> str:
    """Return parameter names as the options that set them."""
    return ", ".join(f"`--{name.replace('_', '-')}`" for name in names)


def estimator(choices: Choices, *, seed: int, verbose: bool) -> Any:
    """Return the unfitted estimator that the choices describe."""
    import sm_estimators as sm

    settings = choices.given()
    density = settings.pop("density", "gaussian")
    named = {
        "gaussian": sm.GaussianScoreMatching,
        "energy": sm.EnergyScoreMatching,
        "diffusion": sm.ScoreDiffusion,
    }
    made = named[density]() if density in named else sm.ScoreMatchingEstimator(density=density)
    unknown = [name for name in settings if name not in made.get_params()]
    if unknown:
        raise CommandError(
            f"{spelled(unknown)} means nothing to --density {density}; leave it out.", USAGE
        )
    return made.set_params(**settings, random_state=seed, verbose=int(verbose))


def fit(frame: pd.DataFrame, choices: Choices, *, seed: int, quiet: bool) -> Any:
    """Fit the chosen estimator, inside an imputer, to the columns of ``frame``."""
    from sm_estimators import ScoreMatchingImputer

    name = choices.engine or "auto" if choices.whole() else choices.density or "gaussian"
    note(f"fitting {name} to {len(frame)} rows of {frame.shape[1]} columns", quiet=quiet)
    if choices.whole():
        return ScoreMatchingImputer(engine=name, random_state=seed).fit(frame)
    chosen = estimator(choices, seed=seed, verbose=watched(quiet=quiet))
    model = ScoreMatchingImputer(chosen).fit(frame)
    if frame.isna().to_numpy().any():
        note(f"rule for holes in the fit: {model.estimator_.missing_}", quiet=quiet)
    return model


def samples(model: Any, n_samples: int, *, seed: int) -> pd.DataFrame:
    """Return new rows with the column names of the model."""
    return model.sample(n_samples, random_state=seed)


def models_whole(model: Any, choices: Choices) -> bool:
    """Tell whether a model, or one that will be fitted, takes all kinds of columns."""
    return choices.whole() if model is None else model.estimator is None


def modelled_part(
    table: Table, model: Any, choices: Choices, skip: list[str], *, quiet: bool
) -> pd.DataFrame:
    """Return the columns to model, all or those a loaded model knows, and speak of the rest."""
    whole = models_whole(model, choices)
    if model is None:
        frame = whole_frame(table, skip) if whole else modelled(table, skip)
        for line in notes_on_codes(table, skip):
            note(line, quiet=quiet)
    else:
        names = [str(name) for name in model.feature_names_in_]
        frame = whole_frame_by(table, names) if whole else modelled_by(table, names)
    for line in notes(table, frame):
        note(line, quiet=quiet)
    return frame


def table_part(
    path: Path | None,
    na: list[str] | None,
    types: list[str] | None,
    model: Any,
    choices: Choices,
    skip: list[str],
    *,
    quiet: bool,
) -> Any:
    """Read a table that may be left out and return its columns to model, as its file has them."""
    if path is None:
        return None
    table = read_table_as(path, na, types, model)
    return as_stored(table, modelled_part(table, model, choices, skip, quiet=quiet))


def saving_model(model: Any) -> Writer:
    """Return what writes a model."""
    kept = {"format": FORMAT, "model": model}

    def write(path: Path) -> None:
        joblib.dump(kept, path)

    return write


def load_model(path: Path | None) -> Any:
    """Return the model in a file, None without a file.

    Loading runs code from the file: only load files you trust.
    """
    if path is None:
        return None
    try:
        kept = joblib.load(path)
    except OSError:
        raise
    except Exception:  # bytes that are no pickle can raise anything
        raise CommandError(
            f"{path} is no model file, or one of other versions of the packages; make one with "
            "--save-model."
        ) from None
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise CommandError(f"{path} holds no model of this program; make one with --save-model.")
    return kept["model"]


def note(message: str, *, quiet: bool) -> None:
    """Write a note to stderr unless it was asked not to."""
    if not quiet:
        say("note", message)


def watched(*, quiet: bool) -> bool:
    """Tell whether somebody is there to see progress."""
    return not quiet and sys.stderr.isatty()
