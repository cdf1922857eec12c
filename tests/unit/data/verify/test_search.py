"""In which forms a string of an original is found, and which are too common to be looked for."""

import base64
import gzip
import io
import zipfile
import zlib

import pytest
from deid_files import ct, written

from medjepa.data.verify.containers import hidden_parts
from medjepa.data.verify.elements import walk
from medjepa.data.verify.forms import squeezed
from medjepa.data.verify.harvest import Harvest
from medjepa.data.verify.index import Index
from medjepa.data.verify.scan import in_name, in_other
from medjepa.data.verify.vocabulary import is_common


def index_of(path="a.dcm", **tags):
    harvest = Harvest()
    dataset = ct(**{"PatientID": "MRN-4711-22", "StudyDate": "19700131", **tags})
    harvest.file(walk(written(dataset)), path, 0)
    return Index(harvest)


def is_found(index, content):
    return any(True for _ in in_other(index, content))


@pytest.mark.parametrize(
    "form",
    [
        b"xxDoe^Janexx", b"DOE^JANE", b"jane doe", b"Doe, Jane", b"JaneDoe", b"doe_jane",
        b"Jane_Doe", b"J a n e / D o e",
        "Doe^Jane".encode("utf-16-le"), "Doe^Jane".encode("utf-16-be"),
        b"Doe^Jane"[::-1], b"Doe^Jane".hex().encode(), b"Doe^Jane".hex().upper().encode(),
        base64.b64encode(b"Doe^Jane"), base64.b64encode(b"xDoe^Janex"),
        base64.b64encode(b"xyDoe^Jane"),
        b"MRN-4711-22", b"mrn471122", b"MRN 4711 22", b"1.2.3.4.5",
        b"19700131", b"1970-01-31", b"31.01.1970", b"01/31/1970", b"31 Jan 1970", b"Jan 31, 1970",
        b"said Jane to", b"DOE was here",
    ],
)  # fmt: skip
def test_forms_that_are_found(form):
    assert is_found(index_of(), form)


@pytest.mark.parametrize(
    "other",
    [b"John Smith", b"ChestXray", b"119700131", b"197001312", b"1.2.3.4.56", b"Janet", b"MRN-4712"],
)
def test_others_are_not_found(other):
    assert not is_found(index_of(), other)


@pytest.mark.parametrize(
    ("charset", "name", "codec"),
    [
        ("ISO_IR 100", "Müller^Jörg", "latin-1"),
        ("ISO_IR 192", "Müller^Jörg", "utf-8"),
        ("ISO_IR 192", "李^四海", "utf-8"),
        ("GB18030", "龘^龍王", "gb18030"),
        ("ISO_IR 144", "Люксембург^Роза", "iso8859_5"),
    ],
)
def test_names_in_their_own_character_set(charset, name, codec):
    index = index_of(SpecificCharacterSet=charset, PatientName=name)
    for encoding in (codec, "utf-8", "utf-16-le"):
        assert is_found(index, b"<" + name.encode(encoding) + b">"), encoding
    assert is_found(index, name.upper().encode("utf-8"))


def test_compressed_places_are_opened():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes/a.txt", b"seen: Doe^Jane " * 20)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"by Doe^Jane"))
    pdf = b"%PDF-1.4\nstream\n" + zlib.compress(b"BT (Doe^Jane) Tj ET") + b"\nendstream"
    nested = gzip.compress(packed.getvalue())
    for content in (gzip.compress(b"Doe^Jane"), packed.getvalue(), png, pdf, nested):
        assert b"Jane" not in content
        assert is_found(index_of(), content)


def chunk(kind, body):
    size = len(body).to_bytes(4, "big")
    return size + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def test_damaged_archives_are_passed_by():
    packed = gzip.compress(b"Doe^Jane" * 100)
    for cut in range(len(packed)):
        assert all(isinstance(part, bytes) for _, part in hidden_parts(packed[:cut]))


@pytest.mark.parametrize("name", ["DOE_JANE", "mrn471122", "1970-01-31", "Jane.dcm", "1.2.3.4.5"])
def test_names_of_files_are_searched(name):
    assert list(in_name(index_of(), name))
    assert not list(in_name(index_of(), "P276O3235ZEFBQPMA"))


def test_names_of_the_originals_folders_are_looked_for():
    index = index_of("Smithsonson_Ward7B/im1.dcm", PatientName="X", PatientID="Y")
    assert is_found(index, b"of Smithsonson")


def test_a_string_may_stay_only_if_all_its_attributes_may():
    harvest = Harvest()
    harvest.file(walk(written(ct(StationName="Doe^Jane", Manufacturer="ACMEWORKS"))), "a.dcm", 0)
    index = Index(harvest, {"device"})
    assert not is_found(index, b"ACMEWORKS")
    assert is_found(index, b"Doe^Jane")


def test_words_of_the_standard_are_common_and_codes_are_not():
    for text in ("CHEST", "Axial", "MONOCHROME2", "ORIGINAL", "Left upper lobe of lung", "HFS"):
        assert is_common(text), text
    for text in ("Mustermann", "QZ25N21ZX1N", "MRN4711", "Krankenhaus"):
        assert not is_common(text), text


def test_a_name_of_common_words_is_found_as_a_whole():
    index = index_of(InstitutionName="General Heart Hospital", PatientName="Long^Hand")
    assert is_found(index, b"at the General Heart Hospital") and is_found(index, b"Hand, Long")
    assert not is_found(index, b"a long bone of the hand, general view of the heart")


def test_what_is_left_out_is_counted():
    harvest = Harvest()
    dataset = ct(PatientID="7", PatientName="ANONYMOUS", BodyPartExamined="CHEST", KVP="120")
    harvest.file(walk(written(dataset)), "a.dcm", 0)
    reasons = " ".join(harvest.left_out)
    for part in ("shorter than", "stand-ins", "words of the standard", "decimal", "binary"):
        assert part in reasons


def test_separators_are_letters_and_digits_only():
    assert squeezed(b"Doe, Jane (4711)") == b"doejane4711"


def test_code_tables_of_a_thumbnail_are_not_taken_for_text():
    from medjepa.data.verify.harvest import _without_ramps

    table = "".join(chr(c) for c in (*range(0x34, 0x3B), *range(0x43, 0x4B), *range(0x53, 0x5B)))
    assert _without_ramps("Jones Ann" + table + "Smith") == ["Jones Ann", "Smith"]
    assert _without_ramps("ABCDEF") == ["ABCDEF"]
