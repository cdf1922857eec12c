"""Which original an output is, and whether dates, UIDs and patients were replaced as one."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from sys import intern

from medjepa.data.verify.attributes import category, is_marker, is_of_patient
from medjepa.data.verify.elements import PIXELS, Element, Walked, keyword
from medjepa.data.verify.structure import Problem
from medjepa.data.verify.vocabulary import is_standard_uid

_DATED = frozenset(("DA", "DT", "TM", "UI"))
_SHORT = frozenset(("AS", "CS", "DS", "IS", "SH"))
"""Values too short to be searched for: those of the patient are compared in their place."""
_ZONE = 0x00080201
_SIGNATURE = ("0008,0016", "0020,0013", "0020,0032", "0028,0008")
# Shifted dates stay after 1800: what was near it before may have been moved the other way.
_EARLIEST = date(1811, 1, 1)
_ZONE_OR_TIME = 8


@dataclass(slots=True)
class Original:
    """What is kept of an original, to compare it with its output.

    Attributes:
        path: below the input.
        patient: its number among the patients.
        pixels: digest of the pixel data, empty if there is none.
        signature: values that de-identification keeps.
        values: (path, value) of dates, times, ages and UIDs.
    """

    path: str
    patient: int
    pixels: bytes
    signature: tuple[str, ...]
    values: dict[str, str]


def original_of(walked: Walked, path: str, patient: int) -> Original:
    """Take down what is compared."""
    values = {
        intern(e.path): walked.value(e).decode("latin-1").strip(" \0")
        for e in walked.elements
        if _is_compared(e)
    }
    return Original(path, patient, pixel_digest(walked), signature(walked), values)


def identity_of(walked: Walked, path: str) -> tuple[str, ...]:
    """Whose file it is: the patient's number and its issuer, else the study, else the file."""
    number = walked.text("0010,0020")
    if number:
        return number, walked.text("0010,0021")
    return ("", walked.text("0020,000D") or path)


def _is_compared(element: Element) -> bool:
    if element.tag >> 16 == 2 or element.begin == element.end:
        return False
    if element.vr in _DATED or element.tag == _ZONE:
        return True
    return element.vr in _SHORT and is_of_patient(element.tag) and not is_marker(element.tag)


def pixel_digest(walked: Walked) -> bytes:
    """Hash of the stored pixels, empty without any."""
    for element in walked.elements:
        if element.tag in PIXELS and "." not in element.path:
            view = memoryview(walked.content)[element.begin : element.end]
            return hashlib.blake2b(view, digest_size=16).digest()
    return b""


def signature(walked: Walked) -> tuple[str, ...]:
    """Class, number, place and size."""
    place = [walked.text(path) for path in _SIGNATURE]
    size = [str(walked.number(path)) for path in ("0028,0010", "0028,0011")]
    return (*(_as_number(text) for text in place), *size)


def _as_number(text: str) -> str:
    try:
        return "\\".join(f"{float(value):.4g}" for value in text.split("\\"))
    except ValueError:
        return text


@dataclass
class Relations:
    """Originals by their pixels and signatures, and what became of UIDs, days and patients."""

    allow: Collection[str]
    by_pixels: dict[bytes, list[Original]] = field(default_factory=dict)
    by_signature: dict[tuple[str, ...], list[Original]] = field(default_factory=dict)
    _uids: dict[str, str] = field(default_factory=dict)
    _sources: dict[str, str] = field(default_factory=dict)
    _days: dict[int, int] = field(default_factory=dict)
    _pseudonyms: dict[int, str] = field(default_factory=dict)
    _patients: dict[str, int] = field(default_factory=dict)

    def add(self, original: Original) -> None:
        """Take one original."""
        if original.pixels:
            self.by_pixels.setdefault(original.pixels, []).append(original)
        self.by_signature.setdefault(original.signature, []).append(original)

    def originals_of(self, walked: Walked) -> list[Original]:
        """The originals that an output may come from: by its pixels, else by its signature."""
        same_place = self.by_signature.get(signature(walked), [])
        same_pixels = self.by_pixels.get(pixel_digest(walked), [])
        both = [original for original in same_pixels if original in same_place]
        return both or same_pixels or same_place

    def compare(self, walked: Walked, original: Original) -> Iterator[Problem]:
        """What is as it was, or was not replaced as in the other files."""
        days: set[int] = set()
        for element in walked.elements:
            before = original.values.get(element.path)
            if not before or not _is_compared(element):
                continue
            after = walked.value(element).decode("latin-1").strip(" \0")
            if not after:
                continue
            pairs = zip(before.split("\\"), after.split("\\"), strict=False)
            for old, new in pairs:
                yield from self._value(element, old, new, days)
        yield from self._shift(original, days)
        pseudonym = walked.text("0010,0020")
        if pseudonym:
            if self._pseudonyms.setdefault(original.patient, pseudonym) != pseudonym:
                yield "0010,0020", "one patient has two pseudonyms"
            if self._patients.setdefault(pseudonym, original.patient) != original.patient:
                yield "0010,0020", "two patients have one pseudonym"

    def _value(self, element: Element, old: str, new: str, days: set[int]) -> Iterator[Problem]:
        path, vr = element.path, element.vr
        kept_by = category(element.tag, vr)
        if vr in _SHORT and old == new and kept_by not in self.allow:
            what = "age" if vr == "AS" else keyword(element.tag) or "value"
            yield path, f"the {what} is that of the original"
        if vr == "UI":
            if not is_standard_uid(old):
                yield from self._uid(path, old, new)
        elif vr in ("DA", "DT"):
            before, after = _day(old), _day(new)
            if before and after and "dates" not in self.allow:
                if before > _EARLIEST:
                    days.add((after - before).days)
                if before == after:
                    yield path, "the date is that of the original"
        if vr in ("TM", "DT") and "times" not in self.allow:
            before_time, after_time = (text[_ZONE_OR_TIME * (vr == "DT") :] for text in (old, new))
            if before_time == after_time and before_time.strip("0.+-"):
                yield path, "the time is that of the original"

    def _uid(self, path: str, old: str, new: str) -> Iterator[Problem]:
        if self._uids.setdefault(old, new) != new:
            yield path, "a UID was replaced by two different ones"
        if self._sources.setdefault(new, old) != old and not is_standard_uid(new):
            yield path, "two UIDs were replaced by the same one"

    def _shift(self, original: Original, days: set[int]) -> Iterator[Problem]:
        if len(days) > 1:
            yield "dates", "the dates of one file moved by different numbers of days"
        elif days - {0}:
            shift = days.pop()
            if self._days.setdefault(original.patient, shift) != shift:
                yield "dates", "the dates of one patient moved by different numbers of days"


def _day(text: str) -> date | None:
    plain = text[:10].replace(".", "")[:8]
    try:
        return date(int(plain[:4]), int(plain[4:6]), int(plain[6:8]))
    except ValueError:
        return None
