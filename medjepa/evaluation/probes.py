"""Classifiers on frozen features, in scikit-learn's manners: settings first, `fit` returns self.

Protocols: DINOv2 `dinov2/eval/log_regression.py` and `knn.py` (logistic regression over 45 values
of C, cosine neighbours weighted by softmax of similarity / 0.07) and SimpleShot (Wang et al. 2019).
Labels may be anything that can be sorted; the columns of every score follow `classes_`.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.folds import Fold, validation_folds
from medjepa.evaluation.logistic import Logistic, PrincipalAxes
from medjepa.evaluation.metrics import Floats, Integers, macro_auc

C_GRID: tuple[float, ...] = tuple(float(c) for c in 10 ** np.linspace(-6, 5, 45))
"""Inverse regularisation strengths of the sweep, strong to weak."""

AUC_MARGIN = 0.01
"""Held-out AUCs that differ by less are taken for equal when C is chosen."""

SWEEP_ITERATIONS = 300
"""For each C of the sweep, which goes on from the last one: enough to tell which C is best."""

Labels = NDArray[Any]


@runtime_checkable
class Probe(Protocol):
    """What every probe can do."""

    classes_: Labels

    def fit(self, x: Floats, y: Labels) -> "Probe":
        """Learn from features (N, D) and labels (N,)."""

    def predict_proba(self, x: Floats) -> Floats:
        """Scores (N, C) that sum to one, columns as in `classes_`."""


class LogisticProbe:
    """L2-regularised multinomial logistic regression on standardised features.

    C is chosen on patients of the training set that the fit has not seen: of the values whose AUC
    is within `AUC_MARGIN` of the best, the one with the lowest log-loss. (AUC alone is flat over
    decades of C and picks by noise; log-loss alone shrinks small sets to the class frequencies.)
    The sweep goes from strong to weak regularisation, each fit starting where the last one ended.
    Then all of the training set is fitted. With `balanced` each class counts alike in the fit (as
    scikit-learn's `class_weight="balanced"`) and in the held-out log-loss.

    Attributes:
        classes_: (C,) sorted labels.
        c_: the chosen value; `default_c` where the set is too small to hold patients out.
        chosen_by_: how, in words for the report.
        converged_: whether the last fit reached its tolerance.
    """

    def __init__(
        self,
        *,
        c_grid: Sequence[float] | None = None,
        default_c: float = 1.0,
        max_iter: int = 2000,
        tolerance: float = 1e-8,
        seed: int = 0,
        balanced: bool = False,
    ) -> None:
        self.balanced = balanced
        self.c_grid = c_grid
        self.default_c = default_c
        self.max_iter = max_iter
        self.tolerance = tolerance
        self.seed = seed

    def fit(
        self,
        x: Floats,
        y: Labels,
        groups: Sequence[Hashable] | None = None,
        *,
        folds: Sequence[Fold] | None = None,
    ) -> "LogisticProbe":
        """Learn from features (N, D), labels (N,) and, where known, patients (N,).

        Args:
            x: (N, D) features.
            y: (N,) labels.
            groups: (N,) patients; held out whole.
            folds: (fit, validate) indices to choose C on; None draws them by `validation_folds`.
        """
        self.classes_, inverse = np.unique(y, return_inverse=True)
        target = inverse.astype(np.int64)
        self.c_, self.chosen_by_, self.converged_ = self.default_c, "only one class", True
        if len(self.classes_) < 2:
            return self
        if folds is None:
            folds = validation_folds(target, groups, seed=self.seed)
        if folds:
            self.c_ = self._choose(x, target, folds)
            share = "a held-out fifth" if len(folds) == 1 else f"{len(folds)}-fold cross-validation"
            self.chosen_by_ = f"AUC and log-loss on {share} of the training patients"
        else:
            self.chosen_by_ = f"fixed at {self.default_c:g}: too few patients to hold some out"
        self.axes_ = PrincipalAxes().fit(x)
        weight = _balanced(target) if self.balanced else None
        self.model_ = Logistic(self.axes_.transform(x), target, self.axes_.variance_, weight)
        self.converged_ = self.model_.fit(self.c_, tolerance=self.tolerance, max_iter=self.max_iter)
        return self

    def predict_proba(self, x: Floats) -> Floats:
        """Class probabilities (N, C)."""
        if len(self.classes_) < 2:
            return np.ones((len(x), 1))
        return self.model_.predict_proba(self.axes_.transform(x))

    def predict(self, x: Floats) -> Labels:
        """The likeliest label of each row, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(1)])

    def _choose(self, x: Floats, target: Integers, folds: Sequence[Fold]) -> float:
        paths = [_Path(x, target, fold, balanced=self.balanced) for fold in folds]
        grid = C_GRID if self.c_grid is None else self.c_grid
        found = np.array([[path.fit(c) for path in paths] for c in grid])  # (C, folds, 2)
        areas, loss = found[:, :, 0], found[:, :, 1].sum(1)
        # A held-out part with one class has no AUC; where none has, log-loss decides alone.
        areas = areas[:, ~np.isnan(areas).any(0)]
        if areas.shape[1]:
            area = areas.mean(1)
            loss = np.where(area >= area.max() - AUC_MARGIN, loss, np.inf)
        return float(grid[int(loss.argmin())])


class _Path:
    """One fold's sequence of fits from strong to weak regularisation."""

    def __init__(self, x: Floats, target: Integers, fold: Fold, *, balanced: bool) -> None:
        fit, held_out = fold
        axes = PrincipalAxes().fit(x[fit])
        weight = _balanced(target[fit]) if balanced else None
        self.model = Logistic(axes.transform(x[fit]), target[fit], axes.variance_, weight)
        self.weight = _balanced(target[held_out]) if balanced else np.ones(len(held_out))
        self.z, self.target = axes.transform(x[held_out]), target[held_out]

    def fit(self, c: float) -> tuple[float, float]:
        """Fit with C = `c`; AUC and summed log-loss of the held-out images."""
        self.model.fit(c, tolerance=1e-4, max_iter=SWEEP_ITERATIONS)
        chance = self.model.predict_proba(self.z)
        own = chance[np.arange(len(chance)), self.target]
        loss = -(self.weight * np.log(np.maximum(own, 1e-20))).sum()
        return float(macro_auc(self.target, chance)[0]), float(loss)


def _balanced(target: Integers) -> Floats:
    """Weight of each image that makes classes count alike; the mean weight is 1, (N,)."""
    counts = np.bincount(target)
    return np.asarray(len(target) / (np.count_nonzero(counts) * counts[target]))


class CosineKNN:
    """Votes of the k nearest training images, weighted by exp(cosine / temperature)."""

    def __init__(self, *, k: int = 20, temperature: float = 0.07) -> None:
        self.k = k
        self.temperature = temperature

    def fit(self, x: Floats, y: Labels) -> "CosineKNN":
        """Keep features (N, D) and labels (N,)."""
        self.classes_, self.target_ = np.unique(y, return_inverse=True)
        self.features_ = unit_rows(x)
        return self

    def predict_proba(self, x: Floats) -> Floats:
        """Shares of the vote (N, C)."""
        k = min(self.k, len(self.features_))
        scores = np.zeros((len(x), len(self.classes_)))
        # A block of rows at a time: the similarity matrix of a large set does not fit in memory.
        for start in range(0, len(x), 1024):
            similarity = unit_rows(x[start : start + 1024]) @ self.features_.T
            nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
            closeness = np.take_along_axis(similarity, nearest, axis=1)
            vote = np.exp((closeness - closeness.max(1, keepdims=True)) / self.temperature)
            for column in range(len(self.classes_)):
                chosen = self.target_[nearest] == column
                scores[start : start + 1024, column] = (vote * chosen).sum(1)
        return np.asarray(scores / scores.sum(1, keepdims=True))

    def predict(self, x: Floats) -> Labels:
        """The label with most votes, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(1)])


class NearestCentroid:
    """SimpleShot: centre by the training mean, scale to unit length, take the nearest mean."""

    def fit(self, x: Floats, y: Labels) -> "NearestCentroid":
        """Average the features (N, D) of each label (N,)."""
        self.classes_, target = np.unique(y, return_inverse=True)
        self.mean_ = x.mean(0)
        centred = unit_rows(x - self.mean_)
        self.centroids_ = np.stack(
            [centred[target == column].mean(0) for column in range(len(self.classes_))]
        )
        return self

    def predict_proba(self, x: Floats) -> Floats:
        """Softmax of minus the squared distances (N, C): an order, not calibrated chances."""
        centred = unit_rows(x - self.mean_)
        distance = ((centred[:, None] - self.centroids_[None]) ** 2).sum(-1)
        score = np.exp(distance.min(1, keepdims=True) - distance)
        return np.asarray(score / score.sum(1, keepdims=True))

    def predict(self, x: Floats) -> Labels:
        """The label of the nearest centroid, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(1)])


def unit_rows(x: Floats) -> Floats:
    """Scale rows of (N, D) to unit length; a row of zeros stays."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1.0))
