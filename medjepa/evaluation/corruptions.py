"""What spoils medical images, at five severities: pure functions of an image and a generator.

The corruptions of Hendrycks and Dietterich (2019, arXiv 1903.12261) in medical terms. Severity 0
leaves an image as it is; up to 5 the distance to it grows. Images lie in [0, 1] and stay there;
noise, blur, contrast, bias field, ghosting, resolution and crop take (C, H, W) and (C, D, H, W).

Legend: C channels, spatial axes behind them.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from medjepa.evaluation.metrics import Floats

Picture = NDArray[np.float32]
Corruption = Callable[[Picture, int, np.random.Generator], Picture]

NUM_SEVERITIES = 5


def noise(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Gaussian noise of the detector; the first severity (3 % of the range) is hardly seen."""
    amount = (0.0, 0.03, 0.06, 0.10, 0.16, 0.25)[severity]
    # One field for all channels: a grey image that is stored three times stays grey.
    field = rng.normal(size=(1, *image.shape[1:]))
    return _clipped(image + amount * field)


def blur(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Out of focus, or a moving patient: Gaussian blur by up to 3 % of the image's side.

    Half a pixel at least, as less is none.
    """
    share = (0.0, 0.003, 0.006, 0.011, 0.018, 0.03)[severity]
    least = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)[severity]
    sigmas = [least + share * size if size > 1 else 0.0 for size in image.shape[1:]]
    return _clipped(gaussian_filter(image, [0.0, *sigmas]))


def contrast(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Underexposed or badly windowed: less contrast about the mean, down to a quarter."""
    left = (1.0, 0.8, 0.65, 0.5, 0.37, 0.25)[severity]
    mean = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    return _clipped(mean + left * (image - mean))


def bias_field(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """A coil or a lamp that is nearer to one side: a smooth factor over the image."""
    strength = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)[severity]
    field = np.zeros(image.shape[1:])
    for axis, size in enumerate(image.shape[1:]):
        place = np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
        shape = [1] * (image.ndim - 1)
        shape[axis] = size
        linear, curved = rng.uniform(-1, 1, size=2)
        field = field + (linear * place + curved * (place**2 - 1 / 3)).reshape(shape)
    field /= np.abs(field).max() or 1.0
    return _clipped(image * np.exp2(strength * field))


def ghosting(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Movement during an MR acquisition: every n-th line of k-space is weaker (copies appear)."""
    strength = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8)[severity]
    num_ghosts = int(rng.integers(3, 6))
    axis = image.ndim - 2
    lines = np.fft.fft(image, axis=axis)
    factor = np.ones(image.shape[axis])
    factor[::num_ghosts] = 1 - strength
    factor[0] = 1  # the mean stays
    shape = [1] * image.ndim
    shape[axis] = len(factor)
    return _clipped(np.fft.ifft(lines * factor.reshape(shape), axis=axis).real)


def jpeg(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Saved as JPEG with losses, quality 50 down to 5; images of one or three channels only."""
    if severity == 0:
        return image
    quality = (100, 50, 30, 18, 10, 5)[severity]
    assert image.ndim == 3, "JPEG holds images, not volumes"
    assert image.shape[0] in (1, 3), "JPEG holds one or three channels"
    bytes_of = np.rint(image * 255).astype(np.uint8)
    kind = Image.fromarray(bytes_of[0] if len(image) == 1 else bytes_of.transpose(1, 2, 0))
    stream = io.BytesIO()
    kind.save(stream, "JPEG", quality=quality)
    with Image.open(stream) as read:
        array = np.asarray(read, np.float32) / 255
    return _clipped(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def resolution(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Acquired with fewer pixels: averaged to a share of the size, then interpolated back."""
    left = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)[severity]
    if severity == 0:
        return image
    sizes = image.shape[1:]
    small = [max(2, round(left * size)) if size > 1 else 1 for size in sizes]
    down = [one / size for one, size in zip(small, sizes, strict=True)]
    smooth = gaussian_filter(image, [0.0, *(0.4 * (1 / share - 1) for share in down)])
    coarse = zoom(smooth, [1, *down], order=1, grid_mode=True, mode="nearest")
    back = [size / one for one, size in zip(coarse.shape[1:], sizes, strict=True)]
    return _clipped(zoom(coarse, [1, *back], order=1, grid_mode=True, mode="nearest"))


def crop(image: Picture, severity: int, rng: np.random.Generator) -> Picture:
    """Badly collimated: up to 40 % of each side is cut away, and the rest enlarged again."""
    lost = (0.0, 0.08, 0.15, 0.22, 0.3, 0.4)[severity]
    where = rng.uniform(0.25, 0.75, size=image.ndim - 1)
    if severity == 0:
        return image
    pieces: list[slice] = [slice(None)]
    for size, place in zip(image.shape[1:], where, strict=True):
        kept = max(1, round((1 - lost) * size))
        start = round(place * (size - kept))
        pieces.append(slice(start, start + kept))
    part = image[tuple(pieces)]
    factors = [1, *(size / one for size, one in zip(image.shape[1:], part.shape[1:], strict=True))]
    return _clipped(zoom(part, factors, order=1, grid_mode=True, mode="nearest"))


CORRUPTIONS: dict[str, Corruption] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "bias field": bias_field,
    "ghosting": ghosting,
    "JPEG": jpeg,
    "resolution": resolution,
    "crop": crop,
}


def corrupt(image: Picture, name: str, severity: int, *, seed: tuple[int, ...]) -> Picture:
    """One image, spoilt; the same seed draws the same noise, field and place at every severity.

    Args:
        image: (C, *spatial) in [0, 1].
        name: of `CORRUPTIONS`.
        severity: 0 (as it is) to `NUM_SEVERITIES`.
        seed: of what is drawn.
    """
    assert 0 <= severity <= NUM_SEVERITIES, severity
    if severity == 0:
        return image
    return CORRUPTIONS[name](image, severity, np.random.default_rng(seed))


def _clipped(image: Floats | Picture) -> Picture:
    return np.clip(image, 0, 1).astype(np.float32)
