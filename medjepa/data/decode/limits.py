"""What every reader checks: the memory a file asks for, before it is taken, and its values."""

import math
import warnings
from collections.abc import Sequence

import numpy as np

from medjepa.errors import InputError, InputWarning

MAX_DECODED_BYTES = 2 << 30
CANONICAL = "canonical orientation (RAS)"
"""History of a volume whose x, y, z grow to the patient's right, front and head."""


def check_budget(path: str, shape: Sequence[int], itemsize: int, kind: str) -> None:
    """Refuse a shape with an axis of length 0, or one whose decoded size is over the limit."""
    described = " x ".join(str(n) for n in shape)
    if any(n <= 0 for n in shape):
        raise InputError(path, f"zero size: the image dimensions are {described}", format=kind)
    num_bytes = math.prod(shape) * itemsize
    if num_bytes > MAX_DECODED_BYTES:
        raise InputError(
            path,
            f"too large: {described} needs {num_bytes / 2**30:,.1f} GiB of memory, "
            f"the limit is {MAX_DECODED_BYTES / 2**30:g} GiB",
            format=kind,
        )


def check_finite(path: str, array: np.ndarray, kind: str) -> None:
    """Refuse NaN and infinity, and say how many there are."""
    if array.dtype.kind != "f":
        return
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise InputError(path, f"{bad} of {array.size} values are NaN or Inf", format=kind)


def warn_if_blank(path: str, array: np.ndarray) -> None:
    """Say so where every value is the same: damaged streams decode to that without an error."""
    values = array.reshape(-1)
    sample = values[:: max(1, values.size // 4096)]
    if (sample == values[0]).all() and (values == values[0]).all():
        warnings.warn(
            f"{path}: every value is {values[0]:g}: the image shows nothing",
            InputWarning,
            stacklevel=3,
        )
