"""Inflation: a volume of equal slices gives what its slice gave."""

import pytest
import torch

from medjepa.models.inflate import inflate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.vjepa import VJEPA
from medjepa.objectives.randomness import generator


def models(channels=(1, 1), **changes):
    torch.manual_seed(0)
    images = LeJEPA(16, 8, channels[0], 24, 2, 2, num_directions=8, projector_dim=8)
    # Colours differ in scale, as those of skin and of stained tissue do.
    images.set_pixel_statistics(
        torch.linspace(0.4, 0.7, channels[0]), torch.linspace(0.2, 0.1, channels[0])
    )
    sizes = {
        "volume_size": (12, 16, 16), "patch_size": (4, 8, 8), "embed_dim": 24, "depth": 2,
        "num_heads": 2, "num_directions": 8, "projector_dim": 8, "in_channels": channels[1],
    }  # fmt: skip
    return images, VJEPA(**{**sizes, **changes})


@pytest.mark.parametrize("channels", [(1, 1), (3, 3), (3, 1)])
def test_equal_slices_give_the_slices_tokens(channels):
    images, volumes = models(channels)
    inflate(images, volumes)
    x = torch.rand(2, 1, 16, 16, generator=generator(0, 0, "slices"))
    volume = x[:, :, None].expand(-1, channels[1], 12, -1, -1)
    flat = images.encoder.patch_embedding
    deep = volumes.encoder.patch_embedding
    tokens = flat(images.standardise(x.expand(-1, channels[0], -1, -1))) - flat.positions
    inflated = deep(volumes.standardise(volume)) - deep.positions
    torch.testing.assert_close(
        inflated.unflatten(1, (3, 4)), tokens[:, None].expand(-1, 3, -1, -1), rtol=1e-4, atol=1e-5
    )
    block = "blocks.1.mlp.0.weight"
    assert volumes.encoder.state_dict()[block].equal(images.encoder.state_dict()[block])


@pytest.mark.parametrize(
    ("channels", "changes", "says"),
    [
        ((1, 1), {"patch_size": (4, 16, 16)}, "patches of"),
        ((1, 2), {}, "1 channels cannot become 2"),
        ((1, 1), {"embed_dim": 48}, "differ in size"),
        ((1, 1), {"depth": 3}, "differ in size"),
    ],
)
def test_other_sizes_are_refused_by_name(channels, changes, says):
    with pytest.raises(ValueError, match=says):
        inflate(*models(channels, **changes))
