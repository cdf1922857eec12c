"""Images and label maps are changed together."""

import pytest
import torch

from medjepa.objectives.segmentation_loss import segmentation_loss, soft_dice
from medjepa.objectives.volume_augmentation import (
    Pose,
    draw_labelled_view,
    render_labelled_view,
)
from medjepa.types import MODALITIES

MRI = torch.full((4,), MODALITIES.index("mri"))
NO_POSE = Pose(degrees=0, log_scale=0, log_stretch=0, shift=0)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def blob(*spatial):
    """A smooth ball, brighter than a half where its label is 1."""
    places = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in spatial), indexing="ij")
    distance = sum((p - 0.15 * axis) ** 2 for axis, p in enumerate(places)) ** 0.5
    image = torch.sigmoid(12 * (0.5 - distance))
    return image.expand(4, 1, *spatial).clone(), (image > 0.5).to(torch.uint8).expand(4, *spatial)


@pytest.mark.parametrize("spatial", [(24, 18), (16, 24, 20)])
def test_labels_go_where_the_image_goes(spatial):
    images, labels = blob(*spatial)
    view = draw_labelled_view(MRI, spatial, rng=rng(), strength=1.0)
    still = {n: torch.ones(4) for n in ("brightness", "contrast", "gamma")}
    view = type(view)(**{**vars(view), **still, "noise": torch.zeros(4)})
    moved, maps = render_labelled_view(images, labels, view)
    assert maps.dtype == labels.dtype and maps.shape == labels.shape
    assert (maps != labels).float().mean() > 0.01  # something was moved at all
    bright = moved[:, 0] > 0.5
    both = (bright & (maps > 0)).sum() * 2 / (bright.sum() + (maps > 0).sum())
    assert both > 0.88


@pytest.mark.parametrize("spatial", [(12, 10), (6, 8, 10)])
def test_no_strength_changes_nothing(spatial):
    images, labels = blob(*spatial)
    view = draw_labelled_view(MRI, spatial, rng=rng(), strength=0.0)
    moved, maps = render_labelled_view(images, labels, view)
    torch.testing.assert_close(moved, images, atol=1e-5, rtol=1e-5)
    assert torch.equal(maps, labels)


def test_a_shift_is_along_its_own_axis():
    images, labels = torch.zeros(1, 1, 4, 6, 8), torch.zeros(1, 4, 6, 8, dtype=torch.uint8)
    images[..., 1, 2, 3], labels[..., 1, 2, 3] = 1, 1
    view = draw_labelled_view(MRI[:1], (4, 6, 8), rng=rng(), pose=NO_POSE, strength=0.0)
    view.matrix[0, :, 3] = torch.tensor([2 / 4, 0, -2 * 2 / 8])  # one slice on, two columns back
    moved, maps = render_labelled_view(images, labels, view)
    assert maps[0, 0, 2, 5] == 1 and maps.sum() == 1
    assert moved[0, 0, 0, 2, 5] > 0.99


def test_a_half_turn_keeps_the_voxels_size_where_sides_differ():
    images, labels = torch.zeros(1, 1, 4, 16), torch.zeros(1, 4, 16, dtype=torch.uint8)
    labels[:, 1:3, 6:10] = 1
    pose = Pose(degrees=90.0, log_scale=0, log_stretch=0, shift=0)
    turned = draw_labelled_view(MRI[:1], (4, 16), rng=rng(1), pose=pose)
    _, maps = render_labelled_view(images, labels, turned)
    # 2 x 4 voxels about the middle: however they are turned, they stay about as many.
    assert 5 <= maps.sum() <= 11


def test_regions_move_as_the_label_map_they_come_from():
    images, labels = blob(8, 10, 12)
    regions = torch.stack([labels, 1 - labels], 1)
    view = draw_labelled_view(MRI, (8, 10, 12), rng=rng())
    moved = render_labelled_view(images, labels, view)
    masks = render_labelled_view(images, regions, view)
    assert torch.equal(moved[0], masks[0])
    assert torch.equal(moved[1], masks[1][:, 0])


def test_left_and_right_are_not_exchanged_in_mri():
    spatial = (4, 4, 12)
    labels = torch.zeros(64, *spatial, dtype=torch.uint8)
    labels[..., :6] = 1
    images = labels[:, None].float()
    kinds = torch.full((64,), MODALITIES.index("mri"))
    view = draw_labelled_view(kinds, spatial, rng=rng())
    _, maps = render_labelled_view(images, labels, view)
    assert (maps[..., :6].sum((1, 2, 3)) > maps[..., 6:].sum((1, 2, 3))).all()


def test_the_loss_is_least_where_labels_are_met_and_ignores_no_structure():
    labels = torch.randint(3, (2, 4, 5, 6), generator=rng())
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float() * 20
    assert segmentation_loss(right, labels.to(torch.uint8)) < 1e-3
    # All background: the entropy may be small, the Dice is not.
    rare = torch.zeros(2, 8, 8, 8, dtype=torch.uint8)
    rare[:, 0, 0, 0] = 1
    empty = torch.zeros(2, 2, 8, 8, 8)
    empty[:, 0] = 8
    assert segmentation_loss(empty, rare) > 0.3


def test_regions_may_overlap():
    masks = (torch.rand(2, 2, 4, 4, 4, generator=rng()) < 0.6).to(torch.uint8)
    assert (masks.sum(1) == 2).any()
    assert segmentation_loss((masks.float() - 0.5) * 40, masks) < 1e-3


def test_dice_is_counted_over_the_batch():
    masks = torch.zeros(2, 1, 4, 4)
    masks[0] = 1
    missed = masks.clone()
    missed[1, 0, 0, 0] = 1  # one voxel too many in the empty image
    assert soft_dice(missed, masks) > 0.95
