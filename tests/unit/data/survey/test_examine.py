import io
from dataclasses import fields, replace

import numpy as np
import pytest
from image_files import grey, write_dicom, write_png
from PIL import Image

from medjepa.data.survey.closer import SIDE, look_closer, picture
from medjepa.data.survey.examine import examine, middle
from medjepa.data.survey.identity import Identity, dated, remarks, without_names
from medjepa.data.wire import encode, receive
from medjepa.types import MedicalImage

KEY = "00" * 32
NAMED = {
    "PatientIdentityRemoved": "NO", "PatientName": "Doe^Jane", "PatientID": "MRN-4711",
    "PatientBirthDate": "19570203",
}  # fmt: skip


def look(path, relative=None):
    return examine(str(path), relative or path.name, KEY)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("yx", (1, 6, 5)),
        ("yx", (3, 6, 5)),
        ("zyx", (1, 4, 6, 5)),
        ("tyx", (3, 7, 6, 5)),
        ("tzyx", (1, 2, 4, 6, 5)),
    ],
)
def test_every_arrangement_of_axes_has_a_middle_plane_that_shows_something(axes, shape):
    array = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    image = MedicalImage(array=array, axes=axes, spacing=tuple(range(1, len(axes) + 1)), source="x")
    plane = middle(image)
    assert plane.axes == "yx"
    assert plane.array.shape == (shape[0], 6, 5)
    assert plane.spacing == (len(axes) - 1, len(axes))
    assert np.array_equal(plane.array, array[(slice(None), *(n // 2 for n in shape[1:-2]))])
    assert picture(plane).shape[:2] == picture(plane, coarse=True).shape[:2] == (SIDE, SIDE)


@pytest.mark.parametrize("coarse", [False, True])
def test_a_window_that_shows_hardly_a_grey_is_not_used(coarse):
    array = np.linspace(0, 120, 1600).reshape(1, 40, 40).astype(np.int16)
    plane = MedicalImage(
        array=array, axes="yx", spacing=(None, None), source="x", display_range=(-5.0, 944.0)
    )
    wide = picture(plane, coarse=coarse)
    assert wide.max() > 200 and wide.min() < 50
    # A narrow window on values far outside it is a choice of the scanner, and stays.
    narrow = picture(replace(plane, display_range=(50.0, 70.0)))
    assert {0, 255} <= set(np.unique(narrow).tolist())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_is_measured(channels, tmp_path, monkeypatch):
    array = np.random.default_rng(0).integers(0, 255, (channels, 6, 5), dtype=np.uint8)
    image = MedicalImage(array=array, axes="yx", spacing=(None, None), source="x")
    monkeypatch.setattr("medjepa.data.survey.examine.read", lambda path: image)
    monkeypatch.setattr("medjepa.data.survey.closer.read", lambda path: image)
    path = write_png(tmp_path / "a.png", grey(1))
    seen = look(path)
    assert (seen.status, seen.coloured) == ("good", channels == 3)
    assert look_closer(str(path), True, False).pixels is not None


def test_an_empty_middle_slice_is_not_the_picture():
    array = np.zeros((1, 5, 6, 6), dtype=np.uint8)
    array[0, 4, 2, 2] = 9
    image = MedicalImage(array=array, axes="zyx", spacing=(None,) * 3, source="x")
    assert middle(image).array.max() == 9


def test_what_is_seen_goes_between_processes_whole(tmp_path):
    seen = look(write_dicom(tmp_path / "a.dcm", grey(1, dtype=np.uint16), **NAMED))
    message = io.BytesIO(b"".join(bytes(part) for part in encode(seen)))
    back = receive(message.readinto, (type(seen),), 1 << 20)
    for entry in fields(seen):
        assert np.array_equal(getattr(back, entry.name), getattr(seen, entry.name)), entry.name
    assert seen.fingerprint.nbytes + seen.look.nbytes < 1000


def test_nothing_of_a_header_that_names_somebody_is_kept(tmp_path):
    seen = look(write_dicom(tmp_path / "Jane" / "doe" / "MRN-4711.dcm", grey(1), **NAMED),
                "Jane/doe/MRN-4711.dcm")  # fmt: skip
    assert set(seen.identifying) == {"PatientName", "PatientID", "PatientBirthDate"}
    assert set(seen.in_path) == {"PatientName", "PatientID"}
    text = repr(seen)
    assert not [value for value in ("Jane", "Doe", "MRN", "1957", "4711") if value in text]
    assert seen.patient


@pytest.mark.parametrize(
    "relative", ["Janet/a.dcm", "x/MRN-47110.dcm", "doeskin.dcm", "XMRN-4711.dcm"]
)
def test_a_part_of_a_longer_word_is_no_name(tmp_path, relative):
    path = write_dicom(tmp_path / "a.dcm", grey(1), **NAMED)
    assert look(path, relative).in_path == ()


def test_a_deidentified_file_may_bear_its_pseudonym(tmp_path):
    path = write_dicom(
        tmp_path / "MRN-4711.dcm", grey(1), **NAMED | {"PatientIdentityRemoved": "YES"}
    )
    seen = look(path)
    assert seen.identifying == seen.in_path == ()


def test_a_broken_file_still_says_that_it_names_somebody(tmp_path):
    whole = write_dicom(tmp_path / "a.dcm", grey(1, (40, 40)), **NAMED).read_bytes()
    (tmp_path / "b.dcm").write_bytes(whole[:-100])
    seen = look(tmp_path / "b.dcm")
    assert seen.status == "broken"
    assert "PatientName" in seen.identifying


def test_a_reason_may_quote_a_header_but_not_the_patient(tmp_path):
    odd = {**NAMED, "PhotometricInterpretation": "JANE"}
    seen = look(write_dicom(tmp_path / "a.dcm", grey(1), **odd))
    assert seen.status == "broken"
    assert "PhotometricInterpretation" in seen.reason
    assert "JANE" not in repr(seen)


def test_messages_lose_names_and_paths():
    identity = Identity(values=("Doe", "MRN-4711"))
    text = without_names("/a/b.dcm: DOE has MRN-4711 in b.dcm", "/a/b.dcm", identity)
    assert text == "[removed] has [removed] in [removed]"


def test_text_is_no_image_and_an_image_that_is_text_is_broken(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.png").write_text("hello")
    assert look(tmp_path / "a.txt").status == "skipped"
    assert look(tmp_path / "a.png").status == "broken"
    assert look(tmp_path / "gone.png").status == "broken"


def test_metadata_of_pictures_are_named_without_their_values(tmp_path):
    exif = Image.Exif()
    exif[0x013B] = "Dr Miller"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(grey(1)).save(tmp_path / "a.jpg", exif=exif, comment=b"Jane")
    write_png(tmp_path / "b.png", grey(1))
    assert set(look(tmp_path / "a.jpg").remarks) == {"GPS", "Artist", "comment (text)"}
    assert remarks(str(tmp_path / "b.png"), "PNG") == ()


@pytest.mark.parametrize("path", ["a/19570203.dcm", "scan_2021-11-05.png", "5/05.11.2021/x"])
def test_dates_in_paths(path):
    assert dated(path)


@pytest.mark.parametrize("path", ["00000231_013.png", "1957020.dcm", "120210512", "20219901.png"])
def test_numbers_that_are_no_dates(path):
    assert not dated(path)


def test_what_may_hold_text_is_shown_too_coarsely_to_be_read(tmp_path):
    path = write_png(tmp_path / "a.png", grey(1, (400, 400)))
    fine, coarse = (look_closer(str(path), True, risk) for risk in (False, True))
    assert not fine.coarse
    assert coarse.coarse
    assert len(np.unique(coarse.pixels[80])) < len(np.unique(fine.pixels[80]))
    assert look_closer(str(path), False, False).pixels is None
    assert look_closer(str(tmp_path / "gone.png"), True, False).pixels is None
