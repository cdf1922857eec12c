"""The folder of kept results has a bound; what was not used for longest goes first."""

import os
from pathlib import Path

import numpy as np
import pytest

from medjepa.evaluation.kept import Kept, make_room


@pytest.fixture
def old_results(tmp_path):
    """Four results of 1,000 numbers, the first used longest ago."""
    kept = Kept(tmp_path)
    for number in range(4):
        kept.put({"number": number}, {"rows": np.full(1000, number)})
        os.utime(kept._path({"number": number}), (1000 + number, 1000 + number))
    return kept


def size_of(kept, number=0):
    return kept._path({"number": number}).stat().st_size


def there(kept):
    return [number for number in range(6) if kept._path({"number": number}).is_file()]


def test_what_was_not_used_for_longest_is_deleted_until_the_rest_fits(old_results):
    kept = old_results
    assert kept.get({"number": 0}) is not None  # used just now
    make_room(kept.folder, keep=kept._path({"number": 3}), most_bytes=2 * size_of(kept))
    assert there(kept) == [0, 3]


def test_nothing_is_deleted_where_all_fits_and_the_new_result_always_stays(old_results):
    kept = old_results
    make_room(kept.folder, keep=kept._path({"number": 3}), most_bytes=4 * size_of(kept))
    assert there(kept) == [0, 1, 2, 3]
    make_room(kept.folder, keep=kept._path({"number": 0}), most_bytes=0)
    assert there(kept) == [0]


def test_keeping_a_result_makes_room(old_results):
    kept = Kept(old_results.folder.parent, most_bytes=3 * size_of(old_results))
    kept.put({"number": 4}, {"rows": np.full(1000, 4)})
    assert there(kept) == [2, 3, 4]
    kept.put({"number": 5}, {"rows": np.full(1000, 5)})  # few bytes: not looked at again
    assert there(kept) == [2, 3, 4, 5]


def test_what_another_process_deleted_in_between_is_computed(old_results, monkeypatch):
    kept, path = old_results, old_results._path({"number": 1})
    path.unlink()
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    assert kept.get({"number": 1}) is None


def test_a_file_that_goes_while_room_is_made_is_passed_over(old_results, monkeypatch):
    kept, gone = old_results, old_results._path({"number": 0})
    original = Path.stat

    def stat(self, **more):
        if self == gone:
            raise FileNotFoundError(self)
        return original(self, **more)

    most = size_of(kept)
    monkeypatch.setattr(Path, "stat", stat)
    make_room(kept.folder, keep=kept._path({"number": 3}), most_bytes=most)
    monkeypatch.undo()
    assert there(kept) == [0, 3]
