"""Marginals by chains that follow the model."""

from typing import Any

from sm_estimators._spec import spec, static
from sm_estimators.missing.proposals import LangevinChains
from sm_estimators.missing.proposed import AbstractMarginal


@spec
class PersistentChains(AbstractMarginal):
    """Marginal score matching with draws from Langevin chains on the conditional of the model.

    Nothing is assumed of the shape of the conditional; a few steps per round keep the chains, one
    per draw and row, near the moving model. What is returned averages the second half of the
    rounds, over which the noise of the chains averages out. Consistent under MCAR only.

    Parameters
    ----------
    n_draws : int, default=20
        Chains per row.
    proposal : LangevinChains, default=LangevinChains()
        Their steps per round.
    n_refreshes : int, default=20
        Rounds of moving the chains on.
    log_propensity : callable, optional
        Not for chains; must be None.
    bias_correction : bool, default=True
        Add back what few draws miss of the variance of the score over the holes.

    Examples
    --------
    >>> PersistentChains(n_draws=10).n_refreshes
    20
    """

    valid_under = frozenset({"mcar"})
    proposal: Any = LangevinChains()
    n_refreshes: int = static(default=20)
