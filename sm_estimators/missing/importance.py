"""Marginals by importance sampling."""

from sm_estimators._spec import spec
from sm_estimators.missing.proposed import AbstractMarginal


@spec
class Importance(AbstractMarginal):
    """Marginal score matching with importance weights (Givens, Liu & Reeve 2025).

    The density of the seen part of a row is the average over draws z_k ~ π(· | x_observed) of
    q(x_observed, z_k) / π(z_k | x_observed). By default π is the conditional of a Gaussian
    fitted to the table by EM, its covariance widened, and draws are made once, before the fit.
    Consistent under MCAR only: the loss ignores the mechanism.

    The draws of a row are stratified by the default proposal, so they understate the variance of
    the score by less than independent ones, and what the correction adds in excess (of order 1/r)
    errs towards scores that vary less. That keeps fits on few draws from chasing their noise. For
    confidence intervals take ``n_draws`` of 2√n or more: then the bias is small against them.

    Parameters
    ----------
    n_draws : int, default=20
        Draws per row.
    proposal : proposal, default=GaussianProposal()
        Where the draws come from.
    n_refreshes : int, default=0
        How often the proposal follows the fitted model and draws anew. The second half of the
        rounds is averaged, which takes the noise of the draws down as more draws would.
    log_propensity : callable, optional
        JAX function (observed, x) ↦ log φ(observed | x) of a mechanism that depends on missing
        values. See :class:`NotAtRandom`.
    bias_correction : bool, default=True
        Add back what few draws miss of the variance of the score over the holes.

    Examples
    --------
    >>> Importance(n_draws=50).n_draws
    50
    """

    valid_under = frozenset({"mcar"})
