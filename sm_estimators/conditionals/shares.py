"""Shares of experts in the law of a column, decided by rows they did not see.

For draws: the mixture Σ_e w_e P_e with the smallest continuous ranked probability score, which is
quadratic in w, aᵀw − ½ wᵀDw with a_e = E|X_e − y| and D_ef = E|X_e − X_f′| (Gneiting and Raftery
2007); for nominal columns |·| is 1[· ≠ ·], and the score is Brier's. For means: the smallest
squared error, with S_ef = E(X_e − y)(X_f′ − y), which needs no mean of an expert, only independent
draws.
"""

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize


def known_mean(x: np.ndarray, weight: Float[np.ndarray, " r"]) -> float:
    """Return the weighted mean of what is no NaN of values (..., r)."""
    known = ~np.isnan(x)
    return float((np.where(known, x, 0.0) @ weight).sum() / (known @ weight).sum())


def pair_means(
    distance, draws: Float[np.ndarray, "e k r"], weight: Float[np.ndarray, " r"]
) -> Float[np.ndarray, "e e"]:
    """Return the mean of distance(X_e, X_f) over rows and neighbouring pairs of draws."""
    e, k, _ = draws.shape
    pairs = [(i, (i + shift) % k) for shift in (1, 2) for i in range(k)]
    return np.array(
        [
            [
                known_mean(np.array([distance(draws[a, i], draws[b, j]) for i, j in pairs]), weight)
                for b in range(e)
            ]
            for a in range(e)
        ]
    )


def draw_shares(
    draws: Float[np.ndarray, "e k r"],
    y: Float[np.ndarray, " r"],
    weight: Float[np.ndarray, " r"],
    *,
    nominal: bool,
) -> Float[np.ndarray, " e"]:
    """Return the shares whose mixture scores best.

    Parameters
    ----------
    draws : ndarray of shape (e, k, r)
        k independent draws of every expert for rows it has not seen; NaN where there is none.
    y : ndarray of shape (r,)
        What was seen there.
    weight : ndarray of shape (r,)
        Of the rows.
    nominal : bool
        Whether the values are codes without an order.
    """
    scale = 1.0 if nominal else max(float(np.std(y)), 1e-300)

    def distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        if nominal:
            return np.where(np.isnan(u) | np.isnan(v), np.nan, u != v)
        return np.abs(u - v) / scale

    errors = np.array([known_mean(distance(expert, y), weight) for expert in draws])
    return on_simplex(errors, -pair_means(distance, draws, weight))


def mean_shares(
    draws: Float[np.ndarray, "e k r"], y: Float[np.ndarray, " r"], weight: Float[np.ndarray, " r"]
) -> Float[np.ndarray, " e"]:
    """Return the shares whose mixture has the best mean, by squared error."""
    scale = max(float(np.std(y)), 1e-300)
    residuals = (draws - y) / scale
    return on_simplex(np.zeros(len(draws)), 2 * pair_means(np.multiply, residuals, weight))


def on_simplex(a: Float[np.ndarray, " e"], Q: Float[np.ndarray, "e e"]) -> Float[np.ndarray, " e"]:
    """Minimise aᵀw + ½ wᵀQw over shares: not negative, of sum one."""
    e = len(a)
    Q = (Q + Q.T) / 2
    found = minimize(
        lambda w: a @ w + 0.5 * w @ Q @ w,
        np.full(e, 1 / e),
        jac=lambda w: a + Q @ w,
        bounds=[(0.0, 1.0)] * e,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(e)},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    shares = np.clip(found.x, 0.0, 1.0)
    return shares / shares.sum()
