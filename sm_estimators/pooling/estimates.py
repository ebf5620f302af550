"""Pooled estimates: what several analyses say together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

Transform = Callable[[np.ndarray], np.ndarray]


class WaldTest(NamedTuple):
    """A test of several coefficients at once, by an F distribution."""

    statistic: float
    """D₁, the larger, the less the coefficients look like the stated values."""
    df_numerator: int
    """How many coefficients were tested."""
    df_denominator: float
    """Degrees of freedom of its denominator."""
    p_value: float
    """Chance of a statistic as large when the stated values are true."""


@dataclass(frozen=True, eq=False)
class PooledEstimates:
    """Estimates, standard errors and degrees of freedom by Rubin's rules.

    Made by :func:`pool`, which states the formulas; k is the number of coefficients.

    Attributes
    ----------
    estimate : ndarray of shape (k,)
        Mean of the m estimates.
    standard_error : ndarray of shape (k,)
        √T, of the variance within and between imputations together.
    df : ndarray of shape (k,)
        Degrees of freedom of the t distribution, Barnard and Rubin (1999).
    fraction_missing : ndarray of shape (k,)
        γ, the fraction of the information about a coefficient that the holes took away.
    relative_increase : ndarray of shape (k,)
        r, the relative increase of the variance by the holes.
    within, between : ndarray of shape (k,)
        Ū, the mean of the m variances, and B, the variance of the m estimates.
    n_imputations : int
        m.
    names : tuple of str
        Of the coefficients.
    df_complete : ndarray of shape (k,)
        Degrees of freedom that a table without holes would have.
    within_covariance, between_covariance : ndarray of shape (k, k), or None
        The matrices of which ``within`` and ``between`` are the diagonals, where the analyses gave
        full covariances.

    Examples
    --------
    >>> from sm_estimators.pooling import pool
    >>> pooled = pool([[1.0], [1.2], [0.9]], [[0.04], [0.05], [0.04]], names=["slope"])
    >>> pooled.to_frame().loc["slope", ["estimate", "lower", "upper"]].round(2).tolist()
    [1.03, 0.44, 1.63]
    >>> pooled.p_values().round(4)
    array([0.0028])
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray
    fraction_missing: np.ndarray
    relative_increase: np.ndarray
    within: np.ndarray
    between: np.ndarray
    n_imputations: int
    names: tuple[str, ...]
    df_complete: np.ndarray
    within_covariance: np.ndarray | None = None
    between_covariance: np.ndarray | None = None

    @property
    def covariance(self) -> np.ndarray:
        """T = Ū + (1 + 1/m) B as a matrix (k, k); an error unless the analyses gave matrices."""
        within, between = self._matrices("covariance")
        return within + (1 + 1 / self.n_imputations) * between

    def confidence_intervals(
        self, level: float = 0.95, *, transform: Transform | None = None
    ) -> np.ndarray:
        """Return intervals that hold the true values with probability ``level``.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.
        transform : callable, optional
            A monotone function of arrays that is applied to both ends, for estimates pooled on
            another scale: ``numpy.tanh`` for correlations pooled as Fisher's z, ``numpy.exp`` for
            odds ratios.

        Returns
        -------
        intervals : ndarray of shape (k, 2)
            estimate ± t(df) · standard_error; the smaller end first.
        """
        if not 0 < level < 1:
            raise ValueError(f"`level` must lie between 0 and 1, but is {level}; try 0.95.")
        half = stats.t.ppf((1 + level) / 2, self.df) * self.standard_error
        ends = np.column_stack([self.estimate - half, self.estimate + half])
        return ends if transform is None else np.sort(transform(ends), axis=1)

    def p_values(self, value: float = 0.0) -> np.ndarray:
        """Return two-sided p-values of the hypotheses that each coefficient is ``value``.

        Returns
        -------
        p_values : ndarray of shape (k,)
            NaN for a coefficient that never varied and is ``value`` itself.
        """
        return 2 * stats.t.sf(np.abs(self._statistic(value)), self.df)

    def _statistic(self, value: float) -> np.ndarray:
        """Return (estimate - value) / standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.estimate - value) / self.standard_error

    def to_frame(self, level: float = 0.95, *, transform: Transform | None = None) -> pd.DataFrame:
        """Return a table with one row per coefficient.

        Parameters
        ----------
        level : float, default=0.95
            Of the intervals.
        transform : callable, optional
            Applied to estimates and ends of intervals; the columns ``standard_error`` and
            ``statistic``, which would not be on that scale, are then left out.

        Returns
        -------
        frame : DataFrame
            Columns estimate, standard_error, statistic, df, p_value, lower, upper,
            fraction_missing; indexed by ``names``.
        """
        lower, upper = self.confidence_intervals(level, transform=transform).T
        columns = {
            "estimate": self.estimate if transform is None else transform(self.estimate),
            "standard_error": self.standard_error,
            "statistic": self._statistic(0.0),
            "df": self.df,
            "p_value": self.p_values(),
            "lower": lower,
            "upper": upper,
            "fraction_missing": self.fraction_missing,
        }
        if transform is not None:
            del columns["standard_error"], columns["statistic"]
        return pd.DataFrame(columns, index=pd.Index(self.names, name="name"))

    def wald_test(self, coefficients: Sequence[str] | None = None, value: float = 0.0) -> WaldTest:
        """Test several coefficients at once: D₁ of Li, Raghunathan and Rubin (1991).

        With q = estimate - value for k coefficients, Ū and B restricted to them,

            r₁ = (1 + 1/m) tr(B Ū⁻¹) / k,    D₁ = qᵀ Ū⁻¹ q / (k (1 + r₁)),

        compared with F(k, ν). With a = k(m - 1), ν = 4 + (a - 4)(1 + (1 - 2/a)/r₁)² for a > 4,
        otherwise a(1 + 1/k)(1 + 1/r₁)²/2. It supposes that the holes took about the same fraction
        of information from every one of the coefficients, and many rows.

        Parameters
        ----------
        coefficients : sequence of str, optional
            Names; all of them by default.
        value : float, default=0.0
            What each is under the hypothesis.

        Returns
        -------
        test : WaldTest
            ``statistic``, ``df_numerator``, ``df_denominator``, ``p_value``.

        Raises
        ------
        ValueError
            For unknown names, and when the analyses gave variances without covariances.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_estimators.pooling import pool
        >>> pooled = pool([[1, 2], [1.2, 1.9], [0.9, 2.2]], np.tile(0.1 * np.eye(2), (3, 1, 1)))
        >>> round(pooled.wald_test().p_value, 7)
        4e-07
        """
        within, between = self._matrices("wald_test")
        chosen = self._positions(self.names if coefficients is None else coefficients)
        square = np.ix_(chosen, chosen)
        return _wald(
            self.estimate[chosen] - value,
            within[square],
            between[square],
            m=self.n_imputations,
            df_complete=float(self.df_complete[chosen].min()),
        )

    def _matrices(self, asked: str) -> tuple[np.ndarray, np.ndarray]:
        """Return both covariances, or say that there are none."""
        if self.within_covariance is None or self.between_covariance is None:
            raise ValueError(
                f"`{asked}` needs covariances between the coefficients, but the analyses gave "
                "variances only; pool covariance matrices of shape (m, k, k), or results with "
                "`cov_params()`."
            )
        return self.within_covariance, self.between_covariance

    def _positions(self, coefficients: Sequence[str]) -> list[int]:
        """Return where the named coefficients stand."""
        unknown = [name for name in coefficients if name not in self.names]
        if unknown or not len(coefficients):
            raise ValueError(
                f"`coefficients` must name some of {list(self.names)}, but is {list(coefficients)}."
            )
        return [self.names.index(name) for name in coefficients]


def _wald(q: np.ndarray, within: np.ndarray, between: np.ndarray, *, m: int, df_complete: float):
    """Return the test of q = 0."""
    k = len(q)
    r = (1 + 1 / m) * np.trace(np.linalg.solve(within, between)) / k
    statistic = q @ np.linalg.solve(within, q) / (k * (1 + r))
    df = df_complete if r == 0 else _wald_df(float(k * (m - 1)), k, float(r))
    # The F distribution with infinite df is a scaled χ², which SciPy wants to be told.
    p = stats.chi2.sf(k * statistic, k) if np.isinf(df) else stats.f.sf(statistic, k, df)
    return WaldTest(float(statistic), k, float(df), float(p))


def _wald_df(a: float, k: int, r: float) -> float:
    """Return the degrees of freedom of the denominator."""
    if a > 4:
        return 4 + (a - 4) * (1 + (1 - 2 / a) / r) ** 2
    return a * (1 + 1 / k) * (1 + 1 / r) ** 2 / 2
