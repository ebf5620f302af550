"""Descent to a sparse precision matrix, for a loss that need not be convex.

To minimise f(μ, K) plus a :class:`~sm_estimators.missing.penalty.Penalty`, each step minimises
the penalty plus a model of f: its gradient G, and the curvature of complete data with covariance
S, H: D ↦ ½ (S D + D S), divided by a step size,

    K⁺ = argmin_Z ⟨G, Z⟩ + ⟨Z − K, H(Z − K)⟩ / (2 size) + penalty(Z).

This is a proximal step in the metric H (Lee, Sun and Saunders 2014); on complete data the first
one arrives. The mean moves by Newton's step, which is the minimum for the given K, since f is
quadratic in μ. What the quadratic is given, H(K) − size·G, is extrapolated from the last steps
(Anderson 1965; Mai and Johansson 2020). Nothing is kept that does not lower the objective, up to
the accuracy of the step where eigenvalues are at a bound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sm_estimators.missing.marginal_loss import MarginalLoss
from sm_estimators.missing.marginal_task import Found
from sm_estimators.missing.penalty import Penalty
from sm_estimators.missing.sparse_precision import SHARE, Quadratic, Solution

MEMORY = 6
"""Steps that are extrapolated from."""
LEAST_GAIN = 1e-3
"""Share of the squared length of a step by which an extrapolated one must lower the objective."""
SMALLEST_STEP = 1e-6
INNER_STEPS = 300
"""Most steps of the solver within a step."""


class Point(NamedTuple):
    """Parameters, the smooth part of the objective there, and its height with the penalty."""

    location: np.ndarray
    precision: np.ndarray
    loss: MarginalLoss
    height: float

    @property
    def rounding(self) -> float:
        """How much of the height is rounding."""
        return 1e-14 * abs(self.height)

    def found(self, n_iter: int, *, converged: bool) -> Found:
        """Return the end of a descent."""
        return Found(self.location, self.precision, self.loss.value, n_iter, converged)


class Step(NamedTuple):
    """From a point, what the quadratic is given, where that leads to, and how accurately."""

    point: Point
    size: float
    push: np.ndarray
    aim: Solution
    accuracy: float

    @property
    def move(self) -> np.ndarray:
        """The change of K."""
        return self.aim.precision - self.point.precision

    @property
    def shift(self) -> np.ndarray:
        """Newton's step in μ."""
        loss = self.point.loss
        return -np.linalg.solve(loss.location_curvature, loss.location)


@dataclass(frozen=True)
class SparseProblem:
    """A smooth loss, a metric to descend in, and a penalty.

    Parameters
    ----------
    evaluate : callable
        (location, precision) → :class:`~sm_estimators.missing.marginal_loss.MarginalLoss`.
    metric : Quadratic
        Roughly the curvature of the loss in K.
    penalty : Penalty
    """

    evaluate: Callable[[np.ndarray, np.ndarray], MarginalLoss]
    metric: Quadratic
    penalty: Penalty

    def at(self, location: np.ndarray, precision: np.ndarray) -> Point:
        """Return the objective at a point."""
        loss = self.evaluate(location, precision)
        return Point(location, precision, loss, loss.value + self.penalty.value(precision))

    def reach(self, push: np.ndarray, size: float, start: Solution, accuracy: float) -> Solution:
        """Return where a push leads to."""
        penalty = self.penalty._replace(l1=size * self.penalty.l1)
        tol = size * accuracy
        return self.metric.minimise(push, penalty, start, tol=tol, max_iter=INNER_STEPS)

    def step(self, point: Point, size: float, start: Solution, accuracy: float) -> Step:
        """Return the step of a size."""
        push = self.metric(point.precision) - size * point.loss.precision
        return Step(point, size, push, self.reach(push, size, start, accuracy), accuracy)

    def squared_length(self, step: Step) -> float:
        """Return ⟨D, H(D)⟩ / size of the move D."""
        return float(np.vdot(step.move, self.metric(step.move))) / step.size

    def error(self, step: Step) -> float:
        """Return by how much the point where a step starts is not optimal in K."""
        return float(np.abs(self.metric(step.move)).max()) / step.size


def descend(
    problem: SparseProblem,
    location: np.ndarray,
    start: Solution,
    *,
    runs_away: Callable[[np.ndarray], bool],
    tol: float,
    max_iter: int,
) -> Found:
    """Descend from ``location`` and the precision of ``start`` until optimal within ``tol``.

    The tolerance is that of the gradient in K, and of Newton's step in μ. Where the precision
    ``runs_away`` the last point before is returned, unconverged.
    """
    point, aim, trail = problem.at(location, start.precision), start, []
    size, error = 1.0, 0.01
    for n_iter in range(max_iter):
        step = _accurate_step(problem, point, size, aim, error, SHARE * tol)
        aim, error = step.aim, problem.error(step)
        distance = max(error, float(np.abs(step.shift).max()))
        if distance < tol and aim.converged:
            return point._replace(precision=aim.precision).found(n_iter, converged=True)
        trail = [*trail, step][-MEMORY:]
        following = _leap(problem, trail)
        if following is None:
            following, size = _walk(problem, step)
            trail = trail[-1:] if size == step.size else []
        if following is None:  # rounding hides the descent, close to the tolerance or far from it
            return point.found(n_iter, converged=distance < 100 * tol)
        if runs_away(following.precision):
            return point.found(n_iter, converged=False)
        point = following
    return point.found(max_iter, converged=False)


def _accurate_step(
    problem: SparseProblem, point: Point, size: float, start: Solution, error: float, least: float
) -> Step:
    """Return a step whose accuracy is a hundredth of the error, but no finer than ``least``.

    ``error`` is that of the step before.
    """
    while True:
        accuracy = max(least, error / 100)
        step = problem.step(point, size, start, accuracy)
        start, error = step.aim, problem.error(step)
        if accuracy <= max(least, error / 10):
            return step


def _leap(problem: SparseProblem, trail: list[Step]) -> Point | None:
    """Return where the last steps point to, if that is lower."""
    if len(trail) < 2:
        return None
    *earlier, last = trail
    bends = np.stack([(step.move - last.move).ravel() for step in earlier], axis=1)
    mix = np.linalg.lstsq(bends, -last.move.ravel(), rcond=1e-10)[0]
    push = last.push + sum(
        share * (step.push - last.push) for share, step in zip(mix, earlier, strict=True)
    )
    reached = problem.reach(push, last.size, last.aim, last.accuracy)
    point = last.point
    following = problem.at(point.location + last.shift, reached.precision)
    # at a bound, the height is uncertain by as much as the precision, which was pushed inside
    slack = last.accuracy * abs(float(np.trace(reached.duals[1]))) + point.rounding
    gain = LEAST_GAIN * problem.squared_length(last)
    return following if following.height <= point.height - gain + slack else None


def _walk(problem: SparseProblem, step: Step) -> tuple[Point | None, float]:
    """Take a step, halved until the loss is below its model; None where it never is.

    Then it leads down, for it minimises the model plus the penalty. Also return its size.
    """
    point, shift = step.point, step.shift
    while step.size > SMALLEST_STEP:
        # of the gain in μ, half is left for what the two moves do to one another
        slope = np.vdot(point.loss.precision, step.move) + point.loss.location @ shift / 4
        model = point.loss.value + slope + problem.squared_length(step) / 2
        following = problem.at(point.location + shift, step.aim.precision)
        if following.loss.value <= model + point.rounding:
            return following, step.size
        step = problem.step(point, step.size / 2, step.aim, step.accuracy)
    return None, step.size
