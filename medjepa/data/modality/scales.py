"""Grey scales: which stored values are shown as black and white. No stored value is changed."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from medjepa.data.intensity import robust_range, window_of
from medjepa.data.modality.step import Step
from medjepa.types import MedicalImage

_MIN_STD = 1e-8
_SMALL_FOREGROUND = 0.75


@dataclass(frozen=True)
class FromFile(Step):
    """The window that the file gives; else 0 to 255 for 8 bits; else percentiles."""

    name: ClassVar[str] = "from_file"

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Set `display_range`."""
        return replace(image, display_range=window_of(image))

    def describe(self) -> str:
        """One phrase."""
        return "the file's window, else 0-255 for 8 bits, else percentiles 0.5 to 99.5"


@dataclass(frozen=True)
class Window(Step):
    """A fixed range in stored units, Hounsfield units for CT."""

    name: ClassVar[str] = "window"
    low: float = -1000.0
    high: float = 1000.0

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Set `display_range`."""
        return replace(
            image, display_range=(self.low, self.high), history=(*image.history, self.describe())
        )

    def describe(self) -> str:
        """One phrase."""
        return f"window {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class WindowChannels(Step):
    """Several fixed ranges of a grey image, one channel each, in 16 bits."""

    name: ClassVar[str] = "window_channels"
    windows: tuple[tuple[float, float], ...] = ((-1000.0, 1000.0),)

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Replace the one channel by as many as there are windows."""
        values = image.array[0].astype(np.float32)
        channels = [
            np.rint(np.clip((values - low) / (high - low), 0, 1) * 65535).astype(np.uint16)
            for low, high in self.windows
        ]
        return replace(
            image,
            array=np.stack(channels),
            display_range=(0.0, 65535.0),
            history=(*image.history, self.describe()),
        )

    def describe(self) -> str:
        """One phrase."""
        ranges = ", ".join(f"{low:g} to {high:g}" for low, high in self.windows)
        return f"one channel for each window: {ranges}"


@dataclass(frozen=True)
class Percentiles(Step):
    """A range from the image's own values; padding and an empty background do not count."""

    name: ClassVar[str] = "percentiles"
    low: float = 0.5
    high: float = 99.5

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Set `display_range`."""
        values = foreground(image.array)
        return replace(
            image,
            display_range=robust_range(values, (self.low, self.high)),
            history=(*image.history, self.describe()),
        )

    def describe(self) -> str:
        """One phrase."""
        return f"percentiles {self.low:g} to {self.high:g} of the foreground"


@dataclass(frozen=True)
class ZScore(Step):
    """Mean and standard deviation of the foreground; black and white in multiples of it.

    MR has no absolute scale (nnU-Net's z-score inside the non-zero mask where that is much smaller
    than the image). Values beyond `low` and `high` deviations are clipped when shown.
    """

    name: ClassVar[str] = "z_score"
    low: float = -3.0
    high: float = 5.0

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Set `display_range`."""
        values = foreground(image.array)
        mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        std = max(std, _MIN_STD)
        return replace(
            image,
            display_range=(mean + self.low * std, mean + self.high * std),
            history=(*image.history, self.describe()),
        )

    def describe(self) -> str:
        """One phrase."""
        return f"z-score in the foreground, {self.low:g} to {self.high:g} deviations"


def foreground(array: np.ndarray) -> np.ndarray:
    """The values that differ from the image's commonest border value, flat.

    All of them where that border is less than a quarter of the image, or nothing would be left.
    """
    edges = [array.take(i, axis) for axis in range(1, array.ndim) for i in (0, -1)]
    values, counts = np.unique(np.concatenate([e.reshape(-1) for e in edges]), return_counts=True)
    mask = array != values[counts.argmax()]
    share = np.count_nonzero(mask) / array.size
    chosen = array[mask] if 0 < share < _SMALL_FOREGROUND else array.reshape(-1)
    return np.asarray(chosen)
