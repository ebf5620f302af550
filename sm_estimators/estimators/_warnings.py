"""What a fit warns about, said at the user's line of code."""

import sys
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

HOUSE = ("sm_estimators", "sklearn")
"""Packages whose frames are not the user's."""


def warn_user(sentence: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the call that entered this package, through scikit-learn or not."""
    depth, outermost, frame = 1, 1, sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in HOUSE:
            outermost = depth
        frame, depth = frame.f_back, depth + 1
    warnings.warn(sentence, category, stacklevel=outermost + 2)


def warn_empty_rows(observed: np.ndarray) -> None:
    """Warn about rows in which nothing was seen."""
    n_empty = int((~observed.any(axis=1)).sum())
    if n_empty:
        warn_user(
            f"{n_empty} of {len(observed)} rows of `X` have no seen value and carry nothing to "
            "the fit. Drop them to be rid of this warning."
        )


def warn_never_together(
    observed: np.ndarray, names: Sequence[Any] | np.ndarray | None = None
) -> None:
    """Warn where the table cannot identify the joint density; columns have names or positions."""
    if observed.all():
        return
    together = observed.T.astype(np.float32) @ observed.astype(np.float32)
    pairs = np.argwhere(np.triu(together == 0, 1))
    if len(pairs):
        first, second = (j if names is None else names[j] for j in pairs[0].tolist())
        many = f"{len(pairs)} pairs of columns were" if len(pairs) > 1 else "A pair of columns was"
        which = "the first being " if len(pairs) > 1 else ""
        warn_user(
            f"{many} never seen together, {which}{first!r} and {second!r}: the table says nothing "
            "about their dependence, and what the fit says comes from the model alone."
        )


def warn_unsupported(rule, observed: np.ndarray, ridge: float) -> None:
    """Warn where the loss of exact marginals has no lower bound but that of a small ridge."""
    from sm_estimators.missing import Exact
    from sm_estimators.missing.gaussian_marginal import least_supported

    if isinstance(rule, Exact) and ridge < 1e-3 and (short := least_supported(observed)) < 0:
        warn_user(
            f"A pattern of holes is {-short} rows short of what its columns need, so the loss of "
            "`missing='exact'` has no lower bound of its own. Set `ridge` to 1e-3 or more, or use "
            "`missing='imputation'`."
        )


def warn_baseline(rule) -> None:
    """Warn about a rule that is there for comparisons only."""
    from sm_estimators.missing import rule_name

    warn_biased_rule(rule_name(rule), rule.valid_under)


def warn_biased_rule(name: str, valid_under: Collection[str]) -> None:
    """Warn about a rule that no mechanism makes consistent."""
    if not valid_under:
        warn_user(
            f"`missing={name!r}` is biased under every mechanism; it is there to be "
            "compared with. Use `missing='auto'` for a fit."
        )


def warn_few_rows_left(before: np.ndarray, after: np.ndarray) -> None:
    """Warn where the weights of a mechanism leave few rows."""
    sizes = [w.sum() ** 2 / (w**2).sum() for w in (before, after)]
    if sizes[1] < 0.2 * sizes[0]:
        warn_user(
            f"The inverse propensities leave {sizes[1]:.0f} of {sizes[0]:.0f} effective rows: few "
            "rows stand for many. Leave predictors out that decide little, or use "
            "`missing='imputation'` with `mechanism='mar'`."
        )


def warn_few_draws(rule, effective_sample_size: np.ndarray) -> None:
    """Warn where the importance weights of the holes leave too few of the draws."""
    if not len(effective_sample_size):
        return
    median, asked = np.median(effective_sample_size), getattr(rule, "n_draws", np.inf)
    if median < min(5, 0.9 * asked):  # who asked for few knows
        follow = "`missing='variational'`"
        if rule.n_refreshes:
            follow = f"more than {rule.n_refreshes} `n_refreshes`"
        warn_user(
            f"The weights leave a median of {median:.2g} effective draws per row with holes, "
            "and fewer than 5 cannot be trusted. Raise `n_draws` of the rule, such as "
            f"`missing=Importance(n_draws=100)`, or let the draws follow the model: {follow}."
        )


def warn_unconverged(fit, *, neural: bool) -> None:
    """Warn about a fit that stopped too early; one that the user stopped is no surprise."""
    if not fit.converged and not fit.interrupted:
        cure = "raise `learning_rate`" if neural else "loosen `tol`"
        warn_user(
            f"The fit stopped before it converged: {fit.message}. Raise `max_iter`, or {cure}.",
            ConvergenceWarning,
        )
