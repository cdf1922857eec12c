"""Test images in the plane, neighbours in the embedding near each other."""

import numpy as np

from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.results import EmbeddingMap
from medjepa.utils.projection import project

MAX_POINTS = 3000


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
