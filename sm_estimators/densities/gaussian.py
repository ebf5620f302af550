"""The multivariate Gaussian, by the Cholesky factor of its precision."""

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._spec import spec
from sm_estimators._typing import Observed, Params, Point, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractMarginalDensity
from sm_estimators.densities.gaussian_conditional import GaussianConditional

LOG_2PI = float(np.log(2 * np.pi))


@spec
class Gaussian(AbstractMarginalDensity):
    """N(μ, K⁻¹) with K = L Lᵀ, the diagonal of L kept positive by an exponential.

    Parameters are a dict: ``location`` (d,), ``log_diagonal`` (d,) and ``lower``
    (d(d−1)/2,), the entries of L below its diagonal, row by row. The density is normalised.

    Examples
    --------
    >>> import jax
    >>> density = Gaussian()
    >>> params = density.init(jax.random.key(0), 2)
    >>> round(float(density.log_density(params, jax.numpy.zeros(2))), 4)
    -1.8379
    """

    standardised = True
    column_axes = MappingProxyType({"location": 1, "covariance": 2, "precision": 2})

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return the standard Gaussian."""
        del key
        return {
            "location": jnp.zeros(n_features),
            "log_diagonal": jnp.zeros(n_features),
            "lower": jnp.zeros(n_features * (n_features - 1) // 2),
        }

    def warm_start(self, key: PRNGKey, X: Float[np.ndarray, "n d"]) -> Params:
        """Return the Gaussian with the moments of ``X``, slightly widened."""
        del key
        covariance = np.atleast_2d(np.cov(X, rowvar=False, bias=True))
        spread = np.diag(np.maximum(np.diag(covariance), 1e-12))
        return self.from_moments(X.mean(axis=0), covariance + 1e-6 * spread)

    def penalty(self, params: Params) -> Scalar:
        """Return ½‖K‖²: with it the loss of complete rows is minimal at K⁻¹ = S + ridge·I."""
        L = precision_cholesky(params)
        return 0.5 * jnp.sum((L @ L.T) ** 2)

    def rescale(self, params: Params, centre: np.ndarray, scale: np.ndarray) -> Params:
        """Return the parameters of centre + scale·z: the rows of L are divided by the scale."""
        rows, _ = np.tril_indices(len(scale), -1)
        return {
            "location": centre + scale * np.asarray(params["location"], float),
            "log_diagonal": np.asarray(params["log_diagonal"], float) - np.log(scale),
            "lower": np.asarray(params["lower"], float) / scale[rows],
        }

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return log N(x; μ, K⁻¹)."""
        L = precision_cholesky(params)
        z = L.T @ (x - params["location"])
        return jnp.sum(params["log_diagonal"]) - 0.5 * (z @ z + x.size * LOG_2PI)

    def score_and_curvature(self, params: Params, x: Point) -> tuple[Point, Point]:
        """Return −K (x − μ) and −diag K."""
        L = precision_cholesky(params)
        K = L @ L.T
        return -K @ (x - params["location"]), -jnp.diagonal(K)

    def quantities(self, params: Params) -> dict[str, np.ndarray]:
        """Return mean, covariance and precision."""
        location, covariance = self.moments(params)
        named = {"location": location, "covariance": covariance}
        return {**named, "precision": self.precision(params)}

    def marginal_log_density(self, params: Params, x: Point, observed: Observed) -> Scalar:
        """Return the log-density of the seen coordinates.

        Every hole is integrated out of the precision in turn, by a Schur complement: with K_jj
        the pivot, ∫ exp(−½ zᵀKz) dz_j ∝ K_jj^(−½) exp(−½ zᵀK′z), where
        ``K′ = K − K_:j K_j: / K_jj``.
        """
        L = precision_cholesky(params)

        # Plain arithmetic rather than LAPACK: batches of small factorisations, which XLA spreads
        # over its threads, were seen to wait for one another for ever on two cores.
        def integrate_out(j, carry):
            K, log_pivots = carry
            hole, pivot, column = ~observed[j], K[j, j], K[:, j]
            K = K - jnp.where(hole, jnp.outer(column, column) / pivot, 0.0)
            return K, log_pivots + jnp.where(hole, jnp.log(pivot), 0.0)

        start = L @ L.T, jnp.zeros((), L.dtype)
        K, log_pivots = jax.lax.fori_loop(0, x.size, integrate_out, start)
        z = jnp.where(observed, x - params["location"], 0.0)
        log_determinant = jnp.sum(params["log_diagonal"]) - 0.5 * log_pivots
        return log_determinant - 0.5 * (z @ K @ z + observed.sum() * LOG_2PI)

    def sample(self, params: Params, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """Draw ``(n_samples, d)`` rows."""
        location, covariance = self.moments(params)
        nothing = np.zeros((n_samples, location.size), bool)
        return GaussianConditional(location, covariance).draw(rng, np.zeros(nothing.shape), nothing)

    def sample_conditional(
        self, params: Params, rng: np.random.Generator, X: np.ndarray, observed: np.ndarray
    ) -> np.ndarray:
        """Draw the holes of ``X`` given the rest."""
        return GaussianConditional(*self.moments(params)).draw(rng, X, observed)

    def conditional_mean(self, params: Params, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Fill the holes of ``X`` with their regression on the rest."""
        return GaussianConditional(*self.moments(params)).mean(X, observed)

    def from_moments(self, location: np.ndarray, covariance: np.ndarray) -> Params:
        """Return the parameters, NumPy arrays, of the Gaussian with these moments."""
        precision = np.linalg.inv(covariance)
        L = np.linalg.cholesky((precision + precision.T) / 2)
        return {
            "location": np.asarray(location, float),
            "log_diagonal": np.log(np.diag(L)),
            "lower": L[np.tril_indices(len(L), -1)],
        }

    def moments(self, params: Params) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean (d,) and covariance (d, d), NumPy arrays."""
        precision = self.precision(params)
        covariance = np.linalg.inv(precision)
        return np.asarray(params["location"], float), (covariance + covariance.T) / 2

    def precision(self, params: Params) -> np.ndarray:
        """Return K = L Lᵀ, a NumPy array."""
        diagonal = np.exp(np.asarray(params["log_diagonal"], float))
        L = np.diag(diagonal)
        L[np.tril_indices(len(L), -1)] = np.asarray(params["lower"], float)
        return L @ L.T


def precision_cholesky(params: Params) -> Float[Array, "d d"]:
    """Return L, lower triangular with a positive diagonal, such that K = L Lᵀ."""
    diagonal = jnp.exp(params["log_diagonal"])
    rows, columns = np.tril_indices(diagonal.size, -1)
    return jnp.diag(diagonal).at[rows, columns].set(params["lower"])
