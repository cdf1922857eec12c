"""What is told of a target's values that cannot be used: which part, which column, what to do."""

import numpy as np
import pytest

from medjepa.data.labels import LabelledSet
from medjepa.errors import DataError
from medjepa.evaluation.protocol import Task
from medjepa.evaluation.target import TargetRule
from medjepa.evaluation.target_sections import chosen_parts


def four_images(kind, cells):
    """A target of four images; the first two are the training part."""
    target = TargetRule(kind=kind, columns=tuple(cells)).read(cells)
    task = Task(
        label=target.label,
        target=np.zeros(4, np.int64),
        class_names=("0",),
        groups=None,
        train=np.arange(2),
        test=np.arange(2, 4),
    )
    return target, task


@pytest.mark.parametrize(
    ("kind", "cells", "message"),
    [
        ("regression", {"age": "41 41 50 60"}, r"'age': all values of the training part .*\(41\)"),
        ("regression", {"age": "41 50 60 60"}, r"'age': all values of the test part .*\(60\)"),
        (
            "survival",
            {"days": "1 2 3 4", "died": "0 0 1 0"},
            "'died': the training part has no event",
        ),
        ("survival", {"days": "1 2 3 4", "died": "0 1 0 0"}, "'died': the test part has no event"),
        (
            "ordinal",
            {"grade": "2 2 1 2"},
            r"'grade': the training part holds a single level \(2\)",
        ),
        ("ordinal", {"grade": "1 2 2 2"}, r"'grade': the test part holds a single level \(2\)"),
        ("multilabel", {"a": "0 1 1 1", "b": "0 1 0 0"}, "both there and not there in the test"),
    ],
)
def test_a_part_that_cannot_be_measured_is_named_with_its_column(kind, cells, message):
    target, task = four_images(kind, {name: text.split() for name, text in cells.items()})
    with pytest.raises(DataError, match=message) as told:
        chosen_parts(target, task)
    assert "split=auto" in str(told.value)


@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("test", "test")])
def test_the_part_without_images_is_named(part, name):
    target, task = four_images("regression", {"age": ["1", "2", "3", "4"]})
    object.__setattr__(task, part, np.arange(0))
    with pytest.raises(DataError, match=f"the {name} part has no image"):
        chosen_parts(target, task)


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("regression", {"age": ["41", "?"]}),
        ("regression", {"age": ["41", "inf"]}),
        ("ordinal", {"grade": ["1", "?"]}),
        ("survival", {"days": ["1", "2"], "died": ["1", "?"]}),
    ],
)
def test_a_cell_that_is_no_value_is_to_be_left_empty(kind, cells):
    with pytest.raises(DataError, match=r"'(\?|inf)' is .*leave the cell empty"):
        TargetRule(kind=kind, columns=tuple(cells)).read(cells)


@pytest.mark.parametrize(
    ("ages", "told"),
    [(["1", "2", ""], "1 image has no value of age and was set aside."),
     (["1", "", ""], "2 images have no value of age and were set aside.")],
)  # fmt: skip
def test_one_image_and_several_are_told_in_their_grammar(ages, told):
    given = LabelledSet(
        indices=np.arange(3),
        labels=["?"] * 3,
        class_names=["?"],
        groups=None,
        split=None,
        notes=[],
        cells={"age": ages},
    )
    rule = TargetRule(kind="regression", columns=("age",))
    assert rule.applied([given], "age")[0].notes == [told]
