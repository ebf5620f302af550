"""NumPyro in both directions: its distributions and models as densities, fits as distributions."""

from sm_estimators.numpyro_bridge.fitted_distribution import FittedDensity
from sm_estimators.numpyro_bridge.from_distribution import FromDistribution
from sm_estimators.numpyro_bridge.from_model import FromModel
from sm_estimators.numpyro_bridge.nuts import NUTS

__all__ = ["NUTS", "FittedDensity", "FromDistribution", "FromModel"]
