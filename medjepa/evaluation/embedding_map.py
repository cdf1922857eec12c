"""Test images in the plane, neighbours in the embedding near each other."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.results import EmbeddingMap

MAX_POINTS = 3000
MIN_FOR_TSNE = 30
"""t-SNE asks for more neighbours than so few images have; principal components need none."""


def project(features: Floats, *, seed: int = 0) -> tuple[Floats, str]:
    """Place features (N, D) in the plane: (N, 2), and the name of the method."""
    num, width = features.shape
    centred = features - features.mean(0)
    if num < 3 or width < 2 or not centred.any():
        return np.pad(centred[:, :2], ((0, 0), (0, max(0, 2 - width)))), "features"
    if num < MIN_FOR_TSNE:
        return np.asarray(PCA(2, random_state=seed).fit_transform(centred)), "principal components"
    # Distances in 50 components are what t-SNE's authors use: faster, and less noise.
    reduced = PCA(min(50, num - 1, width), random_state=seed).fit_transform(centred)
    model = TSNE(
        2, perplexity=min(30.0, (num - 1) / 3), init="pca", random_state=seed, max_iter=750
    )
    return np.asarray(model.fit_transform(reduced), np.float64), "t-SNE"


def embedding_map(features: Floats, target: Integers, *, seed: int = 0) -> EmbeddingMap:
    """Map at most 3,000 images, drawn at random, into the unit square.

    Args:
        features: (N, D) of the test images.
        target: (N,) class indices.
        seed: of the draw and of the projection.
    """
    rows = np.arange(len(features))
    if len(rows) > MAX_POINTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_POINTS, replace=False))
    place, method = project(features[rows], seed=seed)
    low, high = place.min(0), place.max(0)
    unit = (place - low) / np.where(high > low, high - low, 1.0)
    return EmbeddingMap(
        method=method,
        place=tuple((round(float(x), 4), round(float(y), 4)) for x, y in unit),
        label=tuple(int(label) for label in target[rows]),
    )
