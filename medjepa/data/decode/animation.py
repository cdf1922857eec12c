"""Animated GIF, PNG and WebP as clips: frame by frame, with the times that the file gives."""

import os
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medjepa.data.decode.frames import FrameCollector, check_clip_budget, mean_step
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

# What Pillow raises within a frame that is cut or damaged.
FRAME_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, EOFError, IndexError, KeyError, AttributeError,
    RuntimeError, OverflowError, ZeroDivisionError, MemoryError,
)  # fmt: skip


def is_animated(image: Image.Image) -> bool:
    """Whether an opened image has several frames, or was meant to."""
    try:
        return bool(getattr(image, "is_animated", False))
    except FRAME_ERRORS:
        return True


def clip_of(path: str, kind: str, image: Image.Image) -> MedicalImage:
    """Decode the frames to (1 or 3, T, Y, X), as they are seen one after the other.

    Times are known where every frame has a duration. Whole frames before a cut are kept, with a
    warning.

    Raises:
        InputError: no frame is whole, one is larger than the canvas, or all together are too large.
    """
    shape = (image.height, image.width)
    if kind == "GIF":
        _check_canvas(path, shape)
    stated, reason = _stated(path, kind, image), ""
    check_clip_budget(path, kind, stated, shape, "")
    collector = FrameCollector(path, kind)
    durations: list[float] = []
    # An image for viewers that show no animation is no frame of it.
    first = 1 if kind == "PNG" and image.info.get("default_image") else 0
    try:
        for number in range(first, stated):
            image.seek(number)
            if image.size != shape[::-1]:
                raise InputError(
                    path, f"frame {number} reaches over the canvas: size mismatch", format=kind
                )
            collector.add(np.asarray(image.convert("RGB")))
            durations.append(float(image.info.get("duration") or 0))
    except InputError:
        raise
    except FRAME_ERRORS as error:
        reason = str(error) or type(error).__name__
    if not len(collector):
        raise InputError(path, f"truncated or damaged: {reason or 'no frame'}", format=kind)
    count = len(collector)
    if kind == "GIF" and not reason and not _ends(path):
        reason = "the file's end is missing, and frames may be"
    if reason or count < stated - first:
        warnings.warn(
            f"{path}: truncated or damaged: {count} of {stated - first} frames are whole "
            f"({reason or 'the others are missing'})",
            InputWarning,
            stacklevel=4,
        )
    times = _times(durations)
    array = collector.stacked()
    return MedicalImage(
        array=array,
        axes="tyx",
        spacing=(mean_step(times), None, None),
        source=path,
        history=("palette read as RGB",) if array.shape[0] == 3 and kind == "GIF" else (),
        times=times,
    )


def _check_canvas(path: str, shape: tuple[int, int]) -> None:
    """Pillow lets the canvas grow to what its frames need."""
    with Path(path).open("rb") as file:
        width, height = struct.unpack("<2H", file.read(10)[6:])
    if not width or not height:
        raise InputError(path, f"zero size: the canvas is {height} x {width}", format="GIF")
    if (height, width) != shape:
        warnings.warn(
            f"{path}: frames reach over its canvas of {height} x {width}, the size is taken to be "
            f"{shape[0]} x {shape[1]}",
            InputWarning,
            stacklevel=5,
        )


def _ends(path: str) -> bool:
    """Whether a GIF has its trailer; some writers append zeros or a line end."""
    with Path(path).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 64))
        return file.read().rstrip(b"\0\r\n ").endswith(b";")


def _stated(path: str, kind: str, image: Image.Image) -> int:
    try:
        return int(image.n_frames)  # type: ignore[attr-defined]
    except FRAME_ERRORS:
        # Cut inside of a frame: those before it can be sought.
        return 1 + sum(1 for _ in _sought(image))


def _sought(image: Image.Image) -> Iterator[int]:
    number = 0
    while True:
        try:
            image.seek(number + 1)
        except FRAME_ERRORS:
            return
        number += 1
        yield number


def _times(durations: list[float]) -> tuple[float, ...] | None:
    """Seconds from the first frame, from milliseconds; None where a frame has none."""
    if any(not 0 < duration < 1e7 for duration in durations[:-1]):
        return None
    total, times = 0.0, []
    for duration in durations:
        times.append(total / 1000)
        total += duration
    return tuple(times)
