"""An encoder of timm sees whole images at its own size and scale; what cannot be is told."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from medjepa.errors import ConfigError
from medjepa.models.timm_encoder import timm_encoder

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)


class Seen(nn.Module):
    """Gives back what it is given."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.scale


@pytest.fixture
def asked(monkeypatch):
    """A stand-in for timm; what it is asked for."""
    calls = []

    def create_model(name, **how):
        calls.append((name, how))
        if name == "nope":
            raise RuntimeError("Unknown model (nope)\nand more")
        if name == "far":
            raise FileNotFoundError("no connection")
        return Seen()

    timm, data = ModuleType("timm"), ModuleType("timm.data")
    timm.create_model = create_model
    channels = {"channels": 3}
    data.resolve_model_data_config = lambda network: {
        "input_size": (channels["channels"], 12, 8), "mean": MEAN, "std": STD,
        "interpolation": "bicubic", "crop_pct": 0.9,
    }  # fmt: skip
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    return calls, channels


def test_images_are_scaled_as_the_training_was_and_nothing_is_cut_off(asked):
    encoder = timm_encoder("resnet")
    images = torch.rand(2, 3, 12, 8)
    found = encoder(images).view(2, 3, 12, 8)
    want = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    assert torch.allclose(found, want, atol=1e-6)
    assert asked[0] == [("resnet", {"pretrained": True, "num_classes": 0})]
    flat = encoder(torch.full((1, 3, 30, 17), 0.5)).view(3, -1)
    grey = (0.5 - torch.tensor(MEAN)) / torch.tensor(STD)
    assert torch.allclose(flat, grey[:, None], atol=1e-5)


def test_corners_of_a_larger_image_are_seen(asked):
    images = torch.zeros(1, 3, 24, 16)
    images[..., :2, :2] = images[..., -2:, -2:] = 1
    seen = timm_encoder("resnet")(images).view(3, 12, 8)[0] * STD[0] + MEAN[0]
    assert seen[0, 0] > 0.8 and seen[-1, -1] > 0.8 and seen[5, 4].abs() < 0.01


def test_grey_stands_for_three_colours(asked):
    encoder, grey = timm_encoder("resnet"), torch.rand(2, 1, 20, 20)
    assert torch.equal(encoder(grey), encoder(grey.expand(-1, 3, -1, -1)))


def test_it_is_frozen_and_evaluating(asked):
    encoder = timm_encoder("resnet")
    assert not encoder.network.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_weights_of_a_file_are_asked_for_by_its_name(asked, tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    timm_encoder("resnet", path)
    assert asked[0][0][1]["pretrained_cfg_overlay"] == {"file": str(path)}


@pytest.mark.parametrize("name", ["model.pth", "none.safetensors"])
def test_a_file_that_may_hold_code_or_is_not_there_is_refused_unread(asked, tmp_path, name):
    (tmp_path / "model.pth").touch()
    with pytest.raises(ConfigError, match=r"timm_weights: .* is no .safetensors file"):
        timm_encoder("resnet", tmp_path / name)
    assert asked[0] == []


def test_what_fails_is_told_in_one_line_with_what_to_do(asked, tmp_path):
    with pytest.raises(ConfigError, match=r"nope cannot be loaded \(Unknown model \(nope\)\)"):
        timm_encoder("nope")
    with pytest.raises(ConfigError, match=r"evaluation\.timm_weights="):
        timm_encoder("far")
    path = tmp_path / "a.safetensors"
    path.touch()
    with pytest.raises(ConfigError, match="do these weights belong to this name"):
        timm_encoder("nope", path)
    asked[1]["channels"] = 4
    with pytest.raises(ConfigError, match="takes 4 channels"):
        timm_encoder("resnet")


def test_where_timm_is_not_installed_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'medjepa\[timm\]'"):
        timm_encoder("resnet")
