"""What a reader makes of one file; this runs in the sandboxed decoding process."""

import time
import traceback
import warnings
from dataclasses import dataclass

import numpy as np

from medjepa.data.decode import read
from medjepa.errors import InputError, InputWarning

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Outcome:
    """What came of one file.

    Attributes:
        status: "image", "refused" (an `InputError`), or what must not happen: "error" (any other
            exception), "dead" (crash, hang, or over the limit of memory).
        detail: the text of the error.
        constant: an image that shows nothing.
        warned: an `InputWarning` was given.
        seconds: that reading took.
        megabytes: by which the peak of memory grew.
    """

    status: str
    detail: str = ""
    constant: bool = False
    warned: bool = False
    seconds: float = 0.0
    megabytes: float = 0.0


def judge(path: str) -> Outcome:
    """Read a file and say what came of it."""
    begin, before = time.perf_counter(), _peak()
    constant, detail = False, ""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            image = read(path)
            status, constant = "image", _shows_nothing(image.array)
        except InputError as error:
            status, detail = "refused", str(error).removeprefix(path)
            if not str(error).startswith(path):
                status, detail = "error", f"the text does not begin with the path: {error}"
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            status = "error"
            detail = f"{type(error).__name__}: {error!s:.200} ({place.filename}:{place.lineno})"
    return Outcome(
        status,
        detail,
        constant,
        any(issubclass(w.category, InputWarning) for w in seen),
        time.perf_counter() - begin,
        _peak() - before,
    )


def _shows_nothing(array: np.ndarray) -> bool:
    if array.size == 0 or not np.isfinite(array).all():
        raise AssertionError(f"read() returned shape {array.shape} with NaN, infinity or nothing")
    return bool(array.min() == array.max())


def _peak() -> float:
    if resource is None:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
