"""Guidance: what a draw is led by besides the values that are given.

A guidance is a spec with ``guided(look, roles, context)``. ``look(y, scale, roles)`` returns
E[z | y] under some roles of the columns; the result, ``clean_fn(y, scale)``, is what a sampler
follows. By Tweedie's formula, adding s² ∇_y log p(event | y) to E[z | y] conditions on the event.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._spec import spec, static
from sm_estimators._typing import Observed, Point, Scalar
from sm_estimators.diffusion.roles import Roles
from sm_estimators.diffusion.samplers._base import CleanFn

LookFn = Callable[[Point, Scalar, Roles], Point]


class AbstractGuidance(ABC):
    """A change of E[z | y]."""

    @abstractmethod
    def guided(self, look: LookFn, roles: Roles, context: Observed) -> CleanFn:
        """Return what the sampler follows."""

    def in_units(self, centre: Any, scale: Any, n_columns: int) -> "AbstractGuidance":
        """Return the guidance for rows (x − centre) / scale, ``n_columns`` of them not context."""
        del centre, scale, n_columns
        return self


@spec
class Unguided(AbstractGuidance):
    """Follow the model."""

    def guided(self, look, roles, context):
        """Return E[z | y]."""
        del context
        return lambda y, scale: look(y, scale, roles)


@spec
class ClassifierFree(AbstractGuidance):
    """E[z | y] + (w − 1)(E[z | y, context] − E[z | y]) around the context: w = 1 is the model.

    Weights above 1 exaggerate what the context says: rows become more typical of it, and less
    diverse.

    Parameters
    ----------
    weight : float, default=2.0
        w.

    References
    ----------
    Ho and Salimans (2022), Classifier-free diffusion guidance.

    Examples
    --------
    >>> ClassifierFree(3.0).weight
    3.0
    """

    weight: Any = 2.0

    def guided(self, look, roles, context):
        """Return the conditional E[z | y], moved away from the unconditional one."""
        unconditional = Roles(roles.noised, roles.given & ~context)

        def clean(y, scale):
            told, untold = look(y, scale, roles), look(y, scale, unconditional)
            return told + (self.weight - 1) * jnp.where(roles.noised, told - untold, 0.0)

        return clean


@spec
class Classifier(AbstractGuidance):
    """Condition on an event whose log-probability given a clean row is a JAX function.

    log p(event | y) is taken at the denoised row E[z | y], and its gradient goes through the
    network.

    Parameters
    ----------
    log_probability : callable
        From a row (d,), in the units of the table, to a scalar.
    weight : float, default=1.0
        Multiplies the gradient.

    References
    ----------
    Dhariwal and Nichol (2021), Diffusion models beat GANs on image synthesis. Chung, Kim, Mccann,
    Klasky and Ye (2023), Diffusion posterior sampling for general noisy inverse problems.

    Examples
    --------
    >>> import jax
    >>> positive = Classifier(lambda x: jax.nn.log_sigmoid(10 * x[0]))
    >>> positive.weight
    1.0
    """

    log_probability: Callable[[Point], Scalar] = static()
    weight: Any = 1.0
    centre: Any = 0.0
    scale: Any = 1.0

    def in_units(self, centre, scale, n_columns):
        """Return the guidance for rows (x − centre) / scale."""
        own = centre[:n_columns], scale[:n_columns]
        return Classifier(self.log_probability, self.weight, *own)

    def guided(self, look, roles, context):
        """Return E[z | y] + s² w ∇ log p(event | E[z | y])."""
        del context

        def clean(y, noise_scale):
            def log_chance(y):
                z = look(y, noise_scale, roles)
                own = z[: len(self.centre)]
                return self.log_probability(self.centre + self.scale * own), z

            slope, z = jax.grad(log_chance, has_aux=True)(y)
            pull = noise_scale**2 * self.weight * slope
            return jnp.where(roles.noised, z + pull, z)

        return clean


@spec
class LinearConstraint(AbstractGuidance):
    """Condition on A x = b + noise, for any matrix: sums, means, differences of columns.

    Given y, the row is taken for Gaussian with mean E[z | y] and its own covariance,
    C = s² ∂E[z | y]/∂y, so that E[z | y, b] = E[z | y] + C Aᵀ (A C Aᵀ + R)⁻¹ (b − A E[z | y]).
    Exact for Gaussian tables; elsewhere exact as the noise goes to zero, and an approximation of
    what the constraint says about the modes.

    Parameters
    ----------
    A : array of shape (m, d)
        In the units of the table.
    b : array of shape (m,)
        What A x is.
    noise : float, default=0.0
        Standard deviation of what b leaves open.

    References
    ----------
    Boys, Girolami, Pidstrigach, Reich, Mosca and Akyildiz (2024), Tweedie moment projected
    diffusions for inverse problems.

    Examples
    --------
    >>> LinearConstraint([[1.0, 1.0]], [2.0]).noise
    0.0
    """

    A: Any
    b: Any
    noise: Any = 0.0

    def __post_init__(self):
        A, b = np.atleast_2d(np.asarray(self.A, float)), np.atleast_1d(np.asarray(self.b, float))
        if A.ndim != 2 or b.shape != (len(A),) or not np.isfinite(A).all():
            raise ValueError(
                "`A` and `b` must be finite arrays of shapes (m, d) and (m,); got "
                f"{A.shape} and {b.shape}."
            )
        if not A.any(axis=1).all():
            raise ValueError("`A` has a row of zeros, which constrains nothing; drop it.")
        object.__setattr__(self, "A", A)
        object.__setattr__(self, "b", b)

    def in_units(self, centre, scale, n_columns):
        """Return the constraint on (x − centre) / scale, with rows of unit length."""
        if self.A.shape[1] != n_columns:
            raise ValueError(
                f"`A` has {self.A.shape[1]} columns, but the table of the fit had {n_columns}."
            )
        A = np.zeros((len(self.A), len(centre)))
        A[:, :n_columns] = self.A * scale[:n_columns]
        length = np.linalg.norm(A, axis=1)
        b = self.b - self.A @ centre[:n_columns]
        return LinearConstraint(A / length[:, None], b / length, self.noise / length)

    def guided(self, look, roles, context):
        """Return E[z | y, b]."""
        del context

        def clean(y, noise_scale):
            z, pull_back = jax.vjp(lambda y: look(y, noise_scale, roles), y)
            A = jnp.where(roles.noised, self.A, 0.0)
            # The rows of A ∂E/∂y, which is symmetric for a true score.
            CA = noise_scale**2 * jax.vmap(lambda a: pull_back(a)[0])(A)
            S = A @ CA.T + jnp.diag(jnp.broadcast_to(self.noise**2, self.b.shape))
            S = 0.5 * (S + S.T) + 1e-6 * noise_scale**2 * jnp.eye(len(self.b), dtype=y.dtype)
            moved = z + CA.T @ solved(S, self.b - self.A @ z)
            return jnp.where(roles.noised, moved, z)

        return clean


def solved(S, v):
    """Return S⁻¹ v by elimination; plain arithmetic, because LAPACK under ``vmap`` can hang."""
    m = len(v)
    M = jnp.concatenate([S, v[:, None]], axis=1)
    for j in range(m):
        row = M[j] / M[j, j]
        M = jnp.where((jnp.arange(m) == j)[:, None], row, M - M[:, j][:, None] * row)
    return M[:, -1]
