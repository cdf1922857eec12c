"""Safetensors files: written piece by piece, and mapped so that a part is read without the rest.

layout: 8 bytes length of the header, JSON header {name: {dtype, shape, data_offsets}}, data
"""

import json
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.files import write_atomic
from medjepa.errors import DataError

_DTYPES = {"U8": "uint8", "U16": "uint16", "I16": "int16", "F32": "float32"}
_CODES = {name: code for code, name in _DTYPES.items()}
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write arrays of uint8, uint16, int16 or float32; no second copy of them is made."""
    # Channels last in memory, as colour is decoded: what is written must be as it is named.
    packed = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    header: dict[str, object] = {}
    end = 0
    for name, array in packed.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % _ALIGNMENT)
    write_atomic(path, _parts(text, packed.values()))


def map_tensors(path: Path) -> dict[str, np.ndarray]:
    """Map the arrays of a file; pages are read when they are used.

    Raises:
        DataError: the file is not what a store writes, or has lost its end.
    """
    try:
        with path.open("rb") as file:
            length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
            header = json.loads(file.read(length))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = _LENGTH.size + length
        return {
            name: _view(mapped, start, entry)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, struct.error, OverflowError) as error:
        raise DataError(
            f"{path}: the shard is damaged ({error}); prepare the store again"
        ) from error


def _view(mapped: mmap.mmap, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    begin, end = entry["data_offsets"]
    count = (end - begin) // dtype.itemsize
    flat = np.frombuffer(mapped, dtype=dtype, count=count, offset=start + begin)
    return flat.reshape(entry["shape"])


def _parts(text: bytes, arrays: Iterable[np.ndarray]) -> Iterator[bytes | memoryview]:
    yield _LENGTH.pack(len(text))
    yield text
    for array in arrays:
        if array.size:
            yield array.reshape(-1).view(np.uint8).data
