"""The encoder: shapes of the guide, and nothing hidden ever reaches what is visible."""

import pytest
import torch

from medjepa.models.encoder import PatchEmbedding, TransformerBlock, ViTEncoder
from medjepa.models.patches import gather_patches, patchify, sincos_positions
from medjepa.models.predictor import JEPAPredictor
from medjepa.models.registry import ENCODERS
from medjepa.objectives.randomness import generator
from medjepa.types import PatchGrid


def tiny(**changes) -> ViTEncoder:
    torch.manual_seed(0)
    settings = {
        "image_size": 32,
        "patch_size": 8,
        "in_channels": 1,
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
    }
    return ViTEncoder(**{**settings, **changes}).eval()


def images(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(0, 0, "images"))


def test_shapes_of_the_guide():
    encoder = ViTEncoder(
        image_size=224, patch_size=16, in_channels=3, embed_dim=48, depth=1, num_heads=3
    )
    x = images(2, 3, 224, 224)
    assert encoder(x).shape == (2, 196, 48)
    assert encoder(x, patch_indices=torch.tensor([[0, 5], [7, 195]])).shape == (2, 2, 48)
    assert PatchEmbedding(224, 16, 3, 48)(x).shape == (2, 196, 48)
    assert TransformerBlock(48, 3)(encoder(x)).shape == (2, 196, 48)


@pytest.mark.parametrize(
    ("size", "patch"), [((6, 4), (3, 2)), ((4, 6, 2), (2, 3, 1)), ((8,), (4,))]
)
def test_patches_are_the_image_cut_up(size, patch):
    x = images(2, 3, *size)
    patches = patchify(x, patch)
    first = x[(slice(None), slice(None), *(slice(0, p) for p in patch))].flatten(1)
    last = x[(slice(None), slice(None), *(slice(-p, None) for p in patch))].flatten(1)
    torch.testing.assert_close(patches[:, 0], first)
    torch.testing.assert_close(patches[:, -1], last)
    torch.testing.assert_close(patches.flatten().sort().values, x.flatten().sort().values)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_hidden_pixel_cannot_change_a_context_embedding(axes):
    encoder = tiny(image_size=(32,) * axes, patch_size=(8,) * axes)
    x = images(2, 1, *(32,) * axes)
    kept = torch.stack(
        [torch.randperm(4**axes, generator=generator(0, i, ""))[:5] for i in range(2)]
    )
    before = encoder(x, kept)
    hidden = torch.ones(2, 4**axes, dtype=torch.bool).scatter_(1, kept, False)
    for value in (0.0, torch.nan, 1e30):  # a NaN would show any multiplication by zero
        patches = patchify(x, (8,) * axes).clone()
        patches[hidden] = value
        changed = patches.view(2, *(4,) * axes, *(8,) * axes)
        order = [0, *(i for a in range(axes) for i in (1 + a, 1 + axes + a))]
        changed = changed.permute(order).reshape(x.shape)
        torch.testing.assert_close(encoder(changed, kept), before, rtol=0, atol=0)
        assert not torch.equal(encoder(changed), encoder(x))


def test_the_order_of_kept_patches_only_orders_the_output():
    encoder, x = tiny(), images(1, 1, 32, 32)
    kept = torch.tensor([[3, 9, 1, 14]])
    shuffled = encoder(x, kept[:, [2, 0, 3, 1]])
    torch.testing.assert_close(shuffled, encoder(x, kept)[:, [2, 0, 3, 1]])


def test_all_patches_kept_is_the_whole_image_and_batches_are_independent():
    encoder, x = tiny(), images(3, 1, 32, 32)
    everything = torch.arange(16).expand(3, -1)
    torch.testing.assert_close(encoder(x, everything), encoder(x))
    torch.testing.assert_close(encoder(x)[1:2], encoder(x[1:2]))


def test_any_size_and_aspect_that_the_patch_divides():
    encoder = tiny()
    for shape, tokens in (((64, 64), 64), ((16, 48), 12), ((8, 8), 1)):
        assert encoder(images(1, 1, *shape)).shape == (1, tokens, 32)
    with pytest.raises(ValueError, match="multiple"):
        encoder(images(1, 1, 30, 32))
    with pytest.raises(ValueError, match="1 channels, got 3"):
        encoder(images(1, 3, 32, 32))


def test_positions_of_another_size_are_interpolated():
    native = PatchGrid((4, 4))
    fine = sincos_positions(PatchGrid((8, 8)), 32, native=native).view(8, 8, 32)
    coarse = sincos_positions(native, 32).view(4, 4, 32)
    # a native place lies in the middle of its four finer ones
    middle = fine.view(4, 2, 4, 2, 32).mean((1, 3))
    assert (middle - coarse).abs().max() < 0.05
    assert len(sincos_positions(PatchGrid((3, 5, 2)), 33).unique(dim=0)) == 30


def test_gather_picks_each_images_own_patches():
    x = torch.arange(24.0).view(2, 4, 3)
    picked = gather_patches(x, torch.tensor([[3], [0]]))
    assert picked.tolist() == [[[9, 10, 11]], [[12, 13, 14]]]


def test_the_predictor_knows_where_but_not_what():
    torch.manual_seed(0)
    predictor = JEPAPredictor(embed_dim=32, predictor_dim=16, depth=1, num_heads=2, num_patches=16)
    seen = images(2, 5, 32)
    context = torch.arange(5).expand(2, -1)
    targets = torch.tensor([[7, 9], [15, 6]])
    out = predictor(seen, context, targets)
    assert out.shape == (2, 2, 32)
    alone = predictor(seen, context, targets[:, [1, 0]])
    torch.testing.assert_close(alone, out[:, [1, 0]])
    assert not torch.allclose(
        out[0, 0], predictor(seen, context, targets + 1 - 2 * (targets > 10).long())[0, 0]
    )
    with pytest.raises(ValueError, match="patches"):
        JEPAPredictor(32, 16, 1, 2, 15, grid=PatchGrid((4, 4)))


def test_the_registry_starts_tiny_and_every_entry_builds():
    assert next(iter(ENCODERS)) == "vit_test"
    for name, sizes in ENCODERS.items():
        with torch.device("meta"):
            encoder = ViTEncoder(
                sizes["image_size"], sizes["patch_size"], 1, sizes["embed_dim"],
                sizes["encoder_depth"], sizes["encoder_heads"],
            )  # fmt: skip
        count = sum(p.numel() for p in encoder.parameters())
        assert (count < 100_000) == name.endswith("_test")
