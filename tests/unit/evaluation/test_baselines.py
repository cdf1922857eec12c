import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

from medjepa.evaluation.baselines import (
    area_resize,
    luminance,
    oriented_gradients,
    pixel_vectors,
    principal_components,
)


def gradients_one_by_one(grey):
    """The definition, image by image: 8-pixel cells, 9 orientations, 2 x 2 blocks."""
    down, across = np.gradient(grey.astype(np.float32))
    magnitude = np.hypot(across, down)
    which = ((np.arctan2(down, across) % np.pi) / np.pi * 9).astype(int) % 9
    cells = np.zeros((8, 8, 9))
    for row in range(64):
        for column in range(64):
            cells[row // 8, column // 8, which[row, column]] += magnitude[row, column]
    blocks = [cells[i : i + 2, j : j + 2].ravel() for i in range(7) for j in range(7)]
    return np.concatenate([block / (np.linalg.norm(block) + 1e-3) for block in blocks])


def images(num=3, channels=1, size=64, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, size=(num, channels, size, size))
    return (levels / 255).astype(np.float32)


def test_gradients_are_their_definition():
    batch = images()
    expected = np.stack([gradients_one_by_one(image[0] * 255) for image in batch])
    assert oriented_gradients(batch) == pytest.approx(expected, abs=2e-4)


def test_an_empty_image_has_no_gradients():
    assert not oriented_gradients(np.full((1, 1, 64, 64), 0.5, np.float32)).any()


@pytest.mark.parametrize("size", [32, 48, 24])
def test_resizing_averages_areas_as_pillow_does(size):
    grey = images(size=96)[0, 0]
    pillow = Image.fromarray(grey).resize((size, size), Image.Resampling.BOX)
    assert area_resize(grey[None, None], size)[0, 0] == pytest.approx(np.asarray(pillow), abs=1e-5)


def test_resizing_keeps_the_mean_whatever_the_size():
    batch = images(size=45)
    assert area_resize(batch, 32).mean((2, 3)) == pytest.approx(batch.mean((2, 3)), abs=1e-5)
    flat = np.full((1, 3, 20, 31), 0.3, np.float32)
    assert area_resize(flat, 64) == pytest.approx(0.3)


def test_colour_becomes_luminance():
    pure = np.eye(3, dtype=np.float32)[:, :, None, None] * np.ones((1, 1, 2, 2), np.float32)
    assert luminance(pure)[:, 0, 0] == pytest.approx([0.299, 0.587, 0.114])


def test_components_are_fitted_on_the_training_images_only():
    pixels = pixel_vectors(images(num=100, size=32))
    train = np.arange(80)
    expected = PCA(64, random_state=0).fit(pixels[train]).transform(pixels)
    changed = pixels.copy()
    changed[80:] += 5
    ours = principal_components(changed, train)
    assert ours.shape == (100, 64)
    assert ours[:80] == pytest.approx(expected[:80], abs=1e-3)


def test_few_training_images_give_fewer_components():
    pixels = pixel_vectors(images(num=6, size=32))
    assert principal_components(pixels, np.arange(4)).shape == (6, 3)
    assert principal_components(pixels, np.arange(1)).shape == (6, 1)
