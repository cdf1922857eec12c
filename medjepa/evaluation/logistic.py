"""Logistic regression by L-BFGS in the features' principal axes, each scaled by its curvature.

Minimises what scikit-learn's `LogisticRegression` does, C * (summed log-loss) + |w|^2 / 2 with a
free intercept, each image's loss times its weight; one logit for two classes, C logits for more.
Frozen features are nearly collinear, and plain L-BFGS then takes thousands of steps at weak
regularisation; in scaled principal axes it takes dozens, so that the whole sweep over C costs what
a single fit did.

Legend: N images, D features, A principal axes, M logits (1 for two classes), C classes.
"""

import numpy as np
from scipy.optimize import fmin_l_bfgs_b

from medjepa.evaluation.metrics import Floats, Integers

CONVERGED = 1e-6
"""A gradient below this counts as zero: near the limit of floating point the line search may end
before a smaller tolerance is met."""

_RELATIVE_RANK = 1e-10


class PrincipalAxes:
    """Standardise by the training rows and turn into their principal axes, which loses nothing.

    A constant feature stays at zero. Where features outnumber rows, the axes span the rows only:
    the best weights of an L2-regularised fit lie there.
    """

    def fit(self, x: Floats) -> "PrincipalAxes":
        """Learn from rows (N, D)."""
        self.mean_, spread = x.mean(0), x.std(0)
        self.scale_ = np.where(spread > 1e-12 * np.abs(x).max(initial=1.0), spread, 1.0)
        standard = (x - self.mean_) / self.scale_
        if standard.shape[1] <= len(x):
            self.variance_, self.axes_ = np.linalg.eigh(standard.T @ standard)
        else:
            variance, rows = np.linalg.eigh(standard @ standard.T)
            kept = variance > _RELATIVE_RANK * max(variance[-1], 1e-300)
            self.variance_ = variance[kept]
            self.axes_ = (standard.T @ rows[:, kept]) / np.sqrt(self.variance_)
        self.variance_ = np.maximum(self.variance_, 0) / len(x)
        return self

    def transform(self, x: Floats) -> Floats:
        """Coordinates of (N, D) along the axes: (N, A)."""
        return np.asarray((x - self.mean_) / self.scale_ @ self.axes_)


class Logistic:
    """Fits for one training set and any C, each starting where the last one ended."""

    def __init__(
        self, z: Floats, target: Integers, variance: Floats, weight: Floats | None = None
    ) -> None:
        """Take coordinates (N, A), class indices (N,) without gaps, variances (A,), weights."""
        self.z, self.variance = z, variance
        num_classes = int(target.max()) + 1
        self.num_logits = 1 if num_classes == 2 else num_classes
        self.wanted = np.eye(num_classes)[target]
        self.weights = np.zeros((z.shape[1], self.num_logits))
        self.weight = np.ones(len(z)) if weight is None else weight
        frequency = np.log(self.weight @ self.wanted / self.weight.sum())
        self.intercept = frequency[-self.num_logits :]
        if num_classes == 2:
            self.intercept = self.intercept - frequency[0]

    def fit(self, c: float, *, tolerance: float, max_iter: int) -> bool:
        """Minimise for C = `c`; True if the gradient came below the tolerance.

        Args:
            c: inverse strength of the regularisation.
            tolerance: of the largest entry of the gradient of the mean loss, in scaled axes.
            max_iter: steps after which to give up.
        """
        num = len(self.z)
        ridge = 1.0 / (c * num)
        # The curvature of the mean loss along each axis is at most a quarter of the variance.
        step = 1 / np.sqrt(np.append(self.variance / 4 + ridge, 0.25))[:, None]
        start = np.vstack([self.weights, self.intercept]) / step
        best, _, found = fmin_l_bfgs_b(
            self.loss_and_slope,
            start.ravel(),
            args=(step, ridge),
            m=20,
            factr=0,
            pgtol=tolerance,
            maxiter=max_iter,
            maxfun=2 * max_iter,
        )
        best = best.reshape(start.shape) * step
        self.weights, self.intercept = best[:-1], best[-1]
        return bool(np.abs(found["grad"]).max() <= max(tolerance, CONVERGED))

    def loss_and_slope(self, flat: Floats, step: Floats, ridge: float) -> tuple[float, Floats]:
        """Mean loss with its penalty, and its gradient; weights and intercept in units of `step`.

        Args:
            flat: ((A + 1) * M,).
            step: (A + 1, 1).
            ridge: 1 / (C * N).
        """
        parameters = flat.reshape(-1, self.num_logits) * step
        weights = parameters[:-1]
        chance, log_sum, logits = _softmax(self.z @ weights + parameters[-1])
        loss = (self.weight * (log_sum - (logits * self.wanted).sum(1))).mean()
        loss += ridge / 2 * (weights**2).sum()
        error = (chance - self.wanted)[:, -self.num_logits :]
        error = error * self.weight[:, None] / len(self.z)
        slope = np.vstack([self.z.T @ error + ridge * weights, error.sum(0)])
        return float(loss), (slope * step).ravel()

    def predict_proba(self, z: Floats) -> Floats:
        """Class probabilities (N, C) of coordinates (N, A)."""
        return _softmax(z @ self.weights + self.intercept)[0]


def _softmax(logits: Floats) -> tuple[Floats, Floats, Floats]:
    """Probabilities (N, C), log of the sum (N,), logits (N, C); a single logit is against 0."""
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    highest = logits.max(1, keepdims=True)
    powers = np.exp(logits - highest)
    total = powers.sum(1, keepdims=True)
    return powers / total, (np.log(total) + highest)[:, 0], logits
