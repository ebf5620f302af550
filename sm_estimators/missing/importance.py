"""Marginals by importance sampling."""

from sm_estimators._spec import spec
from sm_estimators.missing.proposal import AbstractProposed


@spec
class Importance(AbstractProposed):
    """Marginal score matching with importance weights (Givens, Liu & Reeve 2025).

    The density of the seen part of a row is the average over draws z_k ~ π(· | x_observed) of
    q(x_observed, z_k) / π(z_k | x_observed). The proposal π is the conditional of a Gaussian
    fitted to the table by EM, its covariance widened. Draws are made once, before the fit.
    Consistent under MCAR only: the loss ignores the mechanism.

    Parameters
    ----------
    n_draws : int, default=20
        Draws per row.
    inflation : float, default=1.5
        Factor on the conditional covariance; above 1, so that the weights are bounded when the
        model is Gaussian.
    degrees_of_freedom : float, default=inf
        Of a multivariate t proposal, for models with heavier tails than a Gaussian.

    Examples
    --------
    >>> Importance(n_draws=50)
    Importance(n_draws=50, inflation=1.5, degrees_of_freedom=inf)
    """

    valid_under = frozenset({"mcar"})
