"""The search of many strings at once finds what a search for each alone would."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary, lists, sampled_from

from medjepa.data.verify import matcher as module
from medjepa.data.verify.matcher import NARROW, WIDE, Matcher, folded


def one_by_one(patterns, content):
    for number, pattern in enumerate(patterns):
        place = folded(content).find(pattern)
        while place >= 0:
            yield number, place
            place = folded(content).find(pattern, place + 1)


letters = sampled_from([b"a", b"B", b"b", b"\0", b"\xff"])


@settings(max_examples=200, deadline=None)
@given(
    lists(binary(min_size=4, max_size=14).map(folded), max_size=8, unique=True),
    lists(letters, max_size=300).map(b"".join),
    lists(letters, min_size=4, max_size=12).map(b"".join).map(folded),
)
def test_it_equals_a_search_for_each_string(patterns, content, more):
    patterns = list(dict.fromkeys([*patterns, more]))
    found = Matcher(patterns, NARROW).search(content)
    assert sorted(found) == sorted(one_by_one(patterns, content))


@pytest.mark.parametrize("place", range(90, 104))
def test_a_string_across_two_chunks_is_found_once(monkeypatch, place):
    monkeypatch.setattr(module, "_CHUNK", 100)
    content = bytearray(b"." * 350)
    content[place : place + 11] = b"JANE DOE 42"
    assert list(Matcher([b"jane doe 42", b"unrelated"], WIDE).search(bytes(content))) == [
        (0, place)
    ]


def test_thousands_of_strings_in_noise():
    rng = np.random.default_rng(0)
    patterns = [rng.integers(97, 123, 12, dtype=np.uint8).tobytes() for _ in range(5000)]
    content = bytearray(rng.integers(0, 256, 1 << 20, dtype=np.uint8).tobytes())
    planted = {}
    for number in range(0, 5000, 50):
        place = 10_000 + number * 200
        content[place : place + 12] = patterns[number].upper()
        planted[number] = place
    assert dict(Matcher(patterns, WIDE).search(memoryview(content))) == planted
