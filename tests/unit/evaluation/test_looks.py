import json
import os
import threading

import pytest

from medjepa.errors import DataError
from medjepa.evaluation.looks import LOOKS, count_look, digest, read_looks


def test_looks_are_counted_for_each_test_set_by_itself(tmp_path):
    first = count_look([tmp_path], ["b", "a", "a"])
    assert first.passed
    assert "first time" in first.text
    assert "2 times" in count_look([tmp_path], ["a", "b"]).text  # the same images, in any order
    assert "first time" in count_look([tmp_path], ["a", "c"]).text
    seventh = [count_look([tmp_path], "ab") for _ in range(5)][-1]
    assert "looked at 7 times from this run" in seventh.text
    assert seventh.passed is None
    assert read_looks(tmp_path) == {digest("ab"): 7, digest("ac"): 1}


def test_of_several_runs_the_largest_count_is_told(tmp_path):
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        run.mkdir()
    count_look(runs[:1], "xy")
    assert "2 times" in count_look(runs, "xy").text
    assert "2 times" in count_look(runs[1:], "xy").text


def test_the_file_names_no_image(tmp_path):
    count_look([tmp_path], ["patient-7"])
    assert "patient" not in (tmp_path / LOOKS).read_text()


def test_looks_at_the_same_time_are_all_counted(tmp_path):
    threads = [threading.Thread(target=count_look, args=([tmp_path], "ab")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_looks(tmp_path) == {digest("ab"): 8}


def test_a_run_that_cannot_be_written_to_is_judged_all_the_same(tmp_path, monkeypatch):
    count_look([tmp_path], "ab")

    def refuse(path, *_, **__):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(os, "open", refuse)
    told = count_look([tmp_path], "ab")
    assert told.passed is None
    assert "could not be counted" in told.text
    assert "(1 counted before)" in told.text
    assert read_looks(tmp_path) == {digest("ab"): 1}


@pytest.mark.parametrize("content", ["{", json.dumps([1]), json.dumps({"test_sets": {"a": "x"}})])
def test_a_damaged_count_is_not_begun_again(tmp_path, content):
    (tmp_path / LOOKS).write_text(content)
    with pytest.raises(DataError, match="how often test sets were looked at"):
        count_look([tmp_path], "ab")
