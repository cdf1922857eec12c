"""How well boxes are found: average precision as COCO defines it, and FROC.

Found boxes are matched with true ones of their class in the order of their scores, each true box
once. Every number can be taken with each image counted several times or not at all, which is what a
bootstrap over patients asks for.

Legend: T overlaps that are asked for, D found boxes, G true boxes, I images, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from medjepa.evaluation.metrics import Floats

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU from which a box counts as found: .5 to .95, as in COCO."""
RECALLS = np.linspace(0, 1, 101)
RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""False positives an image, at which FROC reads the sensitivity."""


@dataclass(frozen=True, kw_only=True)
class ImageBoxes:
    """True and found boxes of one image; boxes are (x0, y0, x1, y1) in its pixels.

    Attributes:
        truth: (G, 4).
        truth_labels: (G,) class numbers.
        found: (D, 4), in any order.
        found_labels: (D,).
        scores: (D,) higher is surer.
    """

    truth: Float[np.ndarray, "g 4"]
    truth_labels: Int[np.ndarray, " g"]
    found: Float[np.ndarray, "d 4"]
    found_labels: Int[np.ndarray, " d"]
    scores: Float[np.ndarray, " d"]


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The found boxes of one class in all images, surest first.

    Attributes:
        image: (D,) number of the image of each.
        scores: (D,).
        right: (T, D) whether it is a true box at each overlap.
        num_truth: (I,) true boxes of each image.
    """

    image: Int[np.ndarray, " d"]
    scores: Float[np.ndarray, " d"]
    right: Bool[np.ndarray, "t d"]
    num_truth: Int[np.ndarray, " i"]


def box_iou(first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]) -> Floats:
    """Intersection over union of every box with every other, (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (first, second)]
    total = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(np.where(total > 0, shared / np.maximum(total, 1e-12), 0.0))


def match(
    images: Sequence[ImageBoxes], label: int, overlaps: Sequence[float] = OVERLAPS
) -> Matched:
    """Match the found boxes of one class with the true ones, image by image.

    The surest box first takes the true box that it overlaps most and that is still free, if by the
    asked overlap; every other found box is false. Source: Lin et al., arXiv 1405.0312 (COCO),
    without crowds.
    """
    numbers: list[int] = []
    scores: list[NDArray[np.float64]] = []
    right: list[NDArray[np.bool_]] = []
    num_truth = np.zeros(len(images), np.int64)
    for number, one in enumerate(images):
        truth = one.truth[one.truth_labels == label]
        mine = np.flatnonzero(one.found_labels == label)
        mine = mine[np.argsort(-one.scores[mine], kind="stable")]
        num_truth[number] = len(truth)
        numbers += [number] * len(mine)
        scores.append(np.asarray(one.scores[mine], np.float64))
        right.append(_match_one(box_iou(one.found[mine], truth), overlaps))
    flat = np.concatenate(scores) if scores else np.zeros(0)
    order = np.argsort(-flat, kind="stable")
    together = np.concatenate(right, axis=1) if right else np.zeros((len(overlaps), 0), bool)
    return Matched(
        image=np.asarray(numbers, np.int64)[order],
        scores=flat[order],
        right=together[:, order],
        num_truth=num_truth,
    )


def average_precision(
    matched: Matched, counts: Int[np.ndarray, "r i"] | None = None
) -> Float[np.ndarray, "r t"]:
    """Mean of the precision at 101 recalls, at each overlap; NaN where no true box is.

    The precision at a recall is the highest at that recall or beyond, 0 if it is not reached.

    Args:
        matched: of one class.
        counts: how often each image counts in each resample; None counts each once.
    """
    counts = np.ones((1, len(matched.num_truth)), np.int64) if counts is None else counts
    result = np.full((len(counts), len(matched.right)), np.nan)
    totals = counts @ matched.num_truth
    for row, (count, total) in enumerate(zip(counts, totals, strict=True)):
        if not total:
            continue
        weight = count[matched.image]
        seen = np.cumsum(weight)
        hits = np.cumsum(matched.right * weight, axis=1)
        precision = hits / np.maximum(seen, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for level, (own, high) in enumerate(zip(hits, best, strict=True)):
            # Recalls are compared in counts, so that 0.3 of 10 is reached by 3 and not by rounding.
            place = np.searchsorted(own, RECALLS * total - 1e-9, side="left")
            reached = place < len(own)
            result[row, level] = high[place[reached]].sum() / len(RECALLS)
    return result


def froc(
    matched: Sequence[Matched],
    counts: Int[np.ndarray, "r i"] | None = None,
    *,
    rates: Sequence[float] = RATES,
    level: int = 0,
) -> Float[np.ndarray, "r p"]:
    """Share of true boxes of all classes that are found at so many false positives an image.

    One threshold for all classes. Where boxes have one score, they come together or not at all.

    Args:
        matched: of each class.
        counts: as `average_precision`.
        rates: false positives an image that may not be exceeded.
        level: which of the overlaps.
    """
    num_images = len(matched[0].num_truth)
    counts = np.ones((1, num_images), np.int64) if counts is None else counts
    scores = np.concatenate([one.scores for one in matched])
    order = np.argsort(-scores, kind="stable")
    image = np.concatenate([one.image for one in matched])[order]
    right = np.concatenate([one.right[level] for one in matched])[order]
    # Only where the next score is lower can a threshold be set.
    is_last = np.append(np.diff(scores[order]) != 0, True)[: len(scores)]
    ends = np.flatnonzero(is_last)
    totals = counts @ np.sum([one.num_truth for one in matched], axis=0)
    result = np.full((len(counts), len(rates)), np.nan)
    for row, (count, total) in enumerate(zip(counts, totals, strict=True)):
        if not total:
            continue
        weight = count[image]
        hits = np.append(0, np.cumsum(weight * right)[ends])
        false = np.append(0, np.cumsum(weight * ~right)[ends])
        for place, rate in enumerate(rates):
            last = np.searchsorted(false, rate * count.sum() + 1e-9, side="right") - 1
            result[row, place] = hits[last] / total
    return result


def _match_one(iou: Floats, overlaps: Sequence[float]) -> NDArray[np.bool_]:
    """(T, D) whether each found box, surest first, is right."""
    right = np.zeros((len(overlaps), len(iou)), bool)
    if not iou.size:
        return right
    for level, least in enumerate(overlaps):
        free = np.ones(iou.shape[1], bool)
        for number, row in enumerate(iou):
            allowed = np.where(free, row, -1.0)
            best = int(allowed.argmax())
            if allowed[best] >= least - 1e-10:
                right[level, number], free[best] = True, False
    return right
