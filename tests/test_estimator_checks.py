"""Every public estimator passes every check of scikit-learn, none skipped, none expected to fail."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

import sm_estimators
from sm_estimators import EnergyScoreMatching, ScoreMatchingImputer

SMALL = {"EnergyScoreMatching": {"hidden_sizes": (8,), "max_iter": 60}}
"""Settings that make an estimator quick; all others are checked as they come."""


def public_estimators():
    """Return one instance of every estimator class of the package, found by its base."""
    names = (name for name in sm_estimators.__all__ if isinstance(getattr(sm_estimators, name), type))
    kinds = [getattr(sm_estimators, name) for name in names]
    return [kind(**SMALL.get(kind.__name__, {})) for kind in kinds if issubclass(kind, BaseEstimator)]


def small_energy():
    return EnergyScoreMatching((8,), max_iter=60, random_state=0)


def test_discovery_misses_nobody():
    found = {type(estimator).__name__ for estimator in public_estimators()}
    assert found >= set(SMALL) | {"GaussianScoreMatching", "ScoreMatchingImputer"}
    assert found == set(sm_estimators.estimators.__all__)


@parametrize_with_checks([*public_estimators(), ScoreMatchingImputer(small_energy(), n_draws=2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
