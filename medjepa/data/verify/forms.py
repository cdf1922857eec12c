"""The ways in which one string may stand in a file: orders, separators, encodings."""

import base64
import re
from datetime import date

from medjepa.data.verify.matcher import folded

MOST_BYTES = 64
"""Of a longer string the first ones are enough: they stand nowhere else."""
_NOT_ALPHANUMERIC = re.compile(rb"[^0-9a-z\x80-\xff]+")
_ESCAPES = re.compile(rb"^\x1b[$()*+-][@-~]?[@-~]|\x1b[$()*+-][@-~]?[@-~]$")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_LONG_ENOUGH_TO_ENCODE = 8
_PRINTED = re.compile(rb"[ -~]{8,}")
_THREE_LETTERS = re.compile(rb"[A-Za-z]{3}")


def squeezed(content: bytes) -> bytes:
    """Folded bytes without anything but letters and digits."""
    return _NOT_ALPHANUMERIC.sub(b"", folded(content))


def encoded(text: str, codecs: tuple[str, ...] = ()) -> set[bytes]:
    """Folded bytes of a text in UTF-8, UTF-16 of both orders, ISO 8859-1 and the file's own."""
    result = set()
    for variant in {text, text.lower(), text.upper()}:
        for codec in ("utf-8", "latin-1", *codecs):
            try:
                form = variant.encode(codec)
            except (UnicodeEncodeError, LookupError):
                continue
            # ISO 2022: what switches the set stands before and behind it, or further away.
            result.add(folded(_ESCAPES.sub(b"", form)))
        wide = variant.encode("utf-16-le", "surrogatepass")
        # Without its last byte ASCII in UTF-16 is the same in both byte orders, but for the place.
        result.add(folded(wide[:-1] if text.isascii() else wide))
        if not text.isascii():
            result.add(folded(variant.encode("utf-16-be", "surrogatepass")))
    return {form[:MOST_BYTES] for form in result}


def disguised(text: str) -> set[bytes]:
    """Folded bytes of a text in hexadecimal, base64 and backwards; short ones have none."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) < _LONG_ENOUGH_TO_ENCODE:
        return set()
    result = {raw.hex().encode()[:MOST_BYTES], folded(raw[::-1])[:MOST_BYTES]}
    for shift in range(3):
        # What is before and behind it decides the first and the last characters.
        whole = base64.b64encode(b"\0" * shift + raw)
        inside = whole[(0, 2, 3)[shift] : len(whole) - (0, 3, 2)[(shift + len(raw)) % 3]]
        if len(inside) >= _LONG_ENOUGH_TO_ENCODE:
            result.add(folded(inside)[:MOST_BYTES])
    return result


def name_forms(parts: list[str]) -> set[str]:
    """A person's name in the usual orders and separators, from its components."""
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return set(parts)
    first, last = parts[1], parts[0]
    return {
        "^".join(parts),
        *(f"{last}{between}{first}" for between in ("^", " ", ", ", ",", "_", "-", ".", "")),
        *(f"{first}{between}{last}" for between in ("^", " ", "_", "-", ".", "")),
    }


def date_forms(day: date) -> set[str]:
    """A day as DICOM and as people write it."""
    year, month, number = f"{day.year:04d}", f"{day.month:02d}", f"{day.day:02d}"
    name = _MONTHS[day.month - 1]
    return {
        f"{year}{month}{number}",
        *(f"{year}{s}{month}{s}{number}" for s in "-./"),
        *(f"{number}{s}{month}{s}{year}" for s in "-./"),
        *(f"{month}{s}{number}{s}{year}" for s in "-/"),
        *(f"{number}{s}{name}{s}{year}" for s in " -"),
        f"{name} {number}, {year}",
    }


def texts_of_numbers(raw: bytes) -> list[bytes]:
    """Text that stands in binary numbers: in all of their bytes, or one character in each."""
    texts = []
    for width in (1, 2, 4):
        for offset in {0, width - 1}:
            text = raw[offset::width].strip(b" \0")
            is_all = len(raw) - raw.count(0) <= len(raw[offset::width])
            if is_all and _PRINTED.fullmatch(text) and _THREE_LETTERS.search(text):
                texts.append(text)
    return texts
