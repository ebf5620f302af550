"""Solvers: from a loss over rows to fitted parameters."""

from sm_estimators.fitting._base import Fit, Problem, Settings
from sm_estimators.fitting.evaluate import evaluate
from sm_estimators.fitting.fit import Table, fit_density
from sm_estimators.fitting.selection import select_ridge

__all__ = ["Fit", "Problem", "Settings", "Table", "evaluate", "fit_density", "select_ridge"]
