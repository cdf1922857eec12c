"""A picture saved differently is found; another picture is not."""

import io

import numpy as np
import pytest
from PIL import Image

from medjepa.data.duplicates import (
    NEAR,
    equal_groups,
    fingerprints,
    joined,
    near_pairs,
    pixel_hash,
    thumbnail,
)
from medjepa.data.resize import resize


def picture(seed, size=128):
    rng = np.random.default_rng(seed)
    coarse = resize(rng.uniform(0, 255, (1, 9, 9)).astype(np.float32), (size, size))
    fine = resize(rng.uniform(-30, 30, (1, 40, 40)).astype(np.float32), (size, size))
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def as_jpeg(array, quality):
    buffer = io.BytesIO()
    Image.fromarray(array[0]).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))[None]


CHANGES = {
    "jpeg": lambda a: as_jpeg(a, 30),
    "half the size": lambda a: resize(a, (64, 64)),
    "another aspect": lambda a: resize(a, (150, 90)),
    "darker": lambda a: (a * 0.7).astype(np.uint8),
    "16 bit": lambda a: a.astype(np.uint16) * 200 + 17,
    "colour": lambda a: np.repeat(a, 3, axis=0),
    "mirrored": lambda a: a[..., ::-1],
    "upside down": lambda a: a[:, ::-1],
    "half a turn": lambda a: a[:, ::-1, ::-1],
    "a quarter turn": lambda a: np.rot90(a, axes=(1, 2)),
    "mirrored and turned": lambda a: np.rot90(a[..., ::-1], axes=(1, 2)),
    "gamma": lambda a: (255 * (a / 255) ** 0.8).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_differently_is_near(change):
    pictures = [picture(seed) for seed in range(20)]
    changed = [CHANGES[change](one) for one in pictures]
    first = fingerprints(np.stack([thumbnail(one) for one in pictures]))
    second = fingerprints(np.stack([thumbnail(one) for one in changed]))
    assert [pair[:2] for pair in near_pairs(first, second)] == [(i, i) for i in range(20)]


def test_the_best_position_of_a_pair_counts_and_other_pictures_stay_far():
    thumbs = np.stack([thumbnail(picture(seed)) for seed in range(12)])
    prints = fingerprints(thumbs)
    likeness = {(i, j): c for i, j, c in near_pairs(prints, prints, threshold=-1)}
    for turned in (thumbs[:, ::-1], np.rot90(thumbs, axes=(1, 2)), thumbs.transpose(0, 2, 1)):
        plain = prints @ fingerprints(turned).T
        assert all(likeness[i, j] >= plain[i, j] - 1e-4 for i, j in likeness)
    assert max(c for (i, j), c in likeness.items() if i != j) < NEAR


def test_prints_of_several_planes_are_compared_as_they_lie():
    prints = fingerprints(np.stack([thumbnail(picture(seed)) for seed in range(4)]))
    mirrored = fingerprints(np.stack([thumbnail(picture(seed)[..., ::-1]) for seed in range(4)]))
    rows = prints.reshape(2, -1) / np.sqrt(2)
    assert [pair[:2] for pair in near_pairs(rows, rows)] == [(0, 0), (1, 1)]
    assert near_pairs(rows, mirrored.reshape(2, -1) / np.sqrt(2)) == []


def test_blocks_find_the_same_pairs_as_one_product(monkeypatch):
    rng = np.random.default_rng(0)
    thumbs = rng.normal(size=(300, 32, 32)).astype(np.float32)
    thumbs[[120, 299]] = thumbs[[3, 40]]
    prints = fingerprints(thumbs)
    whole = [(i, j) for i, j, _ in near_pairs(prints)]
    monkeypatch.setattr("medjepa.data.duplicates._CHUNK", 64)
    assert [(i, j) for i, j, _ in near_pairs(prints)] == whole == [(3, 120), (40, 299)]
    assert len(near_pairs(np.ones((200, 1), np.float32), most=50)) == 50


def test_a_picture_without_structure_is_near_to_nothing():
    prints = fingerprints(np.full((3, 32, 32), 90, np.float32))
    assert not prints.any() and near_pairs(prints) == []


def test_fingerprints_have_unit_length_and_ignore_scale_and_offset():
    thumbs = np.random.default_rng(1).uniform(0, 4000, (5, 32, 32)).astype(np.float32)
    prints = fingerprints(thumbs)
    assert np.allclose(np.linalg.norm(prints, axis=1), 1, atol=1e-5)
    assert np.allclose(prints, fingerprints(thumbs / 7 + 100), atol=1e-3)
    assert 0.9 < NEAR < 1


def test_groups():
    assert equal_groups(["a", "b", "a", "", "", "b", "c"]) == [[0, 2], [1, 5]]
    assert joined([(4, 9, 1.0), (1, 2, 1.0), (2, 9, 1.0), (5, 6, 1.0)]) == [[1, 2, 4, 9], [5, 6]]


def test_equal_pixels_have_equal_hashes():
    a = picture(0)
    assert pixel_hash(a) == pixel_hash(a.copy()[:, :, :])
    assert len({pixel_hash(a), pixel_hash(a.astype(np.int16)), pixel_hash(a[:, :64])}) == 3
