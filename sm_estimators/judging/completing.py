"""How an imputer is asked for draws.

Three kinds. One with ``impute``, as those of this package: fitted once, then asked for K draws. One
with ``sample_posterior=True``, as scikit-learn's IterativeImputer: fitted K times with K seeds, as
its documentation wants it. Any other with ``fit`` and ``transform``: asked once, for a point.
"""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

LARGEST_SEED = 2**31 - 1


def complete(imputer: Any, X: Any, *, n_imputations: int, seed: int) -> list[Any]:
    """Fit a copy of an imputer and return completed tables; a single one where it does not draw.

    Every fit, and the draws of one fit together, have a seed of their own, which follows from
    ``seed``.
    """
    first, *others = fresh_seeds(1 + n_imputations, check_random_state(seed))
    if hasattr(imputer, "impute"):
        fitted = seeded(imputer, first).fit(X)
        return list(fitted.impute(X, n_imputations, random_state=others[0]))
    if draws(imputer):
        return [transformed(seeded(imputer, other, always=True), X) for other in others]
    return [transformed(seeded(imputer, first), X)]


def fresh_seeds(n: int, random: np.random.RandomState) -> list[int]:
    """Draw seeds."""
    return [int(seed) for seed in random.randint(LARGEST_SEED, size=n)]


def draws(imputer: Any) -> bool:
    """Whether an imputer draws rather than giving a point."""
    return hasattr(imputer, "impute") or bool(parameters_of(imputer).get("sample_posterior"))


def seeded(imputer: Any, seed: int, *, always: bool = False) -> Any:
    """Return an unfitted copy whose chance is fixed.

    Every ``random_state`` that is None gets the seed, in nested estimators too; ``always`` replaces
    the imputer's own whatever it was.
    """
    copy: Any = clone(imputer, safe=False)
    parameters = parameters_of(copy)
    open_ones = {
        name: seed
        for name, value in parameters.items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    if always and "random_state" in parameters:
        open_ones["random_state"] = seed
    return copy.set_params(**open_ones) if open_ones else copy


def parameters_of(imputer: Any) -> dict[str, Any]:
    """Return its parameters; none for objects that do not say."""
    return imputer.get_params() if hasattr(imputer, "get_params") else {}


def transformed(imputer: Any, X: Any) -> Any:
    """Return the table that an unfitted imputer makes of the table it learns from."""
    if hasattr(imputer, "fit_transform"):
        return imputer.fit_transform(X)
    return imputer.fit(X).transform(X)


def refuse_no_imputer(imputer: Any) -> None:
    """Raise `TypeError` for what neither imputes nor transforms."""
    answers = hasattr(imputer, "impute") or hasattr(imputer, "transform")
    if isinstance(imputer, type) or not (hasattr(imputer, "fit") and answers):
        raise TypeError(
            f"`imputer` is a {type(imputer).__name__}, {imputer!r}; expected an object with `fit` "
            "and `impute` or `transform`. A class has to be called first."
        )
