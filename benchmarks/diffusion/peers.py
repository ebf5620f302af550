"""Density estimators of other packages, tuned as well as their users would tune them.

Every function takes a complete table (n, d), puts its columns on unit scale, chooses what there is
to choose by the likelihood of rows held out from it, and returns a `Peer`. Flows need `flowjax`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

BANDWIDTHS = np.geomspace(0.02, 1.0, 12)
COMPONENTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 80, 100, 150)
COVARIANCES = ("full", "tied", "diag", "spherical")
HELD_OUT = 0.2


@dataclass(frozen=True)
class Peer:
    """A fitted density and what was chosen for it.

    Attributes
    ----------
    name : str
    log_density : callable
        ``log_density(X)`` returns (n,) normalised log-densities, in the units of the table.
    chosen : dict
        The settings that won.
    n_parameters : int
        Numbers that were learned; for a kernel estimate the table itself.
    course : dict
        Held-out log-density of every setting that was tried, in scaled units.
    """

    name: str
    log_density: Callable[[np.ndarray], np.ndarray]
    chosen: dict
    n_parameters: int
    course: dict = field(default_factory=dict, repr=False)


def named(scores: dict) -> dict[str, float]:
    """Return scores under printable names, best first."""
    best_first = sorted(scores.items(), key=lambda item: -item[1])
    return {str(setting): round(float(score), 4) for setting, score in best_first}


def in_units_of(scaler: StandardScaler, log_density: Callable) -> Callable:
    """Return the density of the table when ``log_density`` is that of its scaled columns."""
    log_volume = float(np.log(scaler.scale_).sum())
    return lambda X: np.asarray(log_density(scaler.transform(X)), float) - log_volume


def fit_kde(X_train: np.ndarray, *, n_folds: int = 5, n_refined: int = 7) -> Peer:
    """Fit a Gaussian kernel estimate whose bandwidth has the best cross-validated likelihood.

    The grid is searched twice: `BANDWIDTHS`, then ``n_refined`` values between the neighbours of
    the best. The sums over kernels are exact to 1e-4, relatively.
    """
    scaler = StandardScaler().fit(X_train)
    Z = scaler.transform(X_train)
    folds = list(KFold(n_folds, shuffle=True, random_state=0).split(Z))

    def score(bandwidth: float) -> float:
        return float(np.mean([kernel(Z[a], bandwidth).score(Z[b]) / len(b) for a, b in folds]))

    scores = {h: score(h) for h in BANDWIDTHS}
    best = int(np.argmax(list(scores.values())))
    low, high = BANDWIDTHS[max(best - 1, 0)], BANDWIDTHS[min(best + 1, len(BANDWIDTHS) - 1)]
    scores |= {h: score(h) for h in np.geomspace(low, high, n_refined + 2)[1:-1]}
    bandwidth = max(scores, key=scores.__getitem__)
    density = in_units_of(scaler, kernel(Z, bandwidth).score_samples)
    chosen = {"bandwidth": round(float(bandwidth), 4)}
    return Peer("kernel", density, chosen, Z.size, named(scores))


def kernel(Z: np.ndarray, bandwidth: float) -> KernelDensity:
    """Return scikit-learn's kernel estimate."""
    return KernelDensity(bandwidth=float(bandwidth), kernel="gaussian", rtol=1e-4).fit(Z)


def fit_mixture(
    X_train: np.ndarray,
    *,
    components: Iterable[int] = COMPONENTS,
    covariances: Sequence[str] = COVARIANCES,
    patience: int = 3,
    seed: int = 0,
) -> Peer:
    """Fit a Gaussian mixture; number and kind of components by the likelihood of a fifth of rows.

    For every kind, the number grows until ``patience`` steps bring nothing better. The winner is
    fitted again to all rows, from three starts.
    """
    scaler = StandardScaler().fit(X_train)
    Z = scaler.transform(X_train)
    fitted, held = train_test_split(Z, test_size=HELD_OUT, random_state=seed)
    scores: dict[tuple[str, int], float] = {}
    for kind in covariances:
        fruitless, best = 0, -np.inf
        for k in components:
            scores[kind, k] = mixture(fitted, kind, k, seed=seed).score(held)
            fruitless = 0 if scores[kind, k] > best else fruitless + 1
            best = max(best, scores[kind, k])
            if fruitless == patience:
                break
    kind, k = max(scores, key=scores.__getitem__)
    winner = mixture(Z, kind, k, seed=seed, n_init=3)
    density = in_units_of(scaler, winner.score_samples)
    chosen = {"n_components": k, "covariance_type": kind}
    return Peer("mixture", density, chosen, winner._n_parameters(), named(scores))


def mixture(Z: np.ndarray, kind: str, k: int, *, seed: int, n_init: int = 1) -> GaussianMixture:
    """Return scikit-learn's mixture after up to 500 steps of EM."""
    model = GaussianMixture(
        k, covariance_type=kind, n_init=n_init, max_iter=500, reg_covar=1e-6, random_state=seed
    )
    return model.fit(Z)


def fit_flow(
    X_train: np.ndarray,
    *,
    transformer: str = "affine",
    n_parameters: int = 100_000,
    layers: Sequence[int] = (8, 12),
    learning_rates: Sequence[float] = (5e-4, 2e-3),
    max_epochs: int = 100,
    batch_size: int = 256,
    seed: int = 0,
) -> Peer:
    """Fit a coupling flow of about ``n_parameters`` numbers; ``transformer`` affine or spline.

    Real NVP (Dinh, Sohl-Dickstein and Bengio, 2017) or the rational quadratic spline flow (Durkan
    and others, 2019), as in flowjax, by Adam on a cosine schedule. Early stopping, and the choice
    of layers and learning rate, go by the likelihood of a tenth of the rows.
    """
    from benchmarks.diffusion.flow import train_flow

    scaler = StandardScaler().fit(X_train)
    Z = scaler.transform(X_train)
    trained = [
        train_flow(
            Z,
            transformer=transformer,
            n_parameters=n_parameters,
            layers=n_layers,
            learning_rate=rate,
            max_epochs=max_epochs,
            batch_size=batch_size,
            seed=seed,
        )
        for n_layers, rate in product(layers, learning_rates)
    ]
    best = max(trained, key=lambda flow: flow.held_out)
    density = in_units_of(scaler, best.log_density)
    course = named({str(flow.chosen): flow.held_out for flow in trained})
    return Peer(f"{transformer} flow", density, best.chosen, best.n_parameters, course)
