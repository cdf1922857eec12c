"""From the bytes of a table to its text; what is no text is refused by what it is."""

import codecs
from pathlib import Path

from medjepa.errors import InputError

_MAX_TABLE_BYTES = 1 << 30
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
)
_SPREADSHEETS = (
    (b"PK\x03\x04", "a spreadsheet (Excel .xlsx, .ods) or another zip"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of old Excel (.xls)"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "packed (gzip)"),
)


def read_text(name: str) -> tuple[str, str]:
    """The text of a table, and the encoding found: UTF-8, UTF-16, UTF-32 or Latin-1.

    Raises:
        InputError: there is no such file, it is larger than 1 GiB, or it is no text.
    """
    content = _content(name)
    for magic, what in _SPREADSHEETS:
        if content.startswith(magic):
            raise InputError(
                name, f"{what}, not a CSV table: open it and save it as CSV (UTF-8)", format="CSV"
            )
    for mark, codec, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(name, content, codec, encoding), encoding
    if b"\0" in content:
        raise InputError(
            name,
            "not a text table: it holds zero bytes; save it as CSV in UTF-8",
            format="CSV",
        )
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "Latin-1"


def _content(name: str) -> bytes:
    path = Path(name)
    try:
        if not path.is_file():  # a pipe is none either, and is not opened
            raise InputError(name, "no such table", format="CSV")
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise InputError(name, "too large for a table: the limit is 1 GiB", format="CSV")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(name, f"cannot be opened: {reason}", format="CSV") from error


def _decoded(name: str, content: bytes, codec: str, encoding: str) -> str:
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        raise InputError(
            name, f"damaged text in the encoding {encoding}: {error.reason}", format="CSV"
        ) from error
    if "\0" in text:
        raise InputError(name, "not a text table: it holds zero bytes", format="CSV")
    return text
