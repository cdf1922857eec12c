"""Patients and classes whose names differ in spelling only."""

import pytest
from image_files import grey, write_png

from medjepa.data import labelled, open_store, prepare
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
