"""The region catalogue, and the OCR program: what they blank, lift and refuse."""

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from pixel_files import SC, US, made, text

from medjepa.cli.main import main
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels import clean_pixels
from medjepa.data.deid.pixels.regions import read_rules
from medjepa.errors import ConfigError

CATALOGUE = """
- name: screens of the old archive
  when: {Manufacturer: [acme, other], Rows: 64}
  blank: [[0, 0, 9, 79]]
- name: probe 7
  when: {ManufacturerModelName: Probe 7}
  keep: [[10, 20, 39, 59]]
"""


@pytest.fixture
def regions(tmp_path):
    (tmp_path / "regions.yaml").write_text(CATALOGUE)
    return str(tmp_path / "regions.yaml")


def plain(sop=SC, **more):
    grey = np.random.default_rng(0).normal(120, 4, (64, 80)).astype(np.uint8)
    return made(grey, sop, stored=8, **more)


def pixels_of(data):
    return pydicom().pixels.pixel_array(data, raw=True)


def test_what_the_catalogue_lists_is_blanked_and_may_leave(regions):
    data, before = plain(Manufacturer="ACME Medical"), pixels_of(plain())
    assert clean_pixels(plain(), plain(), Options()).quarantine, "a secondary capture"
    result = clean_pixels(data, data, Options(regions=regions))
    assert (result.quarantine, result.steps) == ("", ["blanked by the region catalogue"])
    after = pixels_of(data)
    assert (after[:10] == 0).all()
    np.testing.assert_array_equal(after[10:], before[10:])


def test_what_is_kept_is_all_that_stays(regions):
    data, before = plain(US, ManufacturerModelName="PROBE 7"), pixels_of(plain())
    assert not clean_pixels(data, data, Options(regions=regions)).quarantine
    after = pixels_of(data)
    np.testing.assert_array_equal(after[10:40, 20:60], before[10:40, 20:60])
    after[10:40, 20:60] = 0
    assert not after.any()


@pytest.mark.parametrize("more", [{"Manufacturer": "Unknown"}, {}])
def test_another_device_stays_behind(regions, more):
    data = plain(**more)
    assert clean_pixels(data, data, Options(regions=regions)).quarantine


def test_text_beside_the_rectangles_is_still_found(regions):
    data, label = plain(Manufacturer="ACME"), text("DOE JANE")
    grey = pixels_of(data).copy()
    area = grey[30 : 30 + label.shape[0], 2 : 2 + label.shape[1]]
    area[label[:, : area.shape[1]]] = 255
    data.PixelData = grey.tobytes()
    assert "like text" in clean_pixels(data, data, Options(regions=regions)).quarantine


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "a list of rules"),
        ("- when: {Rows: 3}\n  blnk: [[0, 0, 1, 1]]", "unknown key blnk"),
        ("- when: {Rows: 3}", "either blank or keep"),
        ("- blank: [[0, 0, 1, 1]]", "which device"),
        ("- when: {Rwos: 3}\n  blank: [[0, 0, 1, 1]]", "Rwos is no keyword"),
        ("- when: {Rows: 3}\n  blank: [[5, 0, 1, 1]]", "ends before it begins"),
        ("- when: {Rows: 3}\n  blank: [[0, 0, 1]]", "top, left, bottom, right"),
        ("- when: {Rows: 1.5}\n  blank: [[0, 0, 1, 1]]", "whole number"),
        ("!!python/object/apply:os.system [ls]", "no YAML"),
    ],
)
def test_a_catalogue_that_is_none_is_refused_by_name(tmp_path, content, told):
    path = tmp_path / "regions.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=told):
        read_rules(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rules(str(tmp_path / "none.yaml"))


def test_the_published_catalogue_is_a_catalogue():
    rules = read_rules("ctp")
    assert len(rules) > 100
    assert all(rule.blank for rule in rules)


def test_a_catalogue_that_changed_is_other_options(tmp_path, regions, capsys):
    source = tmp_path / "in"
    source.mkdir()
    (source / "note.txt").write_text("nothing here")
    command = ["anonymize", str(source), str(tmp_path / "out"), f"regions={regions}"]
    assert main(command) == 0
    Path(regions).write_text(CATALOGUE + "- when: {Rows: 2}\n  blank: [[0, 0, 1, 1]]\n")
    assert main(command) == 2
    assert "other options" in capsys.readouterr().err


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A stand-in for tesseract that answers with its table."""

    def install(answer, status=0):
        path = tmp_path / "bin" / "tesseract"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\nimport sys\nprint({answer!r})\nsys.exit({status})\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)

    return install


HEAD = "level\tpage\tblock\tpar\tline\tword\tleft\ttop\twidth\theight\tconf\ttext\n"


def test_words_of_the_ocr_program_count_as_text(program):
    data = plain("1.2.840.10008.5.1.4.1.1.2")
    assert not clean_pixels(data, data, Options()).quarantine
    program(HEAD + "5\t1\t1\t1\t1\t1\t20\t40\t60\t24\t91.5\tJane\n")
    assert "1 places" in clean_pixels(data, data, Options(ocr="tesseract")).quarantine
    assert not clean_pixels(data, data, Options(ocr="tesseract", clean_pixels="blank")).quarantine
    assert (pixels_of(data)[20:32, 10:40] == pixels_of(data).min()).all()


@pytest.mark.parametrize(
    "row",
    ["5\t1\t1\t1\t1\t1\t20\t40\t60\t24\t12.0\tJane", "5\t1\t1\t1\t1\t1\t2\t4\t6\t24\t96.0\tL",
     "4\t1\t1\t1\t1\t0\t0\t0\t160\t128\t-1\t"],
)  # fmt: skip
def test_what_is_unsure_or_a_side_marker_is_no_text(program, row):
    program(HEAD + row + "\n")
    data = plain("1.2.840.10008.5.1.4.1.1.2")
    assert not clean_pixels(data, data, Options(ocr="tesseract")).quarantine


def test_an_ocr_program_that_fails_keeps_the_file_back(program):
    program("", status=1)
    data = plain("1.2.840.10008.5.1.4.1.1.2")
    assert "tesseract failed" in clean_pixels(data, data, Options(ocr="tesseract")).quarantine


def test_an_ocr_program_that_is_not_there_is_told_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "in").mkdir()
    assert main(["anonymize", str(tmp_path / "in"), str(tmp_path / "out"), "ocr=tesseract"]) == 2
    assert "apt install tesseract-ocr" in capsys.readouterr().err
