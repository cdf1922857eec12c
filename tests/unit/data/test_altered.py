"""Cropped, marked and inverted copies are known from strangers."""

import numpy as np
import pytest

from medjepa.data.altered import Altered, altered_pairs
from medjepa.data.duplicates import fingerprints, near_pairs, thumbnail

NUM = 12


def pictures(seed=0):
    """(N, 96, 96) that fall off with frequency as photographs do, of one common shape."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)[None]) * 96
    waves = np.fft.fft2(rng.normal(size=(NUM, 96, 96))) / (1 + frequency) ** 1.5
    found = np.fft.ifft2(waves).real
    low, high = found.min((1, 2), keepdims=True), found.max((1, 2), keepdims=True)
    return (255 * (found - low) / (high - low)).astype(np.float32)


def cut(images, share):
    margin = round(96 * share)
    return images[:, margin : 96 - margin, margin : 96 - margin]


def marked(images):
    changed = images.copy()
    changed[:, 4:14, 80:92] = 255
    return changed


CHANGES = {
    "3 %": lambda images: cut(images, 0.03),
    "5 %": lambda images: cut(images, 0.05),
    "9 %": lambda images: cut(images, 0.09),
    "marked": marked,
    "inverted": lambda images: 255 - images,
}


def of(images):
    return np.stack([thumbnail(one[None]) for one in images])


@pytest.mark.parametrize("change", CHANGES)
def test_every_altered_copy_is_found_and_no_stranger(change):
    images = pictures()
    pairs = altered_pairs(Altered.of(of(images)), Altered.of(of(CHANGES[change](images))))
    assert [(i, j) for i, j, _ in pairs] == [(n, n) for n in range(NUM)]


def test_what_the_whole_picture_does_not_show_is_found_by_its_forms():
    before, after = of(pictures()), of(cut(pictures(), 0.05))
    assert not near_pairs(fingerprints(before), fingerprints(after))
    assert altered_pairs(Altered.of(before), Altered.of(after))


def test_strangers_and_pictures_without_structure_are_no_pairs():
    first, second = of(pictures(0)), of(pictures(1))
    assert altered_pairs(Altered.of(first), Altered.of(second)) == []
    flat = Altered.of(np.full((2, 32, 32), 7, np.float32))
    assert altered_pairs(flat, flat) == []
