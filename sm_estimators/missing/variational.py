"""Marginals by a variational conditional."""

from typing import Any

import numpy as np

from sm_estimators._spec import spec, static
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity
from sm_estimators.missing._base import Rows
from sm_estimators.missing.proposals import Placed, VariationalGaussian
from sm_estimators.missing.proposals.chains import completed_log_densities
from sm_estimators.missing.proposed import AbstractMarginal


@spec
class Variational(AbstractMarginal):
    """Marginal score matching with draws that a variational conditional follows the model with.

    Between two optimisations π_φ is fitted to the conditional of the current model, by the
    reverse Kullback–Leibler or the Fisher divergence (Givens, Liu & Reeve 2025), and draws are
    made anew. With ``self_normalised`` the draws are weighted by q / π_φ: what is wrong with π_φ
    then costs variance, not bias. Without, as published, π_φ is taken for the conditional itself
    (its gradient is that of Fisher's identity), and the fit is as biased as π_φ is wrong.
    Consistent under MCAR only.

    Parameters
    ----------
    n_draws : int, default=20
        Draws per row.
    proposal : VariationalGaussian or VariationalNetwork, optional
        The family. Default: ``VariationalGaussian()``, its draws widened only where weights
        correct for it.
    n_refreshes : int, default=10
        Rounds of fitting π_φ and drawing anew; the second half is averaged.
    log_propensity : callable, optional
        As for :class:`Importance`.
    bias_correction : bool, default=True
        Add back what few draws miss of the variance of the score over the holes.
    self_normalised : bool, default=True
        Weight the draws.

    Examples
    --------
    >>> Variational(n_draws=10).proposal.inflation
    1.5
    >>> Variational(self_normalised=False).proposal.inflation
    1.0
    """

    valid_under = frozenset({"mcar"})
    proposal: Any = None
    n_refreshes: int = static(default=10)
    self_normalised: bool = static(default=True)

    def __post_init__(self):
        if self.proposal is None:
            inflation = 1.5 if self.self_normalised else 1.0
            object.__setattr__(self, "proposal", VariationalGaussian(inflation=inflation))
        super().__post_init__()

    @property
    def refreshes_first(self) -> bool:
        """Always: π_φ starts where a Gaussian fit of the table leaves it."""
        return self.n_refreshes > 0

    @property
    def inner_iterations(self) -> int | None:
        """How far one optimisation may go: unweighted draws are good near their model only."""
        return None if self.self_normalised else 10

    def refresh(
        self,
        rng: np.random.Generator,
        state: Any,
        density: AbstractDensity,
        params: Params,
        table: Placed,
        rows: Rows,
    ) -> tuple[Any, Rows]:
        """Fit π_φ, draw anew, and declare the draws those of the model if they go unweighted."""
        state, rows = super().refresh(rng, state, density, params, table, rows)
        if self.self_normalised:
            return state, rows
        log_density = completed_log_densities(density, params, rows.completions)
        return state, rows._replace(log_weights=-log_density)
