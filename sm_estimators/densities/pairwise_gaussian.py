"""The Gaussian as an exponential family, in a box if need be."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._spec import spec
from sm_estimators._typing import Params, Point, Scalar
from sm_estimators.densities._base import AbstractExponentialFamily
from sm_estimators.densities.box import Box, outside_is_impossible
from sm_estimators.densities.exponential_family import pairwise_statistics


@spec
class PairwiseGaussian(AbstractExponentialFamily):
    """log q(x) = h·x − ½ xᵀKx, with θ the entries of h, diag K and the upper triangle of K.

    The family of :func:`pairwise_statistics`, its derivatives written out. On the whole space it
    is the Gaussian with mean K⁻¹h; in a box it is the truncated Gaussian, whose constant nobody
    knows. An L1 penalty applies to the entries off the diagonal.

    Parameters
    ----------
    support : Box, optional
        Where the density is positive. Default: the whole space.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> density, theta = PairwiseGaussian(), jnp.array([1.0, 0.0, 2.0, 1.0, 0.5])
    >>> [float(part) for part in density.score_and_curvature(theta, jnp.array([1.0, 1.0]))[0]]
    [-1.5, -1.5]
    """

    support: Box | None = None

    def sufficient_statistics(self, x: Point) -> Float[Array, " k"]:
        """Return x, −x²/2 and −x_i x_j."""
        return pairwise_statistics(x)

    def log_base_measure(self, x: Point) -> Scalar:
        """Return 0; −inf outside the support."""
        return outside_is_impossible(self.support, x, jnp.zeros((), x.dtype))

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return h·x − ½ xᵀKx."""
        h, K = shift_and_precision(params, x.size)
        return h @ x - 0.5 * x @ K @ x + self.log_base_measure(x)

    def score_and_curvature(self, params: Params, x: Point) -> tuple[Point, Point]:
        """Return h − Kx and −diag K."""
        h, K = shift_and_precision(params, x.size)
        return h - K @ x, -jnp.diagonal(K)

    def sparse_flags(self, n_parameters: int) -> Float[np.ndarray, " k"]:
        """Return 1 for the entries of K off its diagonal."""
        d = int((np.sqrt(9 + 8 * n_parameters) - 3) / 2)  # k = 2d + d(d − 1)/2
        return np.r_[np.zeros(2 * d), np.ones(n_parameters - 2 * d)]


def shift_and_precision(
    params: Params, n_features: int
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """Return h and K of natural parameters."""
    d = n_features
    upper = jnp.zeros((d, d), params.dtype).at[np.triu_indices(d, 1)].set(params[2 * d :])
    return params[:d], jnp.diag(params[d : 2 * d]) + upper + upper.T
