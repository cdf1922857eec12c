"""What a 3-D store keeps of a file or a series: the whole volume or clip, in its own units."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from medjepa.data.contrasts import CONTRASTS, axis_as_contrasts, shown_by_contrast
from medjepa.data.decode import read
from medjepa.data.decode.frames import uneven
from medjepa.data.decode.limits import check_budget
from medjepa.data.frame_size import resize_frames
from medjepa.data.intensity import is_grey, to_stored, window_of
from medjepa.data.long_clips import is_long, is_small, read_small
from medjepa.data.modality import IntensityPlan
from medjepa.data.planes import with_channels
from medjepa.data.resize import Fit, resize, resize_volume
from medjepa.data.volumetric import canonical
from medjepa.errors import InputError
from medjepa.types import MedicalImage

Direction = tuple[float, float, float]
FourthAxis = Literal["time", "contrasts"]


@dataclass(frozen=True)
class StoredVolume:
    """One volume or clip as it goes into a shard, with what the index says of it."""

    pixels: np.ndarray
    axes: str
    spacing: tuple[float | None, ...]
    directions: tuple[Direction, ...] | None
    position: Direction | None
    scale: float
    offset: float
    window: tuple[float, float]
    times: tuple[float, ...] | None = None


@dataclass(frozen=True)
class VolumeSteps:
    """What is done to a volume or clip before it is stored.

    Attributes:
        intensity: the steps before resampling, by kind of image.
        channels: "auto" keeps grey as 1 and colour as 3.
        spacing: (z, y, x) in mm to which volumes are resampled; None: as they are.
        frame_size: (H, W) of the frames of clips; None: as they are.
        fit: how frames are brought to it.
        fourth_axis: what the volumes of a 4-D file are.
    """

    intensity: IntensityPlan
    channels: Literal["auto", 1, 3] = "auto"
    spacing: tuple[float, float, float] | None = None
    frame_size: tuple[int, int] | None = None
    fit: Fit = "stretch"
    fourth_axis: FourthAxis = "time"

    def read(self, path: str, modality: str | None = None) -> MedicalImage:
        """Read a file; of a long video no frame is kept in its own size.

        Raises:
            InputError: as `medjepa.data.read`.
        """
        if self.frame_size is None or not is_long(path):
            return read(path)
        plan = replace(self.intensity, modality=modality or self.intensity.modality)
        return read_small(path, self.frame_size, self.fit, plan)

    def __call__(self, image: MedicalImage) -> StoredVolume:
        """Grey scale, orientation, size: the same for a store and for a file by itself.

        A volume is turned so that z, y, x grow to the head, the front and the right as near as can
        be; a stack through time keeps the planes in which it was taken.

        Raises:
            InputError: as `stored_volume`, or a 4-D file has too many volumes for contrasts.
        """
        if image.axes == "tzyx" and self.fourth_axis == "contrasts":
            image = axis_as_contrasts(image)
        if CONTRASTS in image.facts:
            image = shown_by_contrast(image, self.intensity)
        else:
            plan = self.intensity.without_crops() if is_small(image) else self.intensity
            image = plan(image)
        if image.axes == "zyx":
            image = canonical(image)
        elif self.frame_size is not None and image.axes != "yx" and not is_small(image):
            image = resize_frames(image, self.frame_size, self.fit)
        return stored_volume(image, self.channels, self.spacing)


def stored_volume(
    image: MedicalImage,
    channels: Literal["auto", 1, 3],
    spacing: tuple[float, float, float] | None,
) -> StoredVolume:
    """Resample if asked, and choose the dtype; the window is the whole volume's.

    Raises:
        InputError: `spacing` was asked and the file does not say its own, or it would need more
            memory than an image may.
    """
    window = window_of(image)
    array = image.array
    if CONTRASTS not in image.facts:  # equal contrasts are still contrasts
        array = with_channels(array[:1] if is_grey(array) else array, channels)
    image = replace(image, array=array)
    if spacing is not None:
        image = _resampled(image, spacing)
    stored = to_stored(image.array)
    return StoredVolume(
        pixels=stored.pixels,
        axes=image.axes,
        spacing=image.spacing,
        directions=image.directions,
        position=image.position,
        scale=stored.scale,
        offset=stored.offset,
        window=window,
        times=uneven(image.times) if image.axes[0] == "t" else None,
    )


def resampled_shape(image: MedicalImage, spacing: tuple[float, float, float]) -> tuple[int, ...]:
    """Lengths of the image's axes after resampling to `spacing` (z, y, x) in mm.

    Raises:
        InputError: its own spacing is not known.
    """
    wanted_steps = dict(zip("zyx", spacing, strict=True))
    shape = list(image.array.shape[1:])
    for axis, name in enumerate(image.axes):
        step = image.spacing[axis]
        if name not in wanted_steps:
            continue
        if not step:
            raise InputError(
                image.source,
                f"its spacing along {name} is unknown, so it cannot be resampled to "
                f"{wanted_steps[name]:g} mm; leave data.spacing out",
            )
        shape[axis] = max(1, round(shape[axis] * step / wanted_steps[name]))
    return tuple(shape)


def on_grid(image: MedicalImage, shape: tuple[int, ...]) -> MedicalImage:
    """The image with the spacing and the position that it has after resampling to `shape`.

    The extent is kept, so the step may differ a little from what was asked; its array is the old.
    """
    steps, moved = list(image.spacing), np.zeros(3)
    spatial = [axis for axis, name in enumerate(image.axes) if name in "zyx"]
    directions = np.zeros((len(spatial), 3))
    if image.directions is not None:
        directions = np.asarray(image.directions[-len(spatial) :])
    for axis, direction in zip(spatial, directions, strict=True):
        step, length = image.spacing[axis], image.array.shape[1 + axis]
        if step and shape[axis] != length:
            new_step = length * step / shape[axis]
            steps[axis] = new_step
            moved += direction * (new_step - step) / 2
    position = image.position
    if position is not None and image.directions is not None:
        x, y, z = (float(n) for n in np.asarray(position) + moved)
        position = (x, y, z)
    return replace(image, spacing=tuple(steps), position=position)


def _resampled(image: MedicalImage, spacing: tuple[float, float, float]) -> MedicalImage:
    shape = resampled_shape(image, spacing)
    check_budget(image.source, [image.array.shape[0], *shape], image.array.itemsize, "resampled")
    array = np.stack([_resize_spatial(channel, shape, image.axes) for channel in image.array])
    return replace(on_grid(image, shape), array=array)


def _resize_spatial(array: np.ndarray, shape: tuple[int, ...], axes: str) -> np.ndarray:
    if array.shape == shape:
        return array
    if axes == "tyx":
        return np.stack([resize(frame[None], (shape[1], shape[2]))[0] for frame in array])
    if axes == "tzyx":
        return np.stack([resize_volume(frame, shape[1:]) for frame in array])
    return resize_volume(array, shape)
