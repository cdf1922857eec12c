"""From stored units to [0, 1]: the window of an image, and the dtype it is kept in."""

from dataclasses import dataclass

import numpy as np

from medjepa.types import MedicalImage

LUMINANCE = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue."""

STORED_DTYPES = ("uint8", "uint16", "int16", "float32")
_MAX_SAMPLE = 1 << 20


def window_of(image: MedicalImage) -> tuple[float, float]:
    """(low, high) in stored units, shown as 0 and 1.

    What the file says; else 0-255 for 8 bits; else the 0.5 and 99.5 percentiles of its own values.
    A constant image has no range: low equals high, and it is shown as 0.
    """
    if image.array.min() == image.array.max():
        return float(image.array.flat[0]), float(image.array.flat[0])
    if image.display_range is not None:
        return image.display_range
    if image.array.dtype == np.uint8:
        return 0.0, 255.0
    return robust_range(image.array)


def robust_range(
    values: np.ndarray, percentiles: tuple[float, float] = (0.5, 99.5)
) -> tuple[float, float]:
    """Two percentiles; least and greatest value where nearly all values are equal."""
    flat = values.reshape(-1)
    if flat.size > _MAX_SAMPLE:
        # A fixed draw, not every n-th: a stride could walk along a column of padding.
        chosen = np.random.default_rng(0).integers(0, flat.size, _MAX_SAMPLE)
        sample = flat[chosen]
    else:
        sample = flat
    low, high = np.percentile(sample, percentiles)
    if high <= low:
        low, high = flat.min(), flat.max()
    return float(low), float(high)


@dataclass(frozen=True)
class Stored:
    """Pixels as a store keeps them: value = pixels * scale + offset."""

    pixels: np.ndarray
    scale: float = 1.0
    offset: float = 0.0


def to_stored(array: np.ndarray) -> Stored:
    """Choose the smallest of uint8, uint16, int16 and float32 that keeps the values.

    Whole numbers too large for 16 bits but close together keep their offset; float64 becomes
    float32, the only conversion that rounds.
    """
    if array.dtype == np.bool_:
        return Stored(array.astype(np.uint8))
    if array.dtype.name in STORED_DTYPES:
        return Stored(array.astype(array.dtype.newbyteorder("="), copy=False))
    if array.dtype.kind not in "iu":
        return Stored(array.astype(np.float32))
    low, high = int(array.min()), int(array.max())
    if low >= 0 and high <= 0xFFFF:
        return Stored(array.astype(np.uint16))
    if low >= -0x8000 and high <= 0x7FFF:
        return Stored(array.astype(np.int16))
    if high - low <= 0xFFFF:
        return Stored((array.astype(np.int64) - low).astype(np.uint16), offset=float(low))
    return Stored(array.astype(np.float32))


def gain_and_bias(
    scale: np.ndarray, offset: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """float32 (n,) each: pixels * gain + bias is 0 at `low`, 1 at `high`; 0 if those are equal."""
    width = high - low
    usable = width > 0
    safe = np.where(usable, width, 1.0)
    gain = np.where(usable, scale / safe, 0.0)
    bias = np.where(usable, (offset - low) / safe, 0.0)
    return gain.astype(np.float32), bias.astype(np.float32)


def is_grey(array: np.ndarray) -> bool:
    """True for one channel, or several equal ones (a grey image saved as colour)."""
    return all(np.array_equal(array[0], channel) for channel in array[1:])


def match_channels(values: np.ndarray, channels: int, axis: int) -> np.ndarray:
    """Grey to three equal channels, or colour to luminance (float in, float out)."""
    present = values.shape[axis]
    if present == channels:
        return values
    if present == 1:
        return np.repeat(values, channels, axis=axis)
    weights = np.asarray(LUMINANCE, dtype=values.dtype)
    return np.expand_dims(np.tensordot(values, weights, axes=([axis], [0])), axis)
