"""One volume to a fixed grid: canonical axes, physical proportions, [0, 1]."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from medjepa.data.decode import read
from medjepa.data.decode.limits import check_finite
from medjepa.data.intensity import robust_range, window_of
from medjepa.data.modality import IntensityPlan
from medjepa.data.resize import FITS, Fit, resize_volume
from medjepa.errors import ConfigError, InputError
from medjepa.types import MedicalImage

# Unit vectors of the canonical axes z, y, x (head, front, right) in DICOM's patient coordinates.
_CANONICAL = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))


class VolumetricPreprocessor:
    """One volume to float32 (X, Y, Z) in [0, 1], axes to the patient's right, front and head (RAS).

    `target_size` is (X, Y, Z). "pad" (default) keeps physical proportions: the volume is scaled by
    one factor in mm until it fits, centred, and the rest is 0; where `spacing` (x, y, z in mm) is
    given, it is resampled to that, and cropped or padded around its centre. "stretch" fills the
    grid whatever the proportions. `volume` chooses one of a 4-D file; without it such a file is
    refused, never cut. `intensity` and `modality` are as for `Pipeline`.
    """

    def __init__(
        self,
        target_size: tuple[int, int, int] = (128, 128, 64),
        *,
        fit: Fit = "pad",
        spacing: tuple[float, float, float] | None = None,
        volume: int | None = None,
        intensity: str = "auto",
        modality: str | None = None,
    ) -> None:
        if fit not in FITS:
            raise ConfigError(f"fit: {fit!r} is unknown; one of {', '.join(FITS)}")
        if min(target_size) < 1:
            raise ConfigError(f"target_size: three positive numbers (x, y, z), got {target_size}")
        if spacing is not None and min(spacing) <= 0:
            raise ConfigError(f"spacing: three positive lengths in mm (x, y, z), got {spacing}")
        self.target_size = (int(target_size[0]), int(target_size[1]), int(target_size[2]))
        self.fit, self.spacing, self.volume = fit, spacing, volume
        self.intensity = IntensityPlan.named(intensity, modality)

    def preprocess(self, path: str | Path) -> np.ndarray:
        """Read a NIfTI file, a DICOM volume or a folder with one series; returns (X, Y, Z).

        Raises:
            InputError: it cannot be read, is no volume, or is 4-D and no `volume` was chosen.
        """
        image = self.intensity(self._read(path))
        low, high = window_of(image)
        values = image.array[0].astype(np.float32)
        values = (
            np.zeros_like(values)
            if high <= low
            else np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
        )
        return np.ascontiguousarray(self._placed(values, image.spacing).transpose(2, 1, 0))

    def load_nifti_volume(self, path: str | Path) -> np.ndarray:
        """Read a volume as float32 (X, Y, Z) in stored units, in canonical axes."""
        return np.asarray(self._read(path).array[0].transpose(2, 1, 0), dtype=np.float32)

    def normalize_volume(self, volume: np.ndarray) -> np.ndarray:
        """Scale to float32 in [0, 1] by the 0.5 and 99.5 percentiles; a constant one gives zeros.

        Raises:
            InputError: it holds NaN or infinity.
        """
        values = np.asarray(volume)
        check_finite("array", values, "")
        low, high = robust_range(values)
        if high <= low:
            return np.zeros(values.shape, dtype=np.float32)
        scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        return np.asarray(np.clip(scaled, 0.0, 1.0))

    def resize_volume(self, volume: np.ndarray) -> np.ndarray:
        """Resize (X, Y, Z) to the target size, antialiased; float32. An array has no spacing.

        Raises:
            InputError: it does not have three axes.
        """
        values = np.asarray(volume, dtype=np.float32)
        if values.ndim != 3:
            raise InputError("array", f"a volume has 3 axes, this array has shape {values.shape}")
        return resize_volume(values, self.target_size)

    def _read(self, path: str | Path) -> MedicalImage:
        image = read(path)
        if image.axes == "tzyx":
            image = self._one_of(image)
        if image.axes != "zyx":
            raise InputError(image.source, f"a volume is needed, this image has axes {image.axes}")
        if image.array.shape[0] != 1:
            raise InputError(image.source, "a grey volume is needed, this one is colour")
        return canonical(image)

    def _one_of(self, image: MedicalImage) -> MedicalImage:
        num_volumes = image.array.shape[1]
        if self.volume is None or not -num_volumes <= self.volume < num_volumes:
            raise InputError(
                image.source,
                f"4-D with {num_volumes} volumes: choose one with volume=0 to {num_volumes - 1}",
            )
        chosen = image.array[:, self.volume]
        return replace(image, array=chosen, axes="zyx", spacing=image.spacing[1:], times=None)

    def _placed(self, values: np.ndarray, spacing: tuple[float | None, ...]) -> np.ndarray:
        """(Z, Y, X) brought to the target grid."""
        target = self.target_size[::-1]
        if self.spacing is not None:
            if any(step is None for step in spacing):
                raise InputError("volume", "its spacing is unknown: leave spacing= out")
            wanted = self.spacing[::-1]
            shape = tuple(
                max(1, round(n * float(step or 1) / goal))
                for n, step, goal in zip(values.shape, spacing, wanted, strict=True)
            )
            return _centred(resize_volume(values, shape), target)
        if self.fit == "stretch":
            return resize_volume(values, target)
        steps = [1.0 if s is None else float(s) for s in spacing]
        lengths = [n * step for n, step in zip(values.shape, steps, strict=True)]
        scale = min(n / length for n, length in zip(target, lengths, strict=True))
        shape = tuple(
            min(n, max(1, round(length * scale))) for n, length in zip(target, lengths, strict=True)
        )
        return _centred(resize_volume(values, shape), target)


def canonical(image: MedicalImage) -> MedicalImage:
    """Turn a volume so that z, y, x grow to the head, the front and the right, as near as can be.

    Whole axes are flipped and swapped, no value is interpolated; without directions it stays.
    """
    if image.directions is None:
        return image
    directions = np.asarray(image.directions, dtype=np.float64)  # rows z, y, x; columns x, y, z
    agreement = directions @ np.asarray(_CANONICAL).T
    order = _best_axes(np.abs(agreement))
    array = image.array.transpose(0, *(1 + axis for axis in order))
    spacing = tuple(image.spacing[axis] for axis in order)
    position = None if image.position is None else np.asarray(image.position, dtype=np.float64)
    turned = []
    for place, axis in enumerate(order):
        vector = directions[axis]
        if agreement[axis, place] < 0:
            array = np.flip(array, axis=1 + place)
            step = spacing[place]
            if position is not None and step is not None:
                position = position + vector * step * (array.shape[1 + place] - 1)
            vector = -vector
        turned.append((float(vector[0]), float(vector[1]), float(vector[2])))
    return replace(
        image,
        array=array,
        spacing=spacing,
        directions=tuple(turned),
        position=None
        if position is None
        else (float(position[0]), float(position[1]), float(position[2])),
    )


def _best_axes(agreement: np.ndarray) -> tuple[int, ...]:
    """For each canonical axis the stored one that runs along it, greatest agreement first."""
    left = agreement.copy()
    order = [0, 0, 0]
    for _ in range(3):
        axis, place = np.unravel_index(int(left.argmax()), left.shape)
        order[int(place)] = int(axis)
        left[axis, :] = -1
        left[:, place] = -1
    return tuple(order)


def _centred(values: np.ndarray, target: tuple[int, ...]) -> np.ndarray:
    """Crop or pad with 0 around the centre."""
    result = np.zeros(target, dtype=np.float32)
    source, place = [], []
    for have, want in zip(values.shape, target, strict=True):
        common = min(have, want)
        source.append(slice((have - common) // 2, (have - common) // 2 + common))
        place.append(slice((want - common) // 2, (want - common) // 2 + common))
    result[tuple(place)] = values[tuple(source)]
    return result
