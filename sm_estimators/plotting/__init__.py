"""Pictures of tables with holes, of imputations, of samples and of what a fit reports.

Every function takes a DataFrame, an array or a fitted estimator, draws with matplotlib's
object-oriented interface and hands back what it drew; pyplot and its global state are never
touched. matplotlib is an optional dependency: ``pip install "sm_estimators[plots]"``.
"""

from sm_estimators.plotting.comparison import plot_comparison
from sm_estimators.plotting.diagnostics import plot_missing_diagnostics
from sm_estimators.plotting.holes import plot_holes
from sm_estimators.plotting.imputed import plot_imputed
from sm_estimators.plotting.missing import plot_missing
from sm_estimators.plotting.samples import plot_samples

__all__ = [
    "plot_comparison",
    "plot_holes",
    "plot_imputed",
    "plot_missing",
    "plot_missing_diagnostics",
    "plot_samples",
]
