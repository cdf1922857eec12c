"""Words that name nobody: those of the standard's own dictionary, codes and defined terms."""

import re
from functools import cache
from pathlib import Path

from medjepa.data.decode.dicom_library import pydicom

DUMMIES = frozenset(
    (
        "anonymous", "anonymized", "anonymised", "anonymize", "anon", "removed", "none",
        "unknown", "deidentified", "de-identified", "undefined", "unspecified", "unnamed",
        "noname", "no_name", "default", "test", "null",
    )
)  # fmt: skip
PUBLISHED_SCHEMES = frozenset(
    (
        "ACR", "ASTM-sigpurpose", "BARI", "BI", "C4", "C5", "CD2", "CTV3", "DCM", "DCMUID", "FMA",
        "HPC", "I10", "I10P", "I9", "I9C", "ICD11", "ICDO3", "ISO3166_1", "ISO639_1", "ISO639_2",
        "ITIS_TSN", "LN", "MA", "MDC", "MDNS", "NCDR", "NCIt", "NEU", "NICIP", "NYUMCCG", "POS",
        "RADELEMENT", "RADLEX", "RFC3066", "RXNORM", "SCT", "SNM3", "SRT", "UBERON", "UCUM",
        "UMLS", "UNS", "UPC",
    )
)  # fmt: skip
"""Designators of code lists (PS3.16 table 8-1): others may be somebody's text."""
_SCHEMES = ("DCM", "SCT", "UCUM")
_WORD = re.compile(r"[^\W\d_]+")
_PART = re.compile(r"[^\W_]+")
# What the markers of de-identification say, and what files and folders are called.
_OWN = frozenset(
    (
        "medjepa", "strict", "basic", "profile", "pydicom", "image", "images", "series",
        "study", "studies", "instance", "slice", "slices", "frame", "file", "files", "dicom",
        "dicomdir", "export", "data", "folder",
    )
)  # fmt: skip


def words_of(text: str) -> list[str]:
    """Runs of letters, in lower case."""
    return _WORD.findall(text.lower())


def is_common(text: str) -> bool:
    """Whether each part is a word of the standard, a defined term, or shorter than four."""
    if text.strip().upper() in terms():
        return True
    return all(_is_common_part(part) for part in _PART.findall(text))


def _is_common_part(part: str) -> bool:
    return len(part) < 4 or part.lower() in vocabulary() or part.upper() in terms()


@cache
def terms() -> frozenset[str]:
    """Defined terms of the standard that are no words (MONOCHROME2, HFS)."""
    text = Path(__file__).with_name("terms.txt").read_text(encoding="utf-8")
    return frozenset(
        word for line in text.splitlines() if not line.startswith("#") for word in line.split()
    )


@cache
def published_codes() -> frozenset[str]:
    """Values of the codes of DCM, SCT and UCUM, and of SRT, which older files have for SCT."""
    pydicom()
    from pydicom.sr._snomed_dict import mapping
    from pydicom.sr.codedict import codes

    lists = (getattr(codes, scheme).concepts.values() for scheme in _SCHEMES)
    return frozenset(
        (*(str(code.value) for concepts in lists for code in concepts), *mapping["SRT"])
    )


@cache
def vocabulary() -> frozenset[str]:
    """The words of attribute names, UID names, code meanings and defined terms."""
    library = pydicom()
    from pydicom._dicom_dict import DicomDictionary
    from pydicom.sr.codedict import codes

    texts = [entry[2] for entry in DicomDictionary.values()]
    texts += [entry[0] for entry in library.uid.UID_dictionary.values()]
    for scheme in _SCHEMES:
        texts += [str(code.meaning) for code in getattr(codes, scheme).concepts.values()]
    texts += terms()
    return frozenset(word for text in texts for word in words_of(text)) | _OWN


def is_standard_uid(uid: str) -> bool:
    """Whether the standard itself defines a UID: it says what a thing is, not which."""
    return uid in pydicom().uid.UID_dictionary
