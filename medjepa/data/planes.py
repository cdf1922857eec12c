"""What a 2-D store keeps of a file: the image, slices of a volume, frames of a clip."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from medjepa.data.decode.limits import CANONICAL
from medjepa.data.intensity import is_grey, match_channels, robust_range, to_stored, window_of
from medjepa.data.preprocessing import fill_value
from medjepa.data.resize import Fit, fit_to
from medjepa.types import MedicalImage


@dataclass(frozen=True)
class StoredImage:
    """One image as it goes into a shard, with what the index says of it."""

    pixels: np.ndarray
    part: int
    height: int
    width: int
    spacing: tuple[float | None, float | None]
    scale: float
    offset: float
    window: tuple[float, float]


def planes_of(
    image: MedicalImage, frames_per_clip: int
) -> tuple[list[tuple[int, MedicalImage]], int]:
    """The 2-D images of a file with their numbers, and how many were left out as constant.

    A volume gives its axial slices; a clip at most `frames_per_clip` frames (0: all), evenly by
    time; a volume through time the slices of such frames. One window serves all.
    """
    if image.axes == "yx":
        return [(0, image)], 0
    window = _common_window(image)
    array = image.array
    if CANONICAL in image.history:
        # As a viewer and as axial DICOM show a slice: front at the top, the right side at the left.
        array = array[..., ::-1, ::-1]
    kept, num_constant = [], 0
    for number, plane in _numbered(array, image, frames_per_clip):
        if plane.min() == plane.max():
            num_constant += 1
            continue
        shown = replace(
            image, array=plane, axes="yx", spacing=image.spacing[-2:], display_range=window
        )
        kept.append((number, shown))
    return kept, num_constant


def chosen_frames(num_frames: int, times: tuple[float, ...] | None, most: int) -> list[int]:
    """At most `most` frames (0: all), each nearest to the middle of an equal part of the time."""
    if most == 0 or num_frames <= most:
        return list(range(num_frames))
    at = np.arange(num_frames, dtype=np.float64) if times is None else np.asarray(times)
    # The last frame is shown as long as the others are on average.
    length = (at[-1] - at[0]) * num_frames / (num_frames - 1)
    if not length > 0:
        return chosen_frames(num_frames, None, most)
    middles = at[0] + (np.arange(most) + 0.5) * length / most
    step = length / num_frames / 2
    return sorted({int(np.abs(at + step - middle).argmin()) for middle in middles})


def stored_plane(
    part: int,
    image: MedicalImage,
    size: tuple[int, int],
    channels: Literal["auto", 1, 3],
    fit: Fit,
    whole: tuple[int, int] | None = None,
) -> StoredImage:
    """Bring one 2-D image to the store's size, in the dtype that it is kept in.

    `whole` is its (Y, X) in the file, where it was scaled while it was decoded.
    """
    window = window_of(image)
    array = image.array[:1] if is_grey(image.array) else image.array
    height, width = image.spacing[-2:]
    resized = fit_to(array, size, fit=fit, spacing=(height, width), fill=fill_value(array, window))
    stored = to_stored(with_channels(resized, channels))
    return StoredImage(
        pixels=stored.pixels,
        part=part,
        height=image.array.shape[1] if whole is None else whole[0],
        width=image.array.shape[2] if whole is None else whole[1],
        spacing=(height, width),
        scale=stored.scale,
        offset=stored.offset,
        window=window,
    )


def with_channels(array: np.ndarray, channels: Literal["auto", 1, 3]) -> np.ndarray:
    """(C, *spatial) with the channels that were asked for, in the same dtype."""
    if channels == "auto" or array.shape[0] == channels:
        return array
    values = match_channels(array.astype(np.float32), channels, axis=0)
    return values if array.dtype.kind == "f" else np.rint(values).astype(array.dtype)


def _common_window(image: MedicalImage) -> tuple[float, float]:
    if image.axes == "tyx":
        return window_of(image)
    return image.display_range or robust_range(image.array)


def _numbered(
    array: np.ndarray, image: MedicalImage, frames_per_clip: int
) -> Iterator[tuple[int, np.ndarray]]:
    if image.axes == "zyx":
        yield from ((number, array[:, number]) for number in range(array.shape[1]))
        return
    for frame in chosen_frames(array.shape[1], image.times, frames_per_clip):
        if image.axes == "tyx":
            yield frame, array[:, frame]
            continue
        depth = array.shape[2]
        yield from ((frame * depth + z, array[:, frame, z]) for z in range(depth))
