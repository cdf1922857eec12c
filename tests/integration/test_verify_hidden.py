"""`verify` finds a string wherever pixel data and numbers can hide it, and none in noise."""

import struct
from functools import cache

import numpy as np
import pytest
from deid_files import ct, written

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.verify.elements import walk
from medjepa.data.verify.harvest import Harvest
from medjepa.data.verify.index import Index
from medjepa.data.verify.scan import in_dicom

HIDDEN = b"Qwertzuiop Xylander"
BASELINE, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"


@cache
def index_of(*contents):
    harvest = Harvest()
    for number, content in enumerate(contents):
        harvest.file(walk(content), f"{number}.dcm", number)
    return Index(harvest)


def found_in(index, content, *, same_pixels=True):
    walked = walk(content)
    return {
        sought.text.lower()
        for _, sought in in_dicom(index, walked, content, same_pixels=same_pixels)
    }


def image(samples, **tags):
    """Return a file without a name in its header, with an array as its pixels."""
    rows, columns = samples.shape
    uids = {f"{level}InstanceUID": "2.25.99" for level in ("SOP", "Study", "Series")}
    values = {"PatientName": None, "PatientID": None, "StudyDate": None, **uids, **tags}
    dataset = ct(**{"Rows": rows, "Columns": columns, **values})
    dataset.PixelData = samples.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.BitsAllocated = dataset.BitsStored = 8 * samples.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    return dataset


def noise(dtype, seed=0, side=64):
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max + 1
    return rng.integers(0, top, (side, side), dtype=dtype)


def smooth(seed=0):
    """Grey levels near those of small letters, as an 8-bit image of soft tissue has them."""
    rng = np.random.default_rng(seed)
    return rng.normal(108, 5, (64, 64)).clip(0, 255).astype(np.uint8)


def at(samples, raw, view):
    """Put bytes into the middle of some view of the samples."""
    flat = view(samples.reshape(-1).view(np.uint8))
    flat[501 : 501 + len(raw)] = np.frombuffer(raw, np.uint8)
    return samples


PLACES = {
    "8 bits": (np.uint8, lambda b: b),
    "16 bits": (np.uint16, lambda b: b),
    "low byte": (np.uint16, lambda b: b[0::2]),
    "high byte": (np.uint16, lambda b: b[1::2]),
    "swapped": (np.uint16, lambda b: b.reshape(-1, 2)[:, ::-1]),
    "third of four": (np.uint32, lambda b: b[2::4]),
}


@pytest.mark.parametrize("word", ["Kowalewski", "KOWALEWSKI", "kowalewski", "Kowalewska"])
@pytest.mark.parametrize("place", PLACES)
def test_a_name_of_the_header_is_found_in_native_pixels(place, word):
    index = index_of(written(ct(PatientName="Kowalewski^Jan")))
    dtype, view = PLACES[place]
    samples = noise(dtype)
    raw = word.encode()
    if place == "swapped":
        whole = samples.reshape(-1).view(np.uint8).reshape(-1, 2)[:, ::-1].copy().reshape(-1)
        whole[501 : 501 + len(raw)] = np.frombuffer(raw, np.uint8)
        samples = whole.reshape(-1, 2)[:, ::-1].copy().view(np.uint16).reshape(64, 64)
    else:
        samples = at(samples, raw, view)
    found = found_in(index, written(image(samples)))
    assert ("kowalewski" in found) == (word.lower() == "kowalewski")


def test_a_short_name_is_found_where_no_letters_are():
    """CT values of 12 bits have no letters in their high bytes."""
    index = index_of(written(ct(PatientName="Tanakaru^Jo")))
    samples = noise(np.uint16, side=256) & 0xFFF
    assert "tanakaru" not in found_in(index, written(image(samples)))
    samples = at(samples, b"TANAKARU", lambda b: b)
    assert "tanakaru" in found_in(index, written(image(samples)))


@pytest.fixture(scope="module")
def many_names():
    """Four hundred patients with names of six letters."""
    rng = np.random.default_rng(7)
    names = ["".join(map(chr, rng.integers(97, 123, 6))) for _ in range(400)]
    return index_of(*(written(ct(PatientName=name)) for name in names))


@pytest.mark.parametrize("same_pixels", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_noise_has_no_finding(many_names, dtype, same_pixels):
    for seed in range(8):
        content = written(image(noise(dtype, seed)))
        assert not found_in(many_names, content, same_pixels=same_pixels)


def test_letters_among_grey_levels_of_letters_are_there_by_chance():
    """Names made of the pixels themselves: in grey levels like these they mean nothing."""
    samples = smooth()
    text = samples.tobytes()
    names = {text[n : n + 7].decode("latin-1") for n in range(0, 4000, 97)}
    names = sorted(name for name in names if name.isalpha() and name.isascii())
    assert len(names) > 10
    index = index_of(*(written(ct(PatientName=name)) for name in names))
    assert not found_in(index, written(image(samples)))


def jpeg_with(place):
    """Return a small JPEG stream with the string in a place that no decoder shows."""

    def segment(marker, body):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body

    quantization = segment(0xDB, b"\0" + bytes([16] * 64))
    frame = segment(0xC0, b"\x08\0\x08\0\x08\x01\x01\x11\0")
    tables = segment(0xC4, b"\0" + b"\x01" + bytes(15) + b"\0")
    tables += segment(0xC4, b"\x10" + b"\x01" + bytes(15) + b"\0")
    scan = segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x3f\xff\0"
    extra = {
        "APP0": segment(0xE0, b"JFIF\0" + HIDDEN),
        "Adobe": segment(0xEE, b"Adobe" + HIDDEN),
        "comment": segment(0xFE, HIDDEN),
        "unused DQT": segment(0xDB, b"\x03" + HIDDEN.ljust(64, b"\x01")),
        "unused DHT": segment(0xC4, b"\x13" + bytes([len(HIDDEN)]) + bytes(15) + HIDDEN),
    }
    behind_scan = segment(0xFE, HIDDEN) if place == "behind the scan" else b""
    tail = HIDDEN if place == "behind EOI" else b""
    head = b"\xff\xd8" + extra.get(place, b"") + quantization + frame + tables
    return head + scan + behind_scan + b"\xff\xd9" + tail


def rle_with(place):
    literal = bytes([63]) + bytes(range(64))
    first = literal + (HIDDEN if place == "RLE tail" else b"")
    gap = HIDDEN if place == "RLE gap" else b""
    header = struct.pack("<II", 1, 64 + len(gap)).ljust(64, b"\0")
    if place == "RLE header":
        header = header[:12] + HIDDEN.ljust(52, b"\0")
    return header + gap + first


JPEG_PLACES = (
    "APP0", "Adobe", "comment", "unused DQT", "unused DHT", "behind the scan", "behind EOI",
)  # fmt: skip
RLE_PLACES = ("RLE tail", "RLE gap", "RLE header")


def encapsulated(syntax, stream):
    dataset = image(np.zeros((8, 8), np.uint8), BitsAllocated=8)
    dataset.file_meta.TransferSyntaxUID = pydicom().uid.UID(syntax)
    dataset.PixelData = pydicom().encaps.encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return written(dataset)


@pytest.mark.parametrize("place", [*JPEG_PLACES, *RLE_PLACES])
def test_what_a_code_stream_alone_holds_is_harvested_and_found(place):
    make, syntax = (rle_with, RLE) if place in RLE_PLACES else (jpeg_with, BASELINE)
    index = index_of(encapsulated(syntax, make(place)))
    assert any("xylander" in text for text in found_in(index, encapsulated(syntax, make(place))))
    found = found_in(index, encapsulated(syntax, make("nowhere")))
    assert not any("xylander" in text for text in found)


@pytest.mark.parametrize("place", ["APP0", "Adobe", "behind EOI", "behind the scan", "RLE tail"])
def test_a_short_name_is_found_beside_the_image(place, monkeypatch):
    monkeypatch.setitem(globals(), "HIDDEN", b" Tanaka ")
    make, syntax = (rle_with, RLE) if place in RLE_PLACES else (jpeg_with, BASELINE)
    index = index_of(written(ct(PatientName="Tanaka^Jo")))
    assert "tanaka" in found_in(index, encapsulated(syntax, make(place)))


def in_numbers(vr, width):
    codes = np.frombuffer(b"Xylander Ward", np.uint8).astype(f"<u{width}")
    dataset = image(np.zeros((8, 8), np.uint16))
    dataset.add_new({"UL": 0x00209157, "US": 0x00540020}[vr], "OB", codes.tobytes() + b"\0" * 3)
    return written(dataset)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("vr", ["UL", "US"])
def test_text_in_binary_numbers(vr, width):
    content = in_numbers(vr, width)
    index = index_of(content)
    assert any("xylander" in text for text in found_in(index, content))


@pytest.mark.parametrize(
    ("tag", "text", "counts"),
    [
        (0x00120063, "removed for Xylanderova by hand", True),
        (0x00120063, "MedJEPA 0.1.0, strict profile", False),
        (0x00080102, "XYLANDER_ANNA", True),
        (0x00080102, "SCT", False),
    ],
)
def test_text_in_attributes_about_the_file(tag, text, counts):
    dataset = image(np.zeros((8, 8), np.uint16))
    dataset.add_new(tag, "LO" if tag == 0x00120063 else "SH", text)
    content = written(dataset)
    index = index_of(content)
    assert any("xylander" in found for found in found_in(index, content)) == counts


def test_bytes_behind_float_pixels():
    dataset = image(np.zeros((8, 8), np.uint16))
    del dataset.PixelData
    dataset.add_new(0x7FE00008, "OF", np.zeros(64, "<f4").tobytes() + HIDDEN + b"\0")
    content = written(dataset)
    assert any("xylander" in text for text in found_in(index_of(content), content))
