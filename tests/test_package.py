"""The package: quick to import, no trace on the process, every name where it says."""

import subprocess
import sys
from importlib import metadata

import pytest

import sm_estimators


def run(program: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_nothing_heavy():
    heavy = ("jax", "sklearn", "numpyro", "pandas", "numpy", "scipy", "matplotlib")
    program = f"""
import sys
import sm_estimators
dir(sm_estimators)
print([m for m in {heavy} if m in sys.modules])
"""
    assert run(program) == "[]"


def test_a_fit_loads_no_numpyro_and_no_plots():
    program = """
import sys
import numpy as np
from sm_estimators import GaussianScoreMatching
X = np.random.default_rng(0).normal(size=(30, 2))
GaussianScoreMatching().fit(X).impute(X)
print([m for m in ("numpyro", "matplotlib", "typer") if m in sys.modules])
"""
    assert run(program) == "[]"


def test_no_global_configuration_changes():
    program = """
import logging, warnings
import jax, numpy as np, numpyro.infer, optax, pandas, scipy.stats, sklearn.utils, tqdm.auto
def state():
    return (
        dict(jax.config.values), np.geterr(), np.get_printoptions(), sklearn.get_config(),
        list(warnings.filters), logging.getLogger().handlers[:], np.random.get_state()[1].tolist(),
    )
before = state()
import sm_estimators
from sm_estimators import *
X = np.random.default_rng(0).normal(size=(30, 2))
X[3, 1] = np.nan
fitted = ExponentialFamilyScoreMatching(random_state=0).fit(X)
fitted.sample(3, random_state=0)
fitted.to_numpyro()
now = state()
print([a == b for a, b in zip(before, now)])
print(jax.numpy.ones(1).dtype)
"""
    compared, dtype = run(program).splitlines()
    assert compared == str([True] * 7)
    assert dtype == "float32"


@pytest.mark.parametrize("name", sm_estimators.__all__)
def test_public_names_resolve(name):
    thing = getattr(sm_estimators, name)
    assert thing.__name__ == name
    assert thing.__doc__


def test_names_that_are_listed():
    listed = dir(sm_estimators)
    assert set(sm_estimators.__all__) < set(listed)
    assert len(listed) == len(set(listed))
    for name in listed:
        assert getattr(sm_estimators, name) is not None
    star = run("from sm_estimators import *; print('ScoreMatchingImputer' in globals())")
    assert star == "True"


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="'sm_estimators' has no attribute 'Nonsense'"):
        _ = sm_estimators.Nonsense
    with pytest.raises(ImportError, match="cannot import name"):
        exec("from sm_estimators import Nonsense")


def test_version():
    try:
        installed = metadata.version("sm_estimators")
    except metadata.PackageNotFoundError:
        installed = sm_estimators.__version__  # run from a checkout
    assert installed == sm_estimators.__version__
