"""MONAI's U-Net as the peer that everybody knows, fitted to a window's size."""

from collections.abc import Sequence
from importlib import import_module

from torch import nn

from medjepa.errors import ConfigError

CHANNELS = (16, 32, 64, 128, 256)
"""Of its levels, as in MONAI's own tutorials."""

NUM_RESIDUAL_UNITS = 2


def monai_unet(window: Sequence[int], in_channels: int, num_outputs: int) -> nn.Module:
    """Build it from scratch: (B, in_channels, *window) to (B, num_outputs, *window).

    An axis is halved while its window divides: at most four times, as in MONAI's tutorials.
    Source: Ronneberger et al. 2015 with the residual units of Kerfoot et al. 2018, in MONAI.

    Raises:
        ConfigError: MONAI is not installed, or no axis of the window can be halved.
    """
    try:
        networks = import_module("monai.networks.nets")
    except ImportError as error:
        raise ConfigError(
            "finetune.methods: unet is MONAI's, which is not installed: "
            "pip install 'medjepa[monai]', or leave unet out"
        ) from error
    strides = strides_of(window)
    if not strides:
        raise ConfigError(
            f"finetune.methods: unet needs a window with an even side, this one is {tuple(window)}"
        )
    network: nn.Module = networks.UNet(
        spatial_dims=len(window),
        in_channels=in_channels,
        out_channels=num_outputs,
        channels=CHANNELS[: len(strides) + 1],
        strides=strides,
        num_res_units=NUM_RESIDUAL_UNITS,
    )
    return network


def strides_of(window: Sequence[int]) -> list[tuple[int, ...]]:
    """By how much each axis shrinks from level to level: 2 while it divides, else 1."""
    sides, strides = list(window), []
    for _ in CHANNELS[1:]:
        step = tuple(2 if side % 2 == 0 and side > 2 else 1 for side in sides)
        if max(step) == 1:
            break
        strides.append(step)
        sides = [side // s for side, s in zip(sides, step, strict=True)]
    return strides
