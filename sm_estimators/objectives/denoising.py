"""Denoising score matching at one noise scale."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Observed, Point, PRNGKey, Scalar, ScoreFn
from sm_estimators.objectives._base import AbstractObjective


@spec
class Denoising(AbstractObjective):
    """½‖s(x + σε)‖² + s(x + σε)·ε/σ over the seen coordinates (Vincent 2011).

    This is ½‖s(x̃) + (x̃ − x)/σ²‖² without the part that no score can change. It fits the density
    of the data **plus noise** of standard deviation σ. Its variance grows like 1/σ²; the control
    variate takes that away by averaging over ε and −ε, whose leading terms cancel exactly, so
    small noise scales are usable.

    Parameters
    ----------
    noise_scale : float, default=0.1
        σ, in the units of the columns (of the standardised columns for neural energies).
    control_variate : bool, default=True
        Average each draw with its mirror image, at twice the cost.
    n_draws : int, default=1
        Noise vectors per row.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> x, seen = jnp.array([1.0, 2.0]), jnp.array([True, True])
    >>> loss = Denoising(noise_scale=1e-3, n_draws=500)(jax.random.key(0), lambda x: -x, x, seen)
    >>> bool(abs(loss - 0.5) < 0.3)
    True
    """

    noise_scale: Any = 0.1
    control_variate: bool = static(default=True)
    n_draws: int = static(default=1)

    def __post_init__(self):
        if not np.all(np.asarray(self.noise_scale) > 0):
            raise ValueError(f"`noise_scale` must be positive; got {self.noise_scale}.")
        if self.n_draws < 1:
            raise ValueError(f"`n_draws` must be at least 1; got {self.n_draws}.")

    @property
    def smoothing(self) -> Any:
        """σ²: the fitted density is that of the data plus noise of this variance."""
        return self.noise_scale**2

    def rescale(self, scale: Any, centre: Any = 0.0) -> "Denoising":
        """Return the same noise in the units of columns divided by ``scale``."""
        del centre
        return replace(self, noise_scale=self.noise_scale / scale)

    def terms(
        self, key: PRNGKey, score_fn: ScoreFn, x: Point, observed: Observed
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Return the scores at the noisy rows and their product with the noise."""
        normal = jax.random.normal(key, (self.n_draws, x.size), x.dtype)
        noise = jnp.where(observed, normal, 0.0)
        if self.control_variate:
            noise = jnp.concatenate([noise, -noise])
        scores = jax.vmap(score_fn)(x + self.noise_scale * noise)
        scores = jnp.where(observed, scores, 0.0)
        residual = scores.ravel() / jnp.sqrt(float(len(noise)))
        return residual, jnp.sum(scores * noise / self.noise_scale) / len(noise)
