import numpy as np
import pytest

from medjepa.errors import DataError
from medjepa.evaluation.leaks import check_patients, check_pretraining, drop_copies
from medjepa.evaluation.protocol import Task


def task(groups):
    return Task(
        label="label",
        target=np.array([0, 1, 0, 1]),
        class_names=("a", "b"),
        groups=groups,
        train=np.array([0, 1]),
        test=np.array([2, 3]),
    )


def test_a_patient_on_both_sides_is_refused_by_name():
    with pytest.raises(DataError, match=r"1 groups .*p2.*split"):
        check_patients(task(("p1", "p2", "p2", "p3")))


def test_patients_apart_and_patients_unknown():
    assert check_patients(task(("p1", "p2", "p3", "p3"))).passed is True
    unknown = check_patients(task(None))
    assert unknown.passed is None
    assert "too narrow" in unknown.text


def test_training_copies_of_test_images_are_left_out_and_counted():
    keys = ["x", "y", "x", "z"]
    train, check = drop_copies(keys, np.array([0, 1]), np.array([2, 3]))
    assert train.tolist() == [1]
    assert check.passed is False
    assert "1 training images" in check.text
    train, check = drop_copies(["x", "y", "v", "z"], np.array([0, 1]), np.array([2, 3]))
    assert train.tolist() == [0, 1]
    assert check.passed is True


def test_test_images_that_pretraining_used_are_counted():
    keys, test = ["a", "b", "c"], np.array([1, 2])
    assert check_pretraining(keys, test, None).passed is None
    assert check_pretraining(keys, test, {"a", "x"}).passed is True
    seen = check_pretraining(keys, test, {"a", "c"})
    assert seen.passed is False
    assert "1 of the 2" in seen.text
