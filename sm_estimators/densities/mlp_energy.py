"""A neural energy with a Gaussian at its back."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Params, Point, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.densities.gaussian import Gaussian


@spec
class MLPEnergy(AbstractDensity):
    """log q(x) = log N(x; μ, K⁻¹) + f(x), with f a multilayer perceptron.

    The perceptron has smooth (SiLU) activations, so it grows at most linearly and the Gaussian
    factor keeps the density normalisable whatever the weights. Its last layer starts at zero and
    the Gaussian at the moments of the table: training begins at the Gaussian fit and learns what
    is missing from it.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(64, 64)
        Width of each hidden layer.

    Examples
    --------
    >>> import jax
    >>> params = MLPEnergy(hidden_sizes=(8,)).init(jax.random.key(0), 2)
    >>> [layer["weight"].shape for layer in params["layers"]]
    [(2, 8), (8, 1)]
    """

    neural = True
    standardised = True

    hidden_sizes: tuple[int, ...] = static(default=(64, 64))

    def __post_init__(self):
        sizes = tuple(self.hidden_sizes)
        object.__setattr__(self, "hidden_sizes", sizes)
        if not sizes or any(int(s) != s or s < 1 for s in sizes):
            raise ValueError(f"`hidden_sizes` must be positive integers; got {sizes!r}.")

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return a standard Gaussian with an untrained perceptron that adds nothing yet."""
        sizes = self._sizes(n_features)
        keys = jax.random.split(key, len(sizes) - 1)
        normals = [jax.random.normal(k, s) for k, s in zip(keys, pairwise(sizes), strict=True)]
        return {"gaussian": Gaussian().init(key, n_features), "layers": untrained(normals)}

    def warm_start(self, key: PRNGKey, X: Float[np.ndarray, "n d"]) -> Params:
        """Return the Gaussian with the moments of ``X`` and an untrained perceptron.

        Host code: drawing the weights of every layer by JAX takes seconds to compile.
        """
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        normals = [rng.standard_normal(shape) for shape in pairwise(self._sizes(X.shape[1]))]
        return {"gaussian": Gaussian().warm_start(key, X), "layers": untrained(normals)}

    def _sizes(self, n_features: int) -> tuple[int, ...]:
        """Return the widths from the row to the energy."""
        return (n_features, *self.hidden_sizes, 1)

    def penalty(self, params: Params) -> Scalar:
        """Return half the squared norm of the layers, plus that of the Gaussian."""
        return super().penalty(params["layers"]) + Gaussian().penalty(params["gaussian"])

    def rescale(self, params: Params, centre: np.ndarray, scale: np.ndarray) -> Params:
        """Return the parameters of centre + scale·z: the first layer takes the change of units."""
        first, *rest = params["layers"]
        weight = np.asarray(first["weight"], float) / scale[:, None]
        bias = np.asarray(first["bias"], float) - centre @ weight
        gaussian = Gaussian().rescale(params["gaussian"], centre, scale)
        return {"gaussian": gaussian, "layers": [{"weight": weight, "bias": bias}, *rest]}

    def score_and_curvature(self, params: Params, x: Point) -> tuple[Point, Point]:
        """Return both by carrying first and second derivatives forward through the layers."""
        *hidden, last = params["layers"]
        h, first, second = x, jnp.eye(x.size, dtype=x.dtype), jnp.zeros((x.size, x.size), x.dtype)
        for layer in hidden:
            a = h @ layer["weight"] + layer["bias"]
            first, second = first @ layer["weight"], second @ layer["weight"]
            gate = jax.nn.sigmoid(a)
            slope = gate * (1 + a * (1 - gate))
            bend = gate * (1 - gate) * (2 + a * (1 - 2 * gate))
            h, first, second = a * gate, slope * first, bend * first**2 + slope * second
        score, curvature = Gaussian().score_and_curvature(params["gaussian"], x)
        return score + (first @ last["weight"])[:, 0], curvature + (second @ last["weight"])[:, 0]

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return the Gaussian log-density plus the perceptron."""
        *hidden, last = params["layers"]
        h = x
        for layer in hidden:
            h = jax.nn.silu(h @ layer["weight"] + layer["bias"])
        correction = (h @ last["weight"] + last["bias"])[0]
        return Gaussian().log_density(params["gaussian"], x) + correction


def untrained(normals: list) -> list[Params]:
    """Return dense layers with LeCun-normal weights and zero biases, the last one all zero."""
    scaled = [W / np.sqrt(len(W)) for W in normals]
    scaled[-1] = 0.0 * scaled[-1]
    return [{"weight": W, "bias": np.zeros(W.shape[1], W.dtype)} for W in scaled]
