"""Laws of low-rank adapters (Hu et al., arXiv 2106.09685)."""

import copy

import pytest
import torch
from torch import nn

from medjepa.models.encoder import ViTEncoder
from medjepa.training.lora import LoRALinear, add_adapters, merge_adapters


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ViTEncoder(16, 8, 1, 12, 2, 2).eval()


@pytest.fixture
def images():
    return torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def stir(encoder):
    """Give every adapter something to say."""
    for name, parameter in encoder.named_parameters():
        if name.endswith(".up"):
            nn.init.normal_(parameter, std=0.1)


def test_an_encoder_with_new_adapters_computes_what_it_did(encoder, images):
    before = encoder(images)
    add_adapters(encoder, rank=2)
    torch.testing.assert_close(encoder(images), before, rtol=0, atol=0)


def test_merged_adapters_compute_the_same_and_leave_an_encoder_as_it_was_built(encoder, images):
    plain = copy.deepcopy(encoder)
    add_adapters(encoder, rank=3, alpha=5)
    stir(encoder)
    before = encoder(images)
    assert (before - plain(images)).abs().max() > 0.01  # they do say something
    merge_adapters(encoder)
    torch.testing.assert_close(encoder(images), before, rtol=1e-5, atol=1e-6)
    assert encoder.state_dict().keys() == plain.state_dict().keys()


def test_only_adapters_are_trained_and_each_attention_has_two(encoder):
    add_adapters(encoder, rank=2)
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained == {
        f"blocks.{block}.attention.{layer}.{side}"
        for block in range(2)
        for layer in ("qkv", "projection")
        for side in ("down", "up")
    }
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == 2 * 2 * (
        (12 + 36) + (12 + 12)
    )


def test_the_difference_has_the_rank_and_the_scale():
    layer = LoRALinear(nn.Linear(6, 5), rank=2, alpha=8)
    nn.init.normal_(layer.up)
    change = layer.merged().weight - layer.base.weight
    assert torch.linalg.matrix_rank(change) == 2
    torch.testing.assert_close(change, 4 * layer.up @ layer.down)


def test_a_rank_below_one_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        LoRALinear(nn.Linear(2, 2), rank=0, alpha=1)
