"""Encoders that others pre-trained, mostly on photographs, as timm offers them.

Legend: B images, C channels, D features.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.errors import ConfigError

WEIGHTS_SUFFIX = ".safetensors"
"""Other files of weights may hold code, which runs when they are read."""


class TimmEncoder(nn.Module):
    """A frozen encoder of images in [0, 1], of any size, grey or in colour; to (B, D).

    They are brought to the size and scale that its own training had, whole: nothing is cut off.

    Attributes:
        size: (H, W) that the encoder sees.
        config: what it is the weights of.
    """

    def __init__(self, name: str, network: nn.Module, config: Mapping[str, Any]) -> None:
        """Take a network without its classifier, and timm's description of its input.

        Raises:
            ConfigError: it does not take three colours.
        """
        super().__init__()
        channels, height, width = config["input_size"]
        if channels != 3:
            raise ConfigError(f"evaluation.timm: it takes {channels} channels, not colour images")
        self.network, self.size = network.eval().requires_grad_(False), (int(height), int(width))
        self.config: dict[str, object] = {"timm": name, "size": list(self.size)}
        self.mean: Tensor
        self.std: Tensor
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(config[name]).view(1, 3, 1, 1))

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Embed images; of one channel each stands for all three colours."""
        placed = images.to(self.mean)
        resized = F.interpolate(
            placed, self.size, mode="bicubic", align_corners=False, antialias=True
        ).clamp(0, 1)
        colour = resized.expand(-1, 3, -1, -1)
        features: Tensor = self.network((colour - self.mean) / self.std)
        return features.flatten(1)

    def note(self, seen: tuple[int, int] | None) -> str:
        """What a reader should know, of images that are stored as `seen` (H, W); None: planes."""
        height, width = self.size
        given = "planes" if seen is None else f"the images of {seen[0]} x {seen[1]} pixels"
        return (
            f"{self.config['timm']} of timm sees {given} at {height} x {width}. Whether its own "
            "training had seen any of them is not known here."
        )


def timm_encoder(name: str, weights: str | Path = "") -> TimmEncoder:
    """Load the encoder that timm calls `name`.

    Args:
        name: with the training it had, as `resnet50.a1_in1k`.
        weights: its file from timm's page, for machines without a network; "" lets timm fetch it.

    Raises:
        ConfigError: timm is not installed or does not know the name; the weights are not there, are
            no .safetensors, or do not fit.
    """
    if weights and (not Path(weights).is_file() or Path(weights).suffix != WEIGHTS_SUFFIX):
        raise ConfigError(
            f"evaluation.timm_weights: {weights} is no {WEIGHTS_SUFFIX} file; take "
            f"model{WEIGHTS_SUFFIX} from the page of {name} (other kinds may hold code)"
        )
    try:
        timm = import_module("timm")
        describe = import_module("timm.data").resolve_model_data_config
    except ImportError as error:
        raise ConfigError(
            f"evaluation.timm: timm cannot be imported ({error}): pip install 'medjepa[timm]', or "
            "leave evaluation.timm out"
        ) from error
    source = {"pretrained_cfg_overlay": {"file": str(weights)}} if weights else {}
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0, **source)
    except (RuntimeError, OSError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = (
            "do these weights belong to this name?"
            if weights
            else "without a network, fetch them elsewhere and give "
            f"evaluation.timm_weights=model{WEIGHTS_SUFFIX}"
        )
        raise ConfigError(f"evaluation.timm: {name} cannot be loaded ({first}); {hint}") from error
    return TimmEncoder(name, network, describe(network))
