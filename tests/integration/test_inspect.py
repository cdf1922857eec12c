"""`medjepa inspect`: a folder with everything wrong gives a page that names nobody."""

import json
import re
import stat

import numpy as np
import pytest
from image_files import grey, write_dicom, write_png
from PIL import Image

from medjepa.cli import main as cli

NAMES = ("Doe", "Jane", "SECRET-77", "Miller", "visible-name")


def smooth(seed, size=48):
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (5, 5), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 pictures of 6 patients, a copy, a blank one, DICOM that names a patient, broken files."""
    folder = tmp_path_factory.mktemp("export") / "Miller study"
    rows = ["image,patient,label,split"]
    for number in range(12):
        write_png(folder / "png" / f"p{number:02d}.png", smooth(number))
        part = "train" if number < 7 else "test"  # patient 3 has images 6 and 7
        rows.append(f"p{number:02d}.png,Miller{number // 2},{'ab'[number % 2]},{part}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "copy-of-visible-name.png").write_bytes((folder / "png" / "p00.png").read_bytes())
    write_png(folder / "blank.png", np.full((20, 20), 7, dtype=np.uint8))
    named = {"PatientIdentityRemoved": "NO", "SeriesInstanceUID": "1.2.3", "InstanceNumber": 1}
    plane = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    for number, z in enumerate((0, 1, 3)):
        write_dicom(
            folder / "scan" / f"SECRET-77_{number}.dcm",
            grey(number, dtype=np.uint16),
            **{**named, **plane, "InstanceNumber": number, "ImagePositionPatient": [0, 0, z]},
        )
    write_dicom(
        folder / "scout.dcm",
        grey(9, dtype=np.uint16),
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    (folder / "broken Doe.dcm").write_bytes((folder / "scout.dcm").read_bytes()[:400])
    (folder / "notes.txt").write_text("Jane Doe")
    return folder


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    """The folder that the verb wrote."""
    out = tmp_path_factory.mktemp("page") / "out"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert cli.main(["inspect", str(folder), f"out={out}", "num_workers=2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return out


def test_every_file_is_counted_once_and_every_fault_is_found(page):
    numbers = json.loads((page / "inspection.json").read_text())
    assert numbers["found"] == numbers["good"] + numbers["broken"] + numbers["skipped"] == 21
    assert (numbers["good"], numbers["broken"]) == (18, 1)
    kinds = {finding["kind"] for finding in numbers["findings"]}
    assert kinds >= {
        "broken", "header_names", "path_names", "copies", "constant", "series", "selection",
        "leak_patients",
    }  # fmt: skip
    assert numbers["labels"]["counts"]["a"][1] == {"images": 4, "patients": 4}
    assert numbers["patients"] == {
        "source": "table", "num_patients": 6, "num_images": 12,
        "least": 2, "median": 2.0, "most": 2,
    }  # fmt: skip


def test_nothing_for_others_names_a_patient_or_a_path(page):
    for name in ("index.html", "inspection.json"):
        text = re.sub(r"base64,[^\"]*", "", (page / name).read_text())
        assert not [word for word in NAMES if word.lower() in text.lower()]
    assert stat.S_IMODE((page / "private" / "files.csv").stat().st_mode) == 0o600
    assert "SECRET-77_0.dcm" in (page / "private" / "files.csv").read_text()


def test_the_page_fetches_nothing(page):
    text = (page / "index.html").read_text()
    assert "at most 8 different whole numbers" in text and "object at 0x" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "<script" not in text


def test_the_commands_on_the_terminal_name_the_folder(folder, tmp_path, capsys):
    assert cli.main(["inspect", str(folder), f"out={tmp_path / 'o'}", "pictures=false"]) == 0
    out = capsys.readouterr().out
    assert f"medjepa anonymize '{folder}' '{folder}'-deidentified" in out
    assert "data:image" not in (tmp_path / "o" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{dir}", "out={dir}/page"], "inside the folder"),
        (["{dir}", "tabel=x"], "did you mean table?"),
        (["{dir}", "samples=many"], "samples: a whole number"),
        (["{dir}", "label=age"], "no column 'age'"),
        (["{dir}-gone"], "no such folder"),
        ([], "one folder"),
    ],
)
def test_a_wrong_call_says_what_to_change(
    arguments, message, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["inspect", *(text.format(dir=folder) for text in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_an_image_is_an_error(tmp_path, capsys, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["inspect", "in"]) == 2
    assert "no readable image among 1 files" in capsys.readouterr().err
