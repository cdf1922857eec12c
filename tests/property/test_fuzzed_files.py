"""Damaged and hostile files: an image or an `InputError` that names the file, and nothing else."""

import random

import pytest
from fuzz.campaign import run_block, save_finding, showing_something
from fuzz.corpus import made_in_code, real_files
from fuzz.damage import damaged

COUNT = 500


@pytest.fixture(scope="module")
def sources():
    return made_in_code()


def test_whole_files_are_read(sources):
    assert {source.name for source in sources} == showing_something(sources)


def test_500_files_give_an_image_or_a_refusal(sources, tmp_path):
    plain = showing_something(sources)
    tally = run_block(0, sources, campaign_seed=1, size=COUNT, plain=plain)
    kept = [(save_finding(tmp_path, f), f.origin, f.detail) for f in tally.findings]
    assert not kept, f"{len(kept)} of {COUNT}: {kept[:5]}"
    assert sum(tally.counts.values()) == COUNT
    assert tally.counts["image"] >= COUNT // 20, "hardly a file got as far as its pixels"


def test_damage_is_the_same_for_the_same_seed(sources):
    contents = [source.content for source in sources]
    first, again = (damaged(contents[0], contents, random.Random(7)) for _ in range(2))
    assert first == again != contents[0]


def test_real_files_give_an_image_or_a_refusal(real_data, tmp_path):
    sources = real_files([real_data("dicom_zoo")])
    tally = run_block(1, sources, campaign_seed=1, size=200, plain=frozenset())
    kept = [(save_finding(tmp_path, f), f.origin, f.detail) for f in tally.findings]
    assert not kept, kept[:5]
