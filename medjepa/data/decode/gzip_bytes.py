"""The first bytes of a file or of a gzip stream: as many as were asked for, and none more."""

import io
import warnings
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from isal import igzip, isal_zlib

from medjepa.errors import InputError, InputWarning

_CHUNK = 1 << 20
_MAX_REST = 16 << 20
_DEFLATE_RATIO = 1032
"""No deflate stream gets denser: 258 bytes in 2 bits."""
_GZIP = b"\x1f\x8b"


_GZIP_ERRORS: tuple[type[Exception], ...] = (cast("type[Exception]", isal_zlib.error), OSError)


def is_gzip(path: str) -> bool:
    """Whether the content, not the name, is gzip."""
    with Path(path).open("rb") as file:
        return file.read(2) == _GZIP


def head_bytes(path: str, kind: str, num_bytes: int) -> bytes:
    """Up to `num_bytes` from the beginning of the (inflated) file.

    Raises:
        InputError: the gzip stream is corrupt, or ends before the first byte.
    """
    with Path(path).open("rb") as raw:
        if raw.read(2) != _GZIP:
            raw.seek(0)
            return raw.read(num_bytes)
        raw.seek(0)
        try:
            with _inflating(raw) as file:
                return bytes(file.read(num_bytes))
        except EOFError as error:
            raise InputError(path, "truncated: the gzip stream ends early", format=kind) from error
        except _GZIP_ERRORS as error:
            raise InputError(path, f"the gzip stream is corrupt: {error}", format=kind) from error


def exact_bytes(path: str, kind: str, offset: int, num_bytes: int) -> np.ndarray:
    """(num_bytes,) uint8 from `offset` of the (inflated) file; the checksum of a gzip is verified.

    Memory is taken only for what the file can hold. What follows is inflated for its checksum as
    far as a limit, and never kept.

    Raises:
        InputError: fewer bytes are there, or the gzip stream is corrupt.
    """
    size = Path(path).stat().st_size
    if not is_gzip(path):
        if offset + num_bytes > size:
            raise _truncated(path, kind, max(0, size - offset), num_bytes)
        content = np.fromfile(path, np.uint8, num_bytes, offset=offset)
        if len(content) < num_bytes:  # somebody cut it meanwhile
            raise _truncated(path, kind, len(content), num_bytes)
        return content
    if (offset + num_bytes) > size * _DEFLATE_RATIO:
        raise InputError(
            path,
            f"truncated: {size:,} bytes of gzip cannot hold {num_bytes:,} bytes",
            format=kind,
        )
    content = np.empty(num_bytes, np.uint8)
    done = 0
    try:
        with Path(path).open("rb") as raw, _inflating(raw) as file:
            while offset and (skipped := len(file.read(min(offset, _CHUNK)))):
                offset -= skipped
            view = content.data
            while done < num_bytes and (got := file.readinto(view[done : done + _CHUNK])):
                done += got
            if done == num_bytes:
                _check_rest(path, file)
    except EOFError as error:
        if done == num_bytes:
            raise InputError(
                path, "truncated: the gzip stream has no checksum at its end", format=kind
            ) from error
        raise _truncated(path, kind, done, num_bytes) from error
    except _GZIP_ERRORS as error:
        raise InputError(path, f"the gzip stream is corrupt: {error}", format=kind) from error
    if done < num_bytes:
        raise _truncated(path, kind, done, num_bytes)
    return content


def _inflating(raw: BinaryIO) -> Any:  # noqa: ANN401 - a binary file; the library has no types
    return igzip.IGzipFile(fileobj=raw, mode="rb")  # type: ignore[no-untyped-call]


def _check_rest(path: str, file: io.BufferedIOBase) -> None:
    """Inflate to the end, where the checksum stands, unless that is further than the limit."""
    rest = 0
    while chunk := file.read(_CHUNK):
        rest += len(chunk)
        if rest > _MAX_REST:
            warnings.warn(
                f"{path}: much more follows than the header says; it was not inflated",
                InputWarning,
                stacklevel=6,
            )
            return


def _truncated(path: str, kind: str, have: int, want: int) -> InputError:
    return InputError(path, f"truncated: {have:,} of {want:,} bytes are there", format=kind)
