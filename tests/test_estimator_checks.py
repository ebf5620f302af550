"""Every public estimator passes every check of scikit-learn, none skipped or excused."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

import sm_estimators
from sm_estimators import EnergyScoreMatching, ResidualMLP, ScoreMatchingImputer

QUICK = {"network": ResidualMLP(8, 1, 0), "max_iter": 60, "n_flow_steps": 10}
SMALL = {
    "EnergyScoreMatching": {"hidden_sizes": (8,), "max_iter": 60},
    "NoiseConditionalScore": {**QUICK, "n_corrections": 2},
    "ScoreDiffusion": {**QUICK, "backbone": "diagonal"},
}
"""Settings that make an estimator quick; all others are checked as they come."""


def public_estimators():
    """Return one instance of every estimator class of the package, found by its base."""
    public = [getattr(sm_estimators, name) for name in sm_estimators.__all__]
    kinds = [p for p in public if isinstance(p, type) and issubclass(p, BaseEstimator)]
    return [kind(**SMALL.get(kind.__name__, {})) for kind in kinds]


def test_discovery_misses_nobody():
    found = {type(estimator).__name__ for estimator in public_estimators()}
    assert found == set(sm_estimators.estimators.__all__)


# An energy trained for 60 steps says that it has not converged. scikit-learn's own common tests
# ignore that warning as well; every other warning is an error here.
@pytest.mark.filterwarnings("ignore:The fit stopped before it converged")
@parametrize_with_checks(
    [
        *public_estimators(),
        ScoreMatchingImputer(EnergyScoreMatching((8,), max_iter=60, random_state=0), n_draws=2),
    ]
)
def test_scikit_learn_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it, one check is skipped
    check(estimator)
