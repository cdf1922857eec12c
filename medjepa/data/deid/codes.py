"""Coded entries (PS3.3 section 8): only codes of public lists, with the list's own meaning."""

from functools import cache
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_library import pydicom

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_SCHEMES = ("DCM", "SCT", "UCUM")


def clean_code(item: Dataset) -> Dataset | None:
    """A new item with value, scheme and published meaning; None if no list knows the code."""
    scheme = str(item.get("CodingSchemeDesignator") or "").strip()
    value = str(item.get("CodeValue") or "").strip()
    found = known_codes().get((scheme, value))
    if found is None:
        return None
    code: Dataset = pydicom().Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = found
    return code


@cache
def known_codes() -> dict[tuple[str, str], tuple[str, str, str]]:
    """(scheme, value) to (value, scheme, meaning); the older SRT codes by their SCT equals."""
    pydicom()
    from pydicom.sr.codedict import codes

    known = {}
    for scheme in _SCHEMES:
        for code in getattr(codes, scheme).concepts.values():
            # CodeMeaning is LO: 64 characters.
            known[scheme, str(code.value)] = (str(code.value), scheme, str(code.meaning)[:64])
    from pydicom.sr._snomed_dict import mapping

    for old, new in mapping["SRT"].items():
        if ("SCT", new) in known:
            known["SRT", old] = (old, "SRT", known["SCT", new][2])
            known["SNM3", old] = (old, "SNM3", known["SCT", new][2])
    return known
