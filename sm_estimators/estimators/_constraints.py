"""What scikit-learn checks about parameters before a fit.

Parameters that name specs are not in these tables: they are resolved, with sentences of our own,
in :mod:`sm_estimators.estimators._shorthand` and :mod:`sm_estimators.missing.mechanism`.
"""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

COMMON: dict = {
    "objective": "no_validation",
    "missing": "no_validation",
    "mechanism": "no_validation",
    "sampler": "no_validation",
    "ridge": [Interval(Real, 0, None, closed="left"), StrOptions({"held_out"})],
    "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
"""Of every estimator."""
DETERMINISTIC: dict = {"tol": [Interval(Real, 0, None, closed="neither")]}
"""Of what only deterministic fits read."""
MINIBATCH: dict = {
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
}
"""Of what only minibatch fits read."""
