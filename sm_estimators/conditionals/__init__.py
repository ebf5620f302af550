"""Each column given all others, and the chain that draws a row from these conditionals.

The law of a column is a mixture of **experts**, that know the rest of the row and not its holes: a
regression from a Gaussian of the whole table, and randomised trees whose leaves hold seen values.
Rows that an expert did not see decide the shares. Holes are drawn in turn, each given the rest of
its row as it stands (fully conditional specification; van Buuren 2007), so that trees learn from
completed rows while only seen values teach them. NumPy and scikit-learn: nothing compiles.
"""

from sm_estimators.conditionals.chain import Chain
from sm_estimators.conditionals.column_law import EXPERTS
from sm_estimators.conditionals.fit import ChainSettings, fit_chain

__all__ = ["EXPERTS", "Chain", "ChainSettings", "fit_chain"]
