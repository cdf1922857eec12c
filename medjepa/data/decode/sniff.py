"""What a file is, by its first bytes; its name is only used to word the refusal."""

import os
import stat
import struct
import zlib
from pathlib import Path

from medjepa.errors import InputError

IMAGE_SUFFIXES = frozenset(
    (
        ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".svs", ".dcm", ".dicom", ".nii", ".nii.gz",
        ".npy", ".bmp", ".webp", ".gif", ".mp4", ".m4v", ".avi", ".mov", ".mpg", ".mpeg", ".mkv",
        ".wmv",
    )
)  # fmt: skip
"""A file named like this must be an image; any other unknown file is just not ours."""

_MAGIC = (
    # First: the 128 bytes before it are free, and some files hold a TIFF header there.
    (128, b"DICM", "DICOM"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"\x93NUMPY", "NPY"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"PK\x05\x06", "ZIP archive"),
    (257, b"ustar", "TAR archive"),
    (0, b"7z\xbc\xaf", "7z archive"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"%PDF", "PDF"),
    (4, b"ftyp", "video"),
    (4, b"moov", "video"),
    (4, b"mdat", "video"),
    (4, b"wide", "video"),
    (0, b"\x1a\x45\xdf\xa3", "video"),
    (0, b"\x00\x00\x01\xba", "video"),
    (0, b"\x00\x00\x01\xb3", "video"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),
)
_HEAD_BYTES = 1024


class UnknownContentError(InputError):
    """The file can be read, but its first bytes are those of no known format."""


def sniff(path: str) -> str:
    """Name the format by content.

    Raises:
        InputError: there is no such regular file.
        UnknownContentError: it is empty, or its content is of no known format.
    """
    head = _head(path)
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "video"  # an MPEG transport stream: packets of 188 bytes
    if head[:4] == b"RIFF":
        return {b"AVI ": "video", b"WEBP": "WebP"}.get(head[8:12], "RIFF")
    if head[:2] == b"\x1f\x8b":
        return "NIfTI" if _is_nifti(_inflated_head(head)) or _named_nifti(path) else "gzip archive"
    if _is_nifti(head) or _named_nifti(path):
        return "NIfTI"
    if _is_bare_dicom(head):
        return "DICOM"
    raise UnknownContentError(path, _unknown(path, head))


def suffix_of(path: str) -> str:
    """The name's ending in lower case; ".nii.gz" counts as one."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def _head(path: str) -> bytes:
    try:
        status = os.stat(path)  # noqa: PTH116  (the path must stay as it was given)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(path, _why_not_a_folder(path))
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever for somebody to write to it.
            raise InputError(path, "not a regular file (a pipe, a socket or a device)")
        if status.st_size == 0:
            raise UnknownContentError(path, "empty file (0 bytes): not an image")
        with Path(path).open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        what = "a link that " if isinstance(error, OSError) and Path(path).is_symlink() else ""
        raise InputError(path, f"{what}cannot be opened: {reason}") from error


def _why_not_a_folder(path: str) -> str:
    if Path(path).is_symlink():
        # Followed, it could lead out of what was given, or round in a circle.
        return (
            "a link to a folder: inside the given folder such links are not followed; give the "
            "folder that it leads to (several: data=[A,B]), or put a copy in its place"
        )
    can_open = os.access(path, os.R_OK | os.X_OK)
    return "a folder, not a file" if can_open else "a folder that cannot be opened"


def _inflated_head(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _named_nifti(path: str) -> bool:
    return suffix_of(path) in (".nii", ".nii.gz", ".hdr")


def _is_bare_dicom(head: bytes) -> bool:
    """Old DICOM without preamble starts with an element of group 2 or 8; see PS3.10 section 7.1."""
    if len(head) < 8:
        return False
    group, element = struct.unpack("<HH", head[:4])
    if group not in (0x0002, 0x0008) or element > 0x0070:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or struct.unpack("<I", head[4:8])[0] < _HEAD_BYTES


def _unknown(path: str, head: bytes) -> str:
    suffix = suffix_of(path)
    looks_like_text = not set(head) & set(range(9)) and b"\xff" not in head
    content = "text" if looks_like_text else "unknown data"
    if suffix in (".dcm", ".dicom"):
        return f"not a DICOM file: it holds {content}"
    if suffix in IMAGE_SUFFIXES:
        return f"not an image although it is named {suffix}: it holds {content}"
    return f"not an image: it holds {content}"
