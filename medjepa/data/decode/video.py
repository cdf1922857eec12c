"""Video as clips: every frame, with its own time stamp."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from medjepa.data.decode.frames import FrameCollector, check_clip_budget, mean_step
from medjepa.errors import InputError
from medjepa.types import MedicalImage

if TYPE_CHECKING:
    from medjepa.data.decode.video_file import Opened

HINT = "; read a part with read_clip(path, start=, duration=, max_frames=)"


def decode(path: str, kind: str) -> MedicalImage:
    """Decode every frame to (1 or 3, T, Y, X), upright, with times from the time stamps.

    The real number of frames is counted before any is decoded. Frames that are damaged are left
    out, with a warning; so is a clip that is shorter than its header says.

    Raises:
        InputError: no frame is whole, or all together are over the limit of memory.
    """
    collector, times, notes = collect(path, kind)
    return clip_image(path, collector, times, notes)


def collect(
    path: str,
    kind: str,
    content: bytes | None = None,
    *,
    each: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[FrameCollector, list[float | None], tuple[str, ...]]:
    """All frames of a file, or of the stream that lies inside of another one, as `decode` says.

    With their time stamps in s and notes for the history. `each` makes a frame, (Y, X) or
    (Y, X, 3), smaller before it is kept; then the whole clip may be over the limit.
    """
    module = video_file(path, kind)
    stated, num_packets, is_whole, without_index = 0, 0, True, False
    # An index that does not fit the file is worse than none.
    for without_index in (False, True):
        with module.opened(path, kind, content, without_index=without_index) as video:
            stated = video.stream.frames
            num_packets, length = video.counted()
            if each is None:
                check_clip_budget(path, kind, num_packets, video.shape, HINT)
            # Frames that only repeat the one before them are not coded.
            is_whole = num_packets == stated or (
                num_packets < stated and length > (stated - 0.5) * video.step > 0
            )
        if num_packets >= stated or is_whole:
            break
    times: list[float | None] = []
    collector = FrameCollector(path, kind, HINT)
    with module.opened(path, kind, content, without_index=without_index) as video:
        for time, frame in video.frames():
            pixels = module.pixels_of(frame, path, kind)
            collector.add(pixels if each is None else each(pixels))
            times.append(time)
        if not len(collector):
            reason = (
                f"cannot decode the video: none of its {num_packets} frames is whole"
                if num_packets
                else "no frames: empty, truncated or damaged"
            )
            raise InputError(path, reason, format=kind)
        if stated and not is_whole:
            module.warn_about(
                path, f"the header says {stated:,} frames, {num_packets:,} are there (truncated?)"
            )
        warn_damaged(path, kind, video, len(collector))
        return collector, times, video.notes()


def video_file(path: str, kind: str) -> Any:  # noqa: ANN401 - PyAV is optional
    """The module that needs PyAV.

    Raises:
        InputError: PyAV is not installed.
    """
    try:
        return import_module("medjepa.data.decode.video_file")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("av"):
            raise
        raise InputError(
            path, "video needs PyAV: install it with pip install 'medjepa[video]'", format=kind
        ) from error


def warn_damaged(path: str, kind: str, video: "Opened", num_whole: int) -> None:
    """Say how much of a clip was left out."""
    if video.num_damaged:
        video_file(path, kind).warn_about(
            path,
            f"truncated or damaged: {num_whole:,} frames are whole, others were left out "
            f"({video.num_damaged:,} errors)",
        )


def clip_image(
    path: str, collector: FrameCollector, times: Sequence[float | None], notes: tuple[str, ...]
) -> MedicalImage:
    """The collected frames as an image; time stamps that do not grow are no times."""
    array = collector.stacked()
    image = MedicalImage(
        array=array,
        axes="tyx",
        spacing=(None, None, None),
        source=path,
        display_range=None if array.dtype == np.uint8 else (0.0, 65535.0),
        history=notes,
    )
    stamps = np.array([np.nan if time is None else time for time in times])
    if np.isnan(stamps).any() or (len(stamps) > 1 and not (np.diff(stamps) > 0).all()):
        video_file(path, "video").warn_about(
            path, "time stamps are missing or do not grow: the times of its frames are unknown"
        )
        return image
    return with_times(image, stamps.tolist())


def with_times(image: MedicalImage, stamps: Sequence[float]) -> MedicalImage:
    """Times in s from the first frame, and their mean step as spacing."""
    times = tuple(round(stamp - stamps[0], 9) for stamp in stamps)
    return replace(image, times=times, spacing=(mean_step(times), *image.spacing[1:]))
