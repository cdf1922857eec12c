"""How a file becomes the numbers a model sees, in a form that a checkpoint can carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.decode import read, read_at_least
from medjepa.data.decode.limits import check_finite
from medjepa.data.intensity import (
    gain_and_bias,
    is_grey,
    match_channels,
    robust_range,
    to_stored,
    window_of,
)
from medjepa.data.modality import IntensityPlan
from medjepa.data.resize import FITS, Fit, fit_to, resize
from medjepa.data.volumetric import VolumetricPreprocessor
from medjepa.errors import ConfigError, InputError
from medjepa.types import MedicalImage

__all__ = [
    "MedicalImagePreprocessor", "Pipeline", "VolumetricPreprocessor", "enough_for", "fill_value",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """File to tensor, exactly as by way of a prepared store.

    Attributes:
        size: (H, W) of the store: the first, stored resolution.
        channels: 1 or 3.
        fit: "stretch" or "pad".
        image_size: (H, W) that the model sees, if it differs from `size`.
        intensity: the steps before resizing, by kind of image; none: the file's own window.
    """

    size: tuple[int, int]
    channels: int = 1
    fit: Fit = "stretch"
    image_size: tuple[int, int] | None = None
    intensity: IntensityPlan = field(default_factory=IntensityPlan)

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ConfigError(f"fit: {self.fit!r} is unknown; one of {', '.join(FITS)}")
        if self.channels not in (1, 3):
            raise ConfigError(f"channels: 1 or 3, got {self.channels}")
        for name in ("size", "image_size"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (int(value[0]), int(value[1])))

    def read(self, path: str | Path) -> MedicalImage:
        """Read a file as `prepare` does: a large JPEG is scaled while it is decoded.

        Raises:
            InputError: as `medjepa.data.read`.
        """
        return read_at_least(path, enough_for(self.size, self.intensity))[0]

    def __call__(self, image: MedicalImage) -> np.ndarray:
        """Turn one 2-D image into float32 (C, H, W) in [0, 1].

        Raises:
            InputError: it is a volume or a clip.
        """
        if image.axes != "yx":
            raise InputError(image.source, f"a 2-D image is needed, this one has axes {image.axes}")
        image = self.intensity(image)
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
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {**values, "intensity": self.intensity.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Pipeline":
        """Build the pipeline that `to_dict` described.

        Raises:
            ConfigError: a value makes no sense, or a step is unknown here.
        """
        given = dict(values)
        return cls(**{**given, "intensity": IntensityPlan.from_dict(given.get("intensity") or {})})


class MedicalImagePreprocessor:
    """One file to float32 (H, W, 3) in [0, 1].

    The file's own window is used; `intensity` may name a recipe (`medjepa.data.modality`), or be
    "auto" for that of the kind of image: `modality`, else what the header says.
    """

    def __init__(
        self,
        target_size: tuple[int, int] = (224, 224),
        *,
        intensity: str = "as_stored",
        modality: str | None = None,
    ) -> None:
        self.target_size = (int(target_size[0]), int(target_size[1]))
        self.intensity = IntensityPlan.named(intensity, modality)

    def preprocess(self, path: str | Path) -> np.ndarray:
        """Read a file and bring it to (H, W, 3).

        Raises:
            InputError: the file cannot be read, or is a volume; never a blank image instead.
        """
        pipeline = Pipeline(size=self.target_size, channels=3, intensity=self.intensity)
        return np.ascontiguousarray(np.moveaxis(pipeline(pipeline.read(path)), 0, 2))

    def load_image(self, path: str | Path) -> np.ndarray:
        """Read a file as float32 (H, W) or (H, W, 3) in stored units (HU, grey levels)."""
        image = read(path)
        if image.axes != "yx":
            raise InputError(image.source, f"a 2-D image is needed, this one has axes {image.axes}")
        if image.array.shape[0] == 1:
            return np.asarray(image.array[0], dtype=np.float32)
        return np.asarray(np.moveaxis(image.array, 0, 2), dtype=np.float32)

    def normalize_intensity(self, array: np.ndarray) -> np.ndarray:
        """Scale to float32 in [0, 1]: 8 bits by 255, else by the 0.5 and 99.5 percentiles.

        A constant array gives zeros.

        Raises:
            InputError: it holds NaN or infinity.
        """
        values = np.asarray(array)
        check_finite("array", values, "")
        low, high = (0.0, 255.0) if values.dtype == np.uint8 else robust_range(values)
        if high <= low or values.min() == values.max():
            return np.zeros(values.shape, dtype=np.float32)
        scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        return np.asarray(np.clip(scaled, 0.0, 1.0))

    def resize_image(self, array: np.ndarray) -> np.ndarray:
        """Resize (H, W) or (H, W, C) to the target size, antialiased; float32."""
        values = np.asarray(array, dtype=np.float32)
        if values.ndim == 2:
            return np.asarray(resize(values[None], self.target_size)[0])
        resized = resize(np.moveaxis(values, 2, 0), self.target_size)
        return np.ascontiguousarray(np.moveaxis(resized, 0, 2))

    def ensure_3_channels(self, array: np.ndarray) -> np.ndarray:
        """Make (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to float32 (H, W, 3)."""
        values = np.asarray(array, dtype=np.float32)
        if values.ndim == 2:
            values = values[..., None]
        if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
            raise InputError("array", f"shape {np.shape(array)}: 1, 3 or 4 channels are needed")
        if values.shape[2] == 1:
            return np.asarray(np.repeat(values, 3, axis=2))
        return np.asarray(values[..., :3])


def enough_for(
    size: tuple[int, int], plan: IntensityPlan, kind: str | None = None
) -> tuple[int, int]:
    """(Y, X) from which an image may still be reduced to `size` without a loss that can be seen.

    Twice the size; four times where the plan crops the kind of image that was asked for.
    """
    steps = dict(plan.steps).get(kind or plan.modality or "generic", ())
    factor = 4 if any(step.name.startswith("crop") for step in steps) else 2
    return factor * size[0], factor * size[1]


def fill_value(array: np.ndarray, window: tuple[float, float]) -> float:
    """The padding that shows as black without leaving the range of the dtype."""
    if array.dtype.kind == "f":
        return window[0]
    info = np.iinfo(array.dtype)
    return float(min(max(window[0], info.min), info.max))
