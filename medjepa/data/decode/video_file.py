"""A video file's packets and frames through PyAV; sound is never touched."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from medjepa.data.decode.limits import MAX_DECODED_BYTES, check_budget
from medjepa.errors import InputError, InputWarning

# A reader is asked for by name: others follow play lists and links to other files.
_READERS = (
    (4, b"ftyp", "mov"), (4, b"moov", "mov"), (4, b"mdat", "mov"), (4, b"wide", "mov"),
    (8, b"AVI ", "avi"), (0, b"\x1a\x45\xdf\xa3", "matroska"), (0, b"\0\0\x01\xba", "mpeg"),
    (0, b"\0\0\x01\xb3", "mpegvideo"), (0, b"\x30\x26\xb2\x75", "asf"),
    # Only inside of DICOM:
    (0, b"\0\0\0\x01\x40", "hevc"), (0, b"\0\0\x01\x40", "hevc"), (0, b"\0\0\0\x01\x46", "hevc"),
    (0, b"\0\0\0\x01", "h264"), (0, b"\0\0\x01\x09", "h264"), (0, b"\0\0\x01\x67", "h264"),
    (0, b"G", "mpegts"),
)  # fmt: skip
# After seeking in the others, the time stamps of frames are guessed.
_INDEXED = ("mov", "matroska", "avi")
_ERRORS = (FFmpegError, OSError, ValueError, EOFError, OverflowError, TypeError, RuntimeError,
           IndexError, KeyError, AttributeError, ZeroDivisionError)  # fmt: skip
# Damage is an error of its frame; without this it is painted over.
_STRICT = {
    "err_detect": "crccheck+bitstream+buffer+explode",
    "max_pixels": str(MAX_DECODED_BYTES // 3),
}
_DEEP_GREY = ("gray9le", "gray10le", "gray12le", "gray14le", "gray16le", "gray16be")


@dataclass
class Opened:
    """A file with its first stream of moving images.

    Attributes:
        path: for errors.
        kind: for errors.
        container: PyAV's.
        stream: PyAV's.
        is_indexed: frames can be sought with right time stamps.
        num_damaged: packets and frames that could not be decoded so far.
    """

    path: str
    kind: str
    container: InputContainer
    stream: VideoStream
    is_indexed: bool = False
    num_damaged: int = 0
    _sought: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) as the header says."""
        return self.stream.codec_context.height, self.stream.codec_context.width

    @property
    def begin(self) -> float:
        """Time stamp of the first frame in s, as far as the header knows."""
        start, base = self.stream.start_time, self.stream.time_base
        return 0.0 if start is None or base is None else float(start * base)

    @property
    def length(self) -> float | None:
        """Duration in s as the header says, None if it could only be guessed."""
        if not self.is_indexed:
            return None
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self.container.duration / av.time_base if self.container.duration else None

    @property
    def step(self) -> float:
        """Seconds between frames on average, as the header says; 0 if it does not."""
        return float(1 / self.stream.average_rate) if self.stream.average_rate else 0.0

    def notes(self) -> tuple[str, ...]:
        """What a reader should know, for the history."""
        notes = [f"video {self.stream.codec_context.name}"]
        ratio = self.stream.sample_aspect_ratio
        if ratio and ratio != 1:
            notes.append(f"pixels are not square ({ratio.numerator}:{ratio.denominator})")
        return tuple(notes)

    def counted(self) -> tuple[int, float]:
        """How many coded frames the file really has, and how long they last in s; none is decoded.

        One without content repeats the frame before it, and counts by its length alone.
        """
        count, last = 0, self.begin
        try:
            for packet in self.container.demux(self.stream):
                count += bool(packet.size)
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is not None and packet.time_base is not None:
                    last = max(last, float(stamp * packet.time_base))
        except _ERRORS:  # cut: those before it count
            pass
        return count, last - self.begin + self.step

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        """Whole frames with their time stamps in s, from wherever the file was sought to.

        After damage no frame is trusted until one that stands for itself.
        """
        trusted, sought = True, self._sought
        self._sought = False
        packets = iter(self.container.demux(self.stream))
        while True:
            try:
                packet = next(packets, None)
            except _ERRORS:
                self.num_damaged += 1
                return
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except _ERRORS:
                self.num_damaged += not sought
                trusted = False
                continue
            for frame in decoded:
                trusted = not frame.is_corrupt and (trusted or bool(frame.key_frame))
                if trusted:
                    sought = False
                    yield _time_of(frame), frame
                else:
                    # What leads a key frame refers to frames before the place that was sought.
                    self.num_damaged += not sought

    def seek(self, seconds: float) -> bool:
        """Go to the last key frame before a time stamp; False if the file cannot."""
        base = self.stream.time_base
        if base is None or not self.is_indexed:
            return False
        try:
            self.container.seek(int(seconds / base), stream=self.stream, backward=True)
        except _ERRORS:
            return False
        self._sought = True
        return True


@contextmanager
def opened(
    path: str, kind: str, content: bytes | None = None, *, without_index: bool = False
) -> Iterator[Opened]:
    """Open a file, or the stream that lies inside of one, and check the size of its frames.

    `without_index` reads an AVI from its beginning on, whatever its index says.

    Raises:
        InputError: no video, or damaged.
    """
    with _source(path, content) as file:
        head = file.read(16)
        file.seek(0)
        reader = next((r for at, magic, r in _READERS if head[at : at + len(magic)] == magic), None)
        if reader is None:
            raise InputError(path, "cannot decode the video: unknown content", format=kind)
        try:
            source = _OnlyForward(file) if without_index and reader == "avi" else file
            container = av.open(source, "r", format=reader, metadata_errors="replace")
        except _ERRORS as error:
            raise InputError(
                path, f"cannot open the video, truncated or damaged: {_text(error)}", format=kind
            ) from error
        with container:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.codec_context is None:
                raise InputError(path, "no video stream in it", format=kind)
            stream.codec_context.thread_count = 1
            stream.codec_context.options = dict(_STRICT)
            found = Opened(path, kind, container, stream, reader in _INDEXED and not without_index)
            check_budget(path, (*found.shape, 3), 1, kind)
            yield found


class _OnlyForward:
    """A file that cannot be sought, so that nobody looks for an index at its end."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file

    def read(self, num_bytes: int) -> bytes:
        """The next bytes."""
        return self._file.read(num_bytes)


def _source(path: str, content: bytes | None) -> io.BufferedIOBase:
    return Path(path).open("rb") if content is None else io.BytesIO(content)


def pixels_of(frame: VideoFrame, path: str, kind: str) -> np.ndarray:
    """(Y, X) or (Y, X, 3) of uint8 or uint16, upright.

    Raises:
        InputError: its pixels cannot be had.
    """
    name = frame.format.name
    try:
        if name in _DEEP_GREY:
            array = frame.to_ndarray()
        elif frame.format.components and frame.format.components[0].bits > 8:
            array = frame.to_ndarray(format="rgb48le")
        elif name in ("gray", "gray8"):
            array = frame.to_ndarray(format="gray")
        else:
            array = frame.to_ndarray(format="rgb24")
    except (*_ERRORS, MemoryError) as error:
        raise InputError(path, f"cannot decode a frame: {_text(error)}", format=kind) from error
    return upright(np.asarray(array), frame.rotation)


def upright(array: np.ndarray, degrees: int) -> np.ndarray:
    """Turn counter-clockwise by the quarter turns that the file asks for."""
    quarters = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(array, quarters)) if quarters else array


def _time_of(frame: VideoFrame) -> float | None:
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None or frame.time_base is None else float(stamp * frame.time_base)


def _text(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def warn_about(path: str, text: str) -> None:
    """One doubt about a clip."""
    warnings.warn(f"{path}: {text}", InputWarning, stacklevel=5)
