"""Solvers: from a loss over rows to fitted parameters."""

from sm_estimators.fitting._base import Fit, Problem, Settings
from sm_estimators.fitting.estimating_equation import Solved
from sm_estimators.fitting.evaluate import evaluate
from sm_estimators.fitting.fit import Table, fit_density
from sm_estimators.fitting.selection import select_ridge
from sm_estimators.fitting.standard_errors import Quantity, StandardErrors, standard_errors

__all__ = [
    "Fit",
    "Problem",
    "Quantity",
    "Settings",
    "Solved",
    "StandardErrors",
    "Table",
    "evaluate",
    "fit_density",
    "select_ridge",
    "standard_errors",
]
