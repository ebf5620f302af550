"""Which imputer is best for a table whose missing values nobody knows.

What is known is seen cells. Hide some, impute them, compare: :func:`masked_cell_scores`. Or ask
whether the distribution of what was put into the holes predicts what was seen elsewhere:
:func:`energy_i_score`. :func:`evaluate` does both for several imputers, with the same hidden cells:

    comparison = evaluate({"ours": ScoreMatchingImputer(), "mean": SimpleImputer()}, X)
    comparison.table
    comparison.plot().savefig("imputers.png")

Judge by draws. The root mean squared error is least for conditional means, which are the wrong
thing to put into a table whose variances and correlations matter; CRPS and energy-I-Score are least
for draws of the true distribution, as proper scoring rules are.
"""

from sm_estimators.judging.comparison import ImputerComparison
from sm_estimators.judging.evaluation import evaluate
from sm_estimators.judging.i_score import EnergyIScore, energy_i_score
from sm_estimators.judging.masked_cells import MaskedCellScores, masked_cell_scores

__all__ = [
    "EnergyIScore",
    "ImputerComparison",
    "MaskedCellScores",
    "energy_i_score",
    "evaluate",
    "masked_cell_scores",
]
