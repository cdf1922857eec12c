"""The elements of a DICOM file, walked byte by byte (PS3.5 section 7, PS3.10 section 7.1).

No DICOM library parses here: what a library skips, repairs or hides must be seen as well.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from medjepa.data.decode.dicom_library import pydicom

IMPLICIT, BIG_ENDIAN, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
PIXELS = frozenset((0x7FE00010, 0x7FE00008, 0x7FE00009))
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset(
    (
        "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
    )
)  # fmt: skip
_KNOWN = _LONG | frozenset(
    (
        "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH",
        "SL", "SS", "ST", "TM", "UI", "UL", "US",
    )
)  # fmt: skip
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 64
_MAX_INFLATED = 1 << 30


@dataclass(frozen=True, slots=True)
class Element:
    """One element; its value is `content[begin:end]` of the file it was walked in.

    Attributes:
        path: "0040,A730[0].0040,A160".
        tag: group and element in one number.
        vr: as stored; by the dictionary where none is stored, "UN" if it has none.
        begin: first byte of the value.
        end: the byte behind it.
        encapsulated: a value of fragments.
    """

    path: str
    tag: int
    vr: str
    begin: int
    end: int
    encapsulated: bool = False


@dataclass
class Walked:
    """A DICOM file in parts.

    Attributes:
        content: what the offsets count in: the file, inflated if it is deflated.
        elements: in the order of the file, those of items before the sequence's end.
        syntax: transfer syntax.
        preamble: the bytes before "DICM", empty if it has none.
        rest: where bytes begin that belong to no element.
        problems: what is not as the standard wants it.
    """

    content: bytes | memoryview
    elements: list[Element] = field(default_factory=list)
    syntax: str = IMPLICIT
    preamble: bytes = b""
    rest: int = 0
    problems: list[str] = field(default_factory=list)

    def value(self, element: Element) -> bytes:
        """The bytes of a value, with their padding."""
        return bytes(self.content[element.begin : element.end])

    def text(self, path: str) -> str:
        """The text at a path, as ASCII and without padding; "" where there is none."""
        found = self.at(path)
        return "" if found is None else self.value(found).decode("latin-1").strip(" \0")

    def at(self, path: str) -> Element | None:
        """The first element of a path."""
        return next((e for e in self.elements if e.path == path), None)

    def number(self, path: str) -> int | None:
        """An unsigned short at a path."""
        found = self.at(path)
        if found is None or found.end - found.begin < 2:
            return None
        order: Literal["big", "little"] = "big" if self.syntax == BIG_ENDIAN else "little"
        return int.from_bytes(self.value(found)[:2], order)


def looks_like_dicom(content: bytes | memoryview) -> bool:
    """Whether the first bytes are those of a DICOM file, with or without a preamble."""
    if bytes(content[128:132]) == b"DICM":
        return True
    head = bytes(content[:8])
    if len(head) < 8:
        return False
    group, element = struct.unpack("<HH", head[:4])
    if group not in (2, 8) or element > 0x70:
        return False
    return head[4:6].decode("latin-1") in _KNOWN or struct.unpack("<I", head[4:8])[0] < 1024


def walk(content: bytes | memoryview) -> Walked:
    """Walk a whole file; what cannot be walked is left as `rest` and named in `problems`."""
    walked = Walked(content)
    position = 0
    if bytes(content[128:132]) == b"DICM":
        walked.preamble, position = bytes(content[:128]), 132
    position = _Walker(walked, explicit=True, order="<").group_2(position)
    walked.syntax = walked.text("0002,0010") or _guess(content, position)
    if walked.syntax == DEFLATED:
        walked.content = bytes(content[:position]) + _inflated(content, position, walked.problems)
    order = ">" if walked.syntax == BIG_ENDIAN else "<"
    body = _Walker(walked, explicit=walked.syntax != IMPLICIT, order=order)
    walked.rest = body.dataset(position, len(walked.content), "", 0)
    return walked


class _Walker:
    def __init__(self, walked: Walked, *, explicit: bool, order: str) -> None:
        self.walked, self.explicit, self.order = walked, explicit, order
        self._tag = struct.Struct(order + "HH")
        self._short, self._long = struct.Struct(order + "H"), struct.Struct(order + "I")

    def group_2(self, position: int) -> int:
        """The file meta information: explicit, little endian, whatever follows."""
        content = self.walked.content
        while position + 8 <= len(content) and bytes(content[position : position + 2]) == b"\2\0":
            after = self._element(position, len(content), "", 0)
            if after is None:
                break
            position = after
        return position

    def dataset(self, position: int, end: int, prefix: str, depth: int) -> int:
        """Walk until the end, a delimiter or what is no element; returns where that is."""
        while position + 8 <= end:
            tag = self._read_tag(position)
            if tag in (_END_OF_ITEM, _END_OF_SEQUENCE, _ITEM):
                break
            after = self._element(position, end, prefix, depth)
            if after is None:
                self.walked.problems.append(f"{prefix or 'the data set'}: not walked to its end")
                break
            position = after
        return position

    def _read_tag(self, position: int) -> int:
        group, element = self._tag.unpack_from(self.walked.content, position)
        return int(group) << 16 | int(element)

    def _element(self, position: int, end: int, prefix: str, depth: int) -> int | None:
        """Note one element; returns where the next begins, None if this is none."""
        content, tag = self.walked.content, self._read_tag(position)
        path = f"{prefix}{tag >> 16:04X},{tag & 0xFFFF:04X}"
        stored = bytes(content[position + 4 : position + 6]).decode("latin-1")
        if self.explicit and stored.isalpha() and stored.isupper():
            vr = stored
            if vr in _LONG or vr not in _KNOWN:
                if position + 12 > end:
                    return None
                length, begin = self._long.unpack_from(content, position + 8)[0], position + 12
            else:
                length, begin = self._short.unpack_from(content, position + 6)[0], position + 8
            if vr not in _KNOWN:
                self.walked.problems.append(f"{path}: the VR {vr!r} is unknown")
        else:
            vr = dictionary_vr(tag)
            length, begin = self._long.unpack_from(content, position + 4)[0], position + 8
            if self.explicit:
                self.walked.problems.append(f"{path}: it has no VR")
        if length == _UNDEFINED:
            if vr in ("OB", "OW") or tag in PIXELS:
                return self._fragments(path, tag, vr, begin, end)
            return self._sequence(path, tag, vr, begin, end, depth, is_open=True)
        if begin + length > end:
            self.walked.problems.append(f"{path}: longer than the file")
            self._note(path, tag, vr, begin, end)
            return None
        if vr == "SQ" or (vr == "UN" and self._is_item(begin, begin + length)):
            self._sequence(path, tag, vr, begin, begin + length, depth, is_open=False)
            return int(begin + length)
        self._note(path, tag, vr, begin, begin + length)
        return int(begin + length)

    def _note(
        self, path: str, tag: int, vr: str, begin: int, end: int, *, encapsulated: bool = False
    ) -> None:
        self.walked.elements.append(Element(path, tag, vr, begin, end, encapsulated))

    def _is_item(self, begin: int, end: int) -> bool:
        """A sequence that somebody stored as UN begins like one (PS3.5 section 6.2.2)."""
        head = bytes(self.walked.content[begin : begin + 4])
        return end - begin >= 8 and head in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")

    def _sequence(
        self, path: str, tag: int, vr: str, begin: int, end: int, depth: int, *, is_open: bool
    ) -> int | None:
        self._note(path, tag, "SQ" if vr == "UN" else vr, begin, begin)
        if depth > _MAX_DEPTH:
            self.walked.problems.append(f"{path[:60]}: nested deeper than {_MAX_DEPTH} levels")
            return None
        inner = self
        if vr == "UN":
            inner = _Walker(self.walked, explicit=False, order="<")
        position, number = begin, 0
        while position + 8 <= end:
            mark = inner._read_tag(position)
            length = inner._long.unpack_from(self.walked.content, position + 4)[0]
            position += 8
            if mark == _END_OF_SEQUENCE:
                return position
            if mark != _ITEM:
                self._note(path, tag, "UN", position - 8, end)  # what it holds is searched, too
                self.walked.problems.append(f"{path}: not a sequence of items")
                return None if is_open else end
            last = end if length == _UNDEFINED else min(end, position + length)
            position = inner.dataset(position, last, f"{path}[{number}].", depth + 1)
            if length != _UNDEFINED:
                if position < last:
                    self._note(path, tag, "UN", position, last)
                position = last
            elif position + 8 <= end and inner._read_tag(position) == _END_OF_ITEM:
                position += 8
            number += 1
        return None if is_open else end

    def _fragments(self, path: str, tag: int, vr: str, begin: int, end: int) -> int | None:
        position = begin
        while position + 8 <= end:
            mark = self._read_tag(position)
            length = self._long.unpack_from(self.walked.content, position + 4)[0]
            if mark == _END_OF_SEQUENCE:
                self._note(path, tag, vr, begin, position, encapsulated=True)
                return int(position + 8)
            if mark != _ITEM or position + 8 + length > end:
                break
            position += 8 + length
        self.walked.problems.append(f"{path}: its fragments do not end")
        self._note(path, tag, vr, begin, end, encapsulated=True)
        return None


def fragments(walked: Walked, element: Element) -> Iterator[tuple[int, int]]:
    """Where the fragments of an encapsulated value begin and end, the offset table among them."""
    position = element.begin
    while position + 8 <= element.end:
        length = struct.unpack_from("<I", walked.content, position + 4)[0]
        yield position + 8, min(element.end, position + 8 + length)
        position += 8 + length


@cache
def dictionary_vr(tag: int) -> str:
    """The VR by the standard's dictionary; "UN" for what it does not list."""
    try:
        return str(_dictionary().dictionary_VR(tag))[:2]
    except KeyError:
        return "LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"


@cache
def keyword(tag: int) -> str:
    """The standard's name of an attribute, "" for what it does not list."""
    return str(_dictionary().keyword_for_tag(tag))


@cache
def _dictionary() -> Any:  # noqa: ANN401 - a module
    pydicom()
    from pydicom import datadict

    return datadict


def _guess(content: bytes | memoryview, position: int) -> str:
    head = bytes(content[position + 4 : position + 6]).decode("latin-1")
    return "1.2.840.10008.1.2.1" if head in _KNOWN else IMPLICIT


def _inflated(content: bytes | memoryview, position: int, problems: list[str]) -> bytes:
    inflater = zlib.decompressobj(-15)
    try:
        inflated = inflater.decompress(content[position:], _MAX_INFLATED)
    except zlib.error as error:
        problems.append(f"the deflated data set is damaged: {error}")
        return b""
    if inflater.unconsumed_tail:
        problems.append("the deflated data set is larger than 1 GiB: its rest was not searched")
    # Bytes behind the deflated stream belong to the file, too; one zero makes its length even.
    return inflated + (b"" if inflater.unused_data == b"\0" else inflater.unused_data)
