"""What a sampler is.

A kernel is a pair of pure functions for **one** chain, the protocol of BlackJAX:
``init(position) -> state`` and ``step(key, state) -> (state, info)``. The state has a field
``position`` (d,), the info a field ``acceptance`` in [0, 1]; everything else in them is the
kernel's own business. A kernel never sees a batch, a parameter or a data set: chains are run side
by side by ``run_ensemble`` in :mod:`sm_estimators.samplers.chains` alone, and imputation is the
same kernel on a conditioned log-density.

To add a kernel, derive a spec from :class:`AbstractSampler` with the fields named there and
implement ``kernel``, which builds the pair from a log-density of one row, a step size and a scale
(the factor C^{1/2} of the preconditioner: lower triangular (d, d), or a vector (d,) when it is
diagonal; zero rows and columns hold coordinates still, so a kernel must not invert it). Override
``adapt`` when warm-up should tune the step size from the acceptance.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int

from sm_estimators._typing import LogDensityFn, Scalar

Scale = Float[Array, " d"] | Float[Array, "d d"]
"""C^{1/2}: the diagonal, or a lower-triangular factor."""


class Sampler(NamedTuple):
    """A kernel for one chain."""

    init: Callable[..., Any]
    """position -> state."""
    step: Callable[..., Any]
    """(key, state) -> (state, info)."""


class AbstractSampler(ABC):
    """A spec that builds kernels and says how long chains are run.

    Its fields are ``n_chains`` (static) and the numbers ``n_warmup``, ``n_steps``, ``thinning``
    and ``step_size``, documented at :class:`sm_estimators.samplers.langevin.MALA`.
    """

    n_chains: int
    n_warmup: Any
    n_steps: Any
    thinning: Any
    step_size: Any

    @abstractmethod
    def kernel(self, log_density_fn: LogDensityFn, step_size: Scalar, scale: Scale) -> Sampler:
        """Return the kernel that moves one chain towards ``log_density_fn``."""

    def adapt(self, step_size: Scalar, acceptance: Scalar, i: Int[Array, ""]) -> Scalar:
        """Return the step size after warm-up step ``i``; by default it stays."""
        del acceptance, i
        return step_size
