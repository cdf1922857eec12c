import sys
import types

import pytest
import torch

from medjepa.errors import ConfigError
from medjepa.models.unet import monai_unet, strides_of


@pytest.mark.parametrize("window", [(32, 48, 40), (24, 24, 24), (30, 7, 16), (64, 48)])
def test_every_level_divides_the_one_above(window):
    sides = list(window)
    for step in strides_of(window):
        assert all(side % s == 0 for side, s in zip(sides, step, strict=True))
        sides = [side // s for side, s in zip(sides, step, strict=True)]
    assert min(sides) >= 2


def test_without_monai_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(ConfigError, match=r"pip install 'medjepa\[monai\]'"):
        monai_unet((32, 32, 32), 1, 3)


def test_its_arguments_follow_the_window(monkeypatch):
    asked = {}

    def stand_in(**arguments):
        asked.update(arguments)
        return torch.nn.Identity()

    nets = types.SimpleNamespace(UNet=stand_in)
    monkeypatch.setitem(sys.modules, "monai.networks.nets", nets)
    monai_unet((32, 48, 40), 2, 3)
    assert (asked["spatial_dims"], asked["in_channels"], asked["out_channels"]) == (3, 2, 3)
    assert len(asked["channels"]) == len(asked["strides"]) + 1 == 5
    assert asked["strides"] == [(2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1)]


def test_a_window_that_cannot_be_halved_is_refused(monkeypatch):
    nets = types.SimpleNamespace(UNet=lambda **arguments: torch.nn.Identity())
    monkeypatch.setitem(sys.modules, "monai.networks.nets", nets)
    with pytest.raises(ConfigError, match="even side"):
        monai_unet((7, 9, 5), 1, 2)


def test_monai_s_own_keeps_the_window():
    pytest.importorskip("monai", reason="MONAI is an extra")
    for window in ((32, 48, 40), (24, 36)):
        with torch.no_grad():
            out = monai_unet(window, 1, 3)(torch.zeros(1, 1, *window))
        assert out.shape == (1, 3, *window)
