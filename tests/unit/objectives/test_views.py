"""Views: crops are exact where they can be, and never leave [0, 1]."""

from dataclasses import replace

import pytest
import torch

from medjepa.objectives.augmentation import AUGMENTATIONS
from medjepa.objectives.randomness import generator
from medjepa.objectives.views import ViewParameters, draw_view, render_view, resampling_matrix
from medjepa.types import MODALITIES


def whole(num: int, **changes: float) -> ViewParameters:
    """Parameters that change nothing, but for what is asked."""
    zero, one = torch.zeros(num), torch.ones(num)
    view = ViewParameters(
        top=zero, left=zero, height=one, width=one, flip_vertical=zero, flip_horizontal=zero,
        transpose=zero, brightness=one, contrast=one, gamma=one, saturation=one, hue=zero,
        blur=zero, noise=zero,
    )  # fmt: skip
    return replace(view, **{name: torch.full((num,), value) for name, value in changes.items()})


def images(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(0, 0, "images"))


def drawn(name: str, num: int = 50) -> ViewParameters:
    modality = torch.full((num,), MODALITIES.index(name))
    return draw_view(modality, scale=(0.3, 1.0), rng=generator(0, 0, name))


def test_the_whole_image_is_the_image():
    x = images(3, 2, 16, 12)
    torch.testing.assert_close(render_view(x, whole(3), size=(16, 12)), x)


def test_flips_and_transpose():
    x = images(2, 1, 8, 8)
    flipped = render_view(x, whole(2, flip_vertical=1.0), size=(8, 8))
    torch.testing.assert_close(flipped, x.flip(2))
    flipped = render_view(x, whole(2, flip_horizontal=1.0), size=(8, 8))
    torch.testing.assert_close(flipped, x.flip(3))
    torch.testing.assert_close(
        render_view(x, whole(2, transpose=1.0), size=(8, 8)), x.transpose(2, 3)
    )


def test_a_crop_is_the_part_of_the_image():
    x = images(1, 1, 16, 16)
    part = whole(1, top=0.25, height=0.5, left=0.5, width=0.5)
    torch.testing.assert_close(render_view(x, part, size=(8, 8)), x[:, :, 4:12, 8:])


def test_reducing_does_not_alias_and_keeps_the_mean():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    reduced = render_view(stripes, whole(1), size=(16, 16))
    assert (reduced[..., 1:-1] - 0.5).abs().max() < 0.05
    smooth = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    reduced = render_view(smooth, whole(1), size=(16, 16))
    assert reduced.mean().item() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("name", MODALITIES)
def test_views_of_every_modality_stay_within_the_grey_scale(name):
    for channels in (1, 3):
        x = images(50, channels, 20, 20)
        view = render_view(x, drawn(name), size=(16, 16), noise_rng=generator(0, 0, "noise"))
        assert view.shape == (50, channels, 16, 16)
        assert view.min() >= 0 and view.max() <= 1 and view.std() > 0.01


@pytest.mark.parametrize("name", ["skin", "histology", "retina"])
def test_colour_changes_leave_grey_images_grey(name):
    grey = images(50, 1, 8, 8).expand(-1, 3, -1, -1)
    view = render_view(grey, drawn(name), size=(8, 8))
    assert (view.amax(1) - view.amin(1)).max() < 1e-5
    colour = images(50, 3, 8, 8)
    plain = replace(drawn(name), hue=torch.zeros(50), saturation=torch.ones(50))
    assert not torch.allclose(
        render_view(colour, drawn(name), size=(8, 8)), render_view(colour, plain, size=(8, 8))
    )


def test_side_is_kept_where_it_has_meaning():
    for name in ("generic", "xray", "ct", "mri", "retina"):
        assert AUGMENTATIONS[name].flip_horizontal == AUGMENTATIONS[name].transpose == 0
        assert not drawn(name).flip_horizontal.any()
    for name in ("generic", "xray", "ct", "mri", "ultrasound"):
        assert AUGMENTATIONS[name].hue == AUGMENTATIONS[name].saturation == 0
    assert drawn("histology").flip_horizontal.any() and drawn("histology").transpose.any()


def test_each_image_is_changed_as_its_own_modality_allows():
    modality = torch.tensor([MODALITIES.index("xray"), MODALITIES.index("skin")] * 40)
    view = draw_view(modality, scale=(0.3, 1.0), rng=generator(0, 0, "mixed"))
    assert not view.flip_horizontal[::2].any() and view.flip_horizontal[1::2].any()
    assert (view.hue[::2] == 0).all() and (view.hue[1::2] != 0).any()


def test_boxes_lie_inside_and_have_the_asked_area():
    view = draw_view(
        torch.zeros(2000, dtype=torch.long), scale=(0.3, 0.9), rng=generator(0, 0, "b")
    )
    for start, length in ((view.top, view.height), (view.left, view.width)):
        assert (start >= 0).all() and (start + length <= 1 + 1e-6).all()
    area = view.height * view.width
    assert area.min() > 0.25 and area.max() < 0.91
    assert area.mean().item() == pytest.approx(0.6, abs=0.03)


def test_the_same_seed_draws_the_same_view_and_rows_are_those_of_the_whole():
    first, second = drawn("xray"), drawn("xray")
    assert all(
        torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True)
    )
    x = images(50, 1, 16, 16)
    part = slice(10, 20)
    torch.testing.assert_close(
        render_view(x[part], first.rows(part), size=(8, 8)),
        render_view(x, first, size=(8, 8))[part],
    )


def test_blur_smooths_and_noise_roughens():
    x = images(4, 1, 32, 32)

    def roughness(view: torch.Tensor) -> float:
        return view.diff(dim=-1).abs().mean().item()

    plain = roughness(render_view(x, whole(4), size=(32, 32)))
    assert roughness(render_view(x, whole(4, blur=1.0), size=(32, 32))) < 0.6 * plain
    smooth = torch.full((4, 1, 32, 32), 0.5)
    noisy = render_view(smooth, whole(4, noise=0.1), size=(32, 32), noise_rng=generator(0, 0, "n"))
    assert noisy.std().item() == pytest.approx(0.1, rel=0.1)


def test_rows_of_the_resampling_matrix_sum_to_one():
    start, length = torch.rand(9) * 0.5, torch.full((9,), 0.5)
    matrix = resampling_matrix(
        7, 20, start, length, torch.zeros(9), torch.rand(9), torch.device("cpu")
    )
    torch.testing.assert_close(matrix.sum(-1), torch.ones(9, 20))
