"""A small transformer whose tokens are the columns."""

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
class ColumnAttention(AbstractNetwork):
    """A transformer over columns: each is a token made of its value, its role and its name.

    Attention lets a column look up the columns that matter to it, whichever are given. A step
    costs d² and is slower than :class:`ResidualMLP` for all but a few columns.

    Parameters
    ----------
    width : int, default=64
        Numbers per token.
    n_blocks : int, default=2
        Blocks of attention and perceptron.
    n_heads : int, default=4
        Heads of attention; they divide the width.
    n_frequencies : int, default=4
        Sines and cosines of each value; 0 for the plain value.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need. Gorishniy, Rubachev, Khrulkov and Babenko
    (2021), Revisiting deep learning models for tabular data.

    Examples
    --------
    >>> import numpy as np
    >>> weights = ColumnAttention(width=8).init(np.random.default_rng(0), 3)
    >>> weights["out"].shape
    (3, 8)
    """

    width: int = static(default=64)
    n_blocks: int = static(default=2)
    n_heads: int = static(default=4)
    n_frequencies: int = static(default=4)

    def __post_init__(self):
        least = {"width": 1, "n_blocks": 1, "n_heads": 1, "n_frequencies": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if int(value) != value or value < minimum:
                raise ValueError(
                    f"`{name}` must be a whole number of at least {minimum}; got {value!r}."
                )
        if self.width % self.n_heads:
            raise ValueError(
                f"`width` must be a multiple of `n_heads`; got width={self.width}, "
                f"n_heads={self.n_heads}."
            )

    def init(self, rng: np.random.Generator, n_features: int) -> Params:
        """Return weights with which the output is zero."""
        d, w, k = n_features, self.width, self.n_frequencies
        blocks = [
            {
                "noise": dense(rng, 2 * N_WAVES, w),
                "attention": dense(rng, w, 3 * w),
                "joined": dense(rng, w, w) / np.float32(self.n_blocks),
                "first": dense(rng, w, 2 * w),
                "bias": np.zeros(2 * w, np.float32),
                "second": dense(rng, 2 * w, w) / np.float32(self.n_blocks),
            }
            for _ in range(self.n_blocks)
        ]
        return {
            "frequencies": rng.standard_normal((d, k)).astype(np.float32),
            "value": rng.standard_normal((d, 1 + 2 * k, w)).astype(np.float32)
            / np.float32(np.sqrt(1 + 2 * k)),
            "roles": rng.standard_normal((2, w)).astype(np.float32),
            "name": rng.standard_normal((d, w)).astype(np.float32),
            "blocks": blocks,
            "out": np.zeros((d, w), np.float32),
            "out_bias": np.zeros(d, np.float32),
        }

    def __call__(self, weights: Params, u: Point, log_scale: Level, roles: Roles) -> Point:
        """Return the output for one row."""
        noise = waves(log_scale)
        h = self._tokens(weights, u, roles)
        for block in weights["blocks"]:
            a = normalise(h) + noise @ block["noise"]
            h = h + self._attend(block, a)
            a = normalise(h) @ block["first"] + block["bias"]
            h = h + jax.nn.silu(a) @ block["second"]
        return jnp.sum(normalise(h) * weights["out"], axis=1) + weights["out_bias"]

    def _tokens(self, weights: Params, u: Point, roles: Roles):
        """Return the columns as tokens, (d, w)."""
        phase = weights["frequencies"] * u[:, None]
        values = jnp.concatenate([u[:, None], *sine_and_cosine(phase)], axis=1)
        seen = (roles.noised | roles.given)[:, None]
        flags = jnp.stack(roles, axis=1).astype(u.dtype)
        written = jnp.einsum("dk,dkw->dw", jnp.where(seen, values, 0.0), weights["value"])
        return written + flags @ weights["roles"] + weights["name"]

    def _attend(self, block: Params, a):
        """Return what every token takes from the others."""
        d, w = a.shape
        per_head = (3, self.n_heads, w // self.n_heads)
        q, k, v = jnp.moveaxis((a @ block["attention"]).reshape(d, *per_head), 1, 0)
        logits = jnp.einsum("ihc,jhc->hij", q, k) / np.sqrt(per_head[2])
        taken = jnp.einsum("hij,jhc->ihc", jax.nn.softmax(logits, axis=-1), v)
        return taken.reshape(d, w) @ block["joined"]
