"""What an archive holds, one member after the other, for zip, tar and single compressed files."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    RuntimeError, IndexError, KeyError, OverflowError, TypeError, AttributeError,
)  # fmt: skip
"""What the standard library raises on damaged archives (NotImplementedError is a RuntimeError)."""

_METHODS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma"}
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_TAR_MAGIC = slice(257, 262)
_EXTENSIONS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_MAX_EXTENSION_BYTES = 1 << 20
_PIECE = 1 << 20
_MAX_PADDING_BYTES = 64 * _PIECE
_NOT_READ = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
}
_SUFFIXES = {
    ".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".gz": "", ".bz2": "",
    ".xz": "",
}  # fmt: skip


class RefusedArchiveError(Exception):
    """An archive, or one of its members, is not taken; says why."""


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        name: as the archive has it, unchecked.
        is_folder: it stands for a folder, and has no content.
        size: in bytes as its header says, -1 if it does not; not to be trusted.
        packed: its bytes in the archive, 0 where members are not packed one by one.
        content: what to read it from, once, before the next member is asked for.
    """

    name: str
    is_folder: bool
    size: int
    packed: int
    content: io.BufferedIOBase | None


def kind_of(path: Path) -> str:
    """Tell by content: "zip", "tar" (packed or not) or "single", one packed file.

    Raises:
        RefusedArchiveError: it is none of these.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise RefusedArchiveError("empty file (0 bytes): not an archive")
    for magic, name in _NOT_READ.items():
        if head.startswith(magic):
            raise RefusedArchiveError(
                f"{name} archives are not read (unsupported): extract it with its own tool, or "
                "pack it as zip or tar.gz"
            )
    if head.startswith(b"PK"):
        return "zip"
    if head[_TAR_MAGIC] == b"ustar" or path.suffix.lower() == ".tar":
        return "tar"
    if _packing(head) is None:
        raise RefusedArchiveError("not an archive: zip, tar, gz, bz2 and xz are read")
    with _inflated(path) as file:
        inner = file.read(512)
    named_tar = inner_name(path).lower().endswith(".tar")
    return "tar" if inner[_TAR_MAGIC] == b"ustar" or named_tar else "single"


def inner_name(path: Path) -> str:
    """The name without what says how it is packed: "a.csv.gz" gives "a.csv", "a.tgz" "a.tar"."""
    replacement = _SUFFIXES.get(path.suffix.lower())
    return path.name if replacement is None else path.stem + replacement


def zip_members(path: Path) -> Iterator[Member]:
    """The members of a zip, its directory checked as a whole first."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        for info in infos:
            _check_zip_entry(info)
        # Members that share their packed bytes are the trick of the best bombs.
        if sum(info.compress_size for info in infos) > path.stat().st_size:
            raise RefusedArchiveError(
                "members overlap: a bomb, or corrupt; their sum is over the size of the archive"
            )
        for info in infos:
            # Python cuts a name at a zero byte, which must be seen.
            member_name = info.orig_filename
            if info.is_dir():
                yield Member(member_name, True, 0, 0, None)
                continue
            with archive.open(info) as opened:
                content = cast(io.BufferedIOBase, opened)
                yield Member(member_name, False, info.file_size, info.compress_size, content)


def zip_total(path: Path) -> tuple[int, int]:
    """How many members a zip announces, and how many bytes."""
    with zipfile.ZipFile(path) as archive:
        return len(archive.infolist()), sum(info.file_size for info in archive.infolist())


def tar_members(path: Path) -> Iterator[Member]:
    """The members of a tar, packed or not, read as a stream."""
    with (
        _inflated(path) as file,
        tarfile.open(fileobj=file, mode="r|", tarinfo=_StrictHeader) as archive,
    ):
        for info in archive:
            if info.issym() or info.islnk():
                raise RefusedArchiveError(
                    f"unsafe: {info.name!r} is a link, which may lead outside"
                )
            if info.isdir():
                yield Member(info.name, True, 0, 0, None)
                continue
            if not info.isreg():
                raise RefusedArchiveError(
                    f"unsafe: {info.name!r} is a special file (FIFO, device or unknown)"
                )
            if info.issparse():
                raise RefusedArchiveError(f"{info.name!r} is a sparse file: not supported")
            yield Member(
                info.name, False, info.size, 0, cast(io.BufferedIOBase, archive.extractfile(info))
            )
        # The checksum comes after the last block of zeros.
        for _ in range(_MAX_PADDING_BYTES // _PIECE):
            if not file.read(_PIECE):
                return
    raise RefusedArchiveError(
        f"too large: over {_MAX_PADDING_BYTES:,} bytes after the last member, which is the limit"
    )


def single_member(path: Path) -> Iterator[Member]:
    """The one file that a .gz, .bz2 or .xz holds, named after the archive."""
    with _inflated(path) as file:
        yield Member(
            inner_name(path), False, -1, path.stat().st_size, cast(io.BufferedIOBase, file)
        )


def looks_nested(name: str, head: bytes) -> bool:
    """True for content that is an archive; zipped office files and .npz are not meant."""
    harmless = (".npz", ".xlsx", ".docx", ".pptx", ".ods", ".odt", ".ora")
    if PurePosixPath(name).suffix.lower() in harmless:
        return False
    return head.startswith((b"PK\x03\x04", *_NOT_READ)) or head[_TAR_MAGIC] == b"ustar"


class _StrictHeader(tarfile.TarInfo):
    """tarfile takes a damaged header for the end of the archive; here it is an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictHeader":
        """The header in one block; see `tarfile.TarInfo.frombuf`."""
        header = super().frombuf(buf, encoding, errors)
        # tarfile reads these whole: a long name of gigabytes would be a bomb.
        if header.type in _EXTENSIONS and header.size > _MAX_EXTENSION_BYTES:
            raise RefusedArchiveError(
                f"too large: an extended header of {header.size:,} bytes, "
                f"the limit is {_MAX_EXTENSION_BYTES:,}"
            )
        return header

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_StrictHeader":
        """The next header; see `tarfile.TarInfo.fromtarfile`."""
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the two blocks of zeros
                raise
            raise tarfile.ReadError(f"a header is damaged or missing ({error})") from error


def _packing(head: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    for magic, opener in (
        (b"\x1f\x8b", _gunzip),
        (b"BZh", bz2.BZ2File),
        (b"\xfd7zXZ\0", lzma.LZMAFile),
    ):
        if head.startswith(magic):
            return cast(Callable[[IO[bytes]], IO[bytes]], opener)
    return None


def _gunzip(file: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=file, mode="rb")


@contextmanager
def _inflated(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        opener = _packing(file.read(8))
        file.seek(0)
        if opener is None:
            yield file
            return
        with opener(file) as inner:
            yield inner


def _check_zip_entry(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if info.flag_bits & _ENCRYPTED:
        raise RefusedArchiveError(
            f"{name!r} is encrypted (needs a password): unsupported; extract it by hand"
        )
    if info.compress_type not in _METHODS:
        raise RefusedArchiveError(
            f"{name!r} is packed by method {info.compress_type}: unsupported; pack it again"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise RefusedArchiveError(f"unsafe: {name!r} is a symbolic link, which may lead outside")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedArchiveError(f"unsafe: {name!r} is a special file (FIFO or device)")
