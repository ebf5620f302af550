"""A multilayer perceptron with residual blocks."""

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._spec import spec, static
from sm_estimators._typing import Level, Params, Point
from sm_estimators.diffusion.networks._base import (
    N_WAVES,
    AbstractNetwork,
    dense,
    normalise,
    waves,
)
from sm_estimators.diffusion.networks.sines import sine_and_cosine
from sm_estimators.diffusion.roles import Roles


@spec
class ResidualMLP(AbstractNetwork):
    """Blocks h ← h + W₂ φ(W₁ norm(h) + E w(s)), with w(s) the noise scale written in waves.

    Every column enters as its value, sines and cosines of it with learned frequencies (numerical
    features that can bend sharply within a column), and flags of its role.

    Parameters
    ----------
    width : int, default=128
        Of every layer.
    n_blocks : int, default=3
        Residual blocks.
    n_frequencies : int, default=4
        Sines and cosines of each column; 0 for the plain value.

    References
    ----------
    Gorishniy, Rubachev, Khrulkov and Babenko (2021), Revisiting deep learning models for tabular
    data. Gorishniy, Rubachev and Babenko (2022), On embeddings for numerical features in tabular
    deep learning.

    Examples
    --------
    >>> import numpy as np
    >>> weights = ResidualMLP(width=16).init(np.random.default_rng(0), 3)
    >>> weights["out"].shape
    (16, 3)
    """

    width: int = static(default=128)
    n_blocks: int = static(default=3)
    n_frequencies: int = static(default=4)

    def __post_init__(self):
        least = {"width": 1, "n_blocks": 1, "n_frequencies": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if int(value) != value or value < minimum:
                raise ValueError(
                    f"`{name}` must be a whole number of at least {minimum}; got {value!r}."
                )

    def init(self, rng: np.random.Generator, n_features: int) -> Params:
        """Return weights with which the output is zero."""
        d, w, k = n_features, self.width, self.n_frequencies
        blocks = [
            {
                "noise": dense(rng, 2 * N_WAVES, w),
                "first": dense(rng, w, w),
                "bias": np.zeros(w, np.float32),
                "second": dense(rng, w, w) / np.float32(self.n_blocks),
            }
            for _ in range(self.n_blocks)
        ]
        return {
            "frequencies": rng.standard_normal((d, k)).astype(np.float32),
            "in": dense(rng, d * (3 + 2 * k), w),
            "bias": np.zeros(w, np.float32),
            "blocks": blocks,
            "out": np.zeros((w, d), np.float32),
            "out_bias": np.zeros(d, np.float32),
        }

    def __call__(self, weights: Params, u: Point, log_scale: Level, roles: Roles) -> Point:
        """Return the output for one row."""
        noise = waves(log_scale)
        h = self._columns(weights, u, roles) @ weights["in"] + weights["bias"]
        for block in weights["blocks"]:
            a = normalise(h) @ block["first"] + noise @ block["noise"] + block["bias"]
            h = h + jax.nn.silu(a) @ block["second"]
        return normalise(h) @ weights["out"] + weights["out_bias"]

    def _columns(self, weights: Params, u: Point, roles: Roles):
        """Return the numbers in which the columns are written."""
        phase = weights["frequencies"] * u[:, None]
        seen = (roles.noised | roles.given)[:, None]
        sines = jnp.where(seen, jnp.concatenate(sine_and_cosine(phase), axis=1), 0.0)
        flags = [f.astype(u.dtype) for f in roles]
        return jnp.concatenate([u, *flags, jnp.ravel(sines)])
