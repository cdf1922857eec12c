"""Many dimensions onto a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_FOR_TSNE = 30
"""t-SNE asks for more neighbours than so few points have; principal components need none."""


def project(features: NDArray[Any], *, seed: int = 0) -> tuple[NDArray[Any], str]:
    """Place features (N, D) in the plane: (N, 2), and the name of the method."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

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
