"""Laws of the split: disjoint, complete, no group in two parts, classes shared out evenly."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.data import check_no_group_crosses, grouped_stratified_split
from medjepa.errors import DataError

FRACTIONS = st.sampled_from([(0.8, 0.2), (0.7, 0.15, 0.15), (0.5, 0.5), (0.6, 0.2, 0.1, 0.1)])


@st.composite
def labelled_patients(draw):
    """Patients with one to five images each, of one class that a patient mostly keeps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_patients = draw(st.integers(1, 80))
    images = rng.integers(1, 6, num_patients)
    own = rng.integers(0, draw(st.integers(1, 4)), num_patients)
    groups = np.repeat([f"p{i}" for i in range(num_patients)], images)
    labels = np.where(rng.random(images.sum()) < 0.8, np.repeat(own, images), 0)
    return [str(v) for v in labels], [str(g) for g in groups]


@settings(max_examples=60, deadline=None)
@given(labelled_patients(), FRACTIONS, st.integers(0, 9))
def test_parts_are_disjoint_complete_and_no_group_crosses(images, fractions, seed):
    labels, groups = images
    parts = grouped_stratified_split(labels, groups, fractions, seed)
    assert len(parts) == len(fractions)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    split = np.empty(len(labels), dtype=object)
    for number, part in enumerate(parts):
        split[part] = str(number)
    check_no_group_crosses(groups, list(split))
    assert {labels[i] for i in parts[0]} == set(labels), "a class is missing in training"
    again = grouped_stratified_split(labels, groups, fractions, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    if len(set(groups)) >= 4 * len(fractions) * len(set(labels)):
        assert all(len(part) for part in parts)


@settings(max_examples=30, deadline=None)
@given(labelled_patients(), FRACTIONS, st.integers(0, 9))
def test_what_a_group_is_called_does_not_matter(images, fractions, seed):
    labels, groups = images
    renamed = [hashlib.sha256(f"{seed} {group}".encode()).hexdigest() for group in groups]
    parts = grouped_stratified_split(labels, groups, fractions, seed)
    again = grouped_stratified_split(labels, renamed, fractions, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), FRACTIONS)
def test_class_shares_are_near_what_was_asked(seed, fractions):
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 6, 200)
    groups = np.repeat([f"p{i}" for i in range(200)], images)
    labels = np.repeat(rng.choice(["a", "b", "c"], 200, p=[0.6, 0.3, 0.1]), images)
    parts = grouped_stratified_split(list(labels), [str(g) for g in groups], fractions, seed)
    whole = Counter(labels)
    for part, fraction in zip(parts, fractions, strict=True):
        for name, count in Counter(labels[part]).items():
            assert abs(count - fraction * whole[name]) <= 5, (name, count, fraction * whole[name])


def test_without_groups_each_image_counts_for_itself():
    labels = ["a"] * 80 + ["b"] * 20
    train, test = grouped_stratified_split(labels, None, (0.8, 0.2), 0)
    assert (len(train), len(test)) == (80, 20)
    assert sum(labels[i] == "b" for i in test) == 4
    assert not np.array_equal(test, grouped_stratified_split(labels, None, (0.8, 0.2), 1)[1])


def test_no_part_stays_empty_while_there_are_groups_enough():
    groups = [f"p{i}" for i in range(4) for _ in range(5)]
    parts = grouped_stratified_split(["a"] * 20, groups, (0.9, 0.05, 0.05), 0)
    assert [len(part) for part in parts] == [10, 5, 5]


def test_a_large_set_is_split_in_seconds():
    labels = ["a", "b"] * 50_000
    groups = [f"p{i // 4}" for i in range(100_000)]
    _, test = grouped_stratified_split(labels, groups, (0.9, 0.1), 0)
    assert len(test) == 10_000


def test_a_group_in_two_parts_is_an_error_that_names_the_remedy():
    with pytest.raises(DataError, match=r"1 of 2 groups.*p1 in test and train.*split=auto"):
        check_no_group_crosses(["p1", "p1", "p2"], ["train", "test", "test"])
    check_no_group_crosses(["p1", "p1", "p2"], ["train", "train", "test"])


@pytest.mark.parametrize("fractions", [(0.5, 0.6), (1.0, 0.0), (0.5,), (-0.2, 1.2)])
def test_fractions_that_make_no_whole_are_refused(fractions):
    with pytest.raises(DataError, match="sum to 1"):
        grouped_stratified_split(["a"] * 4, None, fractions, 0)
