import numpy as np
import torch

from medjepa.evaluation.embed import encoder_of
from medjepa.evaluation.last_blocks import last_blocks_of
from medjepa.models.lejepa import LeJEPA

CPU = torch.device("cpu")


def model(depth=5):
    torch.manual_seed(0)
    return LeJEPA(
        image_size=16, patch_size=8, in_channels=1, embed_dim=16, encoder_depth=depth,
        encoder_heads=2, predictor_dim=16, predictor_depth=1, predictor_heads=2,
    ).eval()  # fmt: skip


def test_the_last_block_alone_is_the_embedding():
    given, images = model(), torch.rand(3, 1, 16, 16)
    with torch.inference_mode():
        assert torch.equal(last_blocks_of(given, CPU, 1)(images), encoder_of(given, CPU)(images))


def test_four_blocks_stand_side_by_side_each_normalised():
    given, images = model(), torch.rand(3, 1, 16, 16)
    seen = []
    for block in given.encoder.blocks:
        block.register_forward_hook(lambda _, __, tokens: seen.append(tokens))
    with torch.inference_mode():
        found = last_blocks_of(given, CPU, 4)(images)
        expected = [given.encoder.norm(tokens).mean(1) for tokens in seen[-4:]]
    assert found.shape == (3, 64)
    assert np.allclose(found, torch.cat(expected, dim=1), atol=1e-6)
    assert len({tuple(part.flatten().tolist()) for part in found.split(16, dim=1)}) == 4


def test_a_shallow_encoder_gives_all_it_has():
    with torch.inference_mode():
        assert last_blocks_of(model(2), CPU, 4)(torch.rand(2, 1, 16, 16)).shape == (2, 32)
