"""What leaves with the pixels: no comment, no unused bit, no row of letters; the image stays."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pixel_files import BIG, EXPLICIT, J2K, JPEG, SC, US, made, text

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels import clean_pixels
from medjepa.data.deid.pixels.streams import StreamError, clean_frame
from medjepa.data.deid.pixels.text_marks import find_rows


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def burned(rng, label="MUELLER HANS 1956", value=4095, low=900, high=1100, shape=(96, 256)):
    picture = rng.integers(low, high, shape).astype(np.uint16)
    mark = text(label)
    picture[8 : 8 + mark.shape[0], 8 : 8 + mark.shape[1]][mark] = value
    return picture


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_outside_the_image_are_cleared_and_the_image_stays(rng, syntax, signed):
    image = rng.integers(-2048 if signed else 0, 2048, (20, 30)).astype("i2" if signed else "u2")
    hidden = image.copy()
    if signed:
        hidden = (hidden & 0x0FFF).astype("i2")  # the sign is not carried on
    hidden = hidden | (rng.integers(0, 2, (20, 30)).astype("u2") << 15).astype(hidden.dtype)
    data = made(hidden, syntax=syntax)
    result = clean_pixels(data, data, Options())
    assert not result.quarantine
    kind = np.dtype("i2" if signed else "u2").newbyteorder(">" if syntax == BIG else "<")
    stored = np.frombuffer(data.PixelData, kind).reshape(20, 30)
    np.testing.assert_array_equal(stored, image)
    np.testing.assert_array_equal(data.pixel_array, image)


def test_bytes_after_the_last_pixel_go_and_missing_ones_hold_the_file_back(rng):
    data = made(rng.integers(0, 4096, (21, 31)).astype("u2"))
    whole = data.PixelData
    data["PixelData"].value = whole + b"PATIENT NAME"
    assert not clean_pixels(data, data, Options()).quarantine
    assert data.PixelData == whole
    data["PixelData"].value = whole[:-2]
    assert "truncated" in clean_pixels(data, data, Options()).quarantine


def test_an_odd_number_of_bytes_is_padded_with_zero(rng):
    data = made(rng.integers(0, 200, (7, 5)).astype("u1"), stored=8)
    data["PixelData"].value = data.PixelData + b"N"
    assert not clean_pixels(data, data, Options()).quarantine
    assert data.PixelData[-1:] == b"\0"


def jpeg(rng):
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (24, 40), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@settings(max_examples=40, deadline=None)
@given(
    marker=st.sampled_from([0xFE, *range(0xE0, 0xF0)]),
    token=st.binary(min_size=12, max_size=60).map(lambda b: b"QZ" + b.hex().encode()),
    where=st.integers(0, 3),
)
def test_no_comment_survives_in_a_jpeg_stream(marker, token, where):
    stream = jpeg(np.random.default_rng(1))
    segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(token) + 2) + token
    places = [2, stream.index(b"\xff\xdb"), stream.index(b"\xff\xc4"), stream.index(b"\xff\xda")]
    planted = stream[: places[where]] + segment + stream[places[where] :] + b"\0TRAILER"
    clean = clean_frame(planted, JPEG, 24 * 40)
    assert token not in clean
    assert b"TRAILER" not in clean
    assert b"JFIF" not in clean
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(clean))), np.asarray(Image.open(io.BytesIO(stream)))
    )


def test_jpeg_2000_loses_its_comment_and_nothing_else(rng):
    from openjpeg.utils import decode, encode_array

    image = rng.integers(0, 4096, (32, 48)).astype("u2")
    stream = bytes(encode_array(image, bits_stored=12, photometric_interpretation=2))
    size = stream.index(b"\xff\x51")
    (length,) = struct.unpack(">H", stream[size + 2 : size + 4])
    after = size + 2 + length
    comment = b"\xff\x64" + struct.pack(">HH", 4 + 12, 1) + b"PATIENT NAME"
    planted = stream[:after] + comment + stream[after:]
    clean = clean_frame(planted, J2K, 32 * 48)
    assert b"PATIENT" not in clean
    np.testing.assert_array_equal(decode(clean), image)
    with pytest.raises(StreamError):
        clean_frame(stream[:-2] + b"MORE\xff\xd9", J2K, 32 * 48)


def test_a_compressed_image_decodes_to_the_same_pixels(rng):
    encaps = pydicom().encaps
    data = made(rng.integers(0, 255, (24, 40)).astype("u1"), syntax=JPEG, stored=8)
    stream = jpeg(rng)
    planted = stream[:2] + b"\xff\xfe\x00\x0ePATIENT NAME" + stream[2:]
    data["PixelData"].value = encaps.encapsulate([planted])
    before = np.array(data.pixel_array)
    result = clean_pixels(data, data, Options())
    assert not result.quarantine
    assert result.steps
    assert b"PATIENT" not in data.PixelData
    np.testing.assert_array_equal(data.pixel_array, before)


def test_a_stream_of_an_unknown_kind_stays_behind():
    data = made(np.zeros((8, 8), "u1"), syntax=JPEG, stored=8)
    data["PixelData"].value = pydicom().encaps.encapsulate([b"no stream at all"])
    assert clean_pixels(data, data, Options()).quarantine
    data.file_meta.TransferSyntaxUID = pydicom().uid.UID("1.2.840.10008.1.2.4.102")
    assert "video" in clean_pixels(data, data, Options()).quarantine


def region(**corners):
    item = pydicom().Dataset()
    for name, value in zip(("MinX0", "MinY0", "MaxX1", "MaxY1"), corners["box"], strict=True):
        setattr(item, f"RegionLocation{name}", value)
    return item


@pytest.mark.parametrize("colour", [False, True])
def test_ultrasound_keeps_its_regions_and_nothing_else(rng, colour):
    shape = (2, 40, 60, 3) if colour else (2, 40, 60)
    image = rng.integers(1, 255, shape).astype("u1")
    data = made(image, sop=US, stored=8)
    data.SequenceOfUltrasoundRegions = [region(box=(5, 10, 50, 35))]
    assert not clean_pixels(data, data, Options()).quarantine
    seen = data.pixel_array
    np.testing.assert_array_equal(seen[:, 10:36, 5:51], image[:, 10:36, 5:51])
    outside = np.ones((40, 60), bool)
    outside[10:36, 5:51] = False
    assert not seen[:, outside].any()


def test_ultrasound_without_a_usable_region_stays_behind(rng):
    data = made(rng.integers(0, 255, (40, 60)).astype("u1"), sop=US, stored=8)
    assert "without regions" in clean_pixels(data, data, Options()).quarantine
    for box in ((0, 0, 59, 39), (5, 10, 70, 35)):
        data.SequenceOfUltrasoundRegions = [region(box=box)]
        assert clean_pixels(data, data, Options()).quarantine


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"SOPClassUID": SC}, "secondary capture"),
        ({"BurnedInAnnotation": "YES"}, "header says"),
        ({"Modality": "XC"}, "photograph"),
        ({"ConversionType": "DF"}, "digitised"),
    ],
)
def test_objects_that_often_show_a_name_stay_behind(rng, changes, word):
    data = made(rng.integers(0, 4096, (40, 60)).astype("u2"), **changes)
    assert word in clean_pixels(data, data, Options()).quarantine


@pytest.mark.parametrize("value", [4095, 0, 1700])
@pytest.mark.parametrize("flag", [None, "NO"])
def test_burned_in_text_is_seen_whatever_the_header_says(rng, value, flag):
    data = made(burned(rng, value=value))
    if flag:
        data.BurnedInAnnotation = flag
    assert "marks like text" in clean_pixels(data, data, Options()).quarantine


def test_blanked_text_is_gone_and_the_rest_stays(rng):
    picture = burned(rng)
    data = made(picture.copy())
    result = clean_pixels(data, data, Options(clean_pixels="blank"))
    assert not result.quarantine
    assert any("blanked" in step for step in result.steps)
    assert data.pixel_array.max() < 1100
    np.testing.assert_array_equal(data.pixel_array[70:], picture[70:])


@pytest.mark.parametrize("turns", [1, 3])
def test_text_that_stands_upright_is_seen_and_blanked(rng, turns):
    picture = np.ascontiguousarray(np.rot90(burned(rng), turns))
    data = made(picture)
    assert "marks like text" in clean_pixels(data, data, Options()).quarantine
    assert not clean_pixels(data, data, Options(clean_pixels="blank")).quarantine
    left = np.rot90(data.pixel_array, -turns)
    assert (left == 4095).sum() == 0
    np.testing.assert_array_equal(left[64:], np.rot90(picture, -turns)[64:])


def test_images_without_text_pass(rng):
    rows, columns = np.mgrid[:128, :128]
    smooth = (np.sin(rows / 9) + np.cos(columns / 7)) * 500 + 1500
    for picture in (rng.integers(0, 4096, (128, 128)), smooth, np.full((64, 64), 7)):
        data = made(picture.astype("u2"))
        assert not clean_pixels(data, data, Options()).quarantine


def test_a_side_marker_is_no_row_of_letters(rng):
    picture = burned(rng, label="L")
    assert find_rows(picture) == []
    assert find_rows(burned(rng, label="R  PA")) == []


def test_a_head_is_said_to_have_a_face(rng):
    data = made(rng.integers(0, 4096, (40, 60)).astype("u2"), BodyPartExamined="HEAD")
    assert "face" in " ".join(clean_pixels(data, data, Options()).warnings)
    data.BodyPartExamined = "CHEST"
    assert not clean_pixels(data, data, Options()).warnings


def encapsulated(stream, grey, syntax, **more):
    data = made(grey, **more)
    data.file_meta.TransferSyntaxUID = pydicom().uid.UID(syntax)
    data.PixelData = pydicom().encaps.encapsulate([stream])
    data["PixelData"].VR = "OB"
    return data


def test_a_jp2_file_gives_its_code_stream_alone(rng):
    grey = rng.integers(0, 4000, (48, 40)).astype(np.uint16)
    wrapped = imagecodecs.jpeg2k_encode(grey, level=0, codecformat="jp2", reversible=True)
    assert wrapped.startswith(b"\0\0\0\x0cjP")
    for box in (b"", struct.pack(">I4s", 16, b"xml ") + b"DOE JANE"):
        place = wrapped.index(b"jp2c") - 4
        data = encapsulated(wrapped[:place] + box + wrapped[place:], grey, J2K)
        assert not clean_pixels(data, data, Options()).quarantine
        assert b"JANE" not in data.PixelData
        assert b"jP  " not in data.PixelData
        np.testing.assert_array_equal(pydicom().pixels.pixel_array(data, raw=True), grey)


def test_a_jpeg_of_12_bits_is_looked_at(rng):
    grey = rng.normal(2000, 40, (64, 80)).astype(np.uint16)
    lettered = grey.copy()
    label = text("DOE JANE")
    lettered[20 : 20 + label.shape[0], 4 : 4 + label.shape[1]][label[:, :76]] = 4095
    for pixels, found in ((grey, ""), (lettered, "like text")):
        stream = imagecodecs.jpeg8_encode(pixels, level=99, bitspersample=12)
        data = encapsulated(stream, pixels, "1.2.840.10008.1.2.4.51")
        reason = clean_pixels(data, data, Options()).quarantine
        assert found in reason
        assert bool(found) == bool(reason)
