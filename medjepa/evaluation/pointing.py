"""The pointing game: does the hottest place of a map lie in a box around the lesion?

Its baselines are the middle of the image, and a point drawn at random, which hits as often as the
boxes cover the image. A map that beats neither has found nothing.
Source: Zhang et al., arXiv 1608.00507.

Legend: N images, P patients.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate

CENTRE, RANDOM = "middle of the image", "random point"


@dataclass(frozen=True, kw_only=True)
class Pointed:
    """What one way of pointing reached.

    Attributes:
        hits: share of images that it points into a box of, mean over patients' images.
        over_centre: paired difference to the middle of the image.
        over_random: paired difference to the expected share of a random point.
    """

    hits: Estimate
    over_centre: Estimate
    over_random: Estimate


@dataclass(frozen=True, kw_only=True)
class PointingResult:
    """The pointing game on one set of images.

    Attributes:
        num_images: with a box; others are not played.
        num_patients: of theirs.
        patients_known: whether they are, or each image counts as its own.
        num_resamples: of the bootstrap over patients.
        seed: of the resamples.
        maps: name of a map -> what it reached; both baselines are there too.
    """

    num_images: int
    num_patients: int
    patients_known: bool
    num_resamples: int
    seed: int
    maps: Mapping[str, Pointed]


def pointing_game(
    maps: Mapping[str, Sequence[Float[np.ndarray, "_ _"]]],
    boxes: Sequence[Float[np.ndarray, "_ 4"]],
    sizes: Sequence[tuple[int, int]],
    patients: Sequence[Hashable] | None = None,
    *,
    tolerance: float = 0.0,
    num_resamples: int = 1000,
    seed: int = 0,
) -> PointingResult:
    """Play the game with every map on the same images and resamples.

    Args:
        maps: name -> one heat map for each image, of any resolution.
        boxes: (M, 4) of each image as (x0, y0, x1, y1) in pixels; images without one are left out.
        sizes: (height, width) of each image in these pixels.
        patients: of each image; None takes every image as its own.
        tolerance: pixels by which a point may miss a box and still counts (15 in the source).
        num_resamples: of the bootstrap over patients.
        seed: of the resamples.

    Raises:
        ValueError: not one map, box list and size for each image, or no image has a box.
    """
    num = len(boxes)
    if any(len(own) != num for own in maps.values()) or len(sizes) != num:
        raise ValueError("every image needs one map of each kind, its boxes and its size")
    played = [i for i in range(num) if len(boxes[i])]
    if not played:
        raise ValueError("no image has a box")
    values = {
        name: _hits([point_of(own[i], sizes[i]) for i in played], boxes, played, tolerance)
        for name, own in maps.items()
    }
    middles = [(sizes[i][1] / 2, sizes[i][0] / 2) for i in played]
    values[CENTRE] = _hits(middles, boxes, played, tolerance)
    values[RANDOM] = np.asarray([covered(boxes[i], sizes[i], tolerance) for i in played])
    groups = None if patients is None else [str(patients[i]) for i in played]
    bootstrap = PatientBootstrap.draw(
        np.zeros(len(played), np.int64), groups, num_resamples=num_resamples, seed=seed
    )
    counts = bootstrap.counts[:, bootstrap.patient].astype(np.float64)

    def mean(numbers: NDArray[np.float64]) -> Estimate:
        return estimate(float(numbers.mean()), counts @ numbers / counts.sum(1))

    return PointingResult(
        num_images=len(played),
        num_patients=bootstrap.num_patients,
        patients_known=patients is not None,
        num_resamples=num_resamples,
        seed=seed,
        maps={
            name: Pointed(
                hits=mean(own),
                over_centre=mean(own - values[CENTRE]),
                over_random=mean(own - values[RANDOM]),
            )
            for name, own in values.items()
        },
    )


def point_of(heat: Float[np.ndarray, "_ _"], size: tuple[int, int]) -> tuple[float, float]:
    """The middle (x, y) of a map's hottest cell, in pixels of an image of (height, width).

    Of several equally hot ones the one nearest to their common middle, so that a map that says
    nothing points to the middle of the image and not to a corner.

    Raises:
        ValueError: a value is no number.
    """
    if not np.isfinite(heat).all():
        raise ValueError("a heat map holds NaN or infinity")
    places = np.argwhere(heat == heat.max())
    middle = places.mean(0)
    row, column = places[((places - middle) ** 2).sum(1).argmin()]
    return (
        float(column + 0.5) * size[1] / heat.shape[1],
        float(row + 0.5) * size[0] / heat.shape[0],
    )


def covered(
    boxes: Float[np.ndarray, "m 4"], size: tuple[int, int], tolerance: float = 0.0
) -> float:
    """Share of an image that its boxes cover together: how often a random point hits."""
    height, width = size
    grown = np.asarray(boxes, np.float64) + tolerance * np.asarray([-1.0, -1.0, 1.0, 1.0])
    grown = np.clip(grown, 0, [width, height, width, height])
    xs, ys = np.unique(grown[:, [0, 2]]), np.unique(grown[:, [1, 3]])
    total = 0.0
    for left, right in pairwise(xs):
        for top, bottom in pairwise(ys):
            inside = (grown[:, :2] <= [left, top]).all(1) & (grown[:, 2:] >= [right, bottom]).all(1)
            if inside.any():
                total += (right - left) * (bottom - top)
    return total / (height * width)


def _hits(
    points: Sequence[tuple[float, float]],
    boxes: Sequence[Float[np.ndarray, "_ 4"]],
    played: Sequence[int],
    tolerance: float,
) -> NDArray[np.float64]:
    """Whether each point lies in a box, or no farther from it than `tolerance` along an axis."""
    found = []
    for (x, y), image in zip(points, played, strict=True):
        own = np.asarray(boxes[image], np.float64)
        across = (own[:, 0] - tolerance <= x) & (x < own[:, 2] + tolerance)
        down = (own[:, 1] - tolerance <= y) & (y < own[:, 3] + tolerance)
        found.append(float((across & down).any()))
    return np.asarray(found)
