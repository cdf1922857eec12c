"""Views of volumes and clips: exact where they can be, frames never blended, spacing kept true."""

from dataclasses import replace

import pytest
import torch

from medjepa.objectives.randomness import generator
from medjepa.objectives.volume_views import (
    SPEED,
    VolumeViewParameters,
    draw_volume_view,
    frame_matrix,
    render_volume_view,
    view_spacing,
)
from medjepa.types import MODALITIES


def whole(num: int) -> VolumeViewParameters:
    """Parameters that change nothing."""
    zero, one = torch.zeros(num), torch.ones(num)
    return VolumeViewParameters(
        start=torch.zeros(num, 3), length=torch.ones(num, 3), flip=torch.zeros(num, 3),
        brightness=one, contrast=one, gamma=one, saturation=one, hue=zero, blur=zero, noise=zero,
    )  # fmt: skip


def volumes(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(0, 0, "volumes"))


def drawn(name: str = "mri", num: int = 300, **options) -> VolumeViewParameters:
    modality = torch.full((num,), MODALITIES.index(name))
    return draw_volume_view(modality, scale=(0.3, 1.0), rng=generator(0, 0, name), **options)


def test_the_whole_volume_is_the_volume():
    x = volumes(3, 2, 5, 8, 6)
    torch.testing.assert_close(render_volume_view(x, whole(3), size=(5, 8, 6)), x)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_turns_one_axis_and_a_crop_is_the_part(axis):
    x = volumes(2, 1, 8, 12, 16)
    flip = torch.zeros(2, 3)
    flip[:, axis] = 1
    out = render_volume_view(x, replace(whole(2), flip=flip), size=(8, 12, 16))
    torch.testing.assert_close(out, x.flip(2 + axis))
    start, length = torch.zeros(2, 3), torch.ones(2, 3)
    start[:, axis], length[:, axis] = 0.25, 0.5
    size = [8, 12, 16]
    size[axis] //= 2
    out = render_volume_view(x, replace(whole(2), start=start, length=length), size=tuple(size))
    torch.testing.assert_close(out, x.narrow(2 + axis, size[axis] // 2, size[axis]))


def test_draws_stay_inside_keep_their_share_and_reach_every_border():
    view = drawn()
    assert (view.start >= 0).all() and (view.start + view.length <= 1 + 1e-6).all()
    share = view.length.prod(1)
    assert 0.28 <= share.min() < 0.35 and share.max() > 0.9
    assert (view.start.amin(0) < 0.02).all()
    assert ((view.start + view.length).amax(0) > 0.98).all()


def test_the_image_stays_in_range_and_noise_needs_its_generator_only():
    view = replace(drawn(num=4), noise=torch.full((4,), 0.1), gamma=torch.full((4,), 0.5))
    x = volumes(4, 3, 6, 8, 8)
    first, again = (
        render_volume_view(x, view, size=(4, 8, 8), noise_rng=generator(0, 0, "noise"))
        for _ in range(2)
    )
    assert first.min() >= 0 and first.max() <= 1 and not first.isnan().any()
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_frames_are_picked_and_never_blended():
    clip = torch.arange(12.0).view(1, 1, 12, 1, 1).expand(5, 1, 12, 4, 4) / 20
    view = drawn("ultrasound", 5, frames=(12, 6))
    view = replace(view, **{
        name: getattr(whole(5), name) for name in ("brightness", "contrast", "gamma", "noise")
    })  # fmt: skip
    out = render_volume_view(clip, view, size=(6, 4, 4), is_clip=True) * 20
    torch.testing.assert_close(out, out.round())
    assert (out.diff(dim=2) >= 0).all()  # time does not run backwards


def test_clips_are_seen_at_other_times_and_speeds():
    view = drawn("ultrasound", 400, frames=(32, 8))
    speed = view.length[:, 0] * 32 / 8
    assert 1 / SPEED <= speed.min() < 0.6 and 1.7 < speed.max() <= SPEED
    assert view.start[:, 0].max() > 0.6
    assert not view.flip[:, 0].any()


def test_a_clip_too_short_for_a_faster_view_is_shown_whole():
    view = drawn("ultrasound", 100, frames=(8, 8))
    assert view.length[:, 0].max() == 1
    matrix = frame_matrix(3, 8, torch.zeros(1), torch.ones(1), torch.device("cpu"))
    assert matrix.sum(-1).eq(1).all()
    assert matrix[0].argmax(-1).tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


def test_spacing_says_how_large_a_voxel_of_the_view_is():
    view = replace(whole(1), length=torch.tensor([[0.5, 1.0, 0.25]]))
    spacing = torch.tensor([[5.0, 0.5, torch.nan]])
    found = view_spacing(spacing, view, given=(20, 64, 32), size=(10, 32, 8))
    torch.testing.assert_close(found, torch.tensor([[5.0, 1.0, torch.nan]]), equal_nan=True)


def test_views_depend_on_the_generator_alone():
    torch.testing.assert_close(drawn(num=9).start, drawn(num=9).start, rtol=0, atol=0)
    assert not torch.equal(drawn("mri", 9).start, drawn("ct", 9).start)
