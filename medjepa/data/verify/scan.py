"""The occurrences of the originals' strings in one file of the output, with where they stand."""

import mmap
import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from medjepa.data.verify.attributes import FREE, NUMERIC, TEXT, WORDY
from medjepa.data.verify.chance import is_by_chance, views
from medjepa.data.verify.containers import hidden_parts
from medjepa.data.verify.elements import PIXELS, Element, Walked, keyword
from medjepa.data.verify.forms import squeezed, texts_of_numbers
from medjepa.data.verify.gaps import gaps
from medjepa.data.verify.index import Hit, Index, Sought
from medjepa.data.verify.matcher import WIDE
from medjepa.data.verify.vocabulary import vocabulary

Occurrence = tuple[str, Sought]
"""(where, what)"""
_MAPPED_BYTES = 64 << 20
LEAST_WORD, LEAST_NUMBER = 12, 16
"""Characters that a string needs to be counted in the unchanged pixels of an original."""
_LETTERS = re.compile(rb"[A-Za-z]+")
_DATED = frozenset(("DA", "DT"))


def content_of(path: Path) -> bytes | memoryview:
    """The bytes of a file; a large one is mapped."""
    if path.stat().st_size < _MAPPED_BYTES:
        return path.read_bytes()
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def in_name(index: Index, name: str) -> Iterator[Occurrence]:
    """In the name of a file or folder, with and without separators."""
    raw = name.encode("utf-8", "surrogateescape")
    hits = [*index.anywhere(raw), *index.short(raw), *index.words(raw)]
    hits += index.without_separators(squeezed(raw))
    for hit in hits:
        yield "its name", hit.sought


def in_other(index: Index, content: bytes | memoryview) -> Iterator[Occurrence]:
    """In a file that is not DICOM, and in what is compressed within it."""
    for label, part in (("", content), *hidden_parts(content)):
        raw = bytes(part)
        lines = squeezed(raw) if len(raw) < _MAPPED_BYTES else b""
        for hit in (*index.anywhere(part), *index.short(part), *index.words(raw)):
            yield f"{label}{': ' * bool(label)}byte {hit.offset}", hit.sought
        for hit in index.without_separators(lines):
            yield f"{label or 'its text'}, without separators", hit.sought


def in_dicom(
    index: Index, walked: Walked, raw: bytes | memoryview, *, same_pixels: bool
) -> Iterator[Occurrence]:
    """In a DICOM file: in all of its bytes, and in its text without separators.

    In pixels that are `same_pixels` as an original's, short strings are there by chance.
    """
    places = _Places(index, walked, same_pixels=same_pixels)
    for hit in index.anywhere(walked.content):
        yield from places.named(hit, text_only=False)
    if walked.content is not raw:
        for hit in index.anywhere(raw):
            yield f"byte {hit.offset}", hit.sought
    for hit in index.short(walked.content):
        yield from places.named(hit, text_only=hit.sought.text.isdigit())
    yield from _in_texts(index, walked)
    for element in walked.elements:
        if element.tag in PIXELS:
            yield from _in_pixels(index, walked, element)
        elif element.vr in NUMERIC:
            for text in texts_of_numbers(walked.value(element)):
                for hit in (*index.anywhere(text), *index.short(text)):
                    yield _name(element), hit.sought
    pixels = walked.at("7FE0,0010")
    for element in walked.elements:
        if element.vr in ("OB", "UN", "OW") and element is not pixels:
            for label, part in hidden_parts(walked.value(element)):
                for hit in (*index.anywhere(part), *index.short(part)):
                    yield f"{_name(element)}: {label}", hit.sought


def _in_pixels(index: Index, walked: Walked, element: Element) -> Iterator[Occurrence]:
    for part in gaps(walked, element):
        for hit in index.short(part):
            if not hit.sought.text.isdigit():
                yield f"{_name(element)}: beside the image", hit.sought
    for label, view in views(walked, element):
        for hit in (*index.anywhere(view), *index.short(view)):
            num_sought = index.num_up_to(hit.length)
            if not is_by_chance(view, hit.offset, hit.length, num_sought):
                yield f"{_name(element)}: {label}", hit.sought


def _in_texts(index: Index, walked: Walked) -> Iterator[Occurrence]:
    pieces, owners, starts, begin = [], [], [], 0
    for element in walked.elements:
        if element.vr not in WORDY and element.vr != "CS" and element.vr in TEXT:
            continue
        if element.tag in PIXELS or element.end - element.begin > 1 << 20:
            continue
        value = walked.value(element)
        # A coded meaning or a defined term is no place for a short word to be counted.
        if element.vr != "CS":
            for hit in index.words(value):
                yield _name(element), hit.sought
        piece = squeezed(value)
        if piece and element.vr in WORDY | FREE:
            pieces.append(piece)
            owners.append(element)
            starts.append(begin)
            begin += len(piece) + 1
    for hit in index.without_separators(b"\n".join(pieces)):
        owner = owners[bisect_right(starts, hit.offset) - 1]
        yield _name(owner), hit.sought


class _Places:
    """Which element a byte belongs to."""

    def __init__(self, index: Index, walked: Walked, *, same_pixels: bool) -> None:
        self._index, self._walked, self._same_pixels = index, walked, same_pixels
        self._filled = sorted((e for e in walked.elements if e.end > e.begin), key=_begin)
        self._begins = [element.begin for element in self._filled]

    def named(self, hit: Hit, *, text_only: bool) -> Iterator[Occurrence]:
        """The place of a hit; dates in DICOM's own date attributes are compared elsewhere."""
        element = self._at(hit.offset)
        if element is None:
            where = "preamble" if hit.offset < len(self._walked.preamble) else f"byte {hit.offset}"
            yield where, hit.sought
            return
        if hit.sought.kind == "date" and element.vr in _DATED:
            return
        if text_only and element.vr not in WORDY:
            return
        if element.tag in PIXELS and self._is_by_chance(element, hit):
            return
        if _is_within_a_word(self._walked, hit):
            return
        yield _name(element), hit.sought

    def _is_by_chance(self, element: Element, hit: Hit) -> bool:
        """Grey levels of noise are letters or digits for a while: in 8 bits, or in 16."""
        if "." in element.path:
            return False
        has_letters = any(c.isalpha() for c in hit.sought.text)
        if element.encapsulated:
            if hit.length >= WIDE:
                return False
        else:
            least = (LEAST_WORD, LEAST_NUMBER) if self._same_pixels else (WIDE, WIDE)
            if len(hit.sought.text) >= least[not has_letters]:
                return False
        num_sought = self._index.num_up_to(hit.length)
        # Only pixels tell what pixels are like; the header before them is text.
        pixels = memoryview(self._walked.content)[element.begin : element.end]
        return is_by_chance(pixels, hit.offset - element.begin, hit.length, num_sought)

    def _at(self, offset: int) -> Element | None:
        place = bisect_right(self._begins, offset) - 1
        if place >= 0 and offset < self._filled[place].end:
            return self._filled[place]
        return None


def _is_within_a_word(walked: Walked, hit: Hit) -> bool:
    """Whether it is a part of a longer word of the standard ("Applicat" in "Application")."""
    if not hit.sought.text.isalpha() or hit.length != len(hit.sought.text):
        return False
    around = bytes(walked.content[max(0, hit.offset - 24) : hit.offset + hit.length + 24])
    for match in _LETTERS.finditer(around):
        begin = hit.offset - max(0, hit.offset - 24)
        if match.start() <= begin and begin + hit.length <= match.end():
            word = match[0].decode().lower()
            return len(word) > hit.length and word in vocabulary()
    return False


def _begin(element: Element) -> int:
    return element.begin


def _name(element: Element) -> str:
    known = keyword(element.tag)
    return f"{element.path} {known}" if known else element.path
