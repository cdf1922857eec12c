"""Linear regression on frozen features, its penalty chosen on patients that it has not seen."""

from collections.abc import Sequence

import numpy as np

from medjepa.evaluation.folds import Fold
from medjepa.evaluation.logistic import PrincipalAxes
from medjepa.evaluation.metrics import Floats

ALPHA_GRID: tuple[float, ...] = tuple(float(a) for a in 10 ** np.linspace(-4, 7, 45))


class RidgeProbe:
    """Ridge regression on standardised features: |y - Xw - b|^2 + alpha |w|^2, b free.

    As scikit-learn's `Ridge`; in principal axes every alpha costs a division.

    Attributes:
        alpha_: the chosen penalty; of equally good ones the largest.
    """

    def __init__(
        self, *, alpha_grid: Sequence[float] = ALPHA_GRID, default_alpha: float = 100.0
    ) -> None:
        self.alpha_grid = alpha_grid
        self.default_alpha = default_alpha

    def fit(self, x: Floats, y: Floats, *, folds: Sequence[Fold] = ()) -> "RidgeProbe":
        """Learn from features (N, D) and values (N,).

        Args:
            x: (N, D).
            y: (N,).
            folds: (fit, validate) indices to choose alpha on by squared error; none: the default.
        """
        self.alpha_ = self.default_alpha
        if folds:
            errors = np.zeros(len(self.alpha_grid))
            for fit, held_out in folds:
                path = _Path(x[fit], y[fit])
                found = [path.predict(x[held_out], alpha) for alpha in self.alpha_grid]
                errors += np.array([((y[held_out] - one) ** 2).sum() for one in found])
            best = np.flatnonzero(errors <= errors.min() * (1 + 1e-9))
            self.alpha_ = float(max(self.alpha_grid[i] for i in best.tolist()))
        self.path_ = _Path(x, y)
        return self

    def predict(self, x: Floats) -> Floats:
        """Values (N,)."""
        return self.path_.predict(x, self.alpha_)


class _Path:
    """Every ridge fit of one training set."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.axes = PrincipalAxes().fit(x)
        z = self.axes.transform(x)
        self.mean = float(y.mean())
        self.along, self.power = z.T @ (y - self.mean), self.axes.variance_ * len(x)

    def predict(self, x: Floats, alpha: float) -> Floats:
        weights = self.along / (self.power + alpha)
        return np.asarray(self.axes.transform(x) @ weights + self.mean)
