"""What every encoder has to beat: two descriptions of an image that need no training at all.

Pixels' principal components and histograms of oriented gradients (Dalal and Triggs 2005), each at
a fixed small size, so that they cost seconds on any data.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from medjepa.evaluation.metrics import Floats, Integers

PIXEL_SIZE = 32
NUM_COMPONENTS = 64
GRADIENT_SIZE = 64
CELL = 8
NUM_ORIENTATIONS = 9

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's "L"

Images = NDArray[np.float32]


def area_resize(images: Images, size: int, width: int | None = None) -> Images:
    """Average over the area that each new pixel covers; (N, C, H, W) -> (N, C, size, size).

    With `width` the result is (N, C, size, width).
    """
    across = size if width is None else width
    rows, columns = _coverage(images.shape[-2], size), _coverage(images.shape[-1], across)
    return np.asarray(rows @ images @ columns.T, np.float32)


@lru_cache(maxsize=64)
def _coverage(length: int, size: int) -> NDArray[np.float32]:
    """Share of each of `length` old cells in each new one; (size, length), rows sum to 1."""
    edges = np.linspace(0, length, size + 1)
    start, end = edges[:-1, None], edges[1:, None]
    cell = np.arange(length)[None]
    overlap = np.clip(np.minimum(end, cell + 1) - np.maximum(start, cell), 0, None)
    return np.asarray(overlap / overlap.sum(1, keepdims=True), np.float32)


def luminance(images: Images) -> Images:
    """Grey level of (N, C, H, W) with one or three channels; (N, H, W)."""
    if images.shape[1] == 3:
        return np.asarray(np.einsum("nchw,c->nhw", images, _LUMINANCE))
    return np.asarray(images.mean(1))


def pixel_vectors(images: Images) -> Images:
    """Images in [0, 1] (N, C, H, W) at 32 x 32 pixels as rows (N, C * 1024)."""
    small = area_resize(images, PIXEL_SIZE)
    return small.reshape(len(small), -1)


def principal_components(pixels: Images, train: Integers) -> Floats:
    """Project rows (N, D) on 64 components fitted on the training rows; (N, <= 64)."""
    return fit_components(pixels[train])(pixels)


def fit_components(pixels: Images) -> Callable[[Images], Floats]:
    """Fit 64 components on training rows (N, D); returns what projects other rows on them."""
    num_components = min(NUM_COMPONENTS, len(pixels) - 1, pixels.shape[1])
    if num_components < 1:
        return lambda rows: np.zeros((len(rows), 1))
    model = PCA(num_components, random_state=0).fit(pixels)
    return lambda rows: np.asarray(model.transform(rows), np.float64)


def oriented_gradients(images: Images) -> Images:
    """Histograms of oriented gradients of images in [0, 1]; (N, C, H, W) -> (N, 1764).

    64 x 64 luminance, 8-pixel cells, 9 unsigned orientations, overlapping blocks of 2 x 2 cells,
    each scaled to unit length.
    """
    # In grey levels of 0 to 255 the constant below is the floor that keeps empty blocks at zero.
    grey = luminance(area_resize(images, GRADIENT_SIZE)) * np.float32(255)
    down, across = np.gradient(grey, axis=(1, 2))
    angle = np.arctan2(down, across) % np.pi
    orientation = (angle / np.pi * NUM_ORIENTATIONS).astype(np.int64) % NUM_ORIENTATIONS
    magnitude = np.hypot(across, down)
    num_cells = GRADIENT_SIZE // CELL
    row = np.arange(GRADIENT_SIZE) // CELL
    cell = np.arange(len(grey))[:, None, None] * num_cells**2 + row[:, None] * num_cells + row
    cells = np.bincount(
        (cell * NUM_ORIENTATIONS + orientation).ravel(),
        magnitude.ravel(),
        minlength=len(grey) * num_cells**2 * NUM_ORIENTATIONS,
    ).reshape(len(grey), num_cells, num_cells, NUM_ORIENTATIONS)
    corners = (cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:])
    blocks = np.stack(corners, axis=3).reshape(len(grey), num_cells - 1, num_cells - 1, -1)
    length = np.linalg.norm(blocks, axis=-1, keepdims=True)
    return np.asarray((blocks / (length + 1e-3)).reshape(len(grey), -1), np.float32)
