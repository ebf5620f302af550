"""Scores of rows, held out or not."""

from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.cli.command_error import CommandError


def held_out_rows(n_rows: int, share: float, *, seed: int, all_rows: bool) -> np.ndarray:
    """Return flags (n,) of the rows to score: all, or a share drawn at random."""
    if all_rows:
        return np.ones(n_rows, bool)
    n_held = max(1, round(share * n_rows))
    if n_rows - n_held < 2:
        raise CommandError(
            f"`--held-out` {share:g} of {n_rows} rows leaves {n_rows - n_held} to fit; "
            "hold out less, or score with --load-model."
        )
    held = np.zeros(n_rows, bool)
    held[np.random.default_rng(seed).choice(n_rows, n_held, replace=False)] = True
    return held


def sentence(model: Any, frame: pd.DataFrame, *, n_fitted: int) -> str:
    """Write the criterion and what it was computed from."""
    rows = f"{len(frame)} row{'' if len(frame) == 1 else 's'}"
    source = f"held out from a fit to {n_fitted}" if n_fitted else "under the loaded model"
    if model.estimator is None:
        value = model.score_samples(frame).mean()
        return f"{value:.6g}  (the mean log-density of {rows} {source})"
    value = model.estimator_.score(frame)
    return f"{value:.6g}  (minus the mean score-matching loss of {rows} {source})"


def row_scores(model: Any, frame: pd.DataFrame, held: np.ndarray) -> pd.DataFrame:
    """Return the log-density of each row, numbered from 1 as in the table."""
    scores = pd.DataFrame(
        {"row": np.arange(1, len(frame) + 1), "log_density": model.score_samples(frame)}
    )
    return scores if held.all() else scores.assign(held_out=held)
