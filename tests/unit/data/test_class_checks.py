"""Values of a label that are no classes are refused, and named."""

import pytest

from medjepa.data.class_checks import check_classes, refuse_marks, refuse_other_spellings
from medjepa.errors import DataError


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["normal", "Normal", "tumour"], "'Normal' and 'normal'"),
        (["0", "0.0", "1"], "'0' and '0.0'"),
        (["normal", "tumour", "?", "?"], r"'\?' \(2 images\) would count as a class"),
        (["a", "b", "--"], "'--' .1 image. would count"),
        (["0", "1", "-1", "1"], "'-1' .1 image. beside 0 and 1"),
        (["0.0", "1.0", "-1.0"], "CheXpert"),
        ([str(i) for i in range(40)], "40 different values for 40 images"),
    ],
)
def test_what_is_no_class_is_refused(labels, said):
    with pytest.raises(DataError, match=said):
        check_classes("finding", labels)


def test_words_that_may_mean_not_known_are_told_with_their_number():
    notes = check_classes("finding", ["a", "Unknown", "b", "Unknown", "None"])
    assert [note.partition(")")[0] for note in notes] == [
        "'Unknown' (2 images",
        "'None' (1 image",
    ]


@pytest.mark.parametrize(
    "labels",
    [
        ["+", "-", "+"],
        ["-1", "1", "1"],
        ["-1", "0", "1", "2"],
        ["01", "02"],
        ["yes", "no", "Größe", "à l’hôpital"],
        [str(i) for i in range(10)],
        [str(i % 50) for i in range(240)],
    ],
)
def test_what_may_be_a_class_is_taken_as_it_is(labels):
    notes = check_classes("finding", labels)
    assert len(notes) == (set(labels) == {"-1", "1"}) + (labels[:2] == ["-1", "0"])


def test_a_refusal_names_the_setting_only_where_there_is_one():
    for key, there in (("evaluation.positive", True), ("", False)):
        with pytest.raises(DataError) as caught:
            check_classes("finding", ["a", "A"], key=key)
        assert ("evaluation.positive=[A,a]" in str(caught.value)) is there


def test_a_choice_that_leaves_a_spelling_out_is_refused():
    with pytest.raises(DataError, match=r"'Yes' is 'yes' in another spelling"):
        refuse_other_spellings("finding", ["yes", "Yes", "no"], ["yes"], "evaluation.positive")
    refuse_other_spellings("finding", ["yes", "Yes", "no"], ["yes", "Yes"], "evaluation.positive")


def test_a_mark_is_refused_and_an_ordinary_value_is_not():
    with pytest.raises(DataError, match="would count"):
        refuse_marks("finding", ["no", "?"])
    refuse_marks("finding", ["no", "-"])
