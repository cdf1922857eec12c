"""Views of boxes, and a detector that learns."""

import pytest
import torch

from medjepa.models.detector import Detector
from medjepa.models.encoder import ViTEncoder
from medjepa.objectives.boxes import pairwise_iou
from medjepa.objectives.volume_augmentation import draw_labelled_view, render_labelled_view
from medjepa.training.detection import POSE, BoxedImage, batch, boxes_in_view, finetune_detector
from medjepa.training.finetune import FinetuneSettings
from medjepa.training.interrupts import StopWish
from medjepa.types import MODALITIES


@pytest.mark.parametrize("kind", ["generic", "histology"])
def test_boxes_move_with_what_they_hold(kind):
    """The box of a bright rectangle in the image is that of the bright pixels in the view."""
    height, width = 60, 90
    images = torch.zeros(8, 1, height, width)
    images[:, :, 20:40, 30:60] = 1.0
    box = torch.tensor([[30.0, 20.0, 60.0, 40.0]])
    modality = torch.full((8,), MODALITIES.index(kind))
    rng = torch.Generator().manual_seed(0)
    view = draw_labelled_view(modality, (height, width), rng=rng, pose=POSE)
    labels = (images[:, 0] > 0).to(torch.uint8)
    _, moved = render_labelled_view(images, labels, view)
    for number in range(8):
        boxes, kept = boxes_in_view(box, torch.tensor([3]), view, number, (height, width))
        there = moved[number].nonzero()
        assert kept.tolist() == [3]
        seen = torch.cat([there.amin(0).flip(0), there.amax(0).flip(0) + 1]).float()
        assert (boxes[0] - seen).abs().max() <= 1.5


def test_what_left_the_view_is_not_asked_for():
    rng = torch.Generator().manual_seed(0)
    view = draw_labelled_view(torch.zeros(4, dtype=torch.long), (40, 40), rng=rng, pose=POSE)
    boxes = torch.tensor([[-300.0, -300.0, -290.0, -290.0], [10.0, 10, 30, 30]])
    for number in range(4):
        found, labels = boxes_in_view(boxes, torch.tensor([0, 1]), view, number, (40, 40))
        assert labels.tolist() == [1]
        assert (found >= 0).all()
        assert (found <= 40).all()


def test_images_of_several_sizes_are_padded_to_the_right_and_below():
    together = batch([torch.ones(1, 2, 5), torch.ones(1, 4, 3)])
    assert together.shape == (2, 1, 4, 5)
    assert together[0, 0].sum() == 10
    assert together[1, 0, :, :3].all()
    assert not together[1, 0, :, 3:].any()


class OneImage:
    def __init__(self):
        self.boxes = torch.tensor([[4.0, 3.0, 14.0, 12.0], [16.0, 14.0, 30.0, 29.0]])
        image = torch.full((1, 32, 32), 0.5)
        image[:, 3:12, 4:14], image[:, 14:29, 16:30] = 1.0, 0.0
        self.image = image

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return BoxedImage(self.image, self.boxes, torch.tensor([0, 1]), 0)


def train(folder, *, steps, wish=None):
    torch.manual_seed(0)
    network = Detector(ViTEncoder(32, 4, 1, 24, 2, 2), 2, width=32)
    settings = FinetuneSettings(steps=steps, batch_size=1, learning_rate=3e-3, strength=0.0)
    finetune_detector(
        network, OneImage(), folder=folder, settings=settings, seed=0,
        device=torch.device("cpu"), wish=wish,
    )  # fmt: skip
    return network


def test_one_image_is_learnt_by_heart(tmp_path):
    data = OneImage()
    found = train(tmp_path, steps=120).eval().detect(data.image[None])[0]
    assert found.labels[:2].sort().values.tolist() == [0, 1]
    best = pairwise_iou(found.boxes[:2], data.boxes).amax(0)
    assert (best > 0.75).all()


class StopOnce(StopWish):
    def __init__(self, after):
        super().__init__()
        self.calls, self.after = 0, after

    def __bool__(self):
        self.calls += 1
        return self.calls == self.after


def test_stopped_and_gone_on_with_is_as_if_never_stopped(tmp_path):
    whole = train(tmp_path / "whole", steps=6)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", steps=6, wish=StopOnce(3))
    again = train(tmp_path / "parts", steps=6)
    for (name, one), other in zip(
        whole.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
