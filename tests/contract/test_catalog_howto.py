"""The worked example of a data set of one's own does what the page says."""

import csv
import re
from pathlib import Path

import miniatures
import pytest

from medjepa.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "own-dataset.md"


def blocks(language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"))


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """The folder that the page draws, and its YAML file beside it."""
    monkeypatch.chdir(tmp_path)
    for number, line in enumerate(re.findall(r"scans/\d+/\S+\.png", blocks("text")[0])):
        miniatures.picture(tmp_path / "clinic" / line, miniatures.grey(number))
    rows = [
        ("20210304-ap.png", "pneumothorax", "R1"), ("20210911-pa.png", "pneumothorax", "R2"),
        ("20200101-pa.png", "normal", "R1"),
    ]  # fmt: skip
    miniatures.table(tmp_path / "clinic" / "readings.csv", "file,diagnosis,reader", *rows)
    miniatures.text(tmp_path / "clinic" / "test.txt", "20200101-pa.png")
    (tmp_path / "clinic.yaml").write_text(blocks("yaml")[0])
    return tmp_path


def table(path):
    with path.open(newline="") as file:
        return [(r["filename"], r["label"], r["group"], r["split"]) for r in csv.DictReader(file)]


def test_the_commands_do_what_they_say(clinic, capsys):
    check, prepare, _ = blocks("bash")[0].strip().splitlines()
    assert main(check.split()[1:]) == 0, capsys.readouterr().out
    assert "everything is as published" in capsys.readouterr().out
    assert table(clinic / "clinic" / "labels.csv") == [
        ("scans/0017/20210304-ap.png", "ptx", "0017", "train"),
        ("scans/0017/20210911-pa.png", "ptx", "0017", "train"),
        ("scans/0231/20200101-pa.png", "none", "0231", "test"),
    ]
    assert main([*prepare.split()[1:], "data.num_workers=0"]) == 0
    assert "patients: 2" in capsys.readouterr().out


def test_the_class_lists_the_same_images(clinic):
    exec(compile(blocks("python")[0], str(PAGE), "exec"), {})
    names = [row[0] for row in table(clinic / "clinic" / "from_class.csv")]
    assert len(names) == 3


def test_a_patient_on_both_sides_is_caught(clinic, capsys):
    yaml = (clinic / "clinic.yaml").read_text()
    both = "lists: {train: train.txt, test: test.txt}"
    (clinic / "clinic.yaml").write_text(yaml.replace("lists: {test: test.txt}, rest: train", both))
    miniatures.text(clinic / "clinic" / "train.txt", "20210304-ap.png")
    miniatures.text(clinic / "clinic" / "test.txt", "20200101-pa.png", "20210911-pa.png")
    assert main(["data", "check", "clinic", "dataset=clinic.yaml"]) == 1
    assert "0017 in test and train" in capsys.readouterr().out
