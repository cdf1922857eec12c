"""A check names what a set lacks, or has too much of: files, labels, groups, counts, copies."""

import shutil

import miniatures
import pytest
from miniatures_more import MINIATURES

from medjepa.data.catalog import Item, check_entry, entries, entry_named, recognise
from medjepa.data.catalog.report import describe
from medjepa.errors import DataError, InputError


def checked(name, folder, **options):
    report = check_entry(
        entry_named(name), folder, **{"complete": False, "checksums": False, **options}
    )
    return report, {problem.kind: problem for problem in report.problems}


def built(name, folder):
    MINIATURES[name](folder)
    return folder


def replaced(path, old, new):
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def test_a_file_that_a_table_names_is_missed(tmp_path):
    built("ham10000", tmp_path)
    for path in tmp_path.glob("*/ISIC_0025030.jpg"):  # each image lies there twice
        path.unlink()
    report, problems = checked("ham10000", tmp_path)
    assert set(problems) == {"missing"}
    assert "ISIC_0025030 (named in HAM10000_metadata.csv)" in problems["missing"].examples
    assert "ISIC_0025030" in describe(report)


def test_an_image_without_a_row_has_no_label(tmp_path):
    built("ham10000", tmp_path)
    miniatures.picture(tmp_path / "HAM10000_images_part_1" / "ISIC_9.jpg", miniatures.colour(1))
    _, problems = checked("ham10000", tmp_path)
    assert problems["label"].examples == ("HAM10000_images_part_1/ISIC_9.jpg",)


def test_a_label_of_no_class_is_named(tmp_path):
    built("ham10000", tmp_path)
    replaced(tmp_path / "HAM10000_metadata.csv", ",mel,", ",melanoma,")
    _, problems = checked("ham10000", tmp_path)
    assert "label 'melanoma'" in problems["label"].examples[0]


def test_rows_that_disagree_are_named(tmp_path):
    built("rsna-pneumonia", tmp_path)
    replaced(tmp_path / "stage_2_train_labels.csv", "453.0,1", "453.0,0")
    _, problems = checked("rsna-pneumonia", tmp_path)
    assert "rows with different labels" in problems["label"].examples[0]


def test_patients_across_the_official_split_are_listed(tmp_path):
    built("chestxray14", tmp_path)
    lists = [tmp_path / "train_val_list.txt", tmp_path / "test_list.txt"]
    replaced(lists[0], "00000001_001.png\n", "")
    lists[1].write_text(lists[1].read_text() + "00000001_001.png\n")
    _, problems = checked("chestxray14", tmp_path)
    assert problems["leak"].examples == ("1 in test and train",)


def test_one_image_in_two_lists_is_refused(tmp_path):
    built("chestxray14", tmp_path)
    with (tmp_path / "test_list.txt").open("a") as file:
        file.write("00000001_001.png\n")
    with pytest.raises(DataError, match="several lists"):
        checked("chestxray14", tmp_path)


def test_a_known_leak_is_a_note_with_its_patients(tmp_path):
    built("oct2017", tmp_path)
    report, problems = checked("oct2017", tmp_path)
    assert not problems
    assert any("1016042 in test and train" in note for note in report.notes)


def test_counts_are_those_published(tmp_path):
    built("ham10000", tmp_path)
    _, problems = checked("ham10000", tmp_path, complete=True)
    assert "images: 10,015 published, 6 here" in problems["count"].examples


def test_packed_files_are_held_against_their_checksum(tmp_path):
    built("bloodmnist", tmp_path)
    _, problems = checked("bloodmnist", tmp_path, checksums=True)
    assert "published is 7053d0359d879ad8a5505303e11de1dc" in problems["checksum"].examples[0]


def test_equal_files_with_another_label_are_found(tmp_path):
    built("busi", tmp_path)
    root = tmp_path / "Dataset_BUSI_with_GT"
    shutil.copy(root / "benign" / "benign (1).png", root / "malignant" / "malignant (1).png")
    _, problems = checked("busi", tmp_path, duplicates=True)
    assert problems["duplicate"].num == 1
    assert "benign (1).png" in problems["duplicate"].examples[0]


def test_an_uncertain_mark_is_neither_yes_nor_no(tmp_path):
    built("chexpert", tmp_path)
    report, _ = checked("chexpert", tmp_path)
    [item] = [i for i in report.items if "study2" in i.path]
    assert item.findings["Cardiomegaly"] == ""
    assert item.findings["Lung Opacity"] == "1"


def test_the_majority_of_the_readers_decides(tmp_path):
    built("vindr-cxr", tmp_path)
    report, _ = checked("vindr-cxr", tmp_path)
    [item] = [i for i in report.items if "000434271f63a053c4128a0ba6352c7f" in i.path]
    assert (item.findings["Cardiomegaly"], item.findings["Nodule/Mass"]) == ("1", "0")


def test_another_folder_is_refused_with_what_is_looked_for(tmp_path):
    miniatures.picture(tmp_path / "a.png", miniatures.grey(1))
    with pytest.raises(DataError, match=r"HAM10000_metadata.*there are a\.png"):
        checked("ham10000", tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        checked("ham10000", tmp_path / "none")


def test_packed_files_are_told_to_be_unpacked(tmp_path):
    built("pcam", tmp_path)
    for path in tmp_path.glob("*.h5"):
        miniatures.packed(path, path.with_suffix(".h5.gz"))
        path.unlink()
    with pytest.raises(DataError, match="medjepa data download pcam"):
        checked("pcam", tmp_path)


def test_damaged_and_unsafe_files_are_named(tmp_path):
    built("bloodmnist", tmp_path)
    path = tmp_path / "bloodmnist.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"bloodmnist\.npz"):
        checked("bloodmnist", tmp_path)


def test_an_annotation_with_entities_is_refused(tmp_path):
    built("bccd", tmp_path)
    path = tmp_path / "BCCD" / "Annotations" / "BloodImage_00001.xml"
    bomb = '<!DOCTYPE a [<!ENTITY x "RBC"><!ENTITY y "&x;&x;">]>'
    path.write_text(bomb + path.read_text().replace("WBC", "&y;"))
    with pytest.raises(InputError, match="entities"):
        checked("bccd", tmp_path)


def test_a_copy_further_down_is_not_taken_for_the_set(tmp_path):
    built("chase_db1", tmp_path)
    built("chase_db1", tmp_path / "a copy")
    report, _ = checked("chase_db1", tmp_path)
    assert report.reading.root == ""
    assert len(report.items) == 4


def test_two_sets_in_one_folder_are_both_recognised(tmp_path):
    built("busi", tmp_path)
    built("chase_db1", tmp_path)
    known = [entry_named("busi"), entry_named("chase_db1"), entry_named("drive")]
    assert [e.name for e in recognise(tmp_path, known)] == ["busi", "chase_db1"]


class TwoImages:
    """A small class of a user's."""

    def __init__(self, *items):
        self.own = items

    def items(self, folder):
        return self.own


def test_a_class_of_ones_own_is_held_to_the_same_contract(tmp_path):
    miniatures.picture(tmp_path / "a.png", miniatures.grey(1))
    miniatures.picture(tmp_path / "b.png", miniatures.grey(2))
    entry = entry_named("busi")
    good = TwoImages(
        Item(path="a.png", labels=("benign",), group="p1", split="train"),
        Item(path="b.png", labels=("normal",), group="p2", split="test"),
    )
    assert check_entry(entry, tmp_path, complete=False, reader=good).ok
    bad = TwoImages(
        Item(path="a.png", labels=("sick",), group="p1", split="train"),
        Item(path="a.png", labels=("benign",), group="p1", split="test"),
        Item(path="c.png", labels=None, group="p2"),
    )
    report = check_entry(entry, tmp_path, complete=False, reader=bad)
    assert {p.kind for p in report.problems} == {"item", "label", "leak"}


@pytest.mark.parametrize(
    ("folder", "name", "images", "parts"),
    [
        ("bccd", "bccd", 364, {"train": 205, "val": 87, "test": 72}),
        ("retina_chase", "chase_db1", 28, {}),
    ],
)
def test_the_real_set_is_as_its_entry_says(real_data, folder, name, images, parts):
    place = real_data(folder)
    assert [e.name for e in recognise(place, entries().values())] == [name]
    report, problems = checked(name, place, complete=True)
    assert not problems
    assert len(report.items) == images
    assert report.to_dict()["splits"] == parts
