"""Names in every corner of a code stream: gone, or the file stays behind; the pixels stay."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pixel_files import J2K, JPEG, made

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels import clean_pixels

RLE, JPEG_LS, LOSSLESS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.70"
NAME = b"MUELLER^HANS^19610312"


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    return (np.indices((24, 40)).sum(0) * 3 % 200 + rng.integers(0, 8, (24, 40))).astype("u1")


def segment(marker, body=NAME):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(picture, **options):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def rle(picture):
    from pydicom.pixels import get_encoder

    rows, columns = picture.shape
    return get_encoder(RLE).encode(
        picture, rows=rows, columns=columns, samples_per_pixel=1, bits_allocated=8, bits_stored=8,
        pixel_representation=0, photometric_interpretation="MONOCHROME2", number_of_frames=1,
    )  # fmt: skip


def cleaned(stream, picture, syntax):
    """(the data set, why it stays behind)"""
    data = made(picture, syntax=syntax, stored=8)
    data["PixelData"].value = pydicom().encaps.encapsulate([stream])
    return data, clean_pixels(data, data, Options()).quarantine


def passes_without_the_name(stream, picture, syntax, lossless=True):
    data, reason = cleaned(stream, picture, syntax)
    assert not reason
    assert NAME not in data.PixelData
    assert NAME[:8] not in data.PixelData
    shown = np.asarray(Image.open(io.BytesIO(stream))) if not lossless else picture
    np.testing.assert_array_equal(data.pixel_array, shown)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True},
                                     {"restart_marker_blocks": 3}])  # fmt: skip
def test_jpegs_of_every_kind_pass_with_the_same_pixels(picture, options):
    data, reason = cleaned(jpeg(picture, **options), picture, JPEG)
    assert not reason
    shown = np.asarray(Image.open(io.BytesIO(jpeg(picture, **options))))
    np.testing.assert_array_equal(data.pixel_array, shown)


def test_a_lossless_jpeg_passes_with_the_same_pixels(picture):
    stream = imagecodecs.ljpeg_encode(picture)
    data, reason = cleaned(stream[:2] + segment(0xFE) + stream[2:], picture, LOSSLESS)
    assert not reason
    assert NAME not in data.PixelData
    np.testing.assert_array_equal(data.pixel_array, picture)


@pytest.mark.parametrize(
    "body", [b"\x03" + (NAME * 4)[:64], b"\x00" + (NAME * 4)[:64]], ids=["unused", "replaced"]
)
def test_tables_that_no_scan_uses_go(picture, body):
    stream = jpeg(picture)
    passes_without_the_name(stream[:2] + segment(0xDB, body) + stream[2:], picture, JPEG, False)


@pytest.mark.parametrize("restarts", [0, 3])
def test_text_behind_the_last_block_of_a_jpeg_goes(picture, restarts):
    stream = jpeg(picture, restart_marker_blocks=restarts)
    passes_without_the_name(stream[:-2] + NAME + stream[-2:], picture, JPEG, False)


def test_text_before_a_restart_goes(picture):
    stream = jpeg(picture, restart_marker_blocks=3)
    place = stream.index(b"\xff\xd1")
    passes_without_the_name(stream[:place] + NAME + stream[place:], picture, JPEG, False)


@pytest.mark.parametrize("marker", [0xF0, 0xFD, 0x02, 0xDE, 0xDF, 0xCC])
def test_a_jpeg_segment_of_an_unknown_kind_keeps_the_file_back(picture, marker):
    stream = jpeg(picture)
    assert cleaned(stream[:2] + segment(marker) + stream[2:], picture, JPEG)[1]


def test_jpeg_ls_passes_without_comments_and_stays_behind_with_a_palette(picture):
    stream = imagecodecs.jpegls_encode(picture)
    passes_without_the_name(stream[:2] + segment(0xFE) + stream[2:] + NAME, picture, JPEG_LS)
    assert cleaned(stream[:2] + segment(0xF8, b"\4" + NAME) + stream[2:], picture, JPEG_LS)[1]


def test_text_at_the_end_of_a_jpeg_2000_tile_goes(picture):
    stream = imagecodecs.jpeg2k_encode(picture, codecformat="j2k", reversible=True, level=0)
    tile = stream.index(b"\xff\x90")
    (length,) = struct.unpack(">I", stream[tile + 6 : tile + 10])
    end = tile + length if length else stream.rindex(b"\xff\xd9")
    longer = struct.pack(">I", end - tile + len(NAME))
    planted = stream[: tile + 6] + longer + stream[tile + 10 : end] + NAME + stream[end:]
    passes_without_the_name(planted, picture, J2K)


@pytest.mark.parametrize("marker", [0x70, 0x30])
def test_a_jpeg_2000_segment_of_an_unknown_kind_keeps_the_file_back(picture, marker):
    stream = imagecodecs.jpeg2k_encode(picture, codecformat="j2k", reversible=True, level=0)
    place = stream.index(b"\xff\x52")
    assert cleaned(stream[:place] + segment(marker) + stream[place:], picture, J2K)[1]


def literal(text=NAME):
    return bytes([len(text) - 1]) + text


@pytest.mark.parametrize("extra", [NAME, literal(), b"\x80\x80" + literal()])
def test_what_an_rle_frame_holds_behind_its_last_pixel_goes(picture, extra):
    passes_without_the_name(rle(picture) + extra, picture, RLE)


def test_what_an_rle_frame_holds_between_two_segments_goes(picture):
    one = rle(picture)[64:]
    wide = np.stack([picture, picture], axis=-1).view("<u2")[..., 0]
    header = struct.pack("<16I", 2, 64, 64 + len(one) + len(NAME), *[0] * 13)
    data = made(wide, syntax=RLE, stored=16)
    data["PixelData"].value = pydicom().encaps.encapsulate([header + one + NAME + one])
    assert not clean_pixels(data, data, Options()).quarantine
    assert NAME not in data.PixelData
    np.testing.assert_array_equal(data.pixel_array, wide)


def test_a_run_beyond_the_image_keeps_the_file_back(picture):
    stream = rle(np.zeros((2, 20), "u1"))
    assert cleaned(stream[:64] + literal(bytes(40) + NAME), np.zeros((2, 20), "u1"), RLE)[1]


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "label"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "OVERVIEW"], "Modality": "SM"}, "overview"),
        ({"SpecimenLabelInImage": "YES"}, "label"),
    ],
)
def test_the_label_of_a_slide_stays_behind(picture, header, word):
    data = made(picture, **header)
    assert word in clean_pixels(data, data, Options()).quarantine


@pytest.mark.parametrize("kind", ["66.4", "30", "601"])
def test_only_ultrasound_needs_regions(picture, kind):
    data = made(picture, sop=f"1.2.840.10008.5.1.4.1.1.{kind}", Modality="MR")
    assert not clean_pixels(data, data, Options()).quarantine
