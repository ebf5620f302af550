"""The held-out losses of a training run, and when they say that it is over."""

from typing import Any

import numpy as np

from sm_estimators._precision import to_numpy
from sm_estimators.fitting._base import non_finite_loss


class Course:
    """The held-out losses so far, and the best parameters among them.

    Parameters
    ----------
    patience : int
        Looks without a new lowest loss before training stops.
    slack : float, default=0.0
        Parameters are also the best so far if their loss is higher than the lowest by less than
        this share of it, which is noise: later parameters come with a smaller learning rate.
    """

    def __init__(self, patience: int, slack: float = 0.0):
        self.patience, self.slack = patience, slack
        self.losses: list[float] = []
        self.steps: list[int] = []
        self.best: Any = None
        self.since = 0
        """Where the losses begin that can be compared with the last one."""

    def see(self, step: int, loss: float, params) -> bool:
        """Record a loss; return whether to stop. A loss that is not a number ends the fit."""
        if not np.isfinite(loss):
            raise non_finite_loss(f"on held-out rows after {step} steps")
        comparable = self.losses[self.since :]
        if not comparable or loss < min(comparable) + self.slack * abs(min(comparable)):
            self.best = to_numpy(params)
        self.losses.append(loss)
        self.steps.append(step)
        comparable = self.losses[self.since :]
        return len(comparable) - 1 - int(np.argmin(comparable)) >= self.patience

    def start_anew(self) -> None:
        """Forget what was best: the rows have changed, and losses with them."""
        self.since = len(self.losses)
