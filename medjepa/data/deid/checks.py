"""The checks of the strict profile: a value is what its attribute may hold, or it stays behind."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pseudonyms import is_standard

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_MAX_DIGITS = 16
_ROUNDED_DIGITS = 4


@dataclass(frozen=True)
class Rule:
    """One line of allowed.txt."""

    kind: str
    argument: str = ""


@cache
def allowed() -> dict[int, Rule]:
    """What may leave under the strict profile, by tag."""
    from pydicom.datadict import tag_for_keyword

    text = resources.files("medjepa.data.deid").joinpath("allowed.txt").read_text("utf-8")
    rules: dict[int, Rule] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            keyword, kind, *rest = line.split(" ", 2)
            tag = tag_for_keyword(keyword)
            assert tag is not None, keyword
            assert tag not in rules, f"{keyword} is listed twice"
            rules[tag] = Rule(kind, rest[0] if rest else "")
    return rules


def checked(rule: Rule, values: list[Any], item: Dataset) -> list[Any] | None:
    """The values as they may leave; None if one of them may not, and the attribute is dropped."""
    return _CHECKS[rule.kind](rule.argument, values, item)


def is_as_many(tag: int, num_values: int) -> bool:
    """Whether an attribute may hold so many values; more of them could spell a text."""
    low, _, high = str(pydicom().datadict.dictionary_VM(tag)).partition("-")
    if not high:
        return num_values == int(low)
    step = high.removesuffix("n")
    if not high.endswith("n"):
        return int(low) <= num_values <= int(high)
    return num_values >= int(low) and num_values % int(step or 1) == 0


def _terms(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    known = _split(argument)
    found = [str(value).strip() for value in values]
    return found if all(value in known for value in found) else None


@cache
def _split(argument: str) -> frozenset[str]:
    return frozenset(argument.split("|"))


def _image_type(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    found = [str(value).strip() for value in values]
    if len(found) < 2 or found[0] not in ("ORIGINAL", "DERIVED", "MIXED"):
        return None
    if found[1] not in ("PRIMARY", "SECONDARY"):
        return None
    # Values are places: one that must go leaves OTHER behind, so that the next keeps its meaning.
    rest = ["OTHER" if v and v not in _image_terms() else v for v in found[2:]]
    while rest and rest[-1] in ("", "OTHER"):
        rest.pop()
    return [*found[:2], *rest]


@cache
def _image_terms() -> frozenset[str]:
    text = resources.files("medjepa.data.deid").joinpath("image_terms.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def _integer(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    low, high = (int(part) for part in argument.split())
    found = []
    for value in values:
        text = str(value).strip()
        if not re.fullmatch(r"[+-]?\d{1,12}", text) or not low <= int(text) <= high:
            return None
        found.append(int(text))
    return None if _spells(found) else found


def _spells(numbers: list[int]) -> bool:
    """Whether a list of binary numbers reads as a text that somebody wrote there."""
    width = 2 if max(numbers, default=0) < 1 << 16 else 4
    content = b"".join(abs(number).to_bytes(width, "little") for number in numbers)
    return len(numbers) > 3 and looks_like_text(content)


def _number(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    low, high = (float(part) for part in argument.split())
    found = []
    for value in values:
        text = str(getattr(value, "original_string", value)).strip()
        if not _NUMBER.fullmatch(text) and not isinstance(value, float):
            return None
        number = float(text)
        if not math.isfinite(number) or not low <= number <= high:
            return None
        found.append(text if len(text) <= _MAX_DIGITS and isinstance(value, str) else number)
    return found


def _rounded(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    exact = _number(argument, values, item)
    if exact is None:
        return None
    return [
        value
        if len(re.sub(r"\D", "", str(value)).strip("0")) <= _ROUNDED_DIGITS
        else float(f"{float(value):.{_ROUNDED_DIGITS}g}")
        for value in exact
    ]


def _stored(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    bits = int(item.get("BitsStored") or 0)
    if not 1 <= bits <= 32:
        return None
    signed = item.get("PixelRepresentation") == 1
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return _integer(f"{low} {high}", values, item)


def _class(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    found = [str(value).strip(" \0") for value in values]
    return found if all(is_standard(value) for value in found) else None


def _tag(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    # "present": it points at an attribute beside it, or at nothing.
    known = item if argument == "present" else allowed()
    return (
        values if all(int(value) in allowed() and int(value) in known for value in values) else None
    )


def _table(argument: str, values: list[Any], item: Dataset) -> list[Any] | None:
    content = values[0] if len(values) == 1 and isinstance(values[0], bytes) else None
    if content is None:
        ints = _integer("0 65535", values, item)
        if ints is None:
            return None
        content = b"".join(number.to_bytes(2, "little") for number in ints)
    described = item.get(argument)
    if argument and (described is None or not isinstance(described[0], int)):
        return None
    if argument:
        num_entries = int(described[0]) or 1 << 16
        if len(content) not in (2 * num_entries, num_entries, num_entries + 1):
            return None  # what stands behind the last entry is no entry
    return None if looks_like_text(content) else values


def looks_like_text(content: bytes) -> bool:
    """True for eight or more letters and digits in a row that are no ramp of grey levels."""
    for part in (content, content[::2], content[1::2]):
        for found in re.finditer(rb"[A-Za-z0-9^ =,.:/_-]{8,}", part):
            run = found.group()
            steps = {b - a for a, b in pairwise(run)}
            if min(steps) < 0 < max(steps) and len(set(run)) > 3:
                return True
    return False


_CHECKS: dict[str, Callable[[str, list[Any], Dataset], list[Any] | None]] = {
    "terms": _terms,
    "image_type": _image_type,
    "integer": _integer,
    "number": _number,
    "rounded": _rounded,
    "stored": _stored,
    "class": _class,
    "tag": _tag,
    "table": _table,
}
