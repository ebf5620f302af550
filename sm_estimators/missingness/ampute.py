"""Make holes in a table with a known mechanism, and keep the probabilities."""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import expit, logit

from sm_estimators.missingness._drivers import choose_drivers
from sm_estimators.missingness._table import read_numbers

MECHANISMS = ("mcar", "mar", "mnar")
STEEPEST = 1000.0


class Amputation(NamedTuple):
    """A table with holes and everything known about how they came."""

    X: Any
    """The table with NaN in the holes: a float array, or a DataFrame with the same labels."""
    observed: np.ndarray
    """(n, d) bool, True where a value can be seen."""
    propensities: np.ndarray
    """(n, d) probability that the cell is seen, given the complete row; NaN where the cell was
    missing already."""


def ampute(
    X: Any,
    mechanism: str = "mcar",
    rate: float | int = 0.3,
    *,
    drivers: Any = None,
    steepness: float | int = 1.0,
    random_state: Any = None,
) -> Amputation:
    r"""Remove cells from a table at random, with known probabilities.

    Given the complete row, every cell is lost independently of the others, so the probability
    of a pattern of a row is the product over its cells of ``propensities`` (seen) and one minus
    them (lost). With :math:`\sigma(u) = 1 / (1 + e^{-u})`, a cell in row i and column j is lost
    with probability

    - ``"mcar"``: ``rate``;
    - ``"mar"``: :math:`\sigma(a_j + s z_i)`, where s is ``steepness`` and z the sum of the
      standardised driver columns, standardised again. Drivers are never lost;
    - ``"mnar"``: :math:`\sigma(a_j + s z_{ij})`, where z is the column itself, standardised
      (self-masking). A constant column has z = 0 and is lost with probability ``rate``.

    Standardisation uses the mean and standard deviation (divisor n) of the values in ``X``, and
    the intercepts :math:`a_j` are solved for so that each column loses the fraction ``rate`` of
    its values in expectation, to rounding. Means, deviations and intercepts are part of the
    mechanism: the propensities are exact for this table.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        Real numbers, not modified. NaN is allowed: such cells stay missing. ``"mar"`` needs
        complete drivers and at least two columns.
    mechanism : {"mcar", "mar", "mnar"}, default "mcar"
        What the loss of a cell depends on: nothing, the drivers, or its own value.
    rate : float in (0, 1), default 0.3
        Expected fraction of cells that are lost, among the cells that are not NaN in ``X``: of
        **all** columns for ``"mcar"`` and ``"mnar"``, of the columns that are **not drivers** for
        ``"mar"``. In a complete table with k drivers among d columns, ``"mar"`` therefore loses
        ``rate * (d - k) / d`` of all cells.
    drivers : label, position, or list of them, default None
        The columns that decide under ``"mar"``, by name (DataFrame) or by position. A label comes
        before a position where both would do. By default 30 % of the columns (at least one, and
        never all), chosen by ``random_state`` among the complete columns that vary.
    steepness : float, default 1.0
        Change of the log-odds of a loss per standard deviation of z. Positive: large values are
        lost more; negative: small ones; zero: the probabilities are those of ``"mcar"``. At most
        1000 in size. Ignored by ``"mcar"``.
    random_state : int, RandomState, Generator or None, default None
        An int gives the same holes every time. A generator is used and moves on.

    Returns
    -------
    Amputation
        ``X``, ``observed`` and ``propensities``; a named tuple. Columns of integers and booleans
        come back as floats.

    Raises
    ------
    ValueError
        For values out of range, infinities, unknown columns, drivers with holes, a table of one
        column under ``"mar"``.
    TypeError
        For columns that are not numeric, or a ``random_state`` of another type.

    Notes
    -----
    Nothing protects the last value of a row: under ``"mcar"`` and ``"mnar"`` some rows may lose
    every cell (under ``"mcar"`` a share ``rate ** d`` of complete rows), and in a short table so
    may a column. :func:`describe_missing` counts both. Under ``"mar"`` the drivers remain.

    The product of a row's propensities over a set of columns is the probability that all of them
    are seen: the inverse of it weights complete cases in a study of inverse-propensity weighting.

    References
    ----------
    Rubin (1976), "Inference and missing data", for the three mechanisms. Schouten, Lugtig and
    Vink (2018), "Generating missing values for simulation purposes", on amputation.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> holes = ampute(X, "mar", 0.4, drivers=0, steepness=2.0, random_state=0)
    >>> int(holes.observed[:, 0].sum()), int(holes.observed[:, 1].sum())
    (1000, 605)
    >>> [round(float(p), 6) for p in holes.propensities.mean(axis=0)]
    [1.0, 0.6, 0.6]
    """
    rate, steepness = _check_options(mechanism, rate, drivers, steepness)
    table = read_numbers(X)
    rng = _generator(random_state)
    present = ~np.isnan(table.values)
    if mechanism == "mcar":
        propensities = np.full(present.shape, 1.0 - rate)
    elif mechanism == "mar":
        chosen = choose_drivers(table, drivers, rng)
        propensities = _mar_propensities(table.values, chosen, rate, steepness)
    else:
        propensities = _mnar_propensities(table.values, rate, steepness)
    propensities = np.where(present, propensities, np.nan)
    observed = rng.random(present.shape) < propensities  # False for NaN
    return Amputation(
        table.with_values(np.where(observed, table.values, np.nan)), observed, propensities
    )


def _mar_propensities(
    values: np.ndarray, drivers: np.ndarray, rate: float, steepness: float
) -> np.ndarray:
    """Return the probabilities to be seen, given the driver columns."""
    total = sum(_standardise(values[:, j]) for j in drivers)
    # Opposite drivers leave rounding errors only, which standardising would blow up.
    if np.std(total) < 1e-8:
        raise ValueError(
            "`drivers` must have a standardised sum that varies; theirs is the same in every row "
            "(constant or opposite columns), so no loss could depend on it. Choose other drivers."
        )
    z = _standardise(np.asarray(total))
    propensities = np.ones(values.shape)
    for j in np.setdiff1d(np.arange(values.shape[1]), drivers):
        seen = ~np.isnan(values[:, j])
        propensities[seen, j] = _logistic_propensities(z[seen], rate, steepness)
    return propensities


def _mnar_propensities(values: np.ndarray, rate: float, steepness: float) -> np.ndarray:
    """Return the probabilities to be seen, given the cell itself."""
    propensities = np.ones(values.shape)
    for j in range(values.shape[1]):
        seen = ~np.isnan(values[:, j])
        z = _standardise(values[seen, j])
        propensities[seen, j] = _logistic_propensities(z, rate, steepness)
    return propensities


def _logistic_propensities(z: np.ndarray, rate: float, steepness: float) -> np.ndarray:
    """Return σ(−a − s z) with the intercept a for which the mean loss is ``rate``."""
    if z.size == 0:
        return z
    slope = steepness * z
    # With every slope at its largest the loss is below the rate, and at its smallest above.
    low, high = logit(rate) - slope.max() - 1.0, logit(rate) - slope.min() + 1.0
    solution = root_scalar(
        lambda a: expit(a + slope).mean() - rate, bracket=(low, high), xtol=1e-13
    )
    return expit(-(solution.root + slope))


def _standardise(x: np.ndarray) -> np.ndarray:
    """Scale to mean 0 and deviation 1; a constant becomes 0."""
    if x.size == 0 or np.ptp(x) == 0:
        return np.zeros(x.shape)
    x = x / np.abs(x).max()  # so that squares neither overflow nor vanish
    return (x - x.mean()) / x.std()


def _check_options(mechanism: Any, rate: Any, drivers: Any, steepness: Any) -> tuple[float, float]:
    """Refuse options that make no sense, and return the numbers as floats."""
    if mechanism not in MECHANISMS:
        raise ValueError(
            f"`mechanism` must be one of {', '.join(map(repr, MECHANISMS))}; got {mechanism!r}."
        )
    if not _is_number(rate) or not 0 < rate < 1:
        raise ValueError(
            f"`rate` must be a number strictly between 0 and 1, the fraction of cells to lose; got "
            f"{rate!r}. For 30 % write 0.3."
        )
    if not _is_number(steepness) or not abs(steepness) <= STEEPEST:
        raise ValueError(
            f"`steepness` must be a number between {-STEEPEST:g} and {STEEPEST:g}, log-odds per "
            f"standard deviation; got {steepness!r}. Values of 1 to 3 are strong already."
        )
    if drivers is not None and mechanism != "mar":
        raise ValueError(
            f"`drivers` decide only under mechanism='mar'; the mechanism is {mechanism!r}. Leave "
            "`drivers` out, or use 'mar'."
        )
    return float(rate), float(steepness)


def _is_number(value: Any) -> bool:
    """Tell whether a value is a real number and no boolean."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _generator(random_state: Any) -> np.random.Generator:
    """Turn what users call a random state into a generator."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1, size=4))
    if random_state is None:
        return np.random.default_rng()
    whole = isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool)
    if whole and random_state >= 0:
        return np.random.default_rng(int(random_state))
    raise TypeError(
        "`random_state` must be None, an integer of at least 0, a numpy.random.RandomState or a "
        f"numpy.random.Generator; got {random_state!r}. An integer such as 0 repeats the holes."
    )
