"""Average precision and FROC against a second implementation, and the laws they obey."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from medjepa.evaluation.detection_metrics import (
    OVERLAPS,
    RATES,
    ImageBoxes,
    average_precision,
    box_iou,
    froc,
    match,
)


def plain_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def plain_ap(images, label, least):
    """COCO's definition by loops over lists, written from its description alone."""
    found, total, taken = [], 0, set()
    for number, one in enumerate(images):
        total += sum(int(k) == label for k in one.truth_labels)
        for place, k in enumerate(one.found_labels):
            if int(k) == label:
                found.append((-float(one.scores[place]), number, place))
    points = []
    hits = 0
    for rank, (_, number, place) in enumerate(sorted(found), start=1):
        one = images[number]
        best, chosen = least, None
        for t, k in enumerate(one.truth_labels):
            if int(k) != label or (number, t) in taken:
                continue
            iou = plain_iou(one.found[place], one.truth[t])
            if iou > best or (chosen is None and iou >= best):
                best, chosen = iou, t
        if chosen is not None:
            taken.add((number, chosen))
            hits += 1
        points.append((hits / total, hits / rank))
    return (
        sum(
            max((p for r, p in points if r >= step / 100 - 1e-12), default=0.0)
            for step in range(101)
        )
        / 101
    )


def random_images(seed, *, num=12, num_classes=2):
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(num):
        g, d = rng.integers(0, 6), rng.integers(0, 12)
        truth = rng.uniform(0, 60, (g, 4))
        truth[:, 2:] = truth[:, :2] + rng.uniform(5, 30, (g, 2))
        found = np.concatenate([truth + rng.normal(0, 2, truth.shape), rng.uniform(0, 60, (d, 4))])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        labels = rng.integers(0, num_classes, g)
        images.append(
            ImageBoxes(
                truth=truth,
                truth_labels=labels,
                found=found,
                found_labels=np.concatenate([labels, rng.integers(0, num_classes, d)]),
                scores=rng.uniform(size=len(found)),
            )
        )
    return images


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_a_second_implementation(seed):
    images = random_images(seed)
    for label in (0, 1):
        ours = average_precision(match(images, label))[0]
        theirs = [plain_ap(images, label, least) for least in OVERLAPS]
        assert np.allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_counting_an_image_twice_is_having_it_twice(seed):
    images = random_images(seed, num=6)
    counts = np.asarray([[2, 0, 1, 3, 1, 0]])
    many = [one for one, count in zip(images, counts[0], strict=True) for _ in range(count)]
    for label in (0, 1):
        weighed = average_precision(match(images, label), counts)[0]
        # Copies have one score: a threshold takes both, so only places between them may differ.
        assert np.allclose(weighed, average_precision(match(many, label))[0], atol=0.03)
    weighed = froc([match(images, k) for k in (0, 1)], counts)[0]
    assert np.allclose(weighed, froc([match(many, k) for k in (0, 1)])[0], atol=1e-9)


def perfect(images):
    return [
        ImageBoxes(
            truth=one.truth,
            truth_labels=one.truth_labels,
            found=one.truth.copy(),
            found_labels=one.truth_labels.copy(),
            scores=np.linspace(0.9, 0.5, len(one.truth)),
        )
        for one in images
    ]


def moved(images, by):
    return [
        ImageBoxes(
            truth=one.truth,
            truth_labels=one.truth_labels,
            found=one.found + np.asarray([by, 0.0, by, 0.0]),
            found_labels=one.found_labels,
            scores=one.scores,
        )
        for one in images
    ]


def test_perfect_boxes_have_one_and_every_sensitivity_one():
    images = perfect(random_images(0))
    for label in (0, 1):
        assert average_precision(match(images, label)) == pytest.approx(1.0)
    assert froc([match(images, 0), match(images, 1)]) == pytest.approx(1.0)


def test_moving_all_boxes_away_never_helps_and_in_the_end_finds_nothing():
    images = perfect(random_images(1))
    means = [
        average_precision(match(moved(images, by), 0)).mean() for by in (0, 1, 2, 4, 8, 16, 100)
    ]
    assert all(a >= b for a, b in pairwise(means))
    assert means[0] == pytest.approx(1.0)
    assert means[3] < means[0]
    assert means[-1] == 0.0


def test_boxes_in_an_image_without_any_cost_precision_and_no_recall():
    images = random_images(2)
    empty = ImageBoxes(
        truth=np.zeros((0, 4)),
        truth_labels=np.zeros(0, int),
        found=np.asarray([[0.0, 0.0, 9.0, 9.0]]),
        found_labels=np.zeros(1, int),
        scores=np.asarray([1.1]),
    )
    before = average_precision(match(images, 0))[0, 0]
    after = average_precision(match([*images, empty], 0))[0, 0]
    assert 0 < after < before
    matched = match([*images, empty], 0)
    assert matched.num_truth[-1] == 0
    assert not matched.right[:, 0].any()


def test_a_true_box_is_found_once():
    truth = np.asarray([[0.0, 0.0, 10.0, 10.0]])
    one = ImageBoxes(
        truth=truth,
        truth_labels=np.zeros(1, int),
        found=np.repeat(truth, 3, axis=0),
        found_labels=np.zeros(3, int),
        scores=np.asarray([0.5, 0.9, 0.7]),
    )
    assert match([one], 0).right[0].tolist() == [True, False, False]


def test_nothing_true_is_no_number_and_nothing_found_is_zero():
    one = random_images(3, num=1)[0]
    none = ImageBoxes(
        truth=one.truth, truth_labels=one.truth_labels, found=np.zeros((0, 4)),
        found_labels=np.zeros(0, int), scores=np.zeros(0),
    )  # fmt: skip
    assert np.isnan(average_precision(match([none], 7))).all()
    label = int(one.truth_labels[0])
    assert (average_precision(match([none], label)) == 0).all()
    assert (froc([match([none], label)]) == 0).all()


def test_froc_reads_what_its_definition_says():
    """Ten images, one true box each; hits and false ones in a known order of scores."""
    images = []
    for number in range(10):
        truth = np.asarray([[0.0, 0.0, 10.0, 10.0]])
        false = np.asarray([[50.0, 50.0, 60.0, 60.0]])
        is_found = number < 6
        found = np.concatenate([truth, false]) if is_found else false
        scores = [0.9 - 0.1 * number, 0.95 - 0.1 * number] if is_found else [0.01]
        images.append(
            ImageBoxes(
                truth=truth,
                truth_labels=np.zeros(1, int),
                found=found,
                found_labels=np.zeros(len(found), int),
                scores=np.asarray(scores),
            )
        )
    # In order: false, hit, false, hit, ...: at f false ones f - 1 hits are sure, f at the last of
    # them before the next false one.
    sensitivities = froc([match(images, 0)])[0]
    expected = [min(int(rate * 10), 6) / 10 for rate in RATES]
    assert sensitivities == pytest.approx(expected)
    assert (np.diff(sensitivities) >= 0).all()


def plain_froc(images, rate, *, least, num_classes):
    """At every threshold anew: how many true boxes are found, with at most so many false ones."""
    total = sum(len(one.truth) for one in images)
    best = 0.0
    for threshold in sorted({float(s) for one in images for s in one.scores}):
        hits = false = 0
        for one, label in ((one, label) for one in images for label in range(num_classes)):
            taken = set()
            shown = [
                place
                for place in np.argsort(-one.scores, kind="stable")
                if one.found_labels[place] == label and one.scores[place] >= threshold
            ]
            for place in shown:
                free = [
                    (plain_iou(one.found[place], one.truth[t]), -t)
                    for t in range(len(one.truth))
                    if one.truth_labels[t] == label and t not in taken
                ]
                overlap, number = max(free, default=(0.0, 0))
                if overlap >= least:
                    hits += 1
                    taken.add(-number)
                else:
                    false += 1
        if false <= rate * len(images):
            best = max(best, hits / total)
    return best


@pytest.mark.parametrize("level", [0, 4])
def test_froc_is_that_of_a_second_implementation(level):
    images = random_images(5, num=8)
    images = [replace(one, scores=one.scores.round(1)) for one in images]  # some come together
    found = froc([match(images, label) for label in (0, 1)], level=level)[0]
    expected = [plain_froc(images, rate, least=OVERLAPS[level], num_classes=2) for rate in RATES]
    assert found == pytest.approx(expected)
    assert len(set(expected)) > 3


def test_overlap_of_boxes_is_that_of_pixels():
    first, second = np.asarray([[1.0, 2.0, 7.0, 9.0]]), np.asarray([[3.0, 0.0, 11.0, 5.0]])
    area = np.zeros((2, 12, 12), bool)
    area[0, 2:9, 1:7], area[1, 0:5, 3:11] = True, True
    assert box_iou(first, second)[0, 0] == pytest.approx(
        (area[0] & area[1]).sum() / (area[0] | area[1]).sum()
    )
    assert box_iou(first, first)[0, 0] == 1.0
