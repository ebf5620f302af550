"""A NumPyro program for one observation as a density to fit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.distributions import biject_to, constraints
from numpyro.infer.util import log_density as model_log_density

from sm_estimators._spec import spec, static
from sm_estimators._typing import Params, Point, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractDensity
from sm_estimators.numpyro_bridge.rows import refuse_impossible_rows
from sm_estimators.numpyro_bridge.support import refuse_distribution


@spec
class FromModel(AbstractDensity):
    """The density of one row ``x`` written as a NumPyro program.

    Every ``numpyro.param`` site is a parameter to fit, moved to the whole real line by its
    ``constraint``; every ``numpyro.factor`` and every ``numpyro.sample(..., obs=...)`` adds to
    the log-density, which may be unnormalised. The program sees one row (d,), never a table.

    Parameters
    ----------
    model : callable
        Takes one row (d,). Equal specs share compiled code only if they hold the same function
        object, so define it once, at module level.

    Raises
    ------
    ValueError
        At fit (or from ``init`` and ``log_density``), if the program has a ``sample`` site
        without ``obs``, an observed site that is discrete or has a boundary, a subsampled plate,
        no ``param`` site, or a log-density that changes with the random seed.

    Notes
    -----
    An observed site on a bounded support is refused even when its value is a transformation of
    the row: state its log-density and the log-Jacobian by ``numpyro.factor`` instead.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpyro
    >>> from numpyro.distributions import constraints
    >>> def quartic(x):
    ...     width = numpyro.param("width", 2.0, constraint=constraints.positive)
    ...     numpyro.factor("energy", -jnp.sum((x / width) ** 4))
    >>> density = FromModel(quartic)
    >>> params = density.init(jax.random.key(0), 2)
    >>> float(density.log_density(params, jnp.array([2.0, 0.0])).round(4))
    -1.0
    >>> float(density.constrained(params, 2)["width"].round(4))
    2.0
    """

    model: Callable[[Any], Any] = static()

    def __post_init__(self):
        if not callable(self.model):
            raise TypeError(f"`model` must be a function of one row; got {self.model!r}.")

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return the initial values the program gives, unconstrained."""
        return self._start(key, example_row(n_features))

    def warm_start(self, key: PRNGKey, X: Float[np.ndarray, "n d"]) -> Params:
        """Return the initial values the program gives when it sees the first row of ``X``."""
        return self._start(key, jnp.asarray(X[0], float))

    def log_density(self, params: Params, x: Array) -> Scalar:
        """Return the sum of the factors and observed sites of the program at ``x``."""
        return self._evaluate(params, x, seed=0)

    def constrained(self, params: Params, n_features: int) -> dict[str, Any]:
        """Return the fitted parameters by name, in their usual units."""
        sites = traced_sites(self.model, example_row(n_features), jax.random.key(0))
        return {s["name"]: constrain(s, params[s["name"]]) for s in parameter_sites(sites)}

    def check_rows(self, params: Params, X: Float[np.ndarray, "n d"]) -> None:
        """Raise ``ValueError`` if a complete row is impossible under ``params``."""
        refuse_impossible_rows(self, params, X)

    def _start(self, key: PRNGKey, x: Point) -> Params:
        """Return the unconstrained initial values, after refusing what cannot be fitted."""
        sites = traced_sites(self.model, x, key)
        refuse_sites(sites)
        if not parameter_sites(sites):
            raise ValueError(
                "`model` has no `numpyro.param` site, so there is nothing to fit. Declare every "
                'unknown as `numpyro.param("name", initial_value, constraint=...)`.'
            )
        params = {site["name"]: unconstrained(site) for site in parameter_sites(sites)}
        # Away from zero, where a random factor could hide behind a vanishing parameter.
        nearby = jax.tree.map(lambda p: p + 0.1, params)
        values = [np.asarray(self._evaluate(nearby, x, seed=seed)) for seed in (0, 1)]
        if not np.array_equal(*values, equal_nan=True):
            raise ValueError(
                "The log-density of `model` changes with the random seed: it was "
                f"{values[0]} and then {values[1]} at the same row and parameters. Remove the "
                "random numbers (`numpyro.prng_key`, dropout, ...) from the program."
            )
        return params

    def _evaluate(self, params: Params, x: Array, *, seed: int) -> Scalar:
        """Return the log-density; programs that draw random numbers draw them from ``seed``."""
        if jnp.ndim(x) != 1:
            raise ValueError(
                f"`model` describes one row: `x` must have shape (d,); got {jnp.shape(x)}. "
                "Use `jax.vmap` for a table."
            )

        def fitted(site):
            return constrain(site, params[site["name"]]) if site["type"] == "param" else None

        # A program evaluated inside another one must not show its sites to the outer handlers.
        with handlers.block():
            program = handlers.seed(handlers.substitute(self.model, substitute_fn=fitted), seed)
            value, sites = model_log_density(program, (x,), {}, {})
        refuse_sites(sites)
        return jnp.asarray(value, jnp.result_type(float, x))


def example_row(n_features: int) -> Point:
    """Return a row without zeros or repeated values, to trace a program with."""
    return 0.5 + jnp.arange(n_features, dtype=float) / n_features


def traced_sites(model: Callable, x: Point, key: PRNGKey) -> dict[str, dict]:
    """Run the program once and return its sites by name."""
    with handlers.block():
        return dict(handlers.trace(handlers.seed(model, key)).get_trace(x))


def parameter_sites(sites: dict[str, dict]) -> list[dict]:
    """Return the ``param`` sites."""
    return [site for site in sites.values() if site["type"] == "param"]


def constraint_of(site: dict) -> constraints.Constraint:
    """Return the constraint of a ``param`` site."""
    return site["kwargs"].get("constraint", constraints.real)


def constrain(site: dict, value: Any) -> Any:
    """Map unconstrained reals to the constraint of a ``param`` site."""
    return biject_to(constraint_of(site))(value)


def unconstrained(site: dict) -> Any:
    """Return the initial value of a ``param`` site on the whole real line."""
    constraint = constraint_of(site)
    value = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), site["value"])
    free = biject_to(constraint).inv(value)
    if not all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(free)):
        raise ValueError(
            f"The initial value of the `numpyro.param` site {site['name']!r} must lie strictly "
            f"inside its constraint {constraint}; got {np.asarray(value).tolist()}."
        )
    return free


def refuse_sites(sites: dict[str, dict]) -> None:
    """Raise ``ValueError`` for a site that makes the program no density of its row."""
    for site in sites.values():
        if site["type"] == "plate":
            refuse_subsampling(site)
        elif site["type"] == "sample":
            refuse_latent(site)
            refuse_distribution(f"The observed site {site['name']!r} of `model`", site["fn"])


def refuse_latent(site: dict) -> None:
    """Raise if a ``sample`` site has no value: NumPyro would draw one from the seed in silence."""
    if not site["is_observed"]:
        raise ValueError(
            f"`model` has the latent site {site['name']!r}: a `sample` statement without `obs`. "
            "Score matching does not integrate latent variables out; make it a `numpyro.param`, "
            "or marginalise it by hand and state the result with `numpyro.factor`."
        )


def refuse_subsampling(site: dict) -> None:
    """Raise if a plate sees a random part of itself and rescales the log-density."""
    size, subsample_size = site["args"]
    if subsample_size is not None and subsample_size != size:
        raise ValueError(
            f"`model` subsamples the plate {site['name']!r} ({subsample_size} of {size}), which "
            "rescales the log-density at random. The program describes one row: remove "
            "`subsample_size`."
        )
