"""How many labelled cases are missing is counted where it can be known, and not guessed."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from medjepa.data.cache import ensure_store
from medjepa.data.preparation import prepare
from medjepa.data.store import open_store
from medjepa.data.unread import tell_unread
from medjepa.data.volume_cache import ensure_volumes
from medjepa.errors import DataError


def write_folder(folder, broken, rows, *, num=6):
    folder.mkdir()
    for number in range(num):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16)).astype(np.uint8)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        if number in broken:
            path.write_bytes(path.read_bytes()[:60])
    (folder / "labels.csv").write_text("\n".join(["file,label,other", *rows]))
    return folder


def note_of(folder, cache, *labels):
    stores = ensure_store(folder, size=8, cache_dir=cache, num_workers=0)
    (note,) = tell_unread(stores, labels)
    return note


@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        ((), ""),
        (("label",), "1 labelled case is missing"),  # of three broken ones 1 has a value, 1 no row
        (("label", "other"), "2 labelled cases are missing"),
        (("folder",), "3 labelled cases are missing"),
    ],
)
def test_a_case_counts_if_it_has_a_label_and_no_file_that_is_read(tmp_path, labels, missing):
    rows = ["0.png,a,1", "1.png,b,1", "2.png,NA,1", "3.png,a,1", "gone.png,b,1"]
    folder = write_folder(tmp_path / "images", {1, 2, 5}, rows)
    note = note_of(folder, tmp_path / "cache", *labels)
    assert note.startswith("3 files could not be read and were left out: PNG: truncated")
    assert (missing in note) if missing else ("labelled" not in note)
    assert note == note_of(folder, tmp_path / "cache", *labels)


def test_a_case_of_which_one_volume_is_read_is_not_missing(tmp_path):
    folder = tmp_path / "volumes"
    for case, names in (("a", ("good", "bad")), ("b", ("bad",)), ("c", ("good",))):
        (folder / case).mkdir(parents=True)
        for name in names:
            values = np.random.default_rng(ord(case)).integers(0, 99, (9, 8, 7)).astype(np.int16)
            path = folder / case / f"{name}.nii"
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
            if name == "bad":
                path.write_bytes(path.read_bytes()[:400])
    (folder / "labels.csv").write_text("case,label\na,1\nb,1\nc,0\n")
    stores = ensure_volumes(folder, cache_dir=tmp_path / "cache", num_workers=0)
    (note,) = tell_unread(stores, ("label",))
    assert note.startswith("2 files") and "1 labelled case is missing" in note


def test_what_is_mended_is_missing_no_longer(tmp_path):
    folder = write_folder(tmp_path / "images", {1}, ["0.png,a,1", "1.png,b,1"])
    note_of(folder, tmp_path / "cache", "label")
    Image.fromarray(np.eye(16, dtype=np.uint8) * 200).save(folder / "1.png")
    stores = ensure_store(folder, size=8, cache_dir=tmp_path / "cache", num_workers=0)
    assert tell_unread(stores, ("label",)) == ()


def test_of_several_folders_in_one_store_files_are_counted_and_cases_are_not(tmp_path):
    rows = ["0.png,a,1", "1.png,b,1"]
    folders = [write_folder(tmp_path / name, {1}, rows) for name in ("a", "b")]
    prepare(folders, tmp_path / "store", size=8, num_workers=0)
    (note,) = tell_unread([open_store(tmp_path / "store")], ("label",))
    assert note.startswith("2 files could not be read")  # of one name
    assert "labelled" not in note


def test_a_damaged_list_is_an_error_and_no_list_is_none(tmp_path):
    folder = write_folder(tmp_path / "images", {1}, ["0.png,a,1"])
    prepare(folder, tmp_path / "store", size=8, num_workers=0)
    path = tmp_path / "store" / "private" / "failures.json"
    path.write_text(json.dumps({"path": 1}))
    with pytest.raises(DataError, match="cannot be read"):
        tell_unread([open_store(tmp_path / "store")])
    path.unlink()
    assert tell_unread([open_store(tmp_path / "store")]) == ()
