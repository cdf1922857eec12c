"""Every string of the originals that could tell whose they are, and those that are too common."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Literal

from medjepa.data.verify.attributes import (
    FREE,
    NUMERIC,
    PERSONAL,
    TEXT,
    category,
    is_graphic,
    is_private,
    says_nothing,
)
from medjepa.data.verify.charsets import codecs_of, decoded
from medjepa.data.verify.elements import PIXELS, Element, Walked, dictionary_vr, keyword
from medjepa.data.verify.forms import name_forms, texts_of_numbers
from medjepa.data.verify.gaps import gaps
from medjepa.data.verify.streams import beside_the_image
from medjepa.data.verify.vocabulary import (
    DUMMIES,
    PUBLISHED_SCHEMES,
    is_common,
    is_standard_uid,
    published_codes,
    vocabulary,
)

Kind = Literal[
    "name", "identifier", "text", "word of a text", "UID", "date", "binary data", "path", "preamble"
]
LEAST_LETTERS, LEAST_OF_A_NAME, LEAST_DIGITS, LEAST_NUMBER = 4, 3, 4, 7
_MOST_WORDS = 400
_LEAST_OF_WORDS = 8
_LEAST_OF_A_RAMP = 12
_BLOCK = 32
_PROSE = ("DeidentificationMethod",)
_DATE = re.compile(
    r"(?<!\d)(1[89]\d\d|20\d\d)[-.]?(0[1-9]|1[0-2])[-.]?([0-2]\d|3[01])(?=\D|$|\d{2})"
)
_DECIMAL = re.compile(r"[+-]?\d*\.\d*(?:[eE][+-]?\d*)?")
_UID = re.compile(r"\d+(?:\.\d+){5,}")
_WORDS = re.compile(r"[^\W_]+")
_RUNS = re.compile(rb"[0-9A-Za-z._^/:@ \x80-\xff-]{6,}")


@dataclass(slots=True)
class Found:
    """A string of the originals.

    Attributes:
        categories: of the attributes in which it stands; "" where none may keep it.
        owners: numbers of the patients, for dates.
        where: an attribute in which it stands.
        codecs: of the character sets of its files, beyond the usual.
        is_personal: it is worth to be looked for in hexadecimal and the like.
    """

    categories: set[str] = field(default_factory=set)
    owners: set[int] = field(default_factory=set)
    where: str = ""
    codecs: tuple[str, ...] = ()
    is_personal: bool = False


@dataclass
class Harvest:
    """What is looked for, and how much is not.

    Attributes:
        strings: (text, kind) to where it comes from.
        blocks: pieces of binary values (overlays, icons, private data), with their attribute.
        left_out: how many values are not looked for, by the reason.
    """

    strings: dict[tuple[str, Kind], Found] = field(default_factory=dict)
    blocks: dict[bytes, Found] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def file(self, walked: Walked, path: str, owner: int) -> None:
        """Take everything from one original, and from its path below the input."""
        codecs = codecs_of(walked)
        for element in walked.elements:
            if element.begin < element.end and not says_nothing(element.tag):
                self._element(walked, element, codecs, owner)
        text = walked.preamble.strip(b"\0")
        if text:
            self._runs(text, "preamble", "preamble", "")
        if walked.rest < len(walked.content):
            rest = bytes(walked.content[walked.rest :])
            self._runs(rest, "text", "behind the last element", "")
        self.path(path, owner)

    def path(self, path: str, owner: int) -> None:
        """Take the names of a file and its folders."""
        pure = PurePosixPath(path)
        for part in (*pure.parts[:-1], pure.name.split(".dcm")[0]):
            self._identifier(part, "path", "path", "", ())
            for day in _days(part):
                self._add(day.isoformat(), "date", "path", "", owner=owner)

    def _element(
        self, walked: Walked, element: Element, codecs: tuple[str, ...], owner: int
    ) -> None:
        raw = walked.value(element)
        name = keyword(element.tag) or element.path.rpartition(".")[2]
        kept_by = category(element.tag, element.vr)
        if element.vr in NUMERIC:
            self.left_out["binary numbers"] += 1
            for text in texts_of_numbers(raw):
                self._runs(text, "identifier", name, "")
        elif element.tag in PIXELS and "." not in element.path:
            # As a whole it says which original an output is; beside the image there may be text.
            for extra in (*beside_the_image(walked, element), *gaps(walked, element)):
                self._runs(extra, "text", name, "")
        elif element.vr in TEXT or (element.vr not in ("OB", "OW", "UN") and len(element.vr) == 2):
            if element.vr[0] == "O":
                self._binary(raw, element, name, kept_by)
                return
            for value in decoded(raw, element.vr, codecs):
                self._value(value, element, name, kept_by, codecs, owner)
        else:
            self._binary(raw, element, name, kept_by)

    def _value(
        self, text: str, element: Element, name: str, kept_by: str,
        codecs: tuple[str, ...], owner: int,
    ) -> None:  # fmt: skip
        vr = element.vr
        if vr != "UI" and (kept_by != "technical" or vr in ("DA", "DT", "UC", "UT")):
            for day in _days(text) if vr not in ("DS", "IS", "TM", "AS") else ():
                self._add(day.isoformat(), "date", name, "dates", owner=owner)
        if vr == "UI":
            if is_standard_uid(text) or len(text) < 6:
                self.left_out["UIDs that the standard defines"] += 1
            else:
                self._add(text, "UID", name, kept_by)
        elif name == "CodeValue" and text in published_codes():
            self.left_out["published codes"] += 1
        elif name == "CodingSchemeDesignator" and text in PUBLISHED_SCHEMES:
            self.left_out["names of published code lists"] += 1
        elif vr == "PN":
            self._name(text, name, kept_by, codecs)
        elif vr in ("DA", "TM", "AS", "DT"):
            if vr in ("DA", "DT") and not _days(text):
                self._identifier(text, "identifier", name, "", codecs)
        elif vr == "DS":
            self.left_out["decimal numbers"] += 1
        elif vr == "IS":
            least = LEAST_NUMBER if kept_by == "technical" else 6
            if len(text.lstrip("+-0")) >= least:
                self._identifier(text, "identifier", name, kept_by, codecs)
            else:
                self.left_out[f"whole numbers of fewer than {LEAST_NUMBER} digits"] += 1
        elif vr in FREE or kept_by == "descriptions" or name in _PROSE or len(text) > 64:
            self._text(text, name, kept_by, codecs)
        elif dictionary_vr(element.tag) == "PN" and not is_private(element.tag):
            self._name(text, name, kept_by, codecs)
        else:
            self._identifier(
                text, "identifier", name, kept_by, codecs, is_personal=name in PERSONAL
            )

    def _name(self, text: str, where: str, kept_by: str, codecs: tuple[str, ...]) -> None:
        for group in text.split("="):
            parts = [part.strip() for part in group.split("^")]
            if self._too_short(group, LEAST_OF_A_NAME, name=True):
                continue
            for form in name_forms(parts):
                whole = form == "^".join(filter(None, parts))
                self._add(form, "name", where, kept_by, codecs=codecs, is_personal=whole)
            for word in {w for part in parts for w in (part, *_WORDS.findall(part))}:
                if self._too_short(word, LEAST_OF_A_NAME, name=True):
                    continue
                if word.lower() in vocabulary():
                    self.left_out["parts of names that are words of the standard"] += 1
                else:
                    self._add(word, "name", where, kept_by, codecs=codecs)

    def _identifier(
        self, text: str, kind: Kind, where: str, kept_by: str, codecs: tuple[str, ...],
        *, is_personal: bool = False,
    ) -> None:  # fmt: skip
        if self._too_short(text, LEAST_LETTERS):
            return
        if _DECIMAL.fullmatch(text):
            self.left_out["decimal numbers"] += 1
            return
        is_numbered = any(c.isdigit() for c in text)
        is_address = kept_by in ("", "institution") and kind == "identifier" and " " in text
        if (
            is_common(text)
            and not (is_address and len(text) >= _LEAST_OF_WORDS)
            and (kept_by == "technical" or kind == "path" or not is_numbered)
        ):
            self.left_out["words of the standard and its defined terms"] += 1
            return
        self._add(text, kind, where, kept_by, codecs=codecs, is_personal=is_personal)
        if not text.isalnum() and kept_by != "technical":
            self._rare_words(text, kind, where, kept_by, codecs)

    def _text(self, text: str, where: str, kept_by: str, codecs: tuple[str, ...]) -> None:
        if self._too_short(text, LEAST_LETTERS):
            return
        if is_common(text):
            self.left_out["words of the standard and its defined terms"] += 1
        else:
            self._add(text, "text", where, kept_by, codecs=codecs)
            for uid in _UID.findall(text):
                self._add(uid, "UID", where, kept_by)
            self._rare_words(text, "word of a text", where, kept_by, codecs)

    def _rare_words(
        self, text: str, kind: Kind, where: str, kept_by: str, codecs: tuple[str, ...]
    ) -> None:
        words = dict.fromkeys(_WORDS.findall(text))
        if len(words) > _MOST_WORDS:
            self.left_out[f"words of texts beyond the first {_MOST_WORDS}"] += len(words)
        for word in [*words][:_MOST_WORDS]:
            least = 5 if word.isalpha() else LEAST_LETTERS
            is_rare = len(word) >= least and word.lower() not in vocabulary()
            if is_rare and not self._too_short(word, least):
                self._add(word, kind, where, kept_by, codecs=codecs)

    def _binary(self, raw: bytes, element: Element, where: str, kept_by: str) -> None:
        kind: Kind = "identifier" if len(raw) <= 128 else "binary data"
        self._runs(raw[: 1 << 20], kind, where, kept_by)
        if is_private(element.tag) or is_graphic(element.tag) or element.tag in PIXELS:
            for begin in range(0, min(len(raw), 1 << 16) - _BLOCK + 1, _BLOCK):
                block = raw[begin : begin + _BLOCK]
                if len(set(block)) >= 6:
                    found = self.blocks.setdefault(block, Found(where=where))
                    found.categories.add(kept_by)
                    return

    def _runs(self, raw: bytes, kind: Kind, where: str, kept_by: str) -> None:
        for run in dict.fromkeys(_RUNS.findall(raw)[:2000]):
            # Bytes of numbers look like text now and then: those hold few letters in a row, or,
            # as the code tables that nearly every JPEG thumbnail has, only rise.
            for text in _without_ramps(run.decode("latin-1")):
                if re.search(r"[0-9A-Za-z]{6,}", text):
                    self._identifier(text, kind, where, kept_by, ())

    def _too_short(self, text: str, least: int, *, name: bool = False) -> bool:
        plain = "".join(_WORDS.findall(text))
        if plain.lower() in DUMMIES or len(set(plain.lower())) < 2:
            self.left_out["stand-ins (ANONYMOUS, 0000)"] += 1
            return True
        if len(plain) < (least if not plain.isdigit() else LEAST_DIGITS) and plain.isascii():
            what = LEAST_OF_A_NAME if name else LEAST_LETTERS
            self.left_out[f"shorter than {what} characters"] += 1
            return True
        return False

    def _add(
        self, text: str, kind: Kind, where: str, kept_by: str, *, owner: int | None = None,
        codecs: tuple[str, ...] = (), is_personal: bool = False,
    ) -> None:  # fmt: skip
        found = self.strings.setdefault((text, kind), Found(where=where))
        found.categories.add(kept_by)
        if codecs and not text.isascii():
            found.codecs = tuple({*found.codecs, *codecs})
        found.is_personal |= is_personal
        if owner is not None:
            found.owners.add(owner)


def _without_ramps(text: str) -> list[str]:
    """What is left of a text without long stretches in which each character is above the last."""
    parts, begin = [""], 0
    for end in range(1, len(text) + 1):
        if end < len(text) and text[end - 1] < text[end]:
            continue
        if end - begin < _LEAST_OF_A_RAMP:
            parts[-1] += text[begin:end]
        else:
            parts.append("")
        begin = end
    return [part.strip() for part in parts if part.strip()]


def _days(text: str) -> list[date]:
    """The days that stand in a text as DICOM writes them."""
    return list(_each_day(text))


def _each_day(text: str) -> Iterator[date]:
    for match in _DATE.finditer(text):
        try:
            yield date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            continue
