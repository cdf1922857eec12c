"""Laws of the segmentation network, in 2-D and 3-D."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.models.decoder import steps_of, unpatchify
from medjepa.models.encoder import ViTEncoder
from medjepa.models.patches import patchify
from medjepa.models.segmenter import DECODERS, Segmenter

GRIDS = {
    "square": ((16, 16), (8, 8), (13, 19)),
    "cube": ((8, 8, 8), (4, 4, 4), (9, 7, 10)),
    "thick slices": ((4, 12, 8), (2, 6, 4), (3, 13, 9)),
    "one slice": ((1, 8, 8), (1, 4, 4), (1, 9, 7)),
}


def network(grid="cube", decoder="light", **settings):
    torch.manual_seed(0)
    image, patch, _ = GRIDS[grid]
    return Segmenter(ViTEncoder(image, patch, 2, 24, 3, 2), 3, decoder=decoder, **settings)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("grid", GRIDS)
def test_every_voxel_of_any_size_has_a_score_for_each_output(grid, decoder):
    odd = GRIDS[grid][2]
    scores = network(grid, decoder)(torch.rand(2, 2, *odd))
    assert scores.shape == (2, 3, *odd)
    assert scores.isfinite().all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_weight_learns(decoder):
    model = network("thick slices", decoder)
    model(torch.rand(2, 2, 4, 12, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_frozen_encoder_neither_learns_nor_drops(decoder):
    encoder = ViTEncoder((8, 8), (4, 4), 1, 24, 2, 2, dropout=0.5)
    model = Segmenter(encoder, 2, decoder=decoder, frozen=True).train()
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(images), model(images))
    model(images).square().sum().backward()
    assert all(p.grad is None for p in encoder.parameters())
    assert all(p.grad is not None for p in model.decoder.parameters())


@pytest.mark.parametrize("decoder", DECODERS)
def test_images_of_a_batch_do_not_see_each_other(decoder):
    model, images = network(decoder=decoder).eval(), torch.rand(3, 2, 9, 7, 10)
    alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(model(images), alone, rtol=1e-4, atol=1e-5)


def test_what_is_padded_is_black_as_outside_of_a_volume():
    model, images = network().eval(), torch.rand(1, 2, 7, 8, 8)
    padded = torch.cat([images, torch.zeros(1, 2, 1, 8, 8)], 2)
    torch.testing.assert_close(model(images), model(padded)[:, :, :7])


def test_the_encoder_sees_pixels_by_the_statistics_of_its_training():
    mean, std = torch.tensor([0.2, 0.4]), torch.tensor([0.5, 2.0])
    plain = network("cube").eval()
    scaled = network("cube", mean=mean, std=std).eval()
    images = torch.rand(1, 2, 8, 8, 8)
    shape = (2, 1, 1, 1)
    torch.testing.assert_close(
        scaled(images), plain((images - mean.view(shape)) / std.view(shape)), rtol=1e-4, atol=1e-5
    )


def test_the_linear_decoder_reads_nothing_but_the_patch_s_own_tokens():
    model = network(decoder="linear").eval()
    tokens = torch.rand(1, 8, 72)
    changed = tokens.clone()
    changed[:, 5] += 1
    pixels = torch.zeros(1, 2, 8, 8, 8)
    differs = (model.decoder(tokens, pixels) != model.decoder(changed, pixels)).any(1)[0]
    assert differs[4:, :4, 4:].all()
    assert differs.sum() == 4**3


@given(st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_steps_multiply_to_the_patch_and_coarse_ones_come_first(patch):
    steps = steps_of(patch)
    assert tuple(map(math.prod, zip(*steps, strict=True))) == tuple(patch)
    for axis in zip(*steps, strict=True):
        assert list(axis) == sorted(axis, reverse=True)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=2, max_size=3))
@settings(max_examples=30)
def test_unpatchify_turns_patchify_round(axes):
    patch = tuple(p for _, p in axes)
    images = torch.rand(2, 3, *(n * p for n, p in axes))
    assert torch.equal(unpatchify(patchify(images, patch), patch, images.shape[2:]), images)


def test_what_makes_no_network_is_refused():
    encoder = ViTEncoder((8, 8), (4, 4), 1, 24, 2, 2)
    with pytest.raises(ValueError, match="decoder must be one of light, linear"):
        Segmenter(encoder, 2, decoder="heavy")
    with pytest.raises(ValueError, match="num_outputs"):
        Segmenter(encoder, 0)
    with pytest.raises(ValueError, match="multiple of 16"):
        Segmenter(encoder, 2, width=12)
