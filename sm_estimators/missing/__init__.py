"""Rules for rows with holes, each with the mechanisms it is valid under."""

from sm_estimators.missing._base import AbstractMissing, Rows, log_density_ratios
from sm_estimators.missing.complete_case import CompleteCase
from sm_estimators.missing.exact import Exact
from sm_estimators.missing.importance import Importance
from sm_estimators.missing.imputation import Imputation
from sm_estimators.missing.mechanism import resolve_rule, rule_name

__all__ = [
    "AbstractMissing",
    "CompleteCase",
    "Exact",
    "Importance",
    "Imputation",
    "Rows",
    "log_density_ratios",
    "resolve_rule",
    "rule_name",
]
