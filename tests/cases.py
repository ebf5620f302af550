"""Constructors of densities, objectives and missing rules, for laws that hold for all of them.

A law is one test over a product of these registries. ``row_losses_and_gradients`` is what the
laws look at: it is compiled once per combination, whatever the values in the table and whatever
constant is added to the log-density.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._spec import spec
from sm_estimators.densities import (
    AbstractDensity,
    AbstractMarginalDensity,
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianMixture,
    LogDensity,
    MLPEnergy,
    pairwise_statistics,
)
from sm_estimators.fitting import Problem
from sm_estimators.fitting.rounds import refreshed
from sm_estimators.missing import (
    AbstractMissing,
    CompleteCase,
    Exact,
    GaussianProposal,
    Importance,
    Imputation,
    LangevinChains,
    PersistentChains,
    Placed,
    Rows,
    Variational,
    Zeroed,
)
from sm_estimators.objectives import Denoising, Explicit, Sliced, Weighted

N_FEATURES = 3
N_ROWS = 1600
MEAN = np.array([1.0, -0.5, 0.2])
COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 1.5, 0.2], [-0.3, 0.2, 0.7]])


@dataclass(frozen=True)
class Case:
    """A density, true parameters and a function from (rng, n) to rows that follow them."""

    density: AbstractDensity
    params: Any
    draw: Callable[[np.random.Generator, int], np.ndarray]


@spec
class Shifted(AbstractDensity):
    """A density with a constant added to its log-density."""

    density: AbstractDensity
    constant: float = 0.0

    def init(self, key, n_features):
        return self.density.init(key, n_features)

    def log_density(self, params, x):
        return self.density.log_density(params, x) + self.constant

    def marginal_log_density(self, params, x, observed):
        return self.density.marginal_log_density(params, x, observed) + self.constant


AbstractMarginalDensity.register(Shifted)


def sheared_logistic(params, x):
    """Independent logistic variables after x₁ ← x₁ − a x₀, a map of unit Jacobian."""
    x = x.at[1].add(-params["shear"] * x[0])
    z = (x - params["loc"]) * jnp.exp(-params["log_scale"])
    return -jnp.sum(z + 2 * jax.nn.softplus(-z))


def initial_logistic(key, d):
    return {"loc": jnp.zeros(d), "log_scale": jnp.zeros(d), "shear": jnp.zeros(())}


def quartic_statistics(x):
    rows, columns = jnp.triu_indices(x.size, 1)
    return jnp.concatenate([x, -0.5 * x**2, -0.25 * x**4, -x[rows] * x[columns]])


def draw_logistic(params, rng, n):
    X = rng.logistic(params["loc"], np.exp(params["log_scale"]), (n, N_FEATURES))
    X[:, 1] += params["shear"] * X[:, 0]
    return X


def draw_by_rejection(density, params, centre, spread, rng, n):
    """Draw by rejection from a wider Gaussian; the envelope is checked at every proposal."""
    wide = Gaussian().from_moments(centre, spread)
    proposals = Gaussian().sample(wide, rng, 60 * n)
    ratios = log_densities(density, params, proposals)
    ratios -= log_densities(Gaussian(), wide, proposals)
    kept = proposals[np.log(rng.random(len(ratios))) < ratios - ratios.max()]
    assert len(kept) > n, "the envelope is too loose"
    return kept[:n]


def log_densities(density, params, X):
    with jax.enable_x64(True):
        return np.array(jax.jit(jax.vmap(partial(density.log_density, params)))(X))


def gaussian():
    params = Gaussian().from_moments(MEAN, COVARIANCE)
    return Case(Gaussian(), params, partial(Gaussian().sample, params))


def mixture():
    density = GaussianMixture(2)
    parts = [
        Gaussian().from_moments(MEAN - 0.9, 0.5 * COVARIANCE),
        Gaussian().from_moments(MEAN + 0.9, np.diag([0.5, 0.8, 0.4])),
    ]
    components = jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
    params = {"logits": np.array([0.3, -0.3]), "components": components}
    return Case(density, params, partial(density.sample, params))


def quartic():
    density = ExponentialFamily(quartic_statistics)
    squares, fourths, products = [0.5, 0.8, 0.3], [0.2, 0.1, 0.3], [-0.4, 0.25, -0.3]
    params = np.array([0.5, -0.4, 0.3, *squares, *fourths, *products])
    return Case(density, params, partial(draw_by_rejection, density, params, MEAN / 2, np.eye(3)))


def logistic():
    density = LogDensity(sheared_logistic, initial_logistic)
    params = {"loc": MEAN, "log_scale": np.array([-0.5, 0.0, -0.3]), "shear": np.array(0.7)}
    return Case(density, params, partial(draw_logistic, params))


def energy():
    density = MLPEnergy(hidden_sizes=(4,))
    rng = np.random.default_rng(5)
    layers = [
        {"weight": rng.standard_normal((N_FEATURES, 4)), "bias": rng.standard_normal(4)},
        {"weight": 0.8 * rng.standard_normal((4, 1)), "bias": np.zeros(1)},
    ]
    params = {"gaussian": Gaussian().from_moments(MEAN, COVARIANCE), "layers": layers}
    return Case(density, params, partial(draw_by_rejection, density, params, MEAN, 2 * COVARIANCE))


def truncated():
    """A Gaussian cut off at a box that is open on two sides: one row in four is outside."""
    support = Box(lower=(0.0, -np.inf, -1.0), upper=(np.inf, np.inf, 1.5))
    K = np.linalg.inv(COVARIANCE)
    params = np.concatenate([K @ MEAN, np.diag(K), K[np.triu_indices(N_FEATURES, 1)]])

    def draw(rng, n):
        X = Gaussian().sample(Gaussian().from_moments(MEAN, COVARIANCE), rng, 2 * n)
        lower, upper = support.bounds(N_FEATURES)
        inside = X[((lower <= X) & (upper >= X)).all(axis=1)]
        assert len(inside) >= n
        return inside[:n]

    return Case(ExponentialFamily(pairwise_statistics, support=support), params, draw)


DENSITIES = {
    build.__name__: build for build in (gaussian, mixture, quartic, logistic, energy, truncated)
}
MARGINAL = ("gaussian", "mixture")
"""Densities with marginals in closed form."""
STANDARDISED = ("gaussian", "mixture", "energy")

OBJECTIVES = {
    "explicit": lambda support: Explicit(),
    "sliced": lambda support: Sliced(2, "gaussian", analytic_norm=False),
    "denoising": lambda support: Denoising(noise_scale=0.05),
    "weighted": lambda support: Weighted(Box() if support is None else support, cap=0.5),
}
"""From the support of a density to a loss."""

HEAVY = GaussianProposal(degrees_of_freedom=6.0)
RULES = {
    "complete_case": CompleteCase,
    "importance": lambda: Importance(20, HEAVY),
    "imputation": lambda: Imputation(20, HEAVY),
    "exact": Exact,
    "variational": lambda: Variational(20),
    "variational_unweighted": lambda: Variational(20, self_normalised=False),
    "persistent_chains": lambda: PersistentChains(10, LangevinChains(20)),
    "zeroed": Zeroed,
}
FOLLOWING = ("variational", "variational_unweighted", "persistent_chains")
"""Rules whose draws follow the density. They share most of their code: fewer combinations."""


def applies(density: str, objective: str, rule: str) -> bool:
    """Return whether the laws run over a combination."""
    if rule == "exact" and density not in MARGINAL:
        return False
    if density == "truncated":  # other losses ignore its boundary
        return objective == "weighted"
    if objective == "weighted":
        return density == "gaussian"
    if rule in FOLLOWING:
        return density == "gaussian" or (density, objective) == ("quartic", "explicit")
    return density != "logistic" or objective == "explicit"


PRODUCT = [
    (density, objective, rule)
    for density in DENSITIES
    for objective in OBJECTIVES
    for rule in RULES
    if rule != "zeroed" and applies(density, objective, rule)
]
"""Combinations the laws run over; the two densities of a user's function share most of them."""


@lru_cache
def density_case(name: str) -> Case:
    """Return a case; the same object every time."""
    return DENSITIES[name]()


@lru_cache
def table(density: str, pattern: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ``N_ROWS`` rows that follow a density and what is seen of them.

    Patterns: "complete"; "mcar", 30 % of the cells; "mar", where the chance of a hole depends on
    the first column, which is always seen. No row is empty.
    """
    rng = np.random.default_rng(0)
    X = density_case(density).draw(rng, N_ROWS + N_ROWS // 4)
    observed = rng.random(X.shape) >= 0.3
    if pattern == "complete":
        observed[:] = True
    if pattern == "mar":
        chance = 0.8 / (1 + np.exp(-2 * (X[:, [0]] - X[:, 0].mean())))
        observed = rng.random(X.shape) >= chance
        observed[:, 0] = True
    kept = observed.any(axis=1)
    return X[kept][:N_ROWS], observed[kept][:N_ROWS]


N_REFRESHES = 3
"""Refreshes from the moments of the columns: 150 steps of Adam, 70 of every chain."""


def prepared(
    rule: AbstractMissing,
    X: np.ndarray,
    observed: np.ndarray,
    *,
    seed: int = 1,
    case: Case | None = None,
) -> Rows:
    """Return the rows as a fit would see them, with draws from the moments of seen columns.

    With ``case``, draws stay in the support of its density, and those that follow a density are
    refreshed at its true parameters until they have arrived.
    """
    seen = np.where(observed, X, np.nan)
    location = np.nanmean(seen, axis=0)
    moments = location, np.diag(np.nanvar(seen, axis=0))  # any proposal will do
    support = None if case is None else case.density.support
    placed = Placed(X, observed, np.ones(len(X)), moments, support)
    rows = rule.prepare(np.random.default_rng(seed), placed)
    if case is None or rule.n_refreshes == 0 or observed.all():
        return rows
    key = jax.random.key(seed)
    problem = Problem(case.density, Explicit(), rule, rows, case.params, key, placed)
    state = rule.start(np.random.default_rng(seed), placed)
    for r in range(N_REFRESHES):
        state, problem = refreshed(problem, np.random.default_rng([seed, r]), state)
    return problem.rows


QUICK_COMPILATION = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
"""The laws compile many functions and run each a few times."""


@partial(jax.jit, compiler_options=QUICK_COMPILATION)
def row_losses_and_gradients(key, rule, objective, density, params, rows):
    """Return the losses of rows (n,) and their gradients in the parameters (n, p)."""

    def loss(params, i, row):
        return rule.loss(jax.random.fold_in(key, i), objective, density, params, row)

    def one(i, row):
        row = rule.expectation(density, params, row)
        value, gradient = jax.value_and_grad(loss)(params, i, row)
        return value, jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(gradient)])

    return jax.vmap(one)(jnp.arange(len(rows.weight)), rows)


def losses_and_gradients(names, rows, *, params=None, constant=0.0, seed=0):
    """Evaluate the combination with these three names, in float64."""
    density, objective, rule = names
    case = density_case(density)
    with jax.enable_x64(True):
        result = row_losses_and_gradients(
            jax.random.key(seed),
            RULES[rule](),
            OBJECTIVES[objective](case.density.support),
            Shifted(case.density, constant),
            case.params if params is None else params,
            rows,
        )
    return tuple(np.asarray(part) for part in result)


def moved(params, size: float):
    """Return parameters with a fixed random step of this size added."""
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda a: a + size * rng.standard_normal(np.shape(a)), params)


def with_holes_holding(rows: Rows, value: float) -> Rows:
    """Return the rows with ``value`` where nothing was seen."""
    return rows._replace(X=np.where(rows.observed, rows.X, value))
