"""Videos too long for the memory: each frame is cropped and made small as soon as it is decoded."""

import math
import warnings
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np

from medjepa.data.decode import limits
from medjepa.data.decode.sniff import sniff
from medjepa.data.decode.video import clip_image, collect, video_file
from medjepa.data.intensity import is_grey
from medjepa.data.modality import IntensityPlan
from medjepa.data.resize import Fit, fit_to
from medjepa.errors import InputWarning
from medjepa.types import MedicalImage

SMALL = "small_frames"
"""Key of `MedicalImage.facts`: the frames were cropped and made small while they were read."""
_CHANNELS = 3
_FRAMES_PER_BLOCK = 256


class _Blocks:
    """Keeps small frames side by side.

    Each by itself would lie in the hole that a large frame left, and the next large one, which no
    longer fits there, would take new memory: in the end as much as all large frames together.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, ...], list[np.ndarray]] = {}

    def keep(self, frame: np.ndarray) -> np.ndarray:
        free = self._free.setdefault(frame.shape, [])
        if not free:
            free += list(np.empty((_FRAMES_PER_BLOCK, *frame.shape), frame.dtype))
        place = free.pop()
        place[:] = frame
        return place


def is_long(path: str) -> bool:
    """True for a video whose frames, if they were coloured, would be over the limit of memory.

    Raises:
        InputError: it cannot be opened, or is of no format known here.
    """
    # A folder is a DICOM series.
    if Path(path).is_dir() or (kind := sniff(path)) != "video":
        return False
    with video_file(path, kind).opened(path, kind) as video:
        num_frames, _ = video.counted()
        return bool(num_frames * math.prod(video.shape) * _CHANNELS > limits.MAX_DECODED_BYTES)


def is_small(image: MedicalImage) -> bool:
    """Whether an image comes from `read_small`."""
    return SMALL in image.facts


def read_small(path: str, size: tuple[int, int], fit: Fit, plan: IntensityPlan) -> MedicalImage:
    """Read all frames of a video at (H, W): decoded twice, to find the crop and to make it.

    Raises:
        InputError: no frame is whole, or even the small ones are over the limit of memory.
    """
    light: list[np.ndarray] = []

    def look(frame: np.ndarray) -> np.ndarray:
        # What `max` over the last axis gives; as that is 3 long, `max` takes 20 times as long.
        planes = frame[None] if frame.ndim == 2 else np.moveaxis(frame, 2, 0)
        brightest = reduce(np.maximum, planes)
        if not light:
            light.append(brightest.copy())
        np.maximum(light[0], brightest, out=light[0])
        return np.zeros((1, 1), frame.dtype)

    with warnings.catch_warnings():
        # What is doubtful is said when the frames are kept.
        warnings.simplefilter("ignore", InputWarning)
        collect(path, "video", each=look)
    over_time = MedicalImage(
        array=light[0][None], axes="yx", spacing=(None, None), source=path, modality="generic"
    )
    box = plan.crop_box(over_time)

    blocks = _Blocks()

    def shrink(frame: np.ndarray) -> np.ndarray:
        kept = frame if box is None else frame[box[0] : box[2], box[1] : box[3]]
        channels = kept[None] if kept.ndim == 2 else np.moveaxis(kept, 2, 0)
        small = fit_to(channels, size, fit=fit)
        return blocks.keep(small[0] if is_grey(small) else np.moveaxis(small, 0, 2))

    image = clip_image(path, *collect(path, "video", each=shrink))
    notes = ("frames cropped and made small while they were read",)
    return replace(image, facts={**image.facts, SMALL: "yes"}, history=(*image.history, *notes))
