"""From a public set's own layout to the labels that an evaluation reads: check, prepare, join."""

from collections import Counter

import pytest
from miniatures_more import MINIATURES

from medjepa.cli.main import main
from medjepa.data import labelled, open_store

DICOM = ("privacy=allow",)  # the publishers write their own numbers where a patient's would stand
# Set: what prepare needs beside the table, and images from one file.
CASES = {
    "ham10000": ((), 1),
    "vindr-cxr": (DICOM, 1),
    "rsna-pneumonia": (DICOM, 1),
    "cbis-ddsm": ((*DICOM, "data.kinds=[original,secondary]"), 1),
    "oct2017": ((), 1),
    "busi": ((), 1),
    "bccd": ((), 1),
    "chestxray14": ((), 1),
    "echonet-dynamic": (("data.frames_per_clip=2",), 2),
    "acdc": (("data.frames_per_clip=1",), None),
}


def stored(name, tmp_path, keys=()):
    folder, table, store = tmp_path / "DIR", tmp_path / "DIR" / "labels.csv", tmp_path / "STORE"
    truth = MINIATURES[name](folder)
    checked = ["complete=false", f"dataset={name}", f"table={table}"]
    assert main(["data", "check", str(folder), *checked]) == 0
    common = [f"data={table}", f"out={store}", "data.target_size=16", "data.num_workers=0"]
    assert main(["prepare", *common, *keys]) == 0
    return truth, open_store(store)


@pytest.mark.parametrize("name", CASES)
def test_the_table_of_a_set_is_what_prepare_and_evaluate_take(name, tmp_path):
    keys, factor = CASES[name]
    truth, store = stored(name, tmp_path, keys)
    found = labelled(store, "label")
    known = {path: entry for path, entry in truth.items() if entry[0]}
    expected = Counter(label for label, _, _ in known.values())
    if factor is None:
        assert set(found.labels) == set(expected)
    else:
        assert Counter(found.labels) == Counter({k: n * factor for k, n in expected.items()})
    groups = {group for _, group, _ in known.values() if group}
    if groups:
        assert len(set(found.groups)) == len(groups)
    parts = {part for _, _, part in known.values() if part}
    if name == "oct2017":  # patients cross its split, so it is not taken unasked
        assert found.split is None
    else:
        assert set(found.split or ()) == parts


def test_what_a_report_is_unsure_of_is_left_out(tmp_path):
    _, store = stored("chexpert", tmp_path)
    assert sorted(labelled(store, "Cardiomegaly").labels) == ["0"]
    assert sorted(labelled(store, "Lung Opacity").labels) == ["0", "1", "1"]
