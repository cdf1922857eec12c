"""Stacks in TIFF: pages, OME and ImageJ metadata, and directories that lie."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import grey

from medjepa.data import read
from medjepa.errors import InputError, InputWarning

STACK = np.stack([grey(seed) for seed in range(4)])


def write(path, array, **options):
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


@settings(max_examples=30, deadline=None)
@given(
    dtype=st.sampled_from(["u1", "u2", "i2", "f4", "f8"]),
    compression=st.sampled_from([None, "zlib", "lzw", "packbits"]),
    byteorder=st.sampled_from("<>"),
    options=st.sampled_from([{}, {"tile": (16, 16)}, {"rowsperstrip": 7}, {"bigtiff": True}]),
    metadata=st.sampled_from([None, {"axes": "ZYX"}]),
)
def test_pages_of_one_shape_are_a_volume(
    tmp_path_factory, dtype, compression, byteorder, options, metadata
):
    array = (STACK.astype(np.int64) * (1 if dtype == "u1" else 100)).astype(dtype)
    path = write(
        tmp_path_factory.mktemp("t") / "a.tif", array,
        compression=compression, byteorder=byteorder, metadata=metadata, **options,
    )  # fmt: skip
    image = read(path)
    assert (image.axes, image.spacing) == ("zyx", (None, None, None))
    assert image.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(image.array[0], array)
    np.testing.assert_array_equal(read(path, page=2).array[0], array[2])


def test_colour_palette_and_inverted_stacks(tmp_path):
    colour = np.stack([grey(seed, (8, 9, 3)) for seed in range(3)])
    expected = np.moveaxis(colour, -1, 0)
    path = write(tmp_path / "a.tif", colour, photometric="rgb")
    np.testing.assert_array_equal(read(path).array, expected)
    planar = np.moveaxis(colour, -1, 1)
    path = write(tmp_path / "b.tif", planar, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read(path).array, expected)
    path = write(tmp_path / "c.tif", STACK, photometric="miniswhite")
    np.testing.assert_array_equal(read(path).array[0], 255 - STACK)
    table = np.stack([np.arange(256)[::step] * 257 for step in (1, -1, 1)]).astype(np.uint16)
    path = write(tmp_path / "d.tif", STACK, photometric="palette", colormap=table)
    image = read(path)
    np.testing.assert_array_equal(image.array, np.stack([STACK, 255 - STACK, STACK]))
    assert "palette read as RGB" in image.history


def test_white_is_zero_of_12_bits_is_turned_within_12_bits(tmp_path):
    array = grey(0, dtype=np.uint16) >> 4
    path = write(tmp_path / "a.tif", array, photometric="miniswhite")
    # The words keep 16 bits; only what the header says can be turned.
    np.testing.assert_array_equal(read(path).array[0], 65535 - array)


def test_imagej_says_what_axes_and_lengths_mean(tmp_path):
    path = write(
        tmp_path / "z.tif", STACK, imagej=True, resolution=(4, 5),
        metadata={"axes": "ZYX", "spacing": 2.5, "unit": "um"},
    )  # fmt: skip
    assert read(path).spacing == pytest.approx((0.0025, 0.0002, 0.00025))
    both = np.stack([STACK, STACK[::-1], 255 - STACK])
    path = write(tmp_path / "t.tif", both, imagej=True, metadata={"axes": "TZYX", "finterval": 0.5})
    image = read(path)
    assert (image.axes, image.times) == ("tzyx", (0.0, 0.5, 1.0))
    assert image.spacing == (0.5, None, None, None)
    np.testing.assert_array_equal(image.array[0], both)
    path = write(tmp_path / "c.tif", both, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(InputError, match=r"4 channels.*page=0"):
        read(path)


def test_ome_says_what_axes_and_lengths_mean(tmp_path):
    array = np.stack([STACK, STACK[::-1], 255 - STACK])  # three channels, four moments
    path = write(
        tmp_path / "a.ome.tif", array.transpose(1, 0, 2, 3), ome=True,
        metadata={"axes": "TCYX", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm",
                  "PhysicalSizeY": 0.25, "TimeIncrement": 40, "TimeIncrementUnit": "ms"},
    )  # fmt: skip
    image = read(path)
    assert (image.axes, image.array.shape) == ("tyx", (3, 4, 20, 24))
    np.testing.assert_array_equal(image.array, array)
    assert image.spacing == pytest.approx((0.04, 0.00025, 0.0005))
    assert image.times == pytest.approx((0, 0.04, 0.08, 0.12))


def test_unlike_pages_are_refused_and_can_be_read_alone(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(grey(0), metadata=None)
        tiff.write(grey(1, (9, 9)), metadata=None)
    with pytest.raises(InputError, match=r"different size.*page=0"):
        read(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif", page=1).array[0], grey(1, (9, 9)))
    with pytest.raises(InputError, match="no page 2"):
        read(tmp_path / "a.tif", page=2)
    with tifffile.TiffWriter(tmp_path / "b.tif") as tiff:
        tiff.write(grey(0), metadata=None)
        tiff.write(grey(1, dtype=np.uint16), metadata=None)
    with pytest.raises(InputError, match="different kind"):
        read(tmp_path / "b.tif")
    np.save(tmp_path / "c.npy", grey(0))
    with pytest.raises(InputError, match="page="):
        read(tmp_path / "c.npy", page=0)


def test_a_reduced_copy_is_no_page_of_the_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(grey(0), metadata=None)
        tiff.write(grey(0)[::2, ::2], metadata=None, subfiletype=1)
    image = read(tmp_path / "a.tif")
    assert image.axes == "yx"
    np.testing.assert_array_equal(image.array[0], grey(0))


def _directories(path):
    """Offsets of the directories, and of the entries of each by tag."""
    with tifffile.TiffFile(path) as tiff:
        return [(p.offset, {t.code: t.offset for t in p.tags}) for p in tiff.pages]


def _patched(path, offset, content):
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


def test_directories_in_a_circle_end(tmp_path):
    path = write(tmp_path / "a.tif", STACK, metadata=None)
    directories = _directories(path)
    last, entries = directories[-1]
    _patched(path, last + 2 + 12 * len(entries), struct.pack("<I", directories[0][0]))
    with pytest.warns(InputWarning, match="circle"):
        np.testing.assert_array_equal(read(path).array[0], STACK)


@pytest.mark.parametrize(
    ("tag", "value", "word"),
    [
        (256, struct.pack("<HIH", 4, 1, 65535) + b"\xff\x7f", "large|truncated"),
        (257, struct.pack("<HII", 4, 1, 2**31), "large"),
        (322, struct.pack("<HII", 4, 1, 2**30), "large|truncated|damaged"),
        (258, struct.pack("<HII", 3, 1, 48), "dtype|damaged"),
        (324, struct.pack("<HII", 4, 1, 2**31), "truncated"),
        (325, struct.pack("<HII", 4, 2**28, 8), "truncated|damaged"),
        (324, struct.pack("<HII", 4, 2**31, 8), "truncated|damaged"),
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path, tag, value, word):
    path = write(tmp_path / "a.tif", STACK[0], tile=(16, 32), compression="zlib", metadata=None)
    place = _directories(path)[0][1][tag]
    _patched(path, place + 2, value[:10])
    with pytest.raises(InputError, match=word) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 4}, {"compression": "zlib"}])
def test_a_cut_stack_is_never_a_shorter_one(tmp_path, options):
    content = write(tmp_path / "a.tif", STACK, metadata=None, **options).read_bytes()
    reasons = []
    for keep in range(8, len(content), 53):
        (tmp_path / "b.tif").write_bytes(content[:keep])
        try:
            # The last bytes hold nothing that is needed.
            np.testing.assert_array_equal(read(tmp_path / "b.tif").array[0], STACK)
        except InputError as error:
            reasons.append(error.reason)
    assert all("truncated" in reason or "not" in reason for reason in reasons)
    assert len(reasons) > len(range(8, len(content), 53)) - 4


def test_a_file_that_names_others_does_not_open_them(tmp_path):
    write(tmp_path / "secret.tif", STACK)
    with tifffile.TiffWriter(tmp_path / "b.ome.tif") as tiff:
        text = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            'UUID="urn:uuid:1"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
            'Type="uint8" SizeX="24" SizeY="20" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="C:0" '
            'SamplesPerPixel="1"/><TiffData IFD="0" FirstZ="0" PlaneCount="1"><UUID '
            'FileName="b.ome.tif">urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstZ="1" '
            'PlaneCount="1"><UUID FileName="secret.tif">urn:uuid:2</UUID></TiffData></Pixels>'
            "</Image></OME>"
        )
        tiff.write(STACK[0], description=text, metadata=None, photometric="minisblack")
    with pytest.warns(InputWarning, match="set of several"):
        image = read(tmp_path / "b.ome.tif")
    np.testing.assert_array_equal(image.array, STACK[:1])


@pytest.mark.parametrize("start", [b"\x00\x00", b"\x00\x29", b"\x80\xff", b"\xff\x00"])
def test_lzw_data_without_a_clear_code_are_refused_before_they_are_decoded(tmp_path, start):
    """Such a file killed the decoder's process now and then."""
    path = tmp_path / "a.tif"
    image = np.arange(13 * 5, dtype=np.uint32).reshape(5, 13) * 7_654_321
    tifffile.imwrite(path, image, compression="lzw", predictor=True)
    np.testing.assert_array_equal(read(path).array[0], image)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    raw = bytearray(path.read_bytes())
    raw[offset : offset + 2] = start
    path.write_bytes(raw)
    with pytest.raises(InputError, match="clear code"):
        read(path)
