"""Text of a DICOM file by its character sets (PS3.3 section C.12.1.1.2)."""

import warnings

from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.verify.elements import Walked

_SINGLE = frozenset(("LT", "ST", "UT", "UR"))
"""VRs in which a backslash does not separate values."""
_BY_CHARSET = frozenset(
    (
        "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UN",
    )
)  # fmt: skip


def codecs_of(walked: Walked) -> tuple[str, ...]:
    """Python's names of every character set that the file declares, at any depth."""
    library = pydicom()
    names: dict[str, None] = {}
    for element in walked.elements:
        if element.tag == 0x00080005:
            value = walked.value(element).decode("latin-1").strip(" \0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found = library.charset.convert_encodings(value.split("\\"))
                except errors():
                    continue
            names |= dict.fromkeys(str(name) for name in found)
    return tuple(names)


def decoded(raw: bytes, vr: str, codecs: tuple[str, ...]) -> list[str]:
    """The values of a text element, each without its padding."""
    text = _text(raw, codecs) if vr in _BY_CHARSET else raw.decode("latin-1")
    values = [text] if vr in _SINGLE else text.split("\\")
    return [value for part in values if (value := part.strip(" \0\t\r\n"))]


def _text(raw: bytes, codecs: tuple[str, ...]) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    if codecs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                delimiters = {0x0D, 0x0A, 0x09, 0x0C, 0x5C, 0x5E, 0x3D}
                return str(pydicom().charset.decode_bytes(raw, list(codecs), delimiters))
            except errors():
                pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
