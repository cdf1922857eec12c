"""Small clips made in code: the number of a frame can be seen in it."""

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
