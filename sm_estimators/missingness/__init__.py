"""Make holes with a known mechanism, describe the holes of a table, test whether they are random.

Three functions that need no estimator: :func:`ampute` removes cells and returns the exact
probabilities with which it did so, :func:`describe_missing` counts what is missing where, and
:func:`little_mcar_test` looks for evidence against "missing completely at random".
"""

from sm_estimators.missingness.ampute import Amputation, ampute
from sm_estimators.missingness.little import LittleTest, little_mcar_test
from sm_estimators.missingness.patterns import MissingnessReport, describe_missing

__all__ = [
    "Amputation",
    "LittleTest",
    "MissingnessReport",
    "ampute",
    "describe_missing",
    "little_mcar_test",
]
