"""Safetensors files: written piece by piece, and mapped so that a part is read without the rest.

layout: 8 bytes length of the header, JSON header {name: {dtype, shape, data_offsets}}, data
"""

import itertools
import json
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class TensorFile:
    """The arrays of a file, mapped: pages are read when they are used.

    Raises:
        DataError: the file is not what a store writes, or has lost its end.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
                header = json.loads(file.read(length))
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._data = _LENGTH.size + length
            self._places: dict[str, int] = {}
            self.tensors: dict[str, np.ndarray] = {}
            for name, entry in header.items():
                if name != "__metadata__":
                    self._places[name] = self._data + entry["data_offsets"][0]
                    self.tensors[name] = self._view(entry)
        except (ValueError, KeyError, TypeError, struct.error, OverflowError) as error:
            raise DataError(f"{path}: the shard is damaged ({error}); prepare again") from error

    def expect_parts(self) -> None:
        """Tell the system not to read ahead: of one row's neighbours most are not wanted."""
        if hasattr(mmap, "MADV_RANDOM"):
            self._mapped.madvise(mmap.MADV_RANDOM)

    def read(self, name: str, box: Sequence[slice]) -> np.ndarray:
        """Copy a part of an array; `box` has a (begin, end) for each axis."""
        array = self.tensors[name]
        if hasattr(mmap, "MADV_WILLNEED"):
            self._ask_for(name, array, box)
        return np.array(array[tuple(box)], order="C")

    def _ask_for(self, name: str, array: np.ndarray, box: Sequence[slice]) -> None:
        """Have every needed span read at once, not page by page as it is touched.

        A span is that of the last two axes of the box: the rows between are shorter than a page,
        or not much longer.
        """
        outer = [range(cut.start, cut.stop) for cut in box[:-2]]
        rows = box[-2] if array.ndim > 1 else slice(0, 1)
        row_bytes = array.shape[-1] * array.itemsize
        for place in itertools.product(*outer):
            first = self._places[name] + sum(
                n * step for n, step in zip(place, array.strides, strict=False)
            )
            begin = first + rows.start * row_bytes
            begin, end = begin - begin % mmap.PAGESIZE, first + rows.stop * row_bytes
            self._mapped.madvise(mmap.MADV_WILLNEED, begin, end - begin)

    def _view(self, entry: Mapping[str, Any]) -> np.ndarray:
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        begin, end = entry["data_offsets"]
        count = (end - begin) // dtype.itemsize
        flat = np.frombuffer(self._mapped, dtype=dtype, count=count, offset=self._data + begin)
        return flat.reshape(entry["shape"])


def _parts(text: bytes, arrays: Iterable[np.ndarray]) -> Iterator[bytes | memoryview]:
    yield _LENGTH.pack(len(text))
    yield text
    for array in arrays:
        if array.size:
            yield array.reshape(-1).view(np.uint8).data
