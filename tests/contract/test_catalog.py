"""One contract for every data set of the catalogue, tried on a miniature of each.

A set is done when its miniature, written from the publisher's description, is recognised and read
to the truth: every image with its label, group and part of the split.
"""

import shlex
from pathlib import Path

import pytest
from miniatures_more import MINIATURES

from medjepa.cli import main as cli
from medjepa.data.catalog import check_entry, entries, recognise, write_table
from medjepa.data.catalog.entry import Counts
from medjepa.data.catalog.pages import document, page_text, row_of, table_text, to_dict
from medjepa.data.tables import class_names

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(entries())
# No set is lost; more are welcome.
AT_LEAST = 48


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The folder, the truth and the report of a set's miniature; each is made once."""
    made = {}

    def check(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            truth = MINIATURES[name](folder)
            report = check_entry(entries()[name], folder, complete=False, checksums=False)
            made[name] = (folder, truth, report)
        return made[name]

    return check


def test_every_entry_has_a_miniature():
    assert list(MINIATURES) and set(MINIATURES) == set(NAMES)
    assert len(NAMES) >= AT_LEAST


@pytest.mark.parametrize("name", NAMES)
class TestEverySet:
    def test_it_reads_to_the_truth(self, name, checked):
        _, truth, report = checked(name)
        assert report.problems == []
        assert {i.place: (i.label, i.group, i.split) for i in report.items} == truth

    def test_it_is_recognised_and_nothing_else_is(self, name, checked):
        folder, _, _ = checked(name)
        assert [entry.name for entry in recognise(folder, entries().values())] == [name]

    def test_labels_are_classes(self, name, checked):
        folder, _, report = checked(name)
        entry = report.entry
        if entry.task != "regression":
            assert {c for item in report.items for c in item.labels or ()} <= set(entry.classes)
        for item in report.items:
            assert not item.findings or set(item.findings) == set(entry.classes)
            assert all((folder / path).is_file() for path in (item.path, *item.masks))

    def test_groups_keep_to_one_part_unless_the_set_is_known_to_leak(self, name, checked):
        _, _, report = checked(name)
        parts = {}
        for item in report.items:
            if item.group is not None and item.split is not None:
                parts.setdefault(item.group, set()).add(item.split)
        crossing = [group for group, found in parts.items() if len(found) > 1]
        assert not crossing or report.entry.split.leaks

    def test_a_segmentation_finds_its_label_maps(self, name, checked):
        _, _, report = checked(name)
        if report.entry.task == "segmentation":
            assert any(item.masks for item in report.items)
            assert all(item.masks for item in report.items if item.split != "test")

    def test_counts_are_held_against_the_published_ones(self, name, checked):
        folder, _, report = checked(name)
        entry = report.entry
        kinds = {p.kind for p in check_entry(entry, folder, checksums=False).problems}
        stated = entry.counts != Counts()
        assert kinds == ({"count"} if stated else set())

    def test_it_has_its_page(self, name):
        entry = entries()[name]
        text = page_text(entry)
        assert entry.licence.url in text
        assert entry.traps or entry.group.note
        assert set(to_dict(entry)) >= {"name", "layout", "traps"}
        assert entry.name in row_of(entry)["name"]
        assert all(source.startswith(("https://", "http://")) for source in entry.sources)
        assert class_names(entry.classes) or entry.task == "regression"


KINDS = {
    "OCT": "",
    "MRI": "mri", "CT": "ct", "chest X-ray": "xray", "fundus": "retina", "dermoscopy": "skin",
    "ultrasound": "ultrasound", "echo": "ultrasound", "histology": "histology",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n, e in entries().items() if e.layout.reader != "arrays"])
def test_files_without_a_header_are_prepared_as_what_they_are(name):
    entry = entries()[name]
    kind = next((kind for word, kind in KINDS.items() if word in entry.modality), "")
    lines = [line for line in entry.commands if line.startswith("medjepa prepare")]
    assert lines and (not kind or all(f"data.modality={kind}" in line for line in lines))


@pytest.mark.parametrize("name", ["cbis-ddsm", "rsna-pneumonia", "vindr-cxr", "vinbigdata"])
def test_the_commands_for_dicom_take_every_image(name, checked, tmp_path, capsys):
    folder, _, report = checked(name)
    write_table(report.entry, report.items, folder / "labels.csv", overwrite=True)
    line = next(line for line in report.entry.commands if line.startswith("medjepa prepare"))
    words = [
        word.replace("DIR", str(folder)).replace("STORE", str(tmp_path / "store"))
        for word in shlex.split(line)[1:]
    ]
    assert cli.main([*words, "data.num_workers=0"]) == 0
    assert f"{len(report.items)} good" in capsys.readouterr().out


def test_the_reference_page_is_current():
    page = (ROOT / "docs" / "reference" / "datasets.md").read_text(encoding="utf-8")
    assert page == document(entries().values()), "run python scripts/dataset_page.py"


def test_the_table_of_all_has_a_line_for_each():
    assert len(table_text(entries().values()).splitlines()) == len(NAMES) + 1
