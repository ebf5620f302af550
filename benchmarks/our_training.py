"""Our side of the training benchmark: the compiled round of the minibatch solver."""

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators.densities import MLPEnergy
from sm_estimators.fitting.empirical_loss import empirical_loss
from sm_estimators.fitting.fit import Table, pose
from sm_estimators.fitting.minibatch import State, optimiser, split, train_round
from sm_estimators.missing import CompleteCase
from sm_estimators.objectives import Denoising, Explicit, Sliced
from sm_estimators.objectives.sliced import direction

OBJECTIVES = {"explicit": Explicit(), "sliced": Sliced(), "denoising": Denoising(noise_scale=0.1)}


def posed(objective: str, X: np.ndarray, hidden: tuple[int, ...]):
    """Return the problem that a fit of ``X`` solves."""
    d = X.shape[1]
    table = Table(X, np.ones(X.shape, bool), np.ones(len(X)))
    moments = np.zeros(d), np.eye(d)
    density, rule = MLPEnergy(hidden), CompleteCase()
    return pose(density, OBJECTIVES[objective], rule, table, moments, 0, None)


class OurTraining:
    """Adam on minibatches with clipping, moving average and penalty, as in every fit."""

    def __init__(self, objective: str, X: np.ndarray, *, hidden, batch_size: int):
        problem = posed(objective, X, hidden)
        self.training, self.held_out = split(problem, 0.1)
        self.cumulative = np.cumsum(self.training.rows.weight).astype(np.float32)
        params = jax.tree.map(jnp.asarray, problem.initial)
        self.state = State(params, params, optimiser().init(params))
        self.numbers = np.float32(1e-3), np.float32(0.99), np.float32(1e-6)
        self.batch_size = batch_size

    def run(self, n_steps: int) -> None:
        """Take steps in one compiled call."""
        self.state = train_round(
            self.training.key,
            self.training,
            self.state,
            self.cumulative,
            self.numbers,
            (0, n_steps),
            batch_size=self.batch_size,
        )
        jax.block_until_ready(self.state)

    def look(self) -> None:
        """Compute the held-out loss, as a fit does every 50 steps."""
        self.held_out(self.state.average)


def loss_and_noise(objective: str, params, X: np.ndarray, hidden) -> tuple[float, np.ndarray]:
    """Return our mean loss at parameters, and the noise it used: (n, d)."""
    problem = posed(objective, X, hidden)
    density, spec, rule, rows, _, key = problem
    index = jnp.arange(len(X))
    loss = empirical_loss(key, index, rule, spec, density, params, rows) / len(X)

    def noise(i):
        row_key = jax.random.fold_in(key, i)
        if objective != "sliced":
            return jax.random.normal(row_key, (1, X.shape[1]))[0]
        seen = jnp.ones(X.shape[1], bool)
        return direction(jax.random.split(row_key, 1)[0], "rademacher", seen, jnp.float32)

    return float(loss), np.asarray(jax.vmap(noise)(index))
