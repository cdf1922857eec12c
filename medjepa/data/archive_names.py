"""Which names of an archive may become files: the same answer on every system."""

import re
import unicodedata

_PORTS = tuple(f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³")
_RESERVED = frozenset(("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *_PORTS))
"""Names that Windows gives to devices, with any ending (CON.png too)."""

_JUNK_FOLDERS = frozenset(("__MACOSX",))
_JUNK_FILES = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
_NESTED = re.compile(r"\.(zip|7z|rar|tar|tgz|tbz2?|txz|tar\.\w{1,4})$", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_MAX_PART_BYTES = 255
_MAX_NAME_BYTES = 1024
_MAX_DEPTH = 64


class UnsafeNameError(Exception):
    """A member's name would be written somewhere else, or is not the same file everywhere."""


def safe_parts(name: str) -> tuple[str, ...]:
    """Split a member's name into folders and file; "." and doubled slashes fall away.

    Raises:
        UnsafeNameError: it is absolute, leads upwards, is a device, cannot be a file name on
            Windows, is too long, or shows something else than it is.
    """
    if "\\" in name:
        raise UnsafeNameError("a backslash separates folders on Windows: it may lead outside")
    if name.startswith("/"):
        raise UnsafeNameError("an absolute path leads outside the folder")
    if _DRIVE.match(name):
        raise UnsafeNameError("a drive letter leads outside the folder")
    for character in name:
        # Cc: control characters with NUL and newline; Cs: bytes that are no text;
        # Cf: invisible ones, which turn the shown order round.
        if unicodedata.category(character) in ("Cc", "Cs", "Cf"):
            raise UnsafeNameError(f"the name has a control character ({ord(character):#x})")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise UnsafeNameError(f"the name is too long: the limit is {_MAX_NAME_BYTES} bytes")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if not parts:
        raise UnsafeNameError("the name is empty")
    if len(parts) > _MAX_DEPTH:
        raise UnsafeNameError(f"too many folders: the limit is {_MAX_DEPTH}")
    for part in parts:
        _check_part(part)
    return parts


def is_junk(parts: tuple[str, ...]) -> bool:
    """True for what a desktop adds to an archive: resource forks, folder settings, thumbnails."""
    return (
        bool(_JUNK_FOLDERS & set(parts)) or parts[-1] in _JUNK_FILES or parts[-1].startswith("._")
    )


def is_archive_name(name: str) -> bool:
    """True for a member that is itself an archive; a compressed image (.nii.gz) is none."""
    return _NESTED.search(name) is not None


def collision_key(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Equal for names that are one file on a disk that ignores case or the way of an accent."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)


def _check_part(part: str) -> None:
    if part == "..":
        raise UnsafeNameError("'..' leads outside the folder")
    if ":" in part:
        raise UnsafeNameError("a colon names a drive or a hidden stream on Windows")
    if part[-1] in ". ":
        raise UnsafeNameError("a name that ends in a dot or a space is another one on Windows")
    if part.split(".")[0].rstrip().upper() in _RESERVED:
        raise UnsafeNameError(f"{part!r} is a reserved name: a device on Windows")
    if len(part.encode()) > _MAX_PART_BYTES:
        raise UnsafeNameError(f"the name is too long: the limit is {_MAX_PART_BYTES} bytes")
