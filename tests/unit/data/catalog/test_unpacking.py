"""Images inside arrays become files with their table, one at a time, and again where stopped."""

import csv
import io
import zipfile

import numpy as np
import pytest
from miniatures_more import MINIATURES
from PIL import Image

from medjepa.data import read
from medjepa.data.catalog import check_entry, entry_named, unpack, write_table
from medjepa.errors import DataError, InputError


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_pictures_come_out_as_they_went_in(tmp_path):
    MINIATURES["pathmnist"](tmp_path / "in")
    items = unpack(entry_named("pathmnist"), tmp_path / "in", tmp_path / "out")
    with np.load(tmp_path / "in" / "pathmnist.npz") as arrays:
        for number, item in enumerate(i for i in items if i.split == "train"):
            got = np.asarray(Image.open(tmp_path / "out" / item.path))
            assert np.array_equal(got, arrays["train_images"][number])
    written = rows(tmp_path / "out" / "labels.csv")
    assert [(r["filename"], r["label"], r["split"]) for r in written] == [
        (i.path, i.label, i.split) for i in items
    ]


def test_volumes_are_read_back_as_volumes(tmp_path):
    MINIATURES["nodulemnist3d"](tmp_path / "in")
    item = unpack(entry_named("nodulemnist3d"), tmp_path / "in", tmp_path / "out")[0]
    image = read(tmp_path / "out" / item.path)
    assert (image.axes, image.array.shape) == ("zyx", (1, 24, 24, 24))


def test_slides_stay_the_groups_of_patches(tmp_path):
    MINIATURES["pcam"](tmp_path / "in")
    unpack(entry_named("pcam"), tmp_path / "in", tmp_path / "out")
    groups = {row["group"] for row in rows(tmp_path / "out" / "labels.csv")}
    assert "camelyon16_valid_tumor_001" in groups
    assert len(groups) == 8


def test_several_labels_have_a_column_each(tmp_path):
    MINIATURES["chestmnist"](tmp_path / "in")
    unpack(entry_named("chestmnist"), tmp_path / "in", tmp_path / "out")
    first, second = rows(tmp_path / "out" / "labels.csv")[:2]
    assert (first["label"], first["atelectasis"]) == ("", "0")
    assert (second["cardiomegaly"], second["hernia"]) == ("1", "0")


def test_what_is_there_is_kept(tmp_path):
    MINIATURES["breastmnist"](tmp_path / "in")
    entry = entry_named("breastmnist")
    item = unpack(entry, tmp_path / "in", tmp_path / "out")[0]
    path = tmp_path / "out" / item.path
    before = path.stat().st_mtime_ns
    (tmp_path / "out" / "labels.csv").unlink()
    unpack(entry, tmp_path / "in", tmp_path / "out")
    assert path.stat().st_mtime_ns == before
    assert (tmp_path / "out" / "labels.csv").exists()


def test_a_pickle_is_never_loaded(tmp_path):
    MINIATURES["breastmnist"](tmp_path)
    content = io.BytesIO()
    np.save(content, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "breastmnist.npz", "w") as archive:
        archive.writestr("train_images.npy", content.getvalue())
    with pytest.raises(InputError, match="unsafe"):
        check_entry(entry_named("breastmnist"), tmp_path)


def test_labels_for_other_images_are_refused(tmp_path):
    images = np.zeros((3, 4, 4), np.uint8)
    np.savez(tmp_path / "breastmnist.npz", train_images=images, train_labels=np.zeros((2, 1), int))
    with pytest.raises(InputError, match="3 images in train_images but 2 labels"):
        check_entry(entry_named("breastmnist"), tmp_path)


def test_a_table_of_arrays_says_to_unpack_them(tmp_path):
    MINIATURES["breastmnist"](tmp_path)
    entry = entry_named("breastmnist")
    report = check_entry(entry, tmp_path, complete=False, checksums=False)
    with pytest.raises(DataError, match="unpack=FOLDER"):
        write_table(entry, report.items, tmp_path / "labels.csv")


def test_files_are_not_unpacked(tmp_path):
    MINIATURES["busi"](tmp_path)
    with pytest.raises(DataError, match="files already"):
        unpack(entry_named("busi"), tmp_path, tmp_path / "out")


def test_another_table_is_not_overwritten_unasked(tmp_path):
    MINIATURES["busi"](tmp_path)
    entry = entry_named("busi")
    items = check_entry(entry, tmp_path, complete=False).items
    target = tmp_path / "labels.csv"
    target.write_text("mine\n")
    with pytest.raises(DataError, match="overwrite=true"):
        write_table(entry, items, target)
    assert write_table(entry, items, target, overwrite=True) == ["filename", "label", "mask"]
    write_table(entry, items, target)


def test_a_split_that_patients_cross_is_not_offered_as_split(tmp_path):
    MINIATURES["oct2017"](tmp_path)
    entry = entry_named("oct2017")
    columns = write_table(entry, check_entry(entry, tmp_path).items, tmp_path / "labels.csv")
    assert columns == ["filename", "label", "group", "published_split"]
