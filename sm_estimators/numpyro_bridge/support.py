"""Which NumPyro distributions score matching can fit: continuous ones without a boundary.

Integration by parts, on which score matching rests, drops a term at the boundary of the support
(Hyvärinen, 2005). On a half-line or an interval that term does not vanish and the fit is biased
in silence, so such families are refused before anything is computed.
"""

import numpyro.distributions as dist
from numpyro.distributions import constraints

REAL = type(constraints.real)


def refuse_support(what: str, support: constraints.Constraint) -> None:
    """Raise ``ValueError`` unless ``support`` is the whole real line (or space)."""
    if support.is_discrete:
        raise ValueError(
            f"{what} is discrete (its support is {support}); score matching takes derivatives "
            "with respect to the data and needs a continuous distribution."
        )
    if not isinstance(getattr(support, "base_constraint", support), REAL):
        raise ValueError(
            f"{what} has the support {support}, not the whole real line: score matching would "
            "ignore its boundary. Transform the column (a logarithm for positive values, a logit "
            "for proportions) and use a distribution on the real line, or build one with "
            "`numpyro.distributions.TransformedDistribution`."
        )


def refuse_distribution(what: str, distribution: dist.Distribution) -> None:
    """Raise ``ValueError`` unless ``distribution`` lives on the whole real line (or space)."""
    if distribution.support is not None:
        refuse_support(what, distribution.support)
