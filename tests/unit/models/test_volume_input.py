"""What is no volume in [0, 1], no spacing and no size is refused in words, never trained on."""

import pytest
import torch

from medjepa.models.projector import SharedBatchNorm
from medjepa.models.vjepa import VJEPA
from medjepa.models.volume_input import checked_spacing, checked_volumes

SMALL = {
    "embed_dim": 24,
    "depth": 1,
    "num_heads": 2,
    "projector_dim": 16,
    "num_directions": 8,
}
FLOAT32 = torch.zeros(1)


def small(**more) -> VJEPA:
    return VJEPA((8, 8, 8), (4, 4, 4), **{**SMALL, **more}).eval()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), -1000.0, 255.0])
def test_what_is_no_grey_level_is_refused(bad):
    volumes = torch.rand(2, 1, 8, 8, 8)
    volumes[1, 0, 3, 2, 1] = bad
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        small().encode(volumes)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        small()(volumes)


@pytest.mark.parametrize("dtype", [torch.int16, torch.uint8, torch.bool])
def test_whole_numbers_are_refused_rather_than_truncated(dtype):
    with pytest.raises(ValueError, match="floating point"):
        checked_volumes(torch.ones(1, 1, 8, 8, 8).to(dtype), FLOAT32)


@pytest.mark.parametrize("shape", [(8, 8, 8), (2, 8, 8, 8), (2, 1, 1, 8, 8, 8)])
def test_another_number_of_axes_is_named(shape):
    with pytest.raises(ValueError, match="batch, channels, z, y, x"):
        checked_volumes(torch.rand(shape), FLOAT32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_half_and_double_volumes_give_what_single_ones_do(dtype):
    model, volumes = small(), torch.rand(2, 1, 8, 8, 8).half()
    assert torch.equal(model.encode(volumes.to(dtype)), model.encode(volumes.float()))


@pytest.mark.parametrize("spacing", [[0.0, 1, 1], [-1.0, 1, 1], [1.0, 1], [[1.0, 1, 1]] * 3])
def test_a_spacing_that_cannot_be_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing is"):
        checked_spacing(spacing, 2)


def test_one_spacing_stands_for_all_volumes():
    one = torch.tensor([5.0, 0.5, 0.5])
    expected = one.expand(2, 3)
    for given in (one, one[None], expected, one.tolist()):
        found = checked_spacing(given, 2)
        assert found is not None
        assert torch.equal(found, expected)


@pytest.mark.parametrize("size", [(8, 8), (8, 8, 0), (8, 8, 8, 8)])
def test_a_volume_has_three_sides(size):
    with pytest.raises(ValueError, match="volume_size"):
        VJEPA(size, (4, 4, 4), **SMALL)


def test_a_batch_of_one_is_told_what_to_change():
    with pytest.raises(ValueError, match="batch_size"):
        small(objective="both").train()(torch.rand(1, 1, 8, 8, 8))
    one = torch.rand(1, 4)
    assert SharedBatchNorm(4).eval()(one).shape == one.shape


def test_an_encoder_with_spacing_can_be_exported():
    class Embedding(torch.nn.Module):
        def __init__(self, model: VJEPA) -> None:
            super().__init__()
            self.model = model

        def forward(self, volumes: torch.Tensor, spacing: torch.Tensor) -> torch.Tensor:
            return self.model.encode(volumes, spacing=spacing)

    model = small()
    model.set_reference_spacing(torch.ones(3))
    given = torch.rand(1, 1, 8, 8, 8), torch.tensor([[2.0, 1.0, 0.5]])
    exported = torch.export.export(Embedding(model), given).module()
    torch.testing.assert_close(exported(*given), model.encode(given[0], spacing=given[1]))
