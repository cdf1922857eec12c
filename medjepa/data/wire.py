"""Plain values and arrays between processes, as JSON and raw bytes: to read them runs no code.

A decoding process parses hostile files, so what it sends is checked like a file: lengths before
memory is taken, names of dataclasses against a list, fields against their annotations.

message: length of the head and of the body (8 bytes each), head (JSON), body (arrays, in turn)
"""

import json
import math
import re
import struct
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from medjepa.errors import MedJEPAError

_LENGTHS = struct.Struct("<QQ")
_MAX_HEAD_BYTES = 64 << 20
_DTYPE = re.compile(r"[<>|]?[biuf](1|2|4|8)")


class WireError(MedJEPAError):
    """A message is not one that an honest process of ours would send."""


def encode(value: object) -> list[bytes | memoryview]:
    """Turn None, numbers, texts, lists, tuples, mappings, arrays and dataclasses into bytes."""
    arrays: list[np.ndarray] = []
    head = json.dumps(_plain(value, arrays)).encode()
    body = [array.reshape(-1).view(np.uint8).data for array in arrays if array.size]
    lengths = _LENGTHS.pack(len(head), sum(part.nbytes for part in body))
    return [lengths, head, *body]


def receive(
    readinto: Callable[[memoryview], int | None],
    known: Sequence[type],
    max_body_bytes: int,
) -> object:
    """Read one message; `known` are the dataclasses that may be in it.

    Raises:
        EOFError: the other end has closed.
        WireError: the message is malformed, too long, or holds what its type does not allow.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_read(readinto, _LENGTHS.size))
    if head_bytes > _MAX_HEAD_BYTES or body_bytes > max_body_bytes:
        raise WireError(f"a message of {head_bytes} and {body_bytes} bytes is too long")
    head = _read(readinto, head_bytes)
    body = memoryview(_read(readinto, body_bytes))
    try:
        return _Reader(body, {kind.__name__: kind for kind in known}).value(json.loads(head))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise WireError(f"a malformed message: {error!r:.200}") from error


def num_bytes_of(value: object) -> int:
    """Bytes of the arrays in a value."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, list | tuple):
        return sum(num_bytes_of(entry) for entry in value)
    if is_dataclass(value) and not isinstance(value, type):
        return sum(num_bytes_of(getattr(value, f.name)) for f in fields(value))
    return 0


def _read(readinto: Callable[[memoryview], int | None], num_bytes: int) -> bytearray:
    content = bytearray(num_bytes)
    rest = memoryview(content)
    while rest:
        count = readinto(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return content


def _plain(value: object, arrays: list[np.ndarray]) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        # ascontiguousarray would make an array without axes one of one axis.
        packed = value if value.flags.c_contiguous else np.ascontiguousarray(value)
        arrays.append(packed)
        return {"array": [packed.dtype.str, list(packed.shape)]}
    if isinstance(value, list):
        return [_plain(entry, arrays) for entry in value]
    if isinstance(value, tuple):
        return {"tuple": [_plain(entry, arrays) for entry in value]}
    if isinstance(value, Mapping):
        pairs = [[str(key), _plain(entry, arrays)] for key, entry in value.items()]
        return {"mapping": pairs}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}
        return {type(value).__name__: parts}
    raise TypeError(f"{type(value).__name__} cannot be sent between processes")


class _Reader:
    def __init__(self, body: memoryview, known: Mapping[str, type]) -> None:
        self._body, self._known = body, known

    def value(self, plain: object) -> Any:  # noqa: ANN401 - checked against the annotations
        if isinstance(plain, list):
            return [self.value(entry) for entry in plain]
        if not isinstance(plain, dict):
            return plain
        ((name, content),) = plain.items()
        if name == "tuple":
            return tuple(self.value(entry) for entry in content)
        if name == "mapping":
            return {str(key): self.value(entry) for key, entry in content}
        if name == "array":
            return self._array(*content)
        kind = self._known[name]
        given = {key: self.value(entry) for key, entry in content.items()}
        for key, hint in _hints(kind).items():
            if not fits(given[key], hint):
                raise WireError(f"{name}.{key} is no {hint}")
        return kind(**given)

    def _array(self, dtype: str, shape: list[int]) -> np.ndarray:
        if not _DTYPE.fullmatch(dtype) or any(type(n) is not int or n < 0 for n in shape):
            raise WireError(f"an array of dtype {dtype!r:.20} and shape {shape!r:.80}")
        kind = np.dtype(dtype)
        num_bytes = math.prod(shape) * kind.itemsize
        if num_bytes > len(self._body):
            raise WireError("an array is longer than its message")
        part, self._body = self._body[:num_bytes], self._body[num_bytes:]
        return np.frombuffer(part, dtype=kind).reshape(shape)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, localns={"np": np, "Mapping": Mapping})


def fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - a type, or a form of `typing`
    """True if a value is of an annotated type; containers by each of their entries."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in inner)
    if origin in (Union, types.UnionType):
        return any(fits(value, choice) for choice in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inner) == 2 and inner[1] is Ellipsis:
            return all(fits(entry, inner[0]) for entry in value)
        return len(value) == len(inner) and all(map(fits, value, inner))
    if origin is list:
        return isinstance(value, list) and all(fits(entry, inner[0]) for entry in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(fits(entry, inner[1]) for entry in value.values())
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, str, bool):
        return type(value) is hint
    if hint is None or hint is type(None):
        return value is None
    return isinstance(value, origin or hint)
