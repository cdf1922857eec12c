"""Tables and labels: which row means which file, and who the patient is."""

import numpy as np
import pytest
from image_files import grey, write_png

from medjepa.data import labelled, open_store, prepare, read_table
from medjepa.data.tables import FileMatcher, group_column
from medjepa.errors import DataError, InputError


def store_of(tmp_path, table=None, names=("a", "b", "c", "d")):
    for number, name in enumerate(names):
        write_png(tmp_path / "in" / ("x" if number % 2 else "y") / f"{name}.png", grey(number))
    if table is not None:
        (tmp_path / "in" / "labels.csv").write_text(table)
    return open_store(prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0).out)


def test_rows_find_their_files_by_path_name_or_stem(tmp_path):
    store = store_of(
        tmp_path,
        "image_id,dx,Patient ID,split\nx/b.png,ill,7,train\na,well,8,test\nc.png,ill,7,train\n",
    )
    found = labelled(store, "dx")
    assert found.labels == ["ill", "well", "ill"]
    assert found.class_names == ["ill", "well"]
    assert found.targets.tolist() == [0, 1, 0]
    assert found.split == ["train", "test", "train"]
    assert found.groups[0] == found.groups[2] != found.groups[1]
    assert not {"7", "8"} & set(found.groups)
    paths = {r.key: r.path for r in store.private_map().files}
    assert [paths[store.keys[i]] for i in found.indices] == ["x/b.png", "y/a.png", "y/c.png"]
    assert any("1 images of the store have no label" in note for note in found.notes)


def test_without_a_group_column_it_is_said(tmp_path):
    found = labelled(store_of(tmp_path, "file,dx\na.png,1\nb.png,2\nc.png,10\n"), "dx")
    assert found.groups is None
    assert found.class_names == ["1", "2", "10"]
    assert "no groups: intervals too narrow" in found.notes


@pytest.mark.parametrize("missing", ["", "NA", "nan", "#N/A"])
@pytest.mark.parametrize("group", [None, "patient", ["patient"]])
def test_a_patient_who_is_not_named_is_nobody_and_not_one_person(tmp_path, missing, group):
    rows = f"a,1,{missing}\nb,2,{missing}\nc,1,p\nd,2,p\n"
    found = labelled(store_of(tmp_path, f"file,dx,patient\n{rows}"), "dx", group=group)
    assert len(set(found.groups)) == 3
    assert any(note.startswith("2 images without a group") for note in found.notes)


def test_a_table_whose_names_several_files_have_is_told_from_no_table(tmp_path):
    for folder in ("x", "y", "z"):
        write_png(tmp_path / "in" / folder / "a.png", grey(ord(folder)))
    (tmp_path / "in" / "labels.csv").write_text("file,dx\na.png,1\na.png,2\na.png,1\n")
    store = open_store(prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0).out)
    with pytest.raises(DataError, match=r"labels\.csv names hardly any .* paths below"):
        labelled(store, "dx")
    (tmp_path / "in" / "labels.csv").unlink()
    with pytest.raises(DataError, match="no table was found"):
        labelled(store, "dx")


def test_another_group_column_and_another_table_can_be_asked(tmp_path):
    store = store_of(tmp_path, "file,dx,patient,site\na.png,1,p,s\nb.png,2,q,s\n")
    assert len(set(labelled(store, "dx").groups)) == 2
    assert len(set(labelled(store, "dx", group="site").groups)) == 1
    (tmp_path / "more.csv").write_text("id,grade\nd,high\nc,low\n")
    assert labelled(store, "grade", table=tmp_path / "more.csv").class_names == ["high", "low"]


def test_a_patient_in_two_parts_is_caught_and_auto_is_the_remedy(tmp_path):
    store = store_of(tmp_path, "file,dx,patient,split\na.png,1,p,train\nb.png,2,p,test\n")
    with pytest.raises(DataError, match="split=auto"):
        labelled(store, "dx")
    assert labelled(store, "dx", split="auto").split is None


def test_the_real_leak_is_caught(real_data, tmp_path):
    out = prepare(real_data("cxr_nih1000_64"), tmp_path / "out", size=8, num_workers=2).out
    with pytest.raises(DataError, match=r"(?s)30 of 264 groups.*crossing\.csv"):
        labelled(open_store(out), "label")
    head, *rows = (out / "private" / "crossing.csv").read_text().splitlines()
    parts = {}
    for row in rows:
        patient, part, _ = row.split(",")
        parts.setdefault(patient, set()).add(part)
    assert (head, len(parts)) == ("patient,part,file", 30)
    assert all(len(names) > 1 for names in parts.values())


def test_the_folder_can_be_the_label(tmp_path):
    assert labelled(store_of(tmp_path), "folder").labels == ["x", "x", "y", "y"]


def test_empty_labels_are_left_out_and_counted(tmp_path):
    found = labelled(store_of(tmp_path, "file,dx\na.png,1\nb.png,\nc.png,nan\nd.png,0\n"), "dx")
    assert sorted(found.labels) == ["0", "1"]
    assert any("2 images have no dx" in note for note in found.notes)


def test_columns_that_are_not_there_are_named(tmp_path):
    store = store_of(tmp_path, "file,dx\na.png,1\nb.png,0\n")
    with pytest.raises(DataError, match="the table has dx, file"):
        labelled(store, "diagnosis")
    with pytest.raises(DataError, match="for group"):
        labelled(store, "dx", group="patient")
    with pytest.raises(DataError, match="for split"):
        labelled(store, "dx", split="fold")


def test_copies_with_different_labels_are_left_out_and_counted(tmp_path):
    write_png(tmp_path / "in" / "y" / "copy.png", grey(0))
    store = store_of(tmp_path, "file,dx\na.png,1\ncopy.png,0\nb.png,1\n")
    found = labelled(store, "dx")
    assert found.labels == ["1"]
    assert any("1 " in note and "label" in note for note in found.notes)


def test_a_copy_in_training_and_test_counts_for_the_test(tmp_path):
    write_png(tmp_path / "in" / "y" / "copy.png", grey(0))
    store = store_of(tmp_path, "file,dx,split\na.png,1,test\ncopy.png,1,train\nb.png,1,train\n")
    found = labelled(store, "dx")
    assert sorted(found.split) == ["test", "train"]


def test_a_store_without_its_private_folder_cannot_be_joined(tmp_path):
    import shutil

    store = store_of(tmp_path, "file,dx\na.png,1\n")
    shutil.rmtree(tmp_path / "out" / "private")
    with pytest.raises(DataError, match="without it"):
        labelled(store, "dx")
    assert store.gather(np.array([0]), 1).shape == (1, 1, 8, 8)


def test_names_that_fit_two_files_fit_none():
    matcher = FileMatcher(["x/a.png", "y/a.png", "y/b.nii.gz"])
    assert matcher.find("a.png") is None
    assert matcher.find("./x/a.png") == "x/a.png"
    assert matcher.find("y\\a.png") == "y/a.png"
    assert matcher.find("b") == "y/b.nii.gz"
    assert matcher.find("") is None


@pytest.mark.parametrize("name", ["patient", "Patient ID", "PATIENT_ID", "lesion_id", "subject"])
def test_usual_names_of_the_group_column(name):
    assert group_column(["file", "age", name]) == name
    assert group_column(["file", "patient_age", "groupings"]) is None


def test_a_patient_goes_before_a_lesion():
    assert group_column(["lesion_id", "patient_id"]) == "patient_id"


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"\xef\xbb\xbffile,label\r\na.png,1\r\n", 1),
        ("file;label\na.png;1\nb.png;2\n".encode("utf-16"), 2),
        (b'file\tlabel\na.png\t"x, y"\n\n', 1),
    ],
)
def test_tables_as_programs_write_them(tmp_path, content, rows):
    (tmp_path / "t.csv").write_bytes(content)
    table = read_table(tmp_path / "t.csv", check=False)
    assert table.columns == ("file", "label")
    assert len(list(table)) == rows


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "empty"),
        ("file,label\na.png,1,extra\n", "row 2 has 3 columns"),
        ('file,label\n"a.png,1\n', "ragged"),
        ("a.png,1\nb.png,2\n", "no header"),
        ("file,label\n../../etc/a.png,1\n", "outside"),
        ("file,label\nC:\\a.png,1\n", "outside"),
        ("file,file\na.png,1\n", "twice"),
    ],
)
def test_tables_that_cannot_be_trusted_are_refused(tmp_path, content, word):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=word):
        read_table(tmp_path / "t.csv")
