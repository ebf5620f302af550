"""A family of NumPyro distributions as a density to fit."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float
from numpyro.distributions import biject_to, constraints

from sm_estimators._spec import spec, static
from sm_estimators._typing import Params, Point, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.numpyro_bridge.rows import refuse_impossible_rows
from sm_estimators.numpyro_bridge.support import refuse_distribution, refuse_support

Values = tuple[tuple[str, Any], ...]
"""Arguments by name, hashable: arrays are nested tuples."""


@spec
class FromDistribution(AbstractDensity):
    """A NumPyro family with some arguments fixed and the others to fit.

    The parameters to fit are those named in ``family.arg_constraints``, moved to the whole real
    line by ``numpyro.distributions.biject_to``. A univariate family stands for one independent
    distribution per column: its parameters have shape (d,). A family of vectors gets parameters
    of shape (d,) or (d, d), as their constraints say, and of shape () where they are numbers.
    Where a family takes alternatives, as ``MultivariateNormal`` does, the Cholesky factor is
    fitted unless another one is fixed or started. The density is normalised.

    Parameters
    ----------
    family : distribution class or callable
        A class of ``numpyro.distributions``, or a function that takes the parameters by name and
        returns a distribution of one row. Parameters of a function are real numbers of the shapes
        in ``start``, unless the function has an attribute ``arg_constraints``.
    start : dict of str to array_like, optional
        Values, in their usual units, from which the fit starts. A number is repeated for every
        column. The array decides the shape of the parameter.
    **fixed
        Arguments of the family that are not fitted, by name.

    Raises
    ------
    ValueError
        If the family is discrete or has a boundary, if nothing is left to fit, or if a start
        violates the constraint of its parameter.
    TypeError
        If an argument is unknown to the family, or one it needs is missing.

    Notes
    -----
    A log-density with kinks, such as that of ``dist.Laplace``, has a second derivative that
    misses the kink: fit it by denoising score matching, not by the explicit or sliced objective.

    Examples
    --------
    >>> import jax, numpyro.distributions as dist
    >>> density = FromDistribution(dist.StudentT, df=5.0)
    >>> params = density.init(jax.random.key(0), 2)
    >>> {name: value.tolist() for name, value in density.constrained(params).items()}
    {'loc': [0.0, 0.0], 'scale': [1.0, 1.0]}
    >>> density.distribution(params).event_shape
    (2,)
    """

    family: Callable[..., dist.Distribution] = static()
    fixed: Values = static(default=())
    start: Values = static(default=())

    def __init__(
        self,
        family: Callable[..., dist.Distribution],
        *,
        start: Mapping[str, Any] | None = None,
        **fixed: Any,
    ):
        object.__setattr__(self, "family", family)
        object.__setattr__(self, "fixed", hashable_values(fixed))
        object.__setattr__(self, "start", hashable_values(start or {}))
        if isinstance(family, dist.Distribution) or not callable(family):
            raise TypeError(
                "`family` must be a distribution class or a function that returns a distribution; "
                f"got {family!r}. Pass `dist.Normal`, not `dist.Normal(0, 1)`."
            )
        support = getattr(family, "support", None)
        if isinstance(support, constraints.Constraint) and not constraints.is_dependent(support):
            refuse_support(f"`{self.name}`", support)
        refuse_arguments(self)

    @property
    def name(self) -> str:
        """The name of the family."""
        return getattr(self.family, "__name__", repr(self.family))

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return ``start``, and zeros on the unconstrained scale for what it does not name."""
        del key
        return initial_parameters(self, dict(self.start), n_features)

    def warm_start(self, key: PRNGKey, X: Float[np.ndarray, "n d"]) -> Params:
        """Return ``start``, and the moments of ``X`` for locations and scales it does not name."""
        del key
        constraint = free_parameters(self)
        moments = {
            name: value
            for name, value in table_moments(X).items()
            if name in constraint and value.shape == self._shape(constraint[name], X.shape[1])
        }
        return initial_parameters(self, {**moments, **dict(self.start)}, X.shape[1])

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return the logarithm of the normalised density at ``x``."""
        return jnp.asarray(self.distribution(params).log_prob(x))

    def constrained(self, params: Params, n_features: int | None = None) -> dict[str, Any]:
        """Return the fitted parameters by name, in their usual units."""
        del n_features
        return {
            name: biject_to(constraint)(params[name])
            for name, constraint in free_parameters(self).items()
        }

    def distribution(self, params: Params) -> dist.Distribution:
        """Return the NumPyro distribution of one row, with event shape (d,)."""
        fixed = {name: array_value(value) for name, value in self.fixed}
        return self.family(**fixed, **self.constrained(params)).to_event()

    def check_rows(self, params: Params, X: Float[np.ndarray, "n d"]) -> None:
        """Raise ``ValueError`` if a complete row is impossible under ``params``."""
        refuse_impossible_rows(self, params, X)

    def _shape(self, constraint: constraints.Constraint, n_features: int) -> tuple[int, ...]:
        """Return the shape of a parameter nobody gave a start for."""
        if constraint.event_dim:
            return (n_features,) * constraint.event_dim
        support = getattr(self.family, "support", None)
        one_per_column = self._constraints() and getattr(support, "event_dim", 0) == 0
        return (n_features,) if one_per_column else ()

    def _constraints(self) -> dict[str, constraints.Constraint]:
        """Return the constraints the family declares; a plain function declares none."""
        declared = getattr(self.family, "arg_constraints", {})
        return declared if isinstance(declared, dict) else {}


def free_parameters(density: FromDistribution) -> dict[str, constraints.Constraint]:
    """Return the constraint of every parameter to fit, by name."""
    accepted = inspect.signature(density.family).parameters
    given = {*dict(density.fixed), *dict(density.start)}
    declared = {n: c for n, c in density._constraints().items() if n in accepted}
    alternatives = [n for n in declared if accepted[n].default is None]
    chosen = given.intersection(alternatives) or {preferred(alternatives)}
    free = {n: c for n, c in declared.items() if n not in alternatives or n in chosen}
    undeclared = {n: constraints.real for n in dict(density.start) if n not in declared}
    return {n: c for n, c in (free | undeclared).items() if n not in dict(density.fixed)}


def preferred(alternatives: list[str]) -> str | None:
    """Return the name of the parametrisation to fit when the user chose none."""
    factors = [n for n in alternatives if n.endswith(("tril", "cholesky"))]
    return next(iter(factors + alternatives), None)


def initial_parameters(density: FromDistribution, start: dict, n_features: int) -> Params:
    """Return unconstrained parameters at ``start``, after looking at the distribution they give."""
    params = {
        name: unconstrained(
            name, constraint, start.get(name), density._shape(constraint, n_features)
        )
        for name, constraint in free_parameters(density).items()
    }
    distribution = density.distribution(params)
    refuse_distribution(f"`{density.name}`", distribution)
    if distribution.event_shape != (n_features,):
        raise ValueError(
            f"`{density.name}` gives a distribution of values of shape {distribution.event_shape}, "
            f"but one row of the table has shape {(n_features,)}. Give `start` arrays of the "
            "right shapes, or expand the distribution that your function returns."
        )
    return params


def unconstrained(name: str, constraint: Any, start: Any, shape: tuple[int, ...]) -> Any:
    """Return the unconstrained value of one parameter; zeros where there is no ``start``."""
    transform = biject_to(constraint)
    if start is None:
        return jnp.zeros(transform.inverse_shape(shape))
    value = jnp.asarray(start, float)
    value = jnp.broadcast_to(value, shape) if value.ndim == 0 else value
    free = transform.inv(value)
    if not (np.all(constraint(value)) and np.all(np.isfinite(free))):
        raise ValueError(
            f"`start` for `{name}` must lie inside the constraint {constraint}; "
            f"got {np.asarray(value).tolist()}."
        )
    return free


def table_moments(X: Float[np.ndarray, "n d"]) -> dict[str, np.ndarray]:
    """Return starts for the usual names of location and scale parameters."""
    spread = X.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    covariance = np.atleast_2d(np.cov(X, rowvar=False, bias=True)) + 1e-6 * np.diag(spread**2)
    return {
        "loc": X.mean(axis=0),
        "scale": spread,
        "covariance_matrix": covariance,
        "precision_matrix": np.linalg.inv(covariance),
        "scale_tril": np.linalg.cholesky(covariance),
    }


def refuse_arguments(density: FromDistribution) -> None:
    """Raise if the family cannot be called with what is fixed, started and left to fit."""
    accepted = inspect.signature(density.family).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    given = [*dict(density.fixed), *dict(density.start)]
    unknown = [n for n in given if n not in accepted]
    if unknown and not open_ended:
        raise TypeError(
            f"`{density.name}` takes no argument named {unknown[0]!r}; it takes {list(accepted)}."
        )
    free = free_parameters(density)
    if not free:
        raise ValueError(
            f"`{density.name}` has no parameter left to fit: leave at least one of its parameters "
            "out, or name the parameters of a function in `start`."
        )
    needed = [
        n
        for n, p in accepted.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    dependent = [n for n, c in free.items() if constraints.is_dependent(c)]
    missing = dependent + [n for n in needed if n not in free and n not in dict(density.fixed)]
    if missing:
        raise TypeError(
            f"`{density.name}` needs a value for {missing[0]!r}, which cannot be fitted as it has "
            f"no constraint of its own: fix it, `FromDistribution({density.name}, "
            f"{missing[0]}=...)`, or for a function give it a start."
        )


def hashable_values(values: Mapping[str, Any]) -> Values:
    """Return the items sorted by name, arrays and lists as nested tuples."""
    pairs = ((name, hashable_value(values[name])) for name in sorted(values))
    return tuple(pairs)


def hashable_value(value: Any) -> Any:
    """Return numbers and arrays as plain (nested tuples of) numbers."""
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        value = nested_tuple(np.asarray(value).tolist())
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            "Arguments of `FromDistribution` must be numbers, arrays or hashable objects; got "
            f"{value!r}. Build it inside a function and pass the function as `family`."
        ) from None
    return value


def nested_tuple(value: Any) -> Any:
    """Return nested lists as nested tuples."""
    return tuple(map(nested_tuple, value)) if isinstance(value, list) else value


def array_value(value: Any) -> Any:
    """Return nested tuples as an array in the caller's precision, anything else as it is."""
    return jnp.asarray(value) if isinstance(value, tuple) else value
