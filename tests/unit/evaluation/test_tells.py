"""What tells the label beside the encoder: columns of plain names, files, the picture's edge."""

import numpy as np
import pytest

from medjepa.evaluation.columns import OTHER, coded, find_columns, numbers_of
from medjepa.evaluation.task import Task
from medjepa.evaluation.tells import EDGE, FOLDER, FORMAT, deciding_columns, find_tells, tell_checks

NUM = 80


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.tells.COARSE_GRID", (1e-2, 1.0))
    monkeypatch.setattr("medjepa.evaluation.tells.NUM_RESAMPLES", 50)


def task():
    return Task(
        label="finding",
        target=np.arange(NUM) % 2,
        class_names=("healthy", "ill"),
        groups=tuple(f"p{n // 2 * 2 + n % 2}" for n in range(NUM)),
        train=np.arange(NUM // 2),
        test=np.arange(NUM // 2, NUM),
    )


def pictures(*, edge):
    """(N, 32 * 32) noise; with `edge` those of ill patients are brighter in their first rows."""
    found = np.random.default_rng(0).normal(size=(NUM, 32, 32))
    if edge:
        found[1::2, :2, 4:12] += 3
    else:
        found[1::2, 12:20, 12:20] += 3  # the finding itself, in the middle
    return found.reshape(NUM, -1).astype(np.float32)


def test_a_column_of_any_name_that_tells_the_label_is_told_but_decides_nothing():
    cells = {"herkunft": ["a", "b"] * (NUM // 2), "noise": ["x", "x", "y", "y"] * (NUM // 4)}
    # Of every eight patients six have the value of their class.
    cells["weak"] = ["a", "b", "a", "b", "a", "b", "b", "a"] * (NUM // 8)
    found = find_tells(task(), cells, {}, None, leave_out=[])
    assert [one.name for one in found] == ["herkunft", "weak", "noise"]
    assert found[1].auc.low > 0.5
    assert [one.name for one in found if one.is_strong] == ["herkunft"]
    check = tell_checks(found)[0]
    assert check.passed is None
    assert "herkunft (AUC 1.000)" in check.text
    assert not find_tells(task(), cells, {}, None, leave_out=list(cells))


def few(seed, num=20):
    """Patients with one image each, half of them ill, and ten columns that say nothing of it."""
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.arange(num) % 2)
    cells = {f"c{n}": [str(value) for value in rng.integers(4, size=num)] for n in range(10)}
    everything = np.arange(num)
    return (
        Task(
            label="finding", target=target, class_names=("healthy", "ill"),
            groups=tuple(f"p{n}" for n in range(num)), train=everything, test=everything,
        ),
        cells,
    )  # fmt: skip


def test_of_few_patients_chance_is_not_told_first_and_a_true_tell_is():
    told = 0
    for seed in range(15):
        found = find_tells(*few(seed), {}, None, leave_out=[])
        told += any(one.is_strong for one in found)
    # Without shuffles 6 of these studies tell one.
    assert told <= 1
    one, cells = few(0)
    cells["other name"] = ["ab"[int(n)] for n in one.target]
    found = find_tells(one, cells, {}, None, leave_out=[])
    assert found[0].name == "other name" and found[0].is_strong


def test_a_format_that_tells_the_label_is_a_shortcut_and_a_folder_may_be_the_label():
    traits = {FORMAT: [".png", ".jpg"] * (NUM // 2), FOLDER: ["healthy", "ill"] * (NUM // 2)}
    found = find_tells(task(), {}, traits, None, leave_out=[])
    assert [column.name for column in deciding_columns(found, traits, task())] == [FORMAT]
    assert [check.passed for check in tell_checks(found)] == [False, None]
    same = {FORMAT: [".png", ".png", ".jpg", ".jpg"] * (NUM // 4)}
    found = find_tells(task(), {}, same, None, leave_out=[])
    assert not deciding_columns(found, same, task())
    assert not tell_checks(found)


def test_what_stands_at_the_edge_is_told_and_what_stands_in_the_middle_is_not():
    for edge in (True, False):
        found = find_tells(task(), {}, {}, pictures(edge=edge), leave_out=[])
        assert [one.name for one in found] == [EDGE]
        assert found[0].is_strong is edge
        assert [check.passed for check in tell_checks(found)] == ([False] if edge else [])


def test_dates_and_ages_are_numbers():
    known = [True] * 3
    assert numbers_of(["2019-01-11", "2019/02/01 10:30", "2020-01-01T01:00"], known).tolist() == [
        2019 * 372 + 42, 2019 * 372 + 63, 2020 * 372 + 32,
    ]  # fmt: skip
    german = numbers_of(["11.01.2019", "1.2.2019", ""], [True, True, False])
    assert german[:2].tolist() == [2019 * 372 + 42, 2019 * 372 + 63]
    assert np.isnan(german[2])
    assert numbers_of(["1/13/2019", "13/1/2019", "2/2/2020"], known).tolist()[0] == 2019 * 372 + 32
    assert numbers_of(["063Y", "006M", "1Y"], known).tolist() == [63, 0.5, 1]
    assert numbers_of(["1", "2", "x"], known) is None


def test_that_nothing_is_written_is_a_value_where_several_patients_have_none():
    cells = ["", "GE"] * 4
    assert set(coded("scanner", cells, None).codes.tolist()) == {1, 2}
    assert coded("scanner", [*["GE"] * 7, ""], None).codes[-1] == -1
    assert coded("scanner", [""] * 8, None).num_common == 0
    assert OTHER not in coded("scanner", cells, None).codes


def test_words_are_found_however_a_name_is_written():
    cells = {name: ["80", "120"] * 4 for name in ("kVp",)}
    assert [one.name for one in find_columns(cells, None, asked=None, leave_out=[])] == ["kVp"]
