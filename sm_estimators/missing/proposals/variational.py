"""Fitting a family of conditionals to the conditional of the current density.

A variational family is told a row, its flags and standard noise. ``place`` puts the noise into the
holes, ``score`` is ∇_u log π(u) there. With u = place(φ, ε) and the target log q of the holes given
the rest, φ is fitted by one of

- the reverse Kullback–Leibler divergence E_π[log π − log q], by its path derivative
  ∂u/∂φ · (∇log π − ∇log q), which vanishes draw by draw at the optimum (Roeder, Wu and Duvenaud
  2017);
- the Fisher divergence ½E_π‖∇log π − ∇log q‖².

Both need log q up to a constant only. Families live on the real line and in the units of the
columns: a bounded coordinate is mapped there by :meth:`Box.to_real`, and its slope belongs to the
target.
"""

from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sm_estimators._chunks import map_rows, pad_rows, padded_length
from sm_estimators._precision import cast, double_precision, to_numpy
from sm_estimators._typing import Observed, Params, Point
from sm_estimators.densities import AbstractDensity, Box
from sm_estimators.missing.proposals._base import Placed

Divergence = Literal["reverse_kl", "fisher"]
BATCH = 128
"""Rows per step."""
N_DRAWS = 4
"""Draws per row and step."""


class Units(NamedTuple):
    """Where the family's coordinates v lie: u = centre + scale·v, x = ``support.from_real(u)``."""

    centre: Any
    scale: Any
    support: Box | None = None

    def real(self, x: Point) -> Point:
        """Return v of a row x; holes may hold any number."""
        u = x if self.support is None else self.support.to_real(x)
        return (u - self.centre) / self.scale

    def row(self, v: Point) -> Point:
        """Return the row x of v."""
        u = self.centre + self.scale * v
        return u if self.support is None else self.support.from_real(u)

    def log_slopes(self, v: Point) -> Point:
        """Return log ∂x/∂v, coordinate by coordinate."""
        u = self.centre + self.scale * v
        steep = jnp.log(jnp.asarray(self.scale, v.dtype))
        return steep if self.support is None else steep + self.support.log_slope(u)


class Context(NamedTuple):
    """What a family is told of a row: seen values (0 in holes), flags, a guess of the holes."""

    v: Any
    observed: Any
    guess: Any


def check_divergence(divergence: Any, n_steps: Any, learning_rate: Any) -> None:
    """Refuse settings with which nothing could be fitted."""
    if divergence not in get_args(Divergence):
        raise ValueError(f"`divergence` must be one of {get_args(Divergence)}; got {divergence!r}.")
    if not n_steps >= 1 or not learning_rate > 0:
        raise ValueError(
            "`n_steps` must be at least 1 and `learning_rate` positive; got "
            f"{n_steps} and {learning_rate}."
        )


@double_precision
def real_table(units: Units, table: Placed) -> np.ndarray:
    """Return the rows in the coordinates of the family, 0 in holes."""
    filled = np.where(table.observed, table.X, np.asarray(table.moments[0]))
    units = cast(units, np.float64)
    return np.where(table.observed, map_rows(lambda X: _real(units, X), filled), 0.0)


@jax.jit
def _real(units, X):
    return jax.vmap(units.real)(X)


@double_precision
def to_rows(units: Units, table: Placed, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the completions x of draws v (n, r, d), and the log slopes summed over the holes."""
    units = cast(units, np.float64)
    rows, slopes = map_rows(lambda v: _rows_and_slopes(units, v), V)
    observed = table.observed[:, None, :]
    completions = np.where(observed, table.X[:, None, :], rows)
    return completions, np.where(observed, 0.0, slopes).sum(axis=2)


@jax.jit
def _rows_and_slopes(units, V):
    return jax.vmap(jax.vmap(lambda v: (units.row(v), units.log_slopes(v))))(V)


@double_precision
def fit_family(
    rng: np.random.Generator,
    family: Any,
    phi: Params,
    units: Units,
    *,
    density: AbstractDensity,
    params: Params,
    contexts: Context,
) -> Params:
    """Take Adam steps on the divergence over rows with holes, and return φ."""
    incomplete = np.flatnonzero(~contexts.observed.all(axis=1))
    if len(incomplete) == 0:
        return phi
    length = padded_length(len(incomplete))
    some = jax.tree.map(lambda a: pad_rows(a[incomplete], length), contexts)
    numbers = (np.float64(family.learning_rate), len(incomplete), int(family.n_steps))
    model = cast((family, density, params, phi, units, some), np.float64)
    key = jax.random.key(int(rng.integers(2**31)))
    return to_numpy(adam_steps(key, *model, numbers, divergence=family.divergence))


@partial(jax.jit, static_argnames="divergence")
def adam_steps(key, family, density, params, phi, units, contexts, numbers, *, divergence):
    """Run the whole fit of φ as one compiled loop, the step size falling to zero."""
    learning_rate, n_rows, n_steps = numbers
    optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.scale_by_adam())

    def loss(phi, key):
        row_key, noise_key = jax.random.split(key)
        chosen = jax.random.randint(row_key, (BATCH,), 0, n_rows)
        batch = jax.tree.map(lambda a: a[chosen], contexts)
        noise = jax.random.normal(noise_key, (BATCH, N_DRAWS, batch.v.shape[1]), batch.v.dtype)
        one = partial(row_divergence, family, density, params, phi, units, divergence=divergence)
        return jnp.mean(jax.vmap(one)(batch, noise))

    def step(i, state):
        phi, memory = state
        gradient = jax.grad(loss)(phi, jax.random.fold_in(key, i))
        updates, memory = optimiser.update(gradient, memory, phi)
        size = learning_rate * (1.0 - i / n_steps)
        return optax.apply_updates(phi, jax.tree.map(lambda u: -size * u, updates)), memory

    return jax.lax.fori_loop(0, n_steps, step, (phi, optimiser.init(phi)))[0]


def row_divergence(family, density, params, phi, units, context, noise, *, divergence):
    """Return the divergence of one row from a few draws, or what has its gradient."""
    hole = ~context.observed

    def target(v):
        slopes = jnp.where(hole, units.log_slopes(v), 0.0)
        return density.log_density(params, units.row(v)) + jnp.sum(slopes)

    def one(v):
        gap = family.score(phi, context, v) - jax.grad(target)(v)
        return jnp.where(hole, gap, 0.0)

    V = family.place(phi, context, noise)
    if divergence == "fisher":
        return 0.5 * jnp.mean(jnp.sum(jax.vmap(one)(V) ** 2, axis=1))
    gaps = jax.lax.stop_gradient(jax.vmap(one)(V))
    return jnp.mean(jnp.sum(gaps * V, axis=1))


def conditional_draws(K: Any, location: Point, v: Point, observed: Observed, noise: Any) -> Any:
    """Return draws (r, d) of the holes of a row under N(location, K⁻¹), differentiable in K.

    Holes are integrated out of K one after the other (Schur complements); drawn in the opposite
    order, each is normal given the seen values and the holes drawn before it. Plain arithmetic:
    see the traps in the contributors' guide.
    """

    def integrate_out(K, j):
        pivot, row = K[j, j], K[j]
        rest = K - jnp.where(observed[j], 0.0, jnp.outer(row, row) / pivot)
        return rest, (row.at[j].set(0.0) / pivot, 1 / jnp.sqrt(pivot))

    _, (slopes, widths) = jax.lax.scan(integrate_out, K, jnp.arange(v.size))
    start = jnp.broadcast_to(jnp.where(observed, v - location, 0.0), noise.shape)

    def place(residual, j):
        drawn = -residual @ slopes[j] + widths[j] * noise[:, j]
        column = jnp.where(observed[j], residual[:, j], drawn)
        return residual.at[:, j].set(column), None

    residual, _ = jax.lax.scan(place, start, jnp.arange(v.size), reverse=True)
    return jnp.where(observed, v, location + residual)
