"""One name written in several ways: P007, p7 and P-007 are one patient, Normal and normal a class.

What is compared is never shown: names of patients stay as their table writes them.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_WHOLE_NUMBER = re.compile(r"\d+\.0+")
_LETTERS = r"[^\W_]"
TOGETHER = " | "
"""Between the cells of several columns that name a patient together."""


def plain_patient(name: str) -> str:
    """A patient's name without case, spaces, signs beside letters, and zeros that lead a number.

    Signs between two digits stay, as one: 1-2 is not 12. A table that went through floating-point
    numbers writes 12 as 12.0.
    """
    text = unicodedata.normalize("NFKC", name).casefold().strip()
    if _WHOLE_NUMBER.fullmatch(text):
        text = text.partition(".")[0]
    text = re.sub(r"(?<=\d)[\W_]+(?=\d)", "-", text)
    text = re.sub(r"(?<!\d)[\W_]+|[\W_]+(?!\d)", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def plain_class(name: str) -> str:
    """A class's name without case, and with one space for spaces, _ and - between words.

    Numbers are equal by value: 1 and 1.0.
    """
    text = unicodedata.normalize("NFKC", name).casefold().strip()
    try:
        return repr(float(text) + 0.0)
    except ValueError:
        return re.sub(rf"(?<={_LETTERS})[\s_-]+(?={_LETTERS})", " ", text)


def one_code_each(codes: Sequence[str], names: Sequence[str]) -> tuple[list[str], int]:
    """Give the patients whose names differ in spelling only one code.

    Args:
        codes: (N,) pseudonyms.
        names: (N,) of the patients, of several columns with `TOGETHER` between them; "" where
            nobody says, whose code stays.

    Returns:
        The codes (N,), the first one of each patient, and how many patients had several.
    """
    first: dict[str, str] = {}
    several = set()
    found = []
    for code, name in zip(codes, names, strict=True):
        # Of several columns each by itself: site A1, patient B is not site A, patient 1B.
        plain = TOGETHER.join(map(plain_patient, name.split(TOGETHER)))
        kept = first.setdefault(plain, code) if plain else code
        if kept != code:
            several.add(plain)
        found.append(kept)
    return found, len(several)


def several_spellings(names: Iterable[str]) -> list[list[str]]:
    """Classes that are written in several ways; each with its spellings, sorted."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(plain_class(name), set()).add(name)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)
