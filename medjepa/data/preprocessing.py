"""How a file becomes the numbers a model sees, in a form that a checkpoint can carry."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medjepa.data.intensity import (
    gain_and_bias,
    is_grey,
    match_channels,
    to_stored,
    window_of,
)
from medjepa.data.resize import FITS, Fit, fit_to
from medjepa.errors import ConfigError, InputError
from medjepa.types import MedicalImage


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """File to tensor, exactly as by way of a prepared store.

    Attributes:
        size: (H, W) of the store: the first, stored resolution.
        channels: 1 or 3.
        fit: "stretch" or "pad".
        image_size: (H, W) that the model sees, if it differs from `size`.
    """

    size: tuple[int, int]
    channels: int = 1
    fit: Fit = "stretch"
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ConfigError(f"fit: {self.fit!r} is unknown; one of {', '.join(FITS)}")
        if self.channels not in (1, 3):
            raise ConfigError(f"channels: 1 or 3, got {self.channels}")
        for name in ("size", "image_size"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (int(value[0]), int(value[1])))

    def __call__(self, image: MedicalImage) -> np.ndarray:
        """Turn one 2-D image into float32 (C, H, W) in [0, 1].

        Raises:
            InputError: it is a volume or a clip.
        """
        if image.axes != "yx":
            raise InputError(image.source, f"a 2-D image is needed, this one has axes {image.axes}")
        window = window_of(image)
        array = image.array[:1] if is_grey(image.array) else image.array
        height, width = image.spacing[-2:]
        resized = fit_to(
            array, self.size, fit=self.fit, spacing=(height, width), fill=fill_value(array, window)
        )
        stored = to_stored(resized)
        gain, bias = gain_and_bias(
            *(np.asarray([v]) for v in (stored.scale, stored.offset, *window))
        )
        values = np.multiply(stored.pixels, gain[0], dtype=np.float32)
        values += bias[0]
        np.clip(values, 0.0, 1.0, out=values)
        values = match_channels(values, self.channels, axis=0)
        if self.image_size is None or self.image_size == self.size:
            return values
        import torch

        from medjepa.data.store_dataset import resize_images

        return resize_images(torch.from_numpy(values)[None], self.image_size)[0].numpy()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or a page."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Pipeline":
        """Build the pipeline that `to_dict` described."""
        return cls(**values)


def fill_value(array: np.ndarray, window: tuple[float, float]) -> float:
    """The padding that shows as black without leaving the range of the dtype."""
    if array.dtype.kind == "f":
        return window[0]
    info = np.iinfo(array.dtype)
    return float(min(max(window[0], info.min), info.max))
