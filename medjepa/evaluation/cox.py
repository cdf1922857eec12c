"""Cox's proportional hazards on frozen features, with an L2 penalty.

Partial likelihood with Breslow's treatment of equal times (Cox 1972; Breslow 1974), minimised by
L-BFGS in scaled principal axes as `logistic` is; checked against a Newton solver in the tests.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fmin_l_bfgs_b

from medjepa.evaluation.folds import Fold
from medjepa.evaluation.logistic import PrincipalAxes
from medjepa.evaluation.metrics import Floats

PENALTY_GRID: tuple[float, ...] = tuple(10.0**power for power in range(5, -5, -1))
"""From strong to weak; each fit starts where the last one ended."""


class CoxProbe:
    """Minus the log partial likelihood + penalty / 2 * |w|^2, on standardised features.

    The penalty is chosen by the partial likelihood that held-out patients add to those fitted on
    (Verweij and van Houwelingen 1993).

    Attributes:
        penalty_: the chosen one.
        converged_: whether the last fit reached its tolerance.
    """

    def __init__(
        self, *, penalty_grid: Sequence[float] = PENALTY_GRID, default_penalty: float = 100.0
    ) -> None:
        self.penalty_grid = penalty_grid
        self.default_penalty = default_penalty

    def fit(
        self,
        x: Floats,
        time: Floats,
        event: NDArray[np.bool_],
        *,
        folds: Sequence[Fold] = (),
    ) -> "CoxProbe":
        """Learn from features (N, D), times (N,) and events (N,).

        Args:
            x: (N, D).
            time: (N,) until the event or the end of follow-up.
            event: (N,) whether it happened.
            folds: (fit, validate) indices to choose the penalty on; none: the default.
        """
        self.penalty_ = self.default_penalty
        if folds:
            gained = np.zeros(len(self.penalty_grid))
            for fit, _ in folds:
                axes = PrincipalAxes().fit(x[fit])
                part = _Partial(axes.transform(x[fit]), time[fit], event[fit], axes.variance_)
                whole = _Partial(axes.transform(x), time, event, axes.variance_)
                for place, penalty in enumerate(self.penalty_grid):
                    part.fit(penalty, tolerance=1e-4)
                    gained[place] += part.loss(part.weights) - whole.loss(part.weights)
            self.penalty_ = float(self.penalty_grid[int(gained.argmax())])
        self.axes_ = PrincipalAxes().fit(x)
        self.model_ = _Partial(self.axes_.transform(x), time, event, self.axes_.variance_)
        self.converged_ = self.model_.fit(self.penalty_, tolerance=1e-6)
        return self

    def predict(self, x: Floats) -> Floats:
        """Log hazard (N,), higher means earlier."""
        return np.asarray(self.axes_.transform(x) @ self.model_.weights)


class _Partial:
    """The partial likelihood of one set of patients; rows by falling time."""

    def __init__(self, z: Floats, time: Floats, event: NDArray[np.bool_], variance: Floats) -> None:
        order = np.argsort(-time, kind="stable")
        self.z, self.event = z[order], event[order]
        # Whoever is under observation at an event's time: all rows up to the last of that time.
        self.last = np.searchsorted(-time[order], -time[order], side="right") - 1
        count = np.bincount(self.last[self.event], minlength=len(order))
        self.log_count = np.log(count, where=count > 0, out=np.full(len(order), -np.inf))
        self.variance = variance
        self.weights = np.zeros(z.shape[1])

    def loss(self, weights: Floats) -> float:
        """Minus the log partial likelihood, in nats."""
        return self._loss_and_slope(weights)[0]

    def fit(self, penalty: float, *, tolerance: float) -> bool:
        """Minimise; True if the gradient came below the tolerance for each event."""
        num_events = max(1, int(self.event.sum()))
        step = 1 / np.sqrt(self.variance / 4 + penalty / num_events)

        def scaled(flat: Floats) -> tuple[float, Floats]:
            weights = flat * step
            loss, slope = self._loss_and_slope(weights)
            loss += penalty / 2 * float(weights @ weights)
            slope = slope + penalty * weights
            return loss / num_events, slope * step / num_events

        best, _, found = fmin_l_bfgs_b(
            scaled, self.weights / step, m=20, factr=0, pgtol=tolerance, maxiter=500
        )
        self.weights = best * step
        return bool(np.abs(found["grad"]).max() <= max(tolerance, 1e-5))

    def _loss_and_slope(self, weights: Floats) -> tuple[float, Floats]:
        risk = self.z @ weights
        # Sums in logarithms: risks that lie 750 apart would leave nothing of the smaller one.
        log_at_risk = np.logaddexp.accumulate(risk)
        loss = (log_at_risk[self.last] - risk)[self.event].sum()
        # Each row is in the risk set of every event at its time or before: sum their 1 / at risk.
        log_share = self.log_count - log_at_risk
        chance = np.exp(risk + np.logaddexp.accumulate(log_share[::-1])[::-1])
        return float(loss), np.asarray(self.z.T @ (chance - self.event))
