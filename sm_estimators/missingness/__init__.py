"""Make holes with a known mechanism, describe the holes of a table, test whether they are random.

Nothing here needs an estimator: :func:`ampute` removes cells and returns the exact probabilities
with which it did so, :func:`describe_missing` counts what is missing where,
:func:`little_mcar_test` and :func:`logistic_mcar_test` look for evidence against "missing
completely at random", and :class:`PatternPropensity` estimates the probabilities of patterns when
they depend on columns that are always seen.
"""

from typing import TYPE_CHECKING

from sm_estimators.missingness.ampute import Amputation, ampute
from sm_estimators.missingness.little import LittleTest, little_mcar_test
from sm_estimators.missingness.logistic import LogisticTest, logistic_mcar_test
from sm_estimators.missingness.patterns import MissingnessReport, describe_missing

if TYPE_CHECKING:
    from sm_estimators.missingness.propensity import PatternPropensity

__all__ = [
    "Amputation",
    "LittleTest",
    "LogisticTest",
    "MissingnessReport",
    "PatternPropensity",
    "ampute",
    "describe_missing",
    "little_mcar_test",
    "logistic_mcar_test",
]


def __getattr__(name: str):
    """Import the class that loads scikit-learn on first use (PEP 562)."""
    if name == "PatternPropensity":
        from sm_estimators.missingness.propensity import PatternPropensity

        return PatternPropensity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
