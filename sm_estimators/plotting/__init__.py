"""Pictures of tables with holes, of imputations and of samples.

Every function takes a DataFrame or an array, draws with matplotlib's object-oriented interface
and hands back what it drew; pyplot and its global state are never touched. matplotlib is an
optional dependency: ``pip install "sm_estimators[plots]"``.
"""

from sm_estimators.plotting.holes import plot_holes
from sm_estimators.plotting.imputed import plot_imputed
from sm_estimators.plotting.missing import plot_missing
from sm_estimators.plotting.samples import plot_samples

__all__ = ["plot_holes", "plot_imputed", "plot_missing", "plot_samples"]
