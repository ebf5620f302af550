"""Rules for rows with holes, each with the mechanisms it is valid under."""

from sm_estimators.missing._base import AbstractMissing, Rows
from sm_estimators.missing.complete_case import CompleteCase
from sm_estimators.missing.exact import Exact
from sm_estimators.missing.importance import Importance
from sm_estimators.missing.imputation import Imputation
from sm_estimators.missing.mechanism import resolve_rule, rule_name
from sm_estimators.missing.persistent_chains import PersistentChains
from sm_estimators.missing.proposals import (
    AbstractProposal,
    CustomProposal,
    Draws,
    GaussianProposal,
    LangevinChains,
    Placed,
    VariationalGaussian,
    VariationalNetwork,
)
from sm_estimators.missing.variational import Variational
from sm_estimators.missing.zeroed import Zeroed

__all__ = [
    "AbstractMissing",
    "AbstractProposal",
    "CompleteCase",
    "CustomProposal",
    "Draws",
    "Exact",
    "GaussianProposal",
    "Importance",
    "Imputation",
    "LangevinChains",
    "PersistentChains",
    "Placed",
    "Rows",
    "Variational",
    "VariationalGaussian",
    "VariationalNetwork",
    "Zeroed",
    "resolve_rule",
    "rule_name",
]
