"""Losses of one row at one noise scale.

A loss is a spec with ``__call__(key, look, z, noise_scale, roles)``: it adds noise to the noised
columns of the clean row z and compares what the model says, ``look(y)``, with z. Its expectation
is minimal at the true E[z | y] whatever the weights of the noise scales, which only decide on
what a network of limited size spends itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from sm_estimators._spec import spec, static
from sm_estimators._typing import Level, Point, PRNGKey, Scalar
from sm_estimators.diffusion.denoiser import Look
from sm_estimators.diffusion.roles import Roles
from sm_estimators.objectives import Sliced

Weighting = Literal["posterior", "noise", "velocity"]


class AbstractDiffusionLoss(ABC):
    """A loss of one row at one noise scale."""

    @abstractmethod
    def __call__(
        self,
        key: PRNGKey,
        look: Callable[[Point], Look],
        z: Point,
        noise_scale: Level,
        roles: Roles,
        counted: Any,
    ) -> Scalar:
        """Return the loss over the noised columns that are ``counted``."""


def noisy(key: PRNGKey, z: Point, noise_scale: Level, roles: Roles) -> Point:
    """Return z with noise in its noised columns."""
    noise = jax.random.normal(key, z.shape, z.dtype)
    return z + jnp.where(roles.noised, noise_scale * noise, 0.0)


@spec
class MultiscaleDenoising(AbstractDiffusionLoss):
    """½ Σ_j ((E[z | y] − z)_j / c_j)², denoising score matching with a weight per noise scale.

    Parameters
    ----------
    weighting : {"posterior", "noise", "velocity"}, default="posterior"
        c is the posterior standard deviation of the Gaussian backbone, so that all scales weigh
        alike at the start (Karras et al. 2022); or the noise scale s, the σ² weighting of Song and
        Ermon (2019); or s / (1 + s), which is flow matching: the squared error of the velocity
        of the straight path (Lipman et al. 2023).
    control_variate : bool, default=True
        Look at every row with its noise and with the mirror image of it. Where the noise is
        small, the loss is mostly noise times what the network says, which cancels.

    References
    ----------
    Vincent (2011), A connection between score matching and denoising autoencoders.

    Examples
    --------
    >>> MultiscaleDenoising(weighting="noise").weighting
    'noise'
    """

    weighting: str = static(default="posterior")
    control_variate: bool = static(default=True)

    def __post_init__(self):
        if self.weighting not in get_args(Weighting):
            raise ValueError(
                f"`weighting` must be one of {get_args(Weighting)}; got {self.weighting!r}."
            )

    def __call__(self, key, look, z, noise_scale, roles, counted) -> Scalar:
        """Return the weighted squared error of the denoised row."""
        y = noisy(key, z, noise_scale, roles)

        def error(y):
            said = look(y)
            unit = {
                "posterior": said.deviation,
                "noise": noise_scale,
                "velocity": noise_scale / (1 + noise_scale),
            }[self.weighting]
            return 0.5 * jnp.sum(jnp.where(counted, ((said.clean - z) / unit) ** 2, 0.0))

        if not self.control_variate:
            return error(y)
        return 0.5 * jnp.sum(jax.vmap(error)(jnp.stack([y, 2 * z - y])))


@spec
class MultiscaleSliced(AbstractDiffusionLoss):
    """s² (½‖score‖² + vᵀ∇score v) at the noisy row: sliced score matching at every noise scale.

    It has the minimum of denoising score matching, and does not use that the noise is known: more
    variance, and two derivatives instead of one.

    Parameters
    ----------
    n_projections : int, default=1
        Directions v per row.

    References
    ----------
    Song, Garg, Shi and Ermon (2020), Sliced score matching.

    Examples
    --------
    >>> MultiscaleSliced().n_projections
    1
    """

    n_projections: int = static(default=1)

    def __post_init__(self):
        Sliced(self.n_projections)

    def __call__(self, key, look, z, noise_scale, roles, counted) -> Scalar:
        """Return the sliced loss, weighted by s²."""
        noise_key, slice_key = jax.random.split(key)

        def score(y):
            return (look(y).clean - y) / noise_scale**2

        y = noisy(noise_key, z, noise_scale, roles)
        return noise_scale**2 * Sliced(self.n_projections)(slice_key, score, y, counted)
