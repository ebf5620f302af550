"""A mixture of multivariate Gaussians."""

import warnings
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp
from jaxtyping import Float
from scipy.cluster.vq import kmeans2

from sm_estimators._chunks import map_rows, rows_within
from sm_estimators._precision import double_precision
from sm_estimators._spec import spec, static
from sm_estimators._typing import Observed, Params, Point, PRNGKey, Scalar
from sm_estimators.densities._base import AbstractMarginalDensity
from sm_estimators.densities.gaussian import Gaussian
from sm_estimators.densities.transforms import mixed_score


@spec
class GaussianMixture(AbstractMarginalDensity):
    """Σ_c w_c N(μ_c, K_c⁻¹) with full precisions; normalised.

    Score matching is local: it fits the shape of every mode, but where modes are far apart it
    hardly sees their relative weights (Wenliang et al. 2019). The fit therefore starts at the
    proportions of a k-means clustering and leaves them nearly there when modes do not touch.

    Parameters
    ----------
    n_components : int, default=2
        Number of Gaussians.

    Examples
    --------
    >>> import jax
    >>> params = GaussianMixture(3).init(jax.random.key(0), 2)
    >>> params["logits"].shape, params["components"]["location"].shape
    ((3,), (3, 2))
    """

    standardised = True
    column_axes = MappingProxyType({"location": 1, "covariance": 2})
    default_ridge = 1e-2

    n_components: int = static(default=2)

    def __post_init__(self):
        if self.n_components < 1:
            raise ValueError(f"`n_components` must be at least 1; got {self.n_components}.")

    def init(self, key: PRNGKey, n_features: int) -> Params:
        """Return equal weights and standard Gaussians at random places."""
        shape = (self.n_components, n_features)
        components = jax.vmap(lambda k: Gaussian().init(k, n_features))(
            jax.random.split(key, self.n_components)
        )
        components["location"] = jax.random.normal(key, shape)
        return {"logits": jnp.zeros(self.n_components), "components": components}

    def warm_start(self, key: PRNGKey, X: Float[np.ndarray, "n d"]) -> Params:
        """Return the clusters of k-means on the standardised columns, with their moments."""
        scale = np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        with warnings.catch_warnings():  # an empty cluster starts at the whole table instead
            warnings.simplefilter("ignore")
            _, labels = kmeans2(X / scale, self.n_components, minit="++", rng=seed)
        counts = np.bincount(labels, minlength=self.n_components)
        # Shrinking towards the whole table keeps a cluster of few rows away from singularity.
        pooled = np.atleast_2d(np.cov(X, rowvar=False, bias=True)) + 1e-6 * np.diag(scale**2)
        components = [
            cluster_gaussian(X[labels == c] if counts[c] else X, pooled)
            for c in range(self.n_components)
        ]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *components)
        return {"logits": np.log((counts + 1.0) / (counts + 1.0).sum()), "components": stacked}

    def penalty(self, params: Params) -> Scalar:
        """Return Σ_c ½‖K_c‖² − log det K_c.

        The first part keeps a component from collapsing onto repeated values, the second from
        spreading without end once nothing depends on it.
        """
        log_determinants = 2 * jnp.sum(params["components"]["log_diagonal"])
        return jnp.sum(jax.vmap(Gaussian().penalty)(params["components"])) - log_determinants

    def rescale(self, params: Params, centre: np.ndarray, scale: np.ndarray) -> Params:
        """Return the parameters of centre + scale·z, component by component."""
        moved = [Gaussian().rescale(p, centre, scale) for p in self._components(params)]
        return {**params, "components": jax.tree.map(lambda *leaves: np.stack(leaves), *moved)}

    def log_density(self, params: Params, x: Point) -> Scalar:
        """Return log Σ_c w_c N(x; μ_c, K_c⁻¹)."""
        terms = jax.vmap(lambda p: Gaussian().log_density(p, x))(params["components"])
        return logsumexp(terms + log_softmax(params["logits"]))

    def score_and_curvature(self, params: Params, x: Point) -> tuple[Point, Point]:
        """Return the average score, and the average curvature plus the variance of the scores."""
        parts, logits = params["components"], params["logits"]
        terms = jax.vmap(lambda p: Gaussian().log_density(p, x))(parts) + log_softmax(logits)
        scores, curvatures = jax.vmap(lambda p: Gaussian().score_and_curvature(p, x))(parts)
        return mixed_score(jax.nn.softmax(terms), scores, curvatures)

    def quantities(self, params: Params) -> dict[str, np.ndarray]:
        """Return the proportions, means and covariances of the components."""
        location, covariance = self.moments(params)
        return {"weights": self.weights(params), "location": location, "covariance": covariance}

    def marginal_log_density(self, params: Params, x: Point, observed: Observed) -> Scalar:
        """Return the mixture of the components' marginals."""
        return logsumexp(self.component_log_densities(params, x, observed))

    def component_log_densities(self, params: Params, x: Point, observed: Observed):
        """Return log w_c + log N_c(x_observed) for every component."""
        terms = jax.vmap(lambda p: Gaussian().marginal_log_density(p, x, observed))(
            params["components"]
        )
        return terms + log_softmax(params["logits"])

    def weights(self, params: Params) -> np.ndarray:
        """Return the mixing proportions (c,)."""
        logits = np.asarray(params["logits"], float)
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()

    def moments(self, params: Params) -> tuple[np.ndarray, np.ndarray]:
        """Return the means (c, d) and covariances (c, d, d) of the components."""
        pairs = [Gaussian().moments(p) for p in self._components(params)]
        return np.stack([m for m, _ in pairs]), np.stack([c for _, c in pairs])

    def _components(self, params: Params) -> list[Params]:
        """Return the components' parameters one by one."""
        return [
            jax.tree.map(lambda a, c=c: np.asarray(a)[c], params["components"])
            for c in range(self.n_components)
        ]

    def sample(self, params: Params, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """Draw a component for each row, then the row."""
        d = np.shape(params["components"]["location"])[1]
        empty = np.zeros((n_samples, d))
        return self.sample_conditional(params, rng, empty, np.zeros(empty.shape, bool))

    def sample_conditional(
        self, params: Params, rng: np.random.Generator, X: np.ndarray, observed: np.ndarray
    ) -> np.ndarray:
        """Draw a component given the seen values, then the holes given both."""
        cumulative = self.responsibilities(params, X, observed).cumsum(axis=1)
        chosen = (rng.random((len(X), 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
        filled = np.array(X, float)
        for c, component in enumerate(self._components(params)):
            rows = chosen == c
            filled[rows] = Gaussian().sample_conditional(component, rng, X[rows], observed[rows])
        return filled

    def conditional_mean(self, params: Params, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Average the components' regressions by their responsibilities."""
        shares = self.responsibilities(params, X, observed)
        means = [Gaussian().conditional_mean(p, X, observed) for p in self._components(params)]
        average = sum(shares[:, [c]] * mean for c, mean in enumerate(means))
        return np.where(observed, X, average)

    def responsibilities(self, params: Params, X: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return P(component | seen values), shape (n, c)."""
        joint = component_densities(self, params, np.where(observed, X, 0.0), observed)
        joint = np.exp(joint - joint.max(axis=1, keepdims=True))
        return joint / joint.sum(axis=1, keepdims=True)


def cluster_gaussian(X: np.ndarray, pooled: np.ndarray) -> Params:
    """Return the Gaussian of a cluster, its covariance shrunk towards the ``pooled`` one."""
    n, d = X.shape
    deviations = X - X.mean(axis=0)
    covariance = (deviations.T @ deviations + d * 0.1 * pooled) / (n + d * 0.1)
    return Gaussian().from_moments(X.mean(axis=0), covariance)


@double_precision
def component_densities(density, params, X, observed):
    """Return log w_c + log N_c of the seen part of every row, shape (n, c)."""
    n_features = X.shape[1]
    return map_rows(
        lambda rows: _component_densities(density, params, *rows),
        (X, observed),
        max_rows=rows_within(density.n_components * n_features**2),
    )


@jax.jit
def _component_densities(density, params, X, observed):
    return jax.vmap(lambda x, o: density.component_log_densities(params, x, o))(X, observed)
