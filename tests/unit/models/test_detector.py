"""The laws of boxes, of what cells are asked for, and of a detector."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.models.detector import Detector, decode, encode
from medjepa.models.encoder import ViTEncoder
from medjepa.objectives.boxes import generalised_iou, pairwise_iou, suppress
from medjepa.objectives.detection_loss import assign, centres, detection_loss

CELL = (4, 4)


def boxes_of(num, seed=0, side=40.0):
    rng = torch.Generator().manual_seed(seed)
    low = torch.rand(num, 2, generator=rng) * side * 0.7
    return torch.cat([low, low + 3 + torch.rand(num, 2, generator=rng) * side * 0.3], -1)


def small_detector(*, frozen=False, num_classes=2):
    torch.manual_seed(0)
    encoder = ViTEncoder(16, 4, 1, 24, 3, 2)
    return Detector(encoder, num_classes, frozen=frozen, width=16)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_what_is_encoded_is_decoded(seed, num):
    boxes = boxes_of(num, seed)
    points = boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2]) * 0.3
    again = decode(encode(boxes, points, (4, 6)), points, (4, 6))
    assert torch.allclose(again, boxes, atol=1e-3)


def test_centres_go_row_by_row_from_the_upper_left():
    points = centres((2, 3), (4, 10))
    assert points.tolist() == [[5, 2], [15, 2], [25, 2], [5, 6], [15, 6], [25, 6]]


def test_generalised_overlap_is_one_of_itself_and_falls_below_zero_far_away():
    boxes = boxes_of(5)
    assert torch.allclose(generalised_iou(boxes, boxes), torch.ones(5))
    apart = [generalised_iou(boxes, boxes + by).max().item() for by in (0.0, 5.0, 100.0, 1000.0)]
    assert apart == sorted(apart, reverse=True)
    assert -1 < apart[-1] < -0.9


def test_suppression_keeps_one_of_equals_both_classes_and_the_best_first():
    box = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.cat([box, box, box, box + 30])
    scores = torch.tensor([0.5, 0.9, 0.7, 0.6])
    labels = torch.tensor([0, 0, 1, 0])
    kept = suppress(boxes, scores, labels, threshold=0.5)
    assert kept.tolist() == [1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_what_stays_does_not_clash_and_what_went_did_with_a_better_one(seed, threshold):
    boxes = boxes_of(20, seed, side=20.0)
    rng = torch.Generator().manual_seed(seed)
    scores, labels = torch.rand(20, generator=rng), torch.randint(0, 2, (20,), generator=rng)
    kept = suppress(boxes, scores, labels, threshold=threshold)
    iou = pairwise_iou(boxes, boxes) * (labels[:, None] == labels[None])
    among = iou[kept][:, kept] - torch.eye(len(kept))
    assert (among <= threshold).all()
    for number in set(range(20)) - set(kept.tolist()):
        assert ((iou[number, kept] > threshold) & (scores[kept] >= scores[number])).any()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    # Suppressing again changes nothing.
    assert len(suppress(boxes[kept], scores[kept], labels[kept], threshold=threshold)) == len(kept)


def test_every_object_is_asked_of_some_cell_even_one_smaller_than_a_cell():
    boxes = torch.tensor([[0.0, 0, 30, 30], [13.2, 13.2, 13.6, 13.6], [39.0, 39.0, 40.0, 40.0]])
    targets = assign(boxes, torch.tensor([0, 1, 1]), (10, 10), CELL, 2)
    for box, label in zip(boxes, (0, 1, 1), strict=True):
        own = (targets.boxes == box).all(1)
        assert own.any()
        assert (targets.labels[own] == label).all()
    assert (targets.labels == 2).sum() > 50  # most cells see nothing
    assert (targets.quality[targets.labels == 2] == 0).all()
    assert targets.quality.max() <= 1


def test_a_small_object_in_a_large_one_is_what_its_cell_is_asked_for():
    boxes = torch.tensor([[0.0, 0, 40, 40], [16.0, 16, 24, 24]])
    targets = assign(boxes, torch.tensor([0, 1]), (10, 10), CELL, 2)
    assert targets.labels[4 * 10 + 4] == 1
    assert set(targets.labels[targets.boxes[:, 2] == 40].tolist()) <= {0}


def test_the_loss_is_least_where_everything_is_said_right():
    boxes = boxes_of(3)
    targets = assign(boxes, torch.tensor([0, 1, 0]), (10, 10), CELL, 2)
    truth = torch.nn.functional.one_hot(targets.labels, 3)[None, :, :2].float()
    right = detection_loss(
        20 * truth - 10, torch.logit(targets.quality.clamp(1e-4, 1 - 1e-4))[None],
        targets.boxes[None], [targets],
    )  # fmt: skip
    others = [
        detection_loss(-(20 * truth - 10), targets.quality[None], targets.boxes[None], [targets]),
        detection_loss(20 * truth - 10, targets.quality[None], targets.boxes[None] + 3, [targets]),
    ]
    assert all(right < other for other in others)


def test_an_image_without_objects_is_learnt_from():
    network = small_detector()
    empty = assign(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), (4, 4), CELL, 2)
    loss = detection_loss(*network(torch.rand(1, 1, 16, 16)), [empty])
    loss.backward()
    assert 0 < loss.item() < 1  # an untrained head says that nothing is there
    assert network.score.bias.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (5, 3)])
def test_any_size_is_taken_and_boxes_lie_inside(size):
    network = small_detector().eval()
    torch.nn.init.constant_(network.score.bias, 2.0)
    found = network.detect(torch.rand(2, 1, *size))
    assert len(found) == 2
    for one in found:
        assert len(one.boxes)
        assert (one.boxes >= 0).all()
        assert (one.boxes[:, 2] <= size[1]).all()
        assert (one.boxes[:, 3] <= size[0]).all()


def test_an_untrained_detector_is_sure_of_nothing():
    found = small_detector().eval().detect(torch.rand(1, 1, 16, 16), least=0.2)
    assert len(found[0].boxes) == 0


def test_a_frozen_encoder_has_no_gradient_and_its_head_has():
    network = small_detector(frozen=True).train()
    targets = assign(boxes_of(2, side=16), torch.tensor([0, 1]), (4, 4), CELL, 2)
    detection_loss(*network(torch.rand(1, 1, 16, 16)), [targets]).backward()
    assert all(p.grad is None for p in network.encoder.parameters())
    assert all(p.grad is not None for p in network.tower.parameters())
    assert not network.encoder.training
