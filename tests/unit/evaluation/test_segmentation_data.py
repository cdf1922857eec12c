import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.segmentation_data import share_out

GROUPS = [f"p{i // 2}" for i in range(40)]
KEYS = [f"k{i}" for i in range(40)]


def cases(parts=None, groups=GROUPS):
    return share_out(KEYS, groups, parts, column="fold" if parts else None)


@given(st.integers(0, 4), st.sampled_from([0.05, 0.1, 0.5, 1.0]), st.integers(0, 3))
def test_patients_never_cross_and_every_case_has_its_side(fold, fraction, seed):
    found = cases([str(i // 2 % 5) for i in range(40)]).task(str(fold), fraction, seed=seed)
    assert not set(found.train_groups) & set(found.test_groups)
    assert sorted(found.test) == [i for i in range(40) if i // 2 % 5 == fold]
    assert len(set(found.train_groups)) == max(1, round(16 * fraction))


def test_smaller_shares_of_labels_lie_within_larger_ones():
    shared = cases([str(i // 2 % 5) for i in range(40)])
    chosen = [set(shared.task("0", share, seed=1).train) for share in (0.1, 0.3, 0.6, 1.0)]
    assert all(small < large for small, large in itertools.pairwise(chosen))
    assert chosen[0] != set(shared.task("0", 0.1, seed=2).train)


def test_all_folds_test_every_case_once():
    shared = cases([str(i // 2 % 5) for i in range(40)])
    folds = shared.folds(["all"])
    assert folds == ("0", "1", "2", "3", "4")
    assert sorted(np.concatenate([shared.task(fold).test for fold in folds])) == list(range(40))


@pytest.mark.parametrize("name", ["test", "Test", "testing"])
def test_the_part_that_is_tested_by_default_may_be_spelt_as_the_table_likes(name):
    assert cases(["train"] * 20 + [name] * 20).folds(["test"]) == (name,)


def test_a_case_of_no_part_is_neither_trained_on_nor_tested():
    found = cases(["0"] * 10 + [""] * 10 + ["1"] * 20).task("0")
    assert {*found.train, *found.test} == {*range(10), *range(20, 40)}


def test_without_a_table_a_split_is_made_by_patient():
    shared = cases()
    found = shared.task("test")
    assert not set(found.train_groups) & set(found.test_groups)
    assert 8 <= len(found.test) <= 16
    assert "by patient" in shared.split


def test_a_patient_on_both_sides_a_part_that_is_not_there_and_an_empty_side_are_refused():
    with pytest.raises(DataError, match="more than one part"):
        cases([str(i % 2) for i in range(40)]).task("0")
    with pytest.raises(ConfigError, match="the split column holds 0, 1"):
        cases(["0"] * 20 + ["1"] * 20).folds(["test"])
    with pytest.raises(DataError, match="0 cases to train on"):
        cases(["0"] * 40).task("0")


def test_unknown_patients_count_as_their_own_but_copies_stay_together():
    shared = share_out(["a", "a", "b"], ["", "", ""], None, column=None)
    assert shared.patients.tolist() == [0, 0, 1]
    assert not shared.known
    assert shared.task("test").groups is None
