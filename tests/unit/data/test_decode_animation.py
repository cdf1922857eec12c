"""GIF, animated PNG and WebP, BMP: frames at their times, and files that are cut or lie."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from image_files import grey, write_png
from PIL import Image

from medjepa.data import read, read_clip
from medjepa.data.decode import frames as frames_module
from medjepa.errors import InputError, InputWarning

DURATIONS = [40, 100, 250, 40]


def save(path, arrays, kind, **options):
    first, *others = (Image.fromarray(array) for array in arrays)
    first.save(path, kind, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})]
)
def test_frames_come_at_the_times_that_the_file_gives(tmp_path, kind, options):
    arrays = [grey(seed) for seed in range(4)]
    path = save(tmp_path / "a.img", arrays, kind, duration=DURATIONS, **options)
    image = read(path)
    assert image.axes == "tyx"
    np.testing.assert_array_equal(image.array, np.stack(arrays)[None])
    assert image.times == pytest.approx((0, 0.04, 0.14, 0.39))
    assert image.spacing == (pytest.approx(0.13), None, None)
    part = read_clip(path, start=0.1, duration=0.3)
    np.testing.assert_array_equal(part.array[0], np.stack(arrays)[2:])
    assert part.times == pytest.approx((0, 0.25))
    np.testing.assert_array_equal(read_clip(path, max_frames=1).array[0, 0], arrays[2])


def test_a_coloured_frame_makes_the_clip_coloured(tmp_path):
    arrays = [np.repeat(grey(0)[..., None], 3, axis=2), grey(1, (20, 24, 3))]
    path = save(tmp_path / "a.png", arrays, "PNG", duration=40)
    np.testing.assert_array_equal(read(path).array, np.stack(arrays).transpose(3, 0, 1, 2))


def test_one_frame_is_an_image_and_no_duration_no_time(tmp_path):
    for kind in ("GIF", "WEBP", "BMP"):
        Image.fromarray(grey(0)).save(tmp_path / "a.img", kind, lossless=True)
        image = read(tmp_path / "a.img")
        assert image.axes == "yx"
        np.testing.assert_array_equal(image.array[0], grey(0))
    path = save(tmp_path / "b.gif", [grey(0), grey(1)], "GIF", duration=0)
    image = read(path)
    assert (image.times, image.spacing) == (None, (None, None, None))
    with pytest.raises(InputError, match="no times"):
        read_clip(path, max_frames=1)


def test_a_cut_gif_is_refused_or_keeps_whole_frames_with_a_warning(tmp_path):
    arrays = [grey(seed) for seed in range(4)]
    content = save(tmp_path / "a.gif", arrays, "GIF", duration=40).read_bytes()
    seen = set()
    for keep in range(10, len(content), 61):
        (tmp_path / "b.gif").write_bytes(content[:keep])
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            try:
                image = read(tmp_path / "b.gif")
            except InputError:
                seen.add(0)
                continue
        assert any("truncated or damaged" in str(doubt.message) for doubt in doubts)
        count = image.array.shape[1] if image.axes == "tyx" else 1
        np.testing.assert_array_equal(image.array.reshape(count, 20, 24), arrays[:count])
        seen.add(count)
    assert seen >= {0, 2, 3}


def test_a_gif_that_lies_about_its_size(tmp_path):
    content = bytearray(save(tmp_path / "a.gif", [grey(0), grey(1)], "GIF").read_bytes())
    content[6:10] = struct.pack("<2H", 65535, 65535)
    (tmp_path / "b.gif").write_bytes(content)
    with pytest.raises(InputError, match="large"):
        read(tmp_path / "b.gif")
    content[6:10] = struct.pack("<2H", 5, 5)
    (tmp_path / "b.gif").write_bytes(content)
    with pytest.warns(InputWarning, match="canvas of 5 x 5"):
        np.testing.assert_array_equal(read(tmp_path / "b.gif").array[0, 1], grey(1))


def test_an_animation_over_the_limit_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.gif", [grey(seed) for seed in range(4)], "GIF")
    monkeypatch.setattr(frames_module, "MAX_DECODED_BYTES", 3 * 20 * 24)
    with pytest.raises(InputError, match="too large: 4 frames"):
        read(path)


def test_an_animated_png_that_lies_about_its_frames(tmp_path):
    content = bytearray(
        save(tmp_path / "a.png", [grey(0), grey(1)], "PNG", duration=40).read_bytes()
    )
    place = content.index(b"acTL")
    for stated, error in ((9, False), (2**31 - 1, True)):
        content[place + 4 : place + 8] = struct.pack(">I", stated)
        body = bytes(content[place : place + 12])
        content[place + 12 : place + 16] = struct.pack(">I", zlib.crc32(body))
        (tmp_path / "b.png").write_bytes(content)
        if error:
            with pytest.raises(InputError, match="large"):
                read(tmp_path / "b.png")
        else:
            with pytest.warns(InputWarning, match="2 of 9 frames"):
                np.testing.assert_array_equal(
                    read(tmp_path / "b.png").array[0], np.stack([grey(0), grey(1)])
                )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_whose_checksum_is_wrong_is_refused(tmp_path, dtype):
    content = bytearray(write_png(tmp_path / "a.png", grey(0, dtype=dtype)).read_bytes())
    for chunk, offset in ((b"IDAT", 40), (b"IHDR", 4)):
        damaged = bytearray(content)
        damaged[content.index(chunk) + offset] ^= 1
        (tmp_path / "b.png").write_bytes(damaged)
        with pytest.raises(InputError, match=r"checksum|damaged"):
            read(tmp_path / "b.png")


@pytest.mark.parametrize("depth", [1, 8, 16])
def test_rows_that_are_missing_are_not_painted_black(tmp_path, depth):
    width, height = 13, 16
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([85 + row]) * (-(-width * depth // 8)) for row in range(height))

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    for part, good in ((1.0, True), (0.6, False)):
        kept = zlib.compress(rows[: int(len(rows) * part)])
        (tmp_path / "a.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", kept)
            + chunk(b"IEND", b"")
        )  # fmt: skip
        if good:
            assert read(tmp_path / "a.png").array.shape == (1, height, width)
        else:
            with pytest.raises(InputError, match="truncated"):
                read(tmp_path / "a.png")


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_black_border_is_no_missing_row(tmp_path, interlaced):
    array = grey(0, (21, 13))
    array[-5:] = 0
    path = write_png(tmp_path / "a.png", array)
    if interlaced:
        path.write_bytes(_interlaced(array))
        with Image.open(path) as opened:
            assert opened.info.get("interlace") == 1
    np.testing.assert_array_equal(read(path).array[0], array)


def _interlaced(array):
    """A PNG in the seven passes of Adam7."""
    height, width = array.shape
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1)]  # fmt: skip
    rows = b""
    for row, column, down, across in starts:
        part = array[row::down, column::across]
        rows += b"".join(b"\0" + line.tobytes() for line in part) if part.size else b""
    made = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        made += struct.pack(">I", len(body)) + name + body
        made += struct.pack(">I", zlib.crc32(name + body))
    return made


def test_a_palette_that_is_missing_is_named(tmp_path):
    content = write_png(tmp_path / "a.png", grey(0)).read_bytes()
    header = bytearray(content[12:29])
    header[4 + 9] = 3
    made = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    (tmp_path / "b.png").write_bytes(made)
    with pytest.raises(InputError, match="palette"):
        read(tmp_path / "b.png")


def test_a_gif_without_size_or_frames_is_refused(tmp_path):
    content = bytearray(save(tmp_path / "a.gif", [grey(0), grey(1)], "GIF").read_bytes())
    content[6:10] = bytes(4)
    (tmp_path / "b.gif").write_bytes(content)
    with pytest.raises(InputError, match="zero size"):
        read(tmp_path / "b.gif")
    (tmp_path / "c.gif").write_bytes(b"GIF89a" + struct.pack("<2H", 8, 8) + b"\0\0\0;")
    with pytest.raises(InputError, match="no frames"):
        read(tmp_path / "c.gif")


def test_four_inks_are_refused_by_name(tmp_path):
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (10, 200, 30, 0)).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="CMYK"):
        read(tmp_path / "a.jpg")
