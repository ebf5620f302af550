"""What a density is.

A density is a spec (see :mod:`sm_estimators._spec`) with two pure functions of **one** row:
``init(key, n_features)`` returns parameters, a pytree of unconstrained real arrays, and
``log_density(params, x)`` returns the log-density up to a constant that may depend on the
parameters but not on ``x``. That is all a new density must implement.

Override ``warm_start`` when data allow a better start than ``init``, ``score_and_curvature`` when
the derivatives are cheaper than by automatic differentiation, and ``support`` when the density
lives in a box. Where marginals and
conditionals have a closed form, derive from :class:`AbstractMarginalDensity`; where the
log-density is linear in the parameters, from :class:`AbstractExponentialFamily`: then every
score-matching loss is quadratic and is solved, not iterated.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._typing import Observed, Params, Point, PRNGKey, Scalar
from sm_estimators.densities.transforms import score_and_curvature


class AbstractDensity(ABC):
    """A density of one row, known up to a constant."""

    neural: ClassVar[bool] = False
    """Whether the fit runs by minibatches and in float32."""
    standardised: ClassVar[bool] = False
    """Whether the fit sees standardised columns; then ``rescale`` takes its result back."""
    default_ridge: ClassVar[float] = 1e-6
    """What multiplies ``penalty`` unless the user says otherwise."""
    column_axes: ClassVar[Mapping[str, int]] = MappingProxyType({})
    """How many of the last axes of each of the ``quantities`` run over the columns; two of them
    make a symmetric matrix."""
    support: Any = None
    """The :class:`Box` outside of which the density is zero; None for the whole space."""

    @abstractmethod
    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return initial parameters for rows of ``n_features`` numbers."""

    @abstractmethod
    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return log q(x), up to a constant."""

    def score_and_curvature(self, params: Params, x: Point) -> tuple[Point, Point]:
        """Return ∂_j log q(x) and ∂_j² log q(x) for every coordinate j."""
        return score_and_curvature(jax.grad(lambda z: self.log_density(params, z)), x)

    def quantities(self, params: Params) -> dict[str, np.ndarray]:
        """Return what a statistician would report of the parameters, by name; host code."""
        leaves = jax.tree_util.tree_leaves_with_path(params)
        named = {jax.tree_util.keystr(path, simple=True, separator="."): a for path, a in leaves}
        return {name or "params": np.asarray(a, float) for name, a in named.items()}

    def warm_start(self, key: PRNGKey, X: Float[np.ndarray, "n d"]) -> Params:
        """Return initial parameters from a completed table; by default those of ``init``."""
        return self.init(key, X.shape[1])

    def penalty(self, params: Params) -> Scalar:
        """Return what the ridge multiplies: half the squared norm of the parameters."""
        return 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))  # type: ignore[return-value]

    def rescale(self, params: Params, centre: np.ndarray, scale: np.ndarray) -> Params:
        """Return the parameters of centre + scale·z where ``params`` are those of z."""
        raise TypeError(f"{type(self).__name__} is fitted in the units of the table.")


class AbstractMarginalDensity(AbstractDensity):
    """A normalised density whose marginals and conditionals are known in closed form.

    The sampling methods are host code: NumPy in, NumPy out, many rows at once.
    """

    @abstractmethod
    def marginal_log_density(self, params: Params, x: Point, observed: Observed) -> Scalar:
        """Return log q(x_observed); values of ``x`` in holes are ignored."""

    @abstractmethod
    def sample(self, params: Params, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """Draw ``(n_samples, d)`` independent rows."""

    @abstractmethod
    def sample_conditional(
        self, params: Params, rng: np.random.Generator, X: np.ndarray, observed: np.ndarray
    ) -> np.ndarray:
        """Draw the holes of every row of ``X`` given what was seen of it: ``(n, d)``."""

    @abstractmethod
    def conditional_mean(self, params: Params, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Fill the holes of every row of ``X`` with their conditional means: ``(n, d)``."""


class AbstractExponentialFamily(AbstractDensity):
    """log q(x) = θ·t(x) + log h(x), with the vector θ as the only parameter."""

    @abstractmethod
    def sufficient_statistics(self, x: Point) -> Float[Array, " k"]:
        """Return t(x)."""

    def log_base_measure(self, x: Point) -> Scalar:
        """Return log h(x); zero by default."""
        return jnp.zeros((), x.dtype)

    def sparse_flags(self, n_parameters: int) -> Float[np.ndarray, " k"]:
        """Return 1 for the parameters that an L1 penalty applies to; by default all."""
        return np.ones(n_parameters)

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return θ = 0, of the length of t(x)."""
        del key
        statistics = self.sufficient_statistics(jnp.zeros(n_features))
        return jnp.zeros_like(statistics)

    def quantities(self, params: Params) -> dict[str, np.ndarray]:
        """Return θ."""
        return {"natural_parameters": np.asarray(params, float)}

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return θ·t(x) + log h(x)."""
        return jnp.dot(params, self.sufficient_statistics(x)) + self.log_base_measure(x)

    def score_and_curvature(self, params: Params, x: Point) -> tuple[Point, Point]:
        """Return score and curvature, both forwards: statistics that index x make slow scatters."""

        def slope(z: Point, direction: Point) -> Scalar:
            return jax.jvp(lambda y: self.log_density(params, y), (z,), (direction,))[1]

        def along(direction: Point) -> tuple[Scalar, Scalar]:
            return jax.jvp(lambda z: slope(z, direction), (x,), (direction,))

        return jax.vmap(along)(jnp.eye(x.size, dtype=x.dtype))
