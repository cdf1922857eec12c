"""Patients and classes whose names differ in spelling only."""

import unicodedata

import pytest
from image_files import grey, write_png

from medjepa.data import labelled, open_store, prepare
from medjepa.data.crossing import Placed, refuse_crossing
from medjepa.data.spellings import plain_class, plain_patient, several_spellings
from medjepa.errors import DataError


@pytest.mark.parametrize(
    "same",
    [("P007", "p7", " P-007", "p_07", "P 7"), ("12", "12.0", "0012"), ("1-2", "1 02", "1_2")],
)
def test_a_patient_is_known_however_the_name_is_written(same):
    assert len({plain_patient(name) for name in same}) == 1


@pytest.mark.parametrize(
    "different",
    [("1-2", "12", "1-20", "21"), ("P10", "P1", "P100"), ("a1b", "a1", "ab1"), ("0", "10")],
)
def test_different_patients_stay_different(different):
    assert len({plain_patient(name) for name in different}) == len(different)


def test_classes_are_one_by_value_case_and_spaces():
    assert several_spellings(["Normal", "normal", "1", "1.0", "no finding", "no_finding"]) == [
        ["1", "1.0"], ["Normal", "normal"], ["no finding", "no_finding"],
    ]  # fmt: skip
    different = ["HER2", "HER2-", "HER2+", "-1", "1", "10", "a b", "ab", "nan of it", "", "-"]
    assert len({plain_class(name) for name in different}) == len(different)


def store_of(tmp_path, rows, header="file,dx,patient,split"):
    for number, name in enumerate("abcd"):
        write_png(tmp_path / "in" / f"{name}.png", grey(number))
    (tmp_path / "in" / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return open_store(prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0).out)


def test_a_patient_of_two_spellings_may_not_be_in_two_parts(tmp_path):
    rows = ["a.png,1,P007,train", "b.png,2,p7,test", "c.png,1,P8,train", "d.png,2,P9,test"]
    store = store_of(tmp_path, rows)
    with pytest.raises(DataError, match="1 of 3 groups"):
        labelled(store, "dx")
    with pytest.raises(DataError, match="1 of 3 groups"):
        labelled(store, "dx", group="patient")
    found = labelled(store, "dx", split="auto")
    assert found.groups[0] == found.groups[1] != found.groups[2]
    assert any("1 patients are written in several ways" in note for note in found.notes)


def test_parts_are_one_by_case_and_no_part_is_none(tmp_path):
    rows = ["a.png,1,p,Train", "b.png,2,p,training", "c.png,1,q,TEST", "d.png,2,q,"]
    found = labelled(store_of(tmp_path, rows), "dx")
    assert found.split == ["Train", "training", "TEST", ""]


def test_copies_in_the_test_and_elsewhere_are_counted(tmp_path):
    for name in ("e.png", "f.png"):
        write_png(tmp_path / "in" / name, grey(0))
    rows = ["a.png,1,p,test", "b.png,2,q,train", "c.png,1,r,train", "d.png,2,s,test"]
    found = labelled(store_of(tmp_path, [*rows, "e.png,1,t,train", "f.png,1,u,val"]), "dx")
    assert found.num_in_both == 1
    assert sorted(found.split) == ["test", "test", "train", "train"]


def test_contradictory_copies_count_for_none_and_it_is_said(tmp_path):
    write_png(tmp_path / "in" / "e.png", grey(0))
    rows = ["a.png,1,p,", "b.png,2,q,", "c.png,1,r,", "d.png,2,s,", "e.png,2,p,"]
    found = labelled(store_of(tmp_path, rows), "dx")
    assert len(found.labels) == 3
    assert any("contradictory" in note and "count for none" in note for note in found.notes)


def test_two_spellings_in_two_parts_are_named_with_what_to_do(tmp_path):
    rows = ["a.png,1,P007,Train", "b.png,2,p7,test", "c.png,1,P8,train", "d.png,2,P9,test"]
    with pytest.raises(DataError) as caught:
        labelled(store_of(tmp_path, rows), "dx")
    told = str(caught.value)
    assert "written in two ways ('P007' in train and 'p7' in test)" in told
    assert "write patient alike in the table" in told
    assert "group=[site,patient]" in told


def test_of_a_patient_who_crosses_by_one_spelling_no_other_is_blamed(tmp_path):
    rows = ["a.png,1,P007,train", "b.png,2,p7,test", "c.png,1,P007,test", "d.png,2,P9,test"]
    with pytest.raises(DataError, match="1 of 2 groups") as caught:
        labelled(store_of(tmp_path, rows), "dx")
    assert "two ways" not in str(caught.value)


def test_what_the_table_does_not_say_is_not_shown(tmp_path):
    """A name that only a file's header holds goes to the owner's private file alone."""
    placed = [
        Placed(name=name, in_table=False, file=f"{n}.dcm", group="code", part=part)
        for n, (name, part) in enumerate((("DOE^JANE", "train"), ("Doe^Jane", "test")))
    ]
    (tmp_path / "private").mkdir()
    with pytest.raises(DataError, match="written in two ways, which count") as caught:
        refuse_crossing(tmp_path, placed, "patient")
    assert "DOE" not in str(caught.value) and "Doe" not in str(caught.value)
    assert "DOE^JANE,train,0.dcm" in (tmp_path / "private" / "crossing.csv").read_text()


def test_a_second_column_tells_people_of_like_names_apart(tmp_path):
    """P007 of one hospital and p7 of another; nor does a sign move from one column to the next."""
    header = "file,dx,patient,split,site"
    rows = ["a.png,1,P007,train,A", "b.png,2,p7,test,B", "c.png,1,1B,train,A", "d.png,2,B,test,A1"]
    store = store_of(tmp_path, rows, header)
    found = labelled(store, "dx", group=["site", "patient"])
    assert len(set(found.groups)) == 4
    assert found.split == ["train", "test", "train", "test"]
    with pytest.raises(DataError, match="two ways"):
        labelled(store, "dx", group="patient")


def test_columns_of_odd_names_are_found(tmp_path):
    names = ("a,b", "a b", "Größe", "a=b", " padded ", "two\u00a0words", "no", "[x] dose")
    header = "file," + ",".join(f'"{unicodedata.normalize("NFD", name)}"' for name in names)
    cells = [",".join([label] * len(names)) for label in "1122"]
    rows = [f"{file}.png,{cell}" for file, cell in zip("abcd", cells, strict=True)]
    store = store_of(tmp_path, rows, header)
    for name in (*names[:4], "padded", "two words", "no", "[x] dose"):
        assert labelled(store, name, group=name).labels == ["1", "1", "2", "2"]
    for wrong, remedy in (
        ("a", r"\[\"a,b\"\]"),
        ("größe", "Did you mean 'Größe'"),
        ("[no]", "with"),
    ):
        with pytest.raises(DataError, match=remedy):
            labelled(store, wrong)
    with pytest.raises(DataError, match=r"group=\[no,a b\]"):
        labelled(store, "no", group="no,a b")


def test_preparing_names_columns_that_are_not_there_with_the_remedy(tmp_path):
    store_of(tmp_path, ["a.png,1,p,s"], "file,dx,patient,site")
    for number, (wrong, remedy) in enumerate(
        (("site,patient", r"group=\[site,patient\]"), ("Patent", "Did you mean 'patient'"))
    ):
        with pytest.raises(DataError, match=remedy):
            prepare(
                tmp_path / "in", tmp_path / f"again{number}", size=8, num_workers=0,
                group_column=wrong,
            )  # fmt: skip
