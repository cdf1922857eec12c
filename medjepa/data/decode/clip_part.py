"""A part of a clip: of a video only what is asked for is sought and decoded."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile
from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.frames import FrameCollector, mean_step
from medjepa.data.decode.sniff import sniff
from medjepa.data.decode.video import HINT, clip_image, video_file, warn_damaged, with_times
from medjepa.errors import InputError
from medjepa.types import MedicalImage

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from medjepa.data.decode.video_file import Opened

_FAR_S = 2.0
"""Further than this, seeking is cheaper than decoding what lies between."""
_ROUNDING_S = 1e-4


@dataclass(frozen=True)
class _Wish:
    start: float
    duration: float | None
    frames_per_second: float | None
    max_frames: int | None

    @property
    def end(self) -> float:
        return math.inf if self.duration is None else self.start + self.duration

    def goals(self, length: float, step: float) -> Iterable[float] | None:
        """Times of the frames to choose, growing; None for all.

        `length` and `step` are those of the whole clip in s.
        """
        if self.frames_per_second is not None:
            rate = self.frames_per_second
            numbers = count() if self.max_frames is None else range(self.max_frames)
            return takewhile(lambda t: t < self.end, (self.start + n / rate for n in numbers))
        if self.max_frames is None:
            return None
        part = (min(self.end, length) - self.start) / self.max_frames
        # A frame is shown for a step, and stands for the middle of it.
        return [self.start + (n + 0.5) * part - step / 2 for n in range(self.max_frames)]


def read_clip(
    path: str | os.PathLike[str],
    *,
    start: float = 0.0,
    duration: float | None = None,
    frames_per_second: float | None = None,
    max_frames: int | None = None,
) -> MedicalImage:
    """Read a part of a clip; of a video only that part is sought and decoded.

    Times count in s from the clip's first frame. From `start` on for `duration` (default: to the
    end) these are all frames; with `frames_per_second` those nearest to evenly spaced times, the
    first `max_frames` of them; with `max_frames` alone those nearest to the middles of as many
    equal parts. No frame comes twice. `times` of the result begin with 0.

    Raises:
        InputError: it is no clip, or none of its frames lies there.
    """
    name = os.fspath(path)
    asked = {"duration": duration, "frames_per_second": frames_per_second, "max_frames": max_frames}
    for what, value in asked.items():
        if value is not None and not 0 < value < math.inf:
            raise InputError(name, f"{what} must be a positive number, it is {value}")
    if not 0 <= start < math.inf:
        raise InputError(name, f"start must be 0 or more seconds, it is {start}")
    wish = _Wish(start, duration, frames_per_second, max_frames)
    kind = sniff(name)
    return _sought(name, kind, wish) if kind == "video" else _chosen(name, kind, wish)


def _sought(path: str, kind: str, wish: _Wish) -> MedicalImage:
    module = video_file(path, kind)
    length = math.nan
    if wish.max_frames is not None and wish.frames_per_second is None:
        with module.opened(path, kind) as video:
            length = video.length or video.counted()[1]
    # Where an index leads nowhere, the frames may be there all the same.
    for without_index in (False, True):
        times: list[float | None] = []
        collector = FrameCollector(path, kind, HINT)
        with module.opened(path, kind, without_index=without_index) as video:
            goals = wish.goals(length, video.step)
            player = _Player(video, wish)
            for time, frame in player.all(wish.start) if goals is None else player.nearest(goals):
                collector.add(module.pixels_of(frame, path, kind))
                times.append(time)
            if len(collector):
                warn_damaged(path, kind, video, len(collector))
                image = clip_image(path, collector, times, video.notes())
                return replace(image, history=(*image.history, _from(wish)))
    raise _nothing(path, kind, wish)


def _chosen(path: str, kind: str, wish: _Wish) -> MedicalImage:
    """Of a clip in another format, which has to be decoded as a whole."""
    from medjepa.data.decode import read

    image = read(path)
    if image.axes != "tyx":
        raise InputError(path, f"no clip: its axes are {image.axes}", format=kind)
    if image.times is None:
        raise InputError(path, "its frames have no times: read it as a whole", format=kind)
    times, step = np.asarray(image.times), mean_step(image.times) or 0.0
    inside = np.flatnonzero((times >= wish.start - _ROUNDING_S) & (times < wish.end - _ROUNDING_S))
    goals = wish.goals(float(times[-1]) + step, step)
    if goals is not None and len(inside):
        until = takewhile(lambda goal: goal <= times[-1] + step, goals)
        inside = np.unique([inside[np.abs(times[inside] - goal).argmin()] for goal in until])
    if not len(inside):
        raise _nothing(path, kind, wish)
    part = replace(
        image,
        array=image.array[:, inside],
        history=(*image.history, _from(wish)),
    )
    return with_times(part, times[inside].tolist())


class _Player:
    """Plays the part of a video that is wished for; times count from the video's first frame."""

    def __init__(self, video: "Opened", wish: _Wish) -> None:
        self._video, self._wish = video, wish
        self._started = False

    def all(self, since: float) -> Iterator[tuple[float, "VideoFrame"]]:
        """The frames of the part, from one at or before `since` on."""
        for time, frame in self._play(since):
            if time >= self._wish.end - _ROUNDING_S:
                return
            if time >= self._wish.start - _ROUNDING_S:
                yield time, frame

    def nearest(self, goals: Iterable[float]) -> Iterator[tuple[float, "VideoFrame"]]:
        """For each goal the frame of the part that is nearest, none twice."""
        frames = self.all(self._wish.start)
        before, after = None, next(frames, None)
        given = -math.inf
        for goal in goals:
            if after is not None and self._video.is_indexed and goal - after[0] > _FAR_S:
                frames = self.all(goal)
                before, after = None, next(frames, None)
            while after is not None and after[0] < goal:
                before, after = after, next(frames, None)
            near = [found for found in (before, after) if found is not None]
            if not near:
                return
            best = min(near, key=lambda found: abs(found[0] - goal))
            if best[0] > given:
                given = best[0]
                yield best
            if after is None:
                return

    def _play(self, since: float) -> Iterator[tuple[float, "VideoFrame"]]:
        """From the key frame at or before `since`; from the first where that cannot be sought."""
        started, self._started = self._started, True
        if since > 0 and self._video.seek(self._video.begin + since):
            played = self._timed()
            first = next(played, None)
            if first is not None and first[0] <= since + _ROUNDING_S:
                yield first
                yield from played
                return
            started = True
        if started:
            self._video.seek(self._video.begin)
        yield from self._timed()

    def _timed(self) -> Iterator[tuple[float, "VideoFrame"]]:
        for time, frame in self._video.frames():
            if time is None:
                raise InputError(
                    self._video.path,
                    "its frames have no time stamps: read it as a whole",
                    format=self._video.kind,
                )
            yield time - self._video.begin, frame


def _nothing(path: str, kind: str, wish: _Wish) -> InputError:
    until = "on" if math.isinf(wish.end) else f"to {wish.end:g} s"
    return InputError(path, f"no frame lies from {wish.start:g} s {until}", format=kind)


def _from(wish: _Wish) -> str:
    return f"a part, from {wish.start:g} s"
