"""The ordinary differential equation with the marginals of the process."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sm_estimators._spec import spec, static
from sm_estimators._typing import Point
from sm_estimators.diffusion.processes import AbstractProcess
from sm_estimators.diffusion.samplers._base import (
    AbstractNoiseSampler,
    check_positive,
    curved_grid,
    score_of,
)


@spec
class ProbabilityFlow(AbstractNoiseSampler):
    """dy/ds = −s ∇ log p_s(y), downwards: no noise but that of the start.

    Parameters
    ----------
    n_steps : int, default=32
        Steps of Heun's rule, two evaluations each, on the grid of Karras et al. (2022).
    tolerance : float, optional
        Relative and absolute error per step of an adaptive solver (Tsitouras' fifth-order method
        in log s, by diffrax) in place of the fixed steps; ``n_steps`` is then of no account.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations.
    Karras, Aittala, Aila and Laine (2022), Elucidating the design space of diffusion-based
    generative models.

    Examples
    --------
    >>> ProbabilityFlow(n_steps=16).n_steps
    16
    """

    n_steps: int = static(default=32)
    tolerance: Any = None

    def __post_init__(self):
        check_positive(self, "n_steps")
        if self.tolerance is not None:
            check_positive(self, "tolerance")

    def grid(self, process: AbstractProcess) -> Float[Array, " t"]:
        """Return noise scales that are dense where they are small."""
        return curved_grid(process, self.n_steps, 7.0)

    def move(self, key, y, scale, next_scale, clean_fn, process) -> Point:
        """Take a step of Heun's rule."""
        del key, process
        step = next_scale - scale
        slope = -scale * score_of(clean_fn, y, scale)
        ahead = -next_scale * score_of(clean_fn, y + step * slope, next_scale)
        return y + step * 0.5 * (slope + ahead)

    def run(self, key, y, clean_fn, process) -> Point:
        """Follow the flow from the largest noise scale to none."""
        if self.tolerance is None:
            return super().run(key, y, clean_fn, process)

        def slope(log_scale, y):
            return y - clean_fn(y, jnp.exp(log_scale))

        ends = jnp.log(process.last), jnp.log(process.first)
        y = adaptive(slope, y, ends, self.tolerance)
        return clean_fn(y, jnp.asarray(process.first, y.dtype))


def adaptive(slope, start, ends, tolerance):
    """Solve d(state)/dt = slope(t, state) between two times with steps chosen by the error."""
    try:
        import diffrax
    except ImportError as error:
        raise ImportError(
            "A `tolerance` needs diffrax: pip install 'sm_estimators[adaptive]', or leave it out "
            "for steps of fixed number."
        ) from error

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, state, _: slope(t, state)),
        diffrax.Tsit5(),
        *ends,
        dt0=None,
        y0=start,
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        max_steps=4096,
    )
    return jax.tree.map(lambda a: a[-1], solution.ys)
