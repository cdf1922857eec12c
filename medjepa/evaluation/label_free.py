"""Scores of embeddings that need no label: effective ranks, alignment and uniformity.

Each takes `weights`, how often each image counts: a resample of patients is one call.

Legend: N images, Q views of each, D features.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medjepa.errors import DataError
from medjepa.training.monitor import RANKME_EPSILON, effective_rank, rankme

LIDAR_DELTA, LIDAR_EPSILON = 1e-4, 1e-8
UNIFORMITY_T = 2.0
LOSS, RANKME, LIDAR, ALIGNMENT, UNIFORMITY = (
    "training_loss", "rankme", "lidar", "alignment", "uniformity",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a score is called, and which way is better.

    Attributes:
        key: its name in files.
        title: its name for people.
        higher_is_better: which way its authors take for better.
        meaning: what it is, with its source.
    """

    key: str
    title: str
    higher_is_better: bool
    meaning: str

    @property
    def sign(self) -> int:
        """By which the score is multiplied so that more is better."""
        return 1 if self.higher_is_better else -1


SCORES = (
    Score(
        key=LOSS,
        title="training loss",
        higher_is_better=False,
        meaning="the run's own, as it was logged last before the checkpoint; comparable only "
        "between runs of one objective with the same weights on the same images",
    ),
    Score(
        key=RANKME,
        title="RankMe",
        higher_is_better=True,
        meaning="effective rank of the embeddings, 1 to min(images, features); Garrido et al. "
        "2023, arXiv 2210.02885, eq. 1",
    ),
    Score(
        key=LIDAR,
        title="LiDAR",
        higher_is_better=True,
        meaning="effective rank of what tells images apart against what tells views of one image "
        f"apart, delta = {LIDAR_DELTA:g}; Thilak et al. 2024, arXiv 2312.04000",
    ),
    Score(
        key=ALIGNMENT,
        title="alignment",
        higher_is_better=False,
        meaning="mean squared distance of two views of an image, embeddings of unit length, 0 to "
        "4; best where everything has collapsed; Wang and Isola 2020, arXiv 2005.10242",
    ),
    Score(
        key=UNIFORMITY,
        title="uniformity",
        higher_is_better=False,
        meaning="log of the mean of exp(-2 squared distance) over pairs of images, embeddings of "
        "unit length, -8 to 0; Wang and Isola 2020, arXiv 2005.10242",
    ),
)
"""In the order of every table."""


def weighted_rankme(features: Float[Tensor, "n d"], weights: Float[Tensor, " n"]) -> float:
    """RankMe of a resample, from the eigenvalues of its second moments.

    Args:
        features: not centred, as published.
        weights: how often each image counts.

    Raises:
        DataError: fewer than two images.
    """
    _check(len(features), "RankMe")
    rows = features.double()
    # Singular values of the rows as often as they count: roots of eigenvalues, (D, D) for any N.
    moments = rows.T @ (weights.double()[:, None] * rows)
    roots = torch.linalg.eigvalsh(moments).clamp(min=0).sqrt()
    return effective_rank(roots[-min(rows.shape) :], epsilon=RANKME_EPSILON)


def rank_me(features: Float[Tensor, "n d"]) -> float:
    """RankMe of all images, each once; the training's own `rankme`.

    Raises:
        DataError: fewer than two images.
    """
    _check(len(features), "RankMe")
    return rankme(features)


def lidar(
    views: Float[Tensor, "n q d"],
    weights: Float[Tensor, " n"] | None = None,
    *,
    delta: float = LIDAR_DELTA,
    epsilon: float = LIDAR_EPSILON,
) -> float:
    """LiDAR: effective rank of linear discriminants, the views of an image being a class.

    S_between is the covariance of the images' mean embeddings, S_within that of views about their
    image's mean, plus `delta` times the identity; the rank is that of the eigenvalues of
    S_within^-1/2 S_between S_within^-1/2. Invariant under rotation; under scale as far as `delta`
    is small against S_within.

    Args:
        views: embeddings of Q >= 2 views of N >= 2 images.
        weights: how often each image counts; None: once.
        delta: shrinkage of the covariance within images.
        epsilon: added to every share.

    Raises:
        DataError: fewer than two images or views.
    """
    _check(len(views), "LiDAR", num_views=views.shape[1])
    rows, weight = views.double(), _shares(weights, len(views))
    means = rows.mean(1)
    apart = means - weight @ means
    between = apart.T @ (weight[:, None] * apart)
    around = rows - means[:, None]
    scaled = (around * (weight / views.shape[1]).sqrt()[:, None, None]).flatten(0, 1)
    within = scaled.T @ scaled + delta * torch.eye(views.shape[2], dtype=torch.float64)
    root = torch.linalg.cholesky(within)
    # L^-1 B L^-T has the eigenvalues of W^-1/2 B W^-1/2.
    half = torch.linalg.solve_triangular(root, between, upper=False)
    whole = torch.linalg.solve_triangular(root, half.T, upper=False)
    values = torch.linalg.eigvalsh((whole + whole.T) / 2).clamp(min=0)
    return effective_rank(values, epsilon=epsilon)


def alignments(views: Float[Tensor, "n q d"]) -> Float[Tensor, " n"]:
    """Squared distance between two views of each image, the mean over all its pairs of views.

    Embeddings are scaled to unit length first, so it does not change under rotation and scale.

    Raises:
        DataError: no image, or fewer than two views.
    """
    _check(len(views), "alignment", at_least=1, num_views=views.shape[1])
    rows, num = unit_length(views), views.shape[1]
    # The mean over pairs of |a - b|^2 is twice the unbiased variance, summed over features.
    variance = rows.square().sum(-1).mean(1) - rows.mean(1).square().sum(-1)
    return (2 * num / (num - 1) * variance).clamp(min=0)


def alignment(views: Float[Tensor, "n q d"], weights: Float[Tensor, " n"] | None = None) -> float:
    """Mean of `alignments`; 0 where the views of an image are one point.

    Raises:
        DataError: as `alignments`.
    """
    return float(_shares(weights, len(views)) @ alignments(views))


def closeness(views: Float[Tensor, "n q d"], *, t: float = UNIFORMITY_T) -> Float[Tensor, "n n"]:
    """exp(-t squared distance) of every two images, embeddings of unit length.

    First views are compared with first views, second ones with second ones, and so on; the mean
    over views is taken.

    Raises:
        DataError: fewer than two images.
    """
    _check(len(views), "uniformity")
    rows = unit_length(views)
    found = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for view in rows.unbind(1):
        size = view.square().sum(1)
        distance = (size[:, None] + size - 2 * view @ view.T).clamp(min=0)
        found += torch.exp(-t * distance)
    return found / rows.shape[1]


def uniformity_of(
    close: Float[Tensor, "n n"], weights: Float[Tensor, "r n"]
) -> Float[Tensor, " r"]:
    """Uniformity of R resamples from `closeness`; an image and its own copy are no pair."""
    counts = weights.double()
    own = counts.square()
    sums = ((counts @ close) * counts).sum(1) - own @ close.diagonal()
    return torch.log(sums / (counts.sum(1).square() - own.sum(1)))


def uniformity(views: Float[Tensor, "n q d"], weights: Float[Tensor, " n"] | None = None) -> float:
    """Log of the mean closeness of two different images; 0 where all are one point.

    Raises:
        DataError: as `closeness`.
    """
    counts = torch.ones(len(views)) if weights is None else weights
    return float(uniformity_of(closeness(views), counts[None])[0])


def unit_length(rows: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Scale embeddings to unit length, in double precision; one that is 0 stays."""
    wide = rows.double()
    length = wide.norm(dim=-1, keepdim=True)
    return wide / torch.where(length > 0, length, torch.ones_like(length))


def _shares(weights: Tensor | None, num: int) -> Tensor:
    if weights is None:
        return torch.full((num,), 1 / num, dtype=torch.float64)
    return weights.double() / weights.double().sum()


def _check(num: int, name: str, *, at_least: int = 2, num_views: int | None = None) -> None:
    if num < at_least:
        raise DataError(f"{name}: needs {at_least} or more images, got {num}")
    if num_views is not None and num_views < 2:
        raise DataError(f"{name}: needs 2 or more views of each image, got {num_views}")
