"""Whole clips, animations, stacks and slides to damage."""

import io

import av
import numpy as np
import tifffile
from PIL import Image

_CLIPS = (
    ("clip.mp4", "mpeg4", "yuv420p"), ("coded.mp4", "libx264", "yuv420p"),
    ("clip.mov", "mpeg4", "yuv420p"), ("clip.avi", "mjpeg", "yuvj420p"),
    ("raw.avi", "rawvideo", "bgr24"), ("clip.mkv", "ffv1", "bgr0"),
    ("clip.mpg", "mpeg2video", "yuv420p"), ("clip.ts", "libx264", "yuv420p"),
    ("clip.wmv", "wmv2", "yuv420p"),
)  # fmt: skip


def media(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """Names and contents, one for each container, codec and kind of stack."""
    return [*_clips(rng), *_animations(rng), *_stacks(rng)]


def _clips(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    made = []
    for name, codec, pixels in _CLIPS:
        kind = {"mkv": "matroska", "mpg": "mpeg", "ts": "mpegts", "wmv": "asf"}
        suffix = name.rpartition(".")[2]
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=kind.get(suffix, suffix)) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 24, pixels
            for _ in range(4):
                array = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(array)))
            container.mux(stream.encode())
        made.append((name, buffer.getvalue()))
    return made


def _animations(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    frames = [Image.fromarray(rng.integers(0, 256, (24, 20), dtype=np.uint8)) for _ in range(4)]
    made = []
    for name, kind, options in (
        ("moving.png", "PNG", {"save_all": True, "append_images": frames[1:], "duration": 40}),
        ("moving.webp", "WEBP", {"save_all": True, "append_images": frames[1:], "duration": 40}),
        ("still.webp", "WEBP", {"lossless": True}),
        ("grey.bmp", "BMP", {}),
    ):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, **options)
        made.append((name, buffer.getvalue()))
    return made


def _stacks(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    stack = rng.integers(0, 65536, (3, 4, 12, 10), dtype=np.uint16)
    made = []
    for name, array, options in (
        ("stack.ome.tif", stack, {"ome": True, "metadata": {"axes": "TZYX", "PhysicalSizeX": 2}}),
        ("imagej.tif", stack, {"imagej": True, "metadata": {"axes": "TZYX", "spacing": 2}}),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, photometric="minisblack", **options)  # type: ignore[arg-type]
        made.append((name, buffer.getvalue()))
    base = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tiff:
        for step in (1, 2):
            tiff.write(
                base[::step, ::step],
                tile=(16, 16),
                photometric="rgb",
                compression="jpeg",
                description="Aperio Fake|AppMag = 20|MPP = 0.5",
                metadata=None,
            )
    made.append(("slide.svs", buffer.getvalue()))
    return made
