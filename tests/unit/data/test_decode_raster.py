import os

import numpy as np
import pytest
from image_files import grey, png_bomb, write_png
from PIL import Image

from medjepa.data import read
from medjepa.errors import InputError


def test_16_bits_stay_16_bits(tmp_path):
    array = grey(0, dtype=np.uint16)
    image = read(write_png(tmp_path / "a.png", array))
    assert image.array.dtype == np.uint16
    assert image.axes == "yx"
    np.testing.assert_array_equal(image.array[0], array)


def test_16_bit_colour_keeps_its_bits(tmp_path):
    from imagecodecs import png_encode

    array = grey(0, (6, 5, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_encode(array))
    np.testing.assert_array_equal(read(tmp_path / "a.png").array, np.moveaxis(array, 2, 0))


def test_colour_is_channels_first_and_a_palette_is_colour(tmp_path):
    array = grey(0, (6, 5, 3))
    np.testing.assert_array_equal(
        read(write_png(tmp_path / "a.png", array)).array, np.moveaxis(array, 2, 0)
    )
    Image.fromarray(array).quantize(8).save(tmp_path / "p.png")
    assert read(tmp_path / "p.png").array.shape == (3, 6, 5)


def test_content_decides_not_the_name(tmp_path):
    write_png(tmp_path / "a.png", grey(0)).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read(tmp_path / "a.jpg").array[0], grey(0))


def test_exif_orientation_is_applied(tmp_path):
    array = np.zeros((8, 16), np.uint8)
    array[:, :8] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(array).save(tmp_path / "a.jpg", exif=exif, quality=100)
    turned = read(tmp_path / "a.jpg").array[0]
    assert turned.shape == (16, 8)
    assert turned[0].mean() > 150 > 50 > turned[-1].mean()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_tiff_keeps_its_dtype(tmp_path, dtype):
    import tifffile

    array = (np.arange(30).reshape(5, 6) - (0 if dtype in (np.uint8, np.uint16) else 9)).astype(
        dtype
    )
    tifffile.imwrite(tmp_path / "a.tif", array)
    image = read(tmp_path / "a.tif")
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array[0], array)


def test_refusals_name_the_file_and_the_reason(tmp_path):
    good = write_png(tmp_path / "good.png", grey(0, (64, 64))).read_bytes()
    cases = {
        "cut.png": (good[: len(good) // 2], "truncated"),
        "empty.png": (b"", "empty"),
        "text.png": (b"<svg>hello</svg>", "not an image"),
        "bomb.png": (png_bomb(), "large"),
    }
    for name, (content, word) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=word) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert caught.value.path == str(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="regular file"):
        read(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        read(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="folder"):
        read(tmp_path)
