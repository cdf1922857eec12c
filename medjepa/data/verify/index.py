"""What is looked for, arranged by how: anywhere, as a word of its own, or without separators."""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date

from medjepa.data.verify.forms import MOST_BYTES, date_forms, disguised, encoded, squeezed
from medjepa.data.verify.harvest import Found, Harvest, Kind
from medjepa.data.verify.matcher import NARROW, WIDE, Matcher, folded

LEAST_ANYWHERE = 6
"""Shorter ones are only found as words of their own."""
_WORD = re.compile(rb"[0-9a-z\x80-\xff]+")
_SPLIT_FIRST = frozenset(("name", "identifier", "text", "path"))


@dataclass(frozen=True, slots=True)
class Sought:
    """A string, or a piece of binary data, that must not be in the output."""

    text: str
    kind: Kind
    found: Found


@dataclass(frozen=True, slots=True)
class Hit:
    """One occurrence; `length` bytes from `offset` of what was searched."""

    sought: Sought
    offset: int
    length: int


class Index:
    """Finds what was harvested; strings that stand only where `allow` keeps them are left out."""

    def __init__(self, harvest: Harvest, allow: Collection[str] = ()) -> None:
        self.num_strings = self.num_allowed = 0
        self._bytes: dict[bytes, list[Sought]] = {}
        self._squeezed: dict[bytes, list[Sought]] = {}
        self._words: dict[bytes, Sought] = {}
        for (text, kind), found in harvest.strings.items():
            if self._is_sought(found, allow):
                self._take(Sought(text, kind, found))
        for block, found in harvest.blocks.items():
            if self._is_sought(found, allow):
                self._bytes.setdefault(folded(block), []).append(
                    Sought(f"{len(block)} bytes of {found.where}", "binary data", found)
                )
        self._wide, self._narrow = _matchers(self._bytes)
        self._wide_squeezed, self._narrow_squeezed = _matchers(self._squeezed)
        self._lengths = sorted(map(len, self._bytes))

    def num_up_to(self, length: int) -> int:
        """How many byte strings of at most this length are looked for anywhere."""
        return bisect_right(self._lengths, length)

    def anywhere(self, content: bytes | memoryview) -> Iterator[Hit]:
        """Strings of eight bytes and more, in any bytes: pixels, code streams, headers."""
        yield from self._search(self._wide, self._bytes, content)

    def short(self, content: bytes | memoryview) -> Iterator[Hit]:
        """Strings of four to seven bytes; in pixels most would be found by chance."""
        yield from self._search(self._narrow, self._bytes, content)

    def without_separators(self, content: bytes) -> Iterator[Hit]:
        """In text from which all but letters and digits was taken out (`squeezed`)."""
        yield from self._search(self._wide_squeezed, self._squeezed, content)
        yield from self._search(self._narrow_squeezed, self._squeezed, content)

    def words(self, text: bytes) -> Iterator[Hit]:
        """Short strings, as words of their own."""
        lowered = folded(text)
        for match in _WORD.finditer(lowered):
            sought = self._words.get(match[0])
            if sought is not None:
                yield Hit(sought, match.start(), len(match[0]))

    def _is_sought(self, found: Found, allow: Collection[str]) -> bool:
        if found.categories <= set(allow):
            self.num_allowed += 1
            return False
        self.num_strings += 1
        return True

    def _take(self, sought: Sought) -> None:
        if sought.kind == "date":
            for text in date_forms(date.fromisoformat(sought.text)):
                for form in encoded(text):
                    self._bytes.setdefault(form, []).append(sought)
            return
        forms = encoded(sought.text, sought.found.codecs)
        if sought.text.isdigit() and len(sought.text) < WIDE:
            forms = {sought.text.encode()}  # as pixels of 16 bits it would be found by chance
        if sought.found.is_personal:
            forms |= disguised(sought.text)
        for form in forms:
            if _is_short(form):
                if len(form) >= NARROW or form == folded(sought.text.encode()):
                    self._words.setdefault(form, sought)
            else:
                self._bytes.setdefault(form, []).append(sought)
        if sought.kind not in _SPLIT_FIRST or sought.text.isalpha():
            return
        plain = squeezed(sought.text.encode())
        if not _is_short(plain) and len(plain) <= MOST_BYTES:
            self._squeezed.setdefault(plain, []).append(sought)

    def _search(
        self, matcher: Matcher, owners: dict[bytes, list[Sought]], content: bytes | memoryview
    ) -> Iterator[Hit]:
        for number, offset in matcher.search(content):
            pattern = matcher.patterns[number]
            for sought in owners[pattern]:
                if _is_whole(pattern, content, offset, is_uid=sought.kind == "UID"):
                    yield Hit(sought, offset, len(pattern))


def _is_short(form: bytes) -> bool:
    return len(form) < LEAST_ANYWHERE or (form.isdigit() and len(form) < WIDE)


def _matchers(patterns: Collection[bytes]) -> tuple[Matcher, Matcher]:
    def of(fits: Callable[[bytes], bool]) -> list[bytes]:
        return [pattern for pattern in patterns if fits(pattern)]

    return (
        Matcher(of(lambda pattern: len(pattern) >= WIDE), WIDE),
        Matcher(of(lambda pattern: NARROW <= len(pattern) < WIDE), NARROW),
    )


def _is_whole(pattern: bytes, content: bytes | memoryview, offset: int, *, is_uid: bool) -> bool:
    """A number within a longer number is another number; a short UID within a UID, another UID."""
    if not (is_uid or pattern.isdigit()):
        return True
    inside = b"0123456789." if is_uid and len(pattern) < 12 else b"0123456789"
    end = offset + len(pattern)
    before = bytes(content[max(0, offset - 1) : offset])
    after = bytes(content[end : end + 1])
    return not (before and before in inside) and not (after and after in inside)
