"""Text within a code stream that no pixel depends on: behind the last one, or before a restart.

Entropy-coded bytes look like letters now and then, so a run of letters is no proof. If every pixel
is as before without it and all that follows up to the next marker, it was no part of the image.
"""

import re
from collections.abc import Iterator
from itertools import islice

from medjepa.data.deid.pixels.jpeg_2000 import START

_LETTERS = rb"[A-Za-z0-9^ =,.:/_-]"
# Random bytes have six such characters in a row in 1 of 100 ends, and 14 in 1 of 300 megabytes.
_SHORT, _LONG = re.compile(_LETTERS + rb"{6,}"), re.compile(_LETTERS + rb"{14,}")
_MARKER = re.compile(rb"\xff[\x90-\xfe]")
_END_BYTES = 256
_MOST = 64
_SKIPPED = 4


def without_text(frame: bytes) -> Iterator[bytes]:
    """The frame without each run that reads as text and what follows up to the next marker.

    In JPEG 2000, whose tiles have their length written down, nothing can be taken out: then the
    bytes are zeroed.
    """
    is_jpeg_2000 = frame[:2] == START
    for begin, end in islice(_starts(frame), _MOST):
        found = _MARKER.search(frame, end)
        # FF 90 and above are no data in any of the three codings.
        stop = len(frame) if found is None else found.start()
        filling = b"\0" * (stop - begin) if is_jpeg_2000 else b""
        yield frame[:begin] + filling + frame[stop:]


def _starts(frame: bytes) -> Iterator[tuple[int, int]]:
    """Each run, whole and without its first characters: the image's last bytes may be letters."""
    for begin, end in _runs(frame):
        yield from ((begin + skipped, end) for skipped in range(min(_SKIPPED, end - begin - 5)))


def _runs(frame: bytes) -> Iterator[tuple[int, int]]:
    tail = max(0, len(frame) - _END_BYTES)
    for found in _LONG.finditer(frame):
        if found.end() <= tail:
            yield found.span()
    for found in _SHORT.finditer(frame, tail):
        yield found.span()
