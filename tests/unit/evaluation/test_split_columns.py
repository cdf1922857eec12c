"""A column that is no split is named with what it holds and what can be done."""

import numpy as np
import pytest

from medjepa.errors import DataError
from medjepa.evaluation.labelled_data import _share_out


def told_of(parts):
    with pytest.raises(DataError) as told:
        _share_out(np.zeros(len(parts), np.int64), None, ["k"] * len(parts), parts, 0.2, 0)
    return str(told.value)


@pytest.mark.parametrize("parts", [["10", "2", "0", "2"], ["0.0", "2.0", "10.0"]])
def test_fold_numbers_are_told_how_to_become_a_split(parts):
    told = told_of(parts)
    first = min(parts, key=float)
    assert f"holds {first}, " in told
    assert f"test for one of them (fold {first}, say) and train for the others" in told
    assert "split=auto" in told and "evaluation.num_splits=" in told
    assert f"data.held_out=[{first}]" in told


def test_other_values_are_named_without_talk_of_folds():
    told = told_of(["left", "", "right"])
    assert "holds left, empty, right" in told
    assert "split=auto" in told and "fold" not in told


def test_many_values_are_cut_and_said_to_be():
    assert "holds 0, 1, 2, 3, 4, 5, 6, 7, ...: it" in told_of([str(n) for n in range(12)])
