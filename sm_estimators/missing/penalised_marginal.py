"""Penalised marginal score matching for the Gaussian, for one penalty or many."""

from collections.abc import Callable, Iterator

import numpy as np

from sm_estimators.missing.marginal_task import Found, GaussianMarginal, MarginalTask
from sm_estimators.missing.penalty import Penalty
from sm_estimators.missing.sparse_descent import SparseProblem, descend
from sm_estimators.missing.sparse_precision import Quadratic, SparseInverse

ROUGH = 1e-3
"""Tolerance of the EM that a search starts from."""
RUNAWAY = 3.0
"""Largest growth of the precision over that of EM, in any direction, that is no runaway."""


def penalised_fits(
    task: MarginalTask,
    penalties: list[Penalty],
    initial: GaussianMarginal | None,
    *,
    tol: float,
    max_iter: int,
) -> Iterator[Found]:
    """Yield the minimum for each penalty, the largest first, each started at the last."""
    place = None if initial is None else task.standardise(initial)
    moments, last = None, None
    for penalty in penalties:
        invert = SparseInverse(penalty, ROUGH, last)
        moments, _ = task.climb(moments, tol=ROUGH, invert=invert)
        metric = Quadratic.around(task.smoothed(moments.covariance))
        reference = invert(metric.S)
        last = invert.last or metric.start()
        runs_away = _runaway_from(reference, penalty)
        if place is None or runs_away(place[1]):
            place = moments.location, reference
        found = descend(
            SparseProblem(task.loss, metric, penalty),
            place[0],
            last._replace(precision=place[1]),
            runs_away=runs_away,
            tol=tol,
            max_iter=max_iter,
        )
        place = (found.location, found.precision) if found.converged else None
        yield found


def _runaway_from(reference: np.ndarray, penalty: Penalty) -> Callable[[np.ndarray], bool]:
    """Return the test for growth or decline over a precision; a cap allows growth."""
    inverse_factor = np.linalg.inv(np.linalg.cholesky(reference))
    most = RUNAWAY if penalty.max_eigenvalue == np.inf else np.inf

    def runs_away(K: np.ndarray) -> bool:
        ratios = np.linalg.eigvalsh(inverse_factor @ K @ inverse_factor.T)
        return bool(ratios[-1] > most or ratios[0] < 1 / RUNAWAY)

    return runs_away
