"""Frames of a clip as they come: grey until one is coloured, and never more than memory allows."""

import math
from dataclasses import dataclass, field

import numpy as np

from medjepa.data.decode.limits import MAX_DECODED_BYTES
from medjepa.errors import InputError


@dataclass
class FrameCollector:
    """Keeps frames of one size.

    Attributes:
        path: of the file, for errors.
        kind: its format, for errors.
        hint: what to do instead where it is too large.
    """

    path: str
    kind: str
    hint: str = ""
    _frames: list[np.ndarray] = field(default_factory=list)
    _num_bytes: int = 0
    _coloured: bool = False

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: np.ndarray) -> None:
        """Take (Y, X) or (Y, X, 3); a frame of three equal channels is grey.

        Raises:
            InputError: its size or dtype is not that of the first, or the clip gets too large.
        """
        if frame.ndim == 3 and _is_grey(frame):
            frame = np.ascontiguousarray(frame[..., 0])
        if self._frames:
            first = self._frames[0]
            if frame.shape[:2] != first.shape[:2] or frame.dtype != first.dtype:
                raise InputError(
                    self.path,
                    f"frame {len(self._frames)} is of size {frame.shape[:2]} {frame.dtype}, the "
                    f"first is {first.shape[:2]} {first.dtype}",
                    format=self.kind,
                )
        self._coloured |= frame.ndim == 3
        self._frames.append(frame)
        channels = 3 if self._coloured else 1
        self._num_bytes = len(self._frames) * math.prod(frame.shape[:2]) * channels
        if self._num_bytes * frame.itemsize > MAX_DECODED_BYTES:
            raise too_large(self.path, self.kind, len(self), frame.shape, self.hint)

    def stacked(self) -> np.ndarray:
        """(1 or 3, T, Y, X); the frames are given up one by one."""
        first = self._frames[0]
        shape = (3 if self._coloured else 1, len(self._frames), *first.shape[:2])
        result = np.empty(shape, first.dtype)
        for number in range(len(self._frames)):
            frame, self._frames[number] = self._frames[number], first
            result[:, number] = frame if frame.ndim == 2 else frame.transpose(2, 0, 1)
        self._frames.clear()
        return result


def too_large(
    path: str, kind: str, num_frames: int, shape: tuple[int, ...], hint: str
) -> InputError:
    """The refusal of a clip that does not fit into memory."""
    return InputError(
        path,
        f"too large: {num_frames:,} frames or more of {shape[1]} x {shape[0]} pixels are over the "
        f"limit of {MAX_DECODED_BYTES / 2**30:g} GiB of memory{hint}",
        format=kind,
    )


def check_clip_budget(
    path: str, kind: str, num_frames: int, shape: tuple[int, int], hint: str
) -> None:
    """Refuse a clip that would be over the limit even if it were grey and of 8 bits.

    Raises:
        InputError: it would.
    """
    if num_frames * math.prod(shape) > MAX_DECODED_BYTES:
        raise too_large(path, kind, num_frames, shape, hint)


def mean_step(times: tuple[float, ...] | None) -> float | None:
    """Seconds between frames on average, None where the times are unknown."""
    if times is None or len(times) < 2:
        return None
    return (times[-1] - times[0]) / (len(times) - 1)


def uneven(times: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Times of frames that lie unevenly: one is over half a mean step from its even place.

    None where even places name the same frames, or where times run backwards.
    """
    step = mean_step(times)
    if times is None or step is None or step <= 0:
        return None
    stamps = np.asarray(times)
    even = stamps[0] + np.arange(len(stamps)) * step
    if (np.diff(stamps) < 0).any() or np.abs(stamps - even).max() <= step / 2:
        return None
    return times


def _is_grey(frame: np.ndarray) -> bool:
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))
