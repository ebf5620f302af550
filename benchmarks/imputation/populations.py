"""Populations that rows are drawn from: tables with many rows."""

from functools import cache

import numpy as np

from benchmarks.imputation import tables

POPULATION = 200_000
REAL = ("median_house_value", "median_income", "households", "total_rooms", "housing_median_age")


def gaussian(rng: np.random.Generator) -> np.ndarray:
    """Return correlated normal columns; correlations are between 0.2 and 0.8."""
    factor = rng.standard_normal((POPULATION, 1))
    loadings = np.array([0.9, 0.85, 0.7, 0.6, 0.4])
    return factor * loadings + rng.standard_normal((POPULATION, 5)) * np.sqrt(1 - loadings**2)


def curved(rng: np.random.Generator) -> np.ndarray:
    """Return an outcome with an interaction, two normal columns, a square, and a skewed column."""
    a, c = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], POPULATION).T
    e = rng.standard_normal((3, POPULATION))
    square = a**2 + 0.5 * c + 0.7 * e[0]
    skewed = np.exp(0.4 * a - 0.3 * c + 0.4 * e[1])
    outcome = a + 0.5 * c + 0.7 * a * c + 0.5 * skewed + e[2]
    return np.column_stack([outcome, a, c, square, skewed])


def real(rng: np.random.Generator) -> np.ndarray:
    """Return five columns of the districts of California; all districts are the population."""
    import pandas as pd

    del rng
    return pd.read_csv(tables.folder() / "dp_california.csv")[list(REAL)].to_numpy(float)


DESIGNS = {"gaussian": gaussian, "curved": curved, "real": real}


@cache
def population(design: str) -> np.ndarray:
    """Return the population of a design, the same in every process."""
    return DESIGNS[design](np.random.default_rng(20240607))
