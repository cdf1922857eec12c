"""Is an image of the kind that was learnt from? Distances to training features, without labels.

Mahalanobis distance with a shrunken covariance (Lee et al. 2018, arXiv 1807.03888, with one class;
Ledoit and Wolf 2004), and distance to the k-th nearest training image on unit length (Sun et al.
2022, arXiv 2204.06507). Larger: less like what was learnt from.

Legend: N, M images, D features.
"""

import numpy as np
from sklearn.covariance import LedoitWolf

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.delong import area_estimate, delong
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import unit_rows

NUM_NEIGHBOURS = 10


class MahalanobisScore:
    """Distance to the mean of the training features, in units of their spread."""

    def fit(self, x: Floats) -> "MahalanobisScore":
        """Learn from features (N, D)."""
        spread = x.std(0)
        self.scale_ = np.where(spread > 1e-12, spread, 1.0)
        model = LedoitWolf().fit(x / self.scale_)
        self.mean_, self.precision_ = model.location_, model.precision_
        return self

    def score(self, x: Floats) -> Floats:
        """Distances of (M, D), (M,)."""
        centred = x / self.scale_ - self.mean_
        squared = np.einsum("nd,de,ne->n", centred, self.precision_, centred)
        return np.asarray(np.sqrt(np.maximum(squared, 0)))


class NeighbourScore:
    """Distance to the k-th nearest training image, both scaled to unit length."""

    def __init__(self, *, k: int = NUM_NEIGHBOURS) -> None:
        self.k = k

    def fit(self, x: Floats) -> "NeighbourScore":
        """Keep features (N, D)."""
        self.features_ = unit_rows(x)
        return self

    def score(self, x: Floats) -> Floats:
        """Distances of (M, D), (M,)."""
        k = min(self.k, len(self.features_))
        found = np.empty(len(x))
        for start in range(0, len(x), 1024):
            cosine = unit_rows(x[start : start + 1024]) @ self.features_.T
            nearest = -np.partition(-cosine, k - 1, axis=1)[:, k - 1]
            found[start : start + 1024] = np.sqrt(np.maximum(2 - 2 * nearest, 0))
        return found


SCORES = {"Mahalanobis": MahalanobisScore, "nearest neighbours": NeighbourScore}


def told_apart(inside: Floats, outside: Floats, patients: Integers) -> Estimate:
    """AUROC of telling images of another kind from the test's by their distances.

    Its interval is that of the clustered DeLong variance. A bootstrap would not do: of a patient
    with an image on both sides it draws the pair of the two twice as often as the study holds it.

    Args:
        inside: (N,) distances of the test images.
        outside: (M,) distances of the others.
        patients: (N + M,) number of each image's patient, of both in this order.
    """
    positive = np.repeat([False, True], [len(inside), len(outside)])
    areas, covariance = delong(positive, np.concatenate([inside, outside])[None], patients)
    return area_estimate(float(areas[0]), float(covariance[0, 0]))
