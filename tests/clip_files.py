"""Small clips made in code: the number of a frame can be seen in it."""

import struct
from fractions import Fraction

import av
import numpy as np

SHAPE = (48, 64)


def frame(number: int, shape=SHAPE, colour=False) -> np.ndarray:
    """Eight bars, black or white, that spell the number in binary; lossy coding keeps them."""
    bits = np.array([255 if number >> (bit % 16) & 1 else 0 for bit in range(16)], np.uint8)
    array = np.zeros((*shape, 3), np.uint8)
    array[:] = np.repeat(bits, shape[1] // 16)[None, :, None]
    if colour:
        array[: shape[0] // 2, :, 0] = 200
    return array


def number_of(pixels: np.ndarray) -> int:
    """Read the number out of (C, Y, X)."""
    bars = pixels[-1, -8:].astype(float).mean(axis=0).reshape(16, -1).mean(axis=1)
    return sum(1 << bit for bit, value in enumerate(bars) if value > pixels.max() / 2)


def write_clip(
    path, count, *, codec="libx264", container=None, rate=25, times=None, pixels="yuv420p",
    shape=SHAPE, colour=False, options=None, mux=None,
):  # fmt: skip
    """Write `count` frames; `times` in s make the rate variable."""
    with av.open(str(path), "w", format=container, options=mux or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.height, stream.width = shape
        stream.pix_fmt = pixels
        stream.options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream.options |= options or {}
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(frame(number, shape, colour))
            picture.pts = None
            if times:
                picture.pts, picture.time_base = round(times[number] * 1000), Fraction(1, 1000)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    return path


def write_raw_avi(path, frames, *, stated=None):
    """Write an uncompressed AVI chunk by chunk; a frame that is None is an empty chunk."""
    height, width = SHAPE
    count = len(frames) if stated is None else stated
    main = struct.pack("<14I", 40000, 0, 0, 0x10, count, 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = b"vidsDIB " + struct.pack(
        "<IHH8I4H", 0, 0, 0, 0, 1, 25, 0, count, 0, 0xFFFFFFFF, 0, 0, 0, width, height
    )
    picture = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    lines = [b"" if f is None else f[::-1, :, ::-1].tobytes() for f in frames]
    index, offset = b"", 4
    for line in lines:
        index += b"00db" + struct.pack("<III", 16, offset, len(line))
        offset += 8 + len(line)
    head = _list(b"hdrl", _chunk(b"avih", main) + _list(
        b"strl", _chunk(b"strh", stream) + _chunk(b"strf", picture)
    ))  # fmt: skip
    movie = _list(b"movi", b"".join(_chunk(b"00db", line) for line in lines))
    body = b"AVI " + head + movie + _chunk(b"idx1", index)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def _chunk(name, content):
    return name + struct.pack("<I", len(content)) + content


def _list(name, content):
    return _chunk(b"LIST", name + content)
