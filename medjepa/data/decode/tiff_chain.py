"""The chain of a TIFF's directories, followed to its end before anything is believed."""

import os
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

from medjepa.errors import InputError, InputWarning

_MAX_PAGES = 200_000


def check_chain(path: str, kind: str) -> bool:
    """Follow the chain; False, with a warning, if it runs in a circle: each page is read once.

    Raises:
        InputError: it leads out of the file or is cut: pages are missing.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(16)
        if len(head) < 8:
            raise InputError(path, "truncated: the header is cut", format=kind)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        count, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
        offset = _number(file, order + link, 8 if big else 4)
        if not offset:
            raise InputError(path, "truncated: there is no directory of an image", format=kind)
        seen: set[int] = set()
        while offset:
            if offset in seen:
                warnings.warn(
                    f"{path}: its chain of pages runs in a circle, each is read once",
                    InputWarning,
                    stacklevel=4,
                )
                return False
            seen.add(offset)
            if len(seen) > _MAX_PAGES:
                raise InputError(path, f"too large: over {_MAX_PAGES:,} pages", format=kind)
            number, following = _number(file, order + count, offset), None
            if number is not None:
                after = offset + struct.calcsize(order + count) + number * entry
                following = _number(file, order + link, after) if after < size else None
            if following is None:
                raise InputError(
                    path,
                    f"truncated: directory {len(seen)} (of an unknown number) ends after the file",
                    format=kind,
                )
            offset = following
    return True


def _number(file: BinaryIO, kind: str, offset: int) -> int | None:
    """The number at `offset`, None if the file ends before."""
    length = struct.calcsize(kind)
    try:
        file.seek(offset)
    except (OverflowError, ValueError, OSError):
        return None
    content = file.read(length)
    return struct.unpack(kind, content)[0] if len(content) == length else None
