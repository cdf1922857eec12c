"""The walk over a DICOM file sees what a library sees, and what it hides."""

import io
import struct

import pytest
from deid_files import ct, written
from hypothesis import given, settings
from hypothesis.strategies import binary, integers

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.verify.elements import looks_like_dicom, walk

EXPLICIT = "1.2.840.10008.1.2.1"
SYNTAXES = ("1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def nested(syntax):
    """Return an object with sequences in sequences, private attributes and an empty item."""
    dataset = ct()
    Dataset, Sequence = pydicom().Dataset, pydicom().Sequence
    deep, item = Dataset(), Dataset()
    deep.InstitutionName = "St. Elsewhere"
    item.PatientName = "Roe^Richard"
    item.PurposeOfReferenceCodeSequence = Sequence([deep, Dataset()])
    dataset.ReferencedImageSequence = Sequence([item])
    block = dataset.private_block(0x0019, "ACME 1.1", create=True)
    block.add_new(0x01, "LO", "hidden words")
    dataset.PixelData = bytes(128)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def values_of(dataset, prefix=""):
    for element in dataset:
        path = f"{prefix}{element.tag.group:04X},{element.tag.element:04X}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from values_of(item, f"{path}[{number}].")
        else:
            yield path


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_element_that_a_library_finds_is_walked(syntax):
    content = written(nested(syntax))
    walked = walk(content)
    library = pydicom().dcmread(io.BytesIO(content))
    paths = {e.path for e in walked.elements if not e.path.startswith("0002")}
    assert set(values_of(library)) <= paths
    assert walked.text("0008,1140[0].0040,A170[0].0008,0080") == "St. Elsewhere"
    assert walked.text("0008,1140[0].0010,0010") == "Roe^Richard"
    assert walked.text("0019,1001") == "hidden words"
    assert not walked.problems and walked.rest == len(walked.content)


def test_a_sequence_stored_as_unknown_is_opened():
    value = struct.pack("<HHI", 0x0010, 0x0010, 8) + b"Doe^Jane"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
    dataset = ct()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    dataset.add_new(0x00331001, "UN", item)
    assert walk(written(dataset)).text("0033,1001[0].0010,0010") == "Doe^Jane"


def test_what_belongs_to_no_element_is_the_rest():
    content = written(ct())
    walked = walk(content + b"Doe^Jane")
    assert bytes(walked.content[walked.rest :]) == b"Doe^Jane"


@settings(max_examples=200, deadline=None)
@given(binary(max_size=12), integers(0, 2000), integers(0, 12))
def test_damage_never_stops_the_walk(noise, position, cut):
    content = bytearray(written(nested(EXPLICIT)))
    position = 132 + position % (len(content) - 132)
    content[position : position + cut] = noise
    walked = walk(bytes(content))
    assert all(0 <= e.begin <= e.end <= len(walked.content) for e in walked.elements)
    assert 0 <= walked.rest <= len(walked.content)


def test_depth_is_bounded():
    head = struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    walked = walk(bytes(128) + b"DICM" + (head + item) * 5000)
    assert any("nested deeper" in problem for problem in walked.problems)


def test_other_files_are_not_taken_for_dicom():
    assert looks_like_dicom(written(ct()))
    assert not any(map(looks_like_dicom, (b"", b"\x89PNG\r\n\x1a\n" + bytes(200), b"name,age\n")))
