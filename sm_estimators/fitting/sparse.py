"""L1 penalties: a smooth problem in twice as many variables.

With θ_j = a_j − b_j and a_j, b_j ≥ 0 the penalty λ_j |θ_j| is λ_j (a_j + b_j) at the minimum, so
L-BFGS with bounds solves it, and sets parameters to exactly zero.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.optimize import OptimizeResult, minimize

from sm_estimators.densities import AbstractDensity, AbstractExponentialFamily

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimise_l1(
    loss: Loss,
    start: Float[np.ndarray, " k"],
    penalty: Float[np.ndarray, " k"],
    *,
    options: dict,
    callback: Callable | None = None,
) -> OptimizeResult:
    """Minimise ``loss(θ)`` + Σ_j ``penalty``_j |θ_j|; the result's ``x`` is θ.

    ``loss`` returns value and gradient; where the penalty is zero a parameter is free.

    Examples
    --------
    >>> result = minimise_l1(
    ...     lambda t: (0.5 * np.sum((t - [2.0, 0.3]) ** 2), t - [2.0, 0.3]),
    ...     np.zeros(2), np.array([0.5, 0.5]), options={"gtol": 1e-8},
    ... )
    >>> result.x.round(4).tolist()
    [1.5, 0.0]
    """
    k, split = len(start), np.flatnonzero(penalty > 0)

    def join(z: np.ndarray) -> np.ndarray:
        theta = z[:k].copy()
        theta[split] -= z[k:]
        return theta

    def split_loss(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(join(z))
        total = value + penalty[split] @ (z[split] + z[k:])
        slopes = np.concatenate([gradient, -gradient[split]])
        slopes[split] += penalty[split]
        slopes[k:] += penalty[split]
        return float(total), slopes

    first = np.array(start, float)
    first[split] = np.maximum(first[split], 0.0)
    z = np.concatenate([first, np.maximum(-start[split], 0.0)])
    lower = np.full(len(z), -np.inf)
    lower[split], lower[k:] = 0.0, 0.0
    bounds = np.column_stack([lower, np.full(len(z), np.inf)])
    result = minimize(
        split_loss,
        z,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options=options,
        callback=callback,
    )
    result.x = join(result.x)
    return result


def sparse_parameters(density: AbstractDensity, n_parameters: int) -> Float[np.ndarray, " k"]:
    """Return 1 for the parameters that an L1 penalty applies to, 0 for the others.

    Those that an exponential family names; none of any other density, whose parameters have no
    meaning at zero.
    """
    if not isinstance(density, AbstractExponentialFamily):
        return np.zeros(n_parameters)
    return density.sparse_flags(n_parameters)
