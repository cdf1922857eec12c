"""What a 3-D store keeps of a file or a series: the whole volume or clip, in its own units."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from medjepa.data.decode.limits import check_budget
from medjepa.data.intensity import is_grey, to_stored, window_of
from medjepa.data.planes import with_channels
from medjepa.data.resize import resize, resize_volume
from medjepa.errors import InputError
from medjepa.types import MedicalImage

Direction = tuple[float, float, float]


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
    grey = image.array.shape[0] == 1 or is_grey(image.array)
    image = replace(image, array=with_channels(image.array[:1] if grey else image.array, channels))
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
    )


def _resampled(image: MedicalImage, spacing: tuple[float, float, float]) -> MedicalImage:
    wanted_steps = dict(zip("zyx", spacing, strict=True))
    shape, steps = list(image.array.shape[1:]), list(image.spacing)
    spatial = [axis for axis, name in enumerate(image.axes) if name in wanted_steps]
    directions = np.zeros((len(spatial), 3))
    if image.directions is not None:
        directions = np.asarray(image.directions[-len(spatial) :])
    moved = np.zeros(3)
    for axis, direction in zip(spatial, directions, strict=True):
        name, step = image.axes[axis], image.spacing[axis]
        if not step:
            raise InputError(
                image.source,
                f"its spacing along {name} is unknown, so it cannot be resampled to "
                f"{wanted_steps[name]:g} mm; leave data.spacing out",
            )
        extent = shape[axis] * step
        shape[axis] = max(1, round(extent / wanted_steps[name]))
        # The extent is kept, so the step may differ a little from what was asked.
        new_step = extent / shape[axis]
        steps[axis] = new_step
        moved += direction * (new_step - step) / 2
    check_budget(image.source, [image.array.shape[0], *shape], image.array.itemsize, "resampled")
    position = image.position
    if position is not None and image.directions is not None:
        x, y, z = (float(n) for n in np.asarray(position) + moved)
        position = (x, y, z)
    return replace(
        image,
        array=np.stack([_resize_spatial(c, tuple(shape), image.axes) for c in image.array]),
        spacing=tuple(steps),
        position=position,
    )


def _resize_spatial(array: np.ndarray, shape: tuple[int, ...], axes: str) -> np.ndarray:
    if array.shape == shape:
        return array
    if axes == "tyx":
        return np.stack([resize(frame[None], (shape[1], shape[2]))[0] for frame in array])
    if axes == "tzyx":
        return np.stack([resize_volume(frame, shape[1:]) for frame in array])
    return resize_volume(array, shape)
