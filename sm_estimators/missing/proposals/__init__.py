"""Where the draws of the holes come from."""

from sm_estimators.missing.proposals._base import AbstractProposal, Draws, Placed
from sm_estimators.missing.proposals.chains import LangevinChains
from sm_estimators.missing.proposals.custom import CustomProposal
from sm_estimators.missing.proposals.gaussian import GaussianProposal
from sm_estimators.missing.proposals.variational_gaussian import VariationalGaussian
from sm_estimators.missing.proposals.variational_network import VariationalNetwork

__all__ = [
    "AbstractProposal",
    "CustomProposal",
    "Draws",
    "GaussianProposal",
    "LangevinChains",
    "Placed",
    "VariationalGaussian",
    "VariationalNetwork",
]
