"""Unpacking archives from strangers: member by member, below one folder, whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medjepa.data.archive_members import (
    DAMAGED,
    Member,
    RefusedArchiveError,
    kind_of,
    looks_nested,
    single_member,
    tar_members,
    zip_members,
    zip_total,
)
from medjepa.data.archive_names import (
    UnsafeNameError,
    collision_key,
    is_archive_name,
    is_junk,
    safe_parts,
)
from medjepa.data.files import (
    PRIVATE_FILE_MODE,
    PRIVATE_FOLDER_MODE,
    check_free_space,
)
from medjepa.errors import InputError

_CHUNK = 1 << 20
_RATIO_FROM_BYTES = 16 << 20  # below this no ratio can do harm


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """How much an archive may become.

    Attributes:
        max_bytes: all members together.
        max_members: files and folders.
        max_ratio: unpacked to packed bytes, of a member and of the archive. Deflate reaches 1,032
            on zeros alone; images and label maps stay far below 200.
        allow_nested: write archives found inside, unopened, instead of refusing.
    """

    max_bytes: int = 256 << 30
    max_members: int = 1_000_000
    max_ratio: float = 200.0
    allow_nested: bool = False


def extract_archive(
    path: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    limits: ArchiveLimits | None = None,
) -> list[Path]:
    """Unpack a zip, a tar (.gz, .bz2, .xz) or one packed file; returns the files written.

    Files appear below `into`, readable by their owner only, all at once after the last check:
    if anything is refused, nothing is left. Folder settings and resource forks of desktops are
    skipped. Nothing that exists is overwritten, no link, device or pipe is ever made.

    Raises:
        InputError: it is damaged, encrypted, of another kind (7z, RAR), over a limit, or has a
            member that would be written outside `into` or cannot be written on every system. The
            text begins with the path as it was given.
    """
    name, target = os.fspath(path), Path(into)
    source = Path(name)
    existed = target.is_dir()
    try:
        if not source.is_file():
            raise InputError(name, _not_a_file(source), format="archive")
        kind = kind_of(source)
        target.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER_MODE)
        try:
            return _extract(source, kind, target, limits or ArchiveLimits())
        except BaseException:
            if not existed and not any(target.iterdir()):
                target.rmdir()
            raise
    except (RefusedArchiveError, UnsafeNameError) as error:
        raise InputError(name, str(error), format="archive") from error
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            name, "too large: unpacking needs too much memory", format="archive"
        ) from (error)
    except DAMAGED as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(
                name, f"cannot be unpacked: {error.strerror}", format="archive"
            ) from error
        raise InputError(
            name, f"truncated or corrupt archive (zip, tar, gzip): {reason}", format="archive"
        ) from error


def _extract(source: Path, kind: str, target: Path, limits: ArchiveLimits) -> list[Path]:
    # On the same disk as the target, so that files are renamed and not copied.
    stage = Path(tempfile.mkdtemp(prefix=".extracting-", dir=target))
    try:
        names = _unpack(source, kind, stage, limits)
        if not names:
            raise RefusedArchiveError("empty archive: it holds no files")
        taken = [n for n in names if os.path.lexists(target.joinpath(*n))]
        if taken:
            raise RefusedArchiveError(
                f"{len(taken)} of its files exist in {target} (such as {'/'.join(taken[0])!r}); "
                "extract into an empty folder"
            )
        return [_move(stage, target, parts) for parts in names]
    finally:
        shutil.rmtree(stage)


def _unpack(source: Path, kind: str, stage: Path, limits: ArchiveLimits) -> list[tuple[str, ...]]:
    if kind == "zip":
        announced, total = zip_total(source)
        _check_count(announced, limits)
        if total > limits.max_bytes:
            raise RefusedArchiveError(f"too large: {total:,} bytes, {_limit(limits)}")
        check_free_space(stage, min(total, limits.max_bytes))
    count = _Count(source.stat().st_size, limits)
    names = _Names()
    written = []
    for member in _MEMBERS[kind](source):
        count.member()
        parts = _checked(member.name)
        if is_junk(parts):
            count.skip(member)
            continue
        names.add(parts, is_folder=member.is_folder)
        if member.is_folder or member.content is None:
            continue
        if is_archive_name(member.name) and not limits.allow_nested:
            raise RefusedArchiveError(_nested(member.name))
        _write(member, parts, stage, count, limits)
        written.append(parts)
    return written


_MEMBERS = {"zip": zip_members, "tar": tar_members, "single": single_member}


@dataclass
class _Count:
    """Keeps account while bytes flow, since headers may lie."""

    packed: int
    limits: ArchiveLimits
    num_members: int = 0
    num_bytes: int = 0

    def member(self) -> None:
        self.num_members += 1
        _check_count(self.num_members, self.limits)

    def skip(self, member: Member) -> None:
        """A stream has to be read over what is skipped, which takes its time."""
        self.add(max(member.size, 0), 0, member)

    def add(self, num_bytes: int, so_far: int, member: Member) -> None:
        self.num_bytes += num_bytes
        if self.num_bytes > self.limits.max_bytes:
            raise RefusedArchiveError(f"too large: {_limit(self.limits)}")
        for unpacked, packed in ((so_far, member.packed), (self.num_bytes, self.packed)):
            most = max(packed * self.limits.max_ratio, _RATIO_FROM_BYTES)
            if packed and unpacked > most:
                raise RefusedArchiveError(
                    f"a bomb: {member.name!r} unpacks to over {self.limits.max_ratio:g} times its "
                    "size, which is the limit"
                )


@dataclass
class _Names:
    """Finds two members that would be one file on some disk."""

    files: set[tuple[str, ...]] = field(default_factory=set)
    folders: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, parts: tuple[str, ...], *, is_folder: bool) -> None:
        key = collision_key(parts)
        above = {key[:depth] for depth in range(1, len(key))}
        twice = key in self.files or above & self.files or (not is_folder and key in self.folders)
        if twice:
            raise RefusedArchiveError(
                f"unsafe: duplicate name, two members would be one path: {'/'.join(parts)!r}"
            )
        self.folders |= above
        (self.folders if is_folder else self.files).add(key)


def _checked(name: str) -> tuple[str, ...]:
    try:
        return safe_parts(name)
    except UnsafeNameError as error:
        raise RefusedArchiveError(f"unsafe path {name[:200]!r}: {error}") from error


def _write(
    member: Member, parts: tuple[str, ...], stage: Path, count: _Count, limits: ArchiveLimits
) -> None:
    path = stage.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER_MODE)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    length = 0
    with os.fdopen(
        os.open(path, flags | getattr(os, "O_BINARY", 0), PRIVATE_FILE_MODE), "wb"
    ) as file:
        for chunk in _chunks(member):
            if not length and not limits.allow_nested and looks_nested(member.name, chunk):
                raise RefusedArchiveError(_nested(member.name))
            length += len(chunk)
            count.add(len(chunk), length, member)
            file.write(chunk)
    if member.size >= 0 and length != member.size:
        raise RefusedArchiveError(
            f"truncated or corrupt: {member.name!r} has {length:,} of {member.size:,} bytes"
        )


def _chunks(member: Member) -> Iterator[bytes]:
    assert member.content is not None
    while chunk := member.content.read(_CHUNK):
        yield chunk


def _move(stage: Path, target: Path, parts: tuple[str, ...]) -> Path:
    folder = target
    for part in parts[:-1]:
        folder = folder / part
        if folder.is_symlink():
            raise RefusedArchiveError(f"unsafe: {folder} is a link, which may lead outside")
        folder.mkdir(exist_ok=True, mode=PRIVATE_FOLDER_MODE)
    return stage.joinpath(*parts).rename(folder / parts[-1])


def _check_count(num_members: int, limits: ArchiveLimits) -> None:
    if num_members > limits.max_members:
        raise RefusedArchiveError(
            f"too large: over {limits.max_members:,} members, which is the limit"
        )


def _limit(limits: ArchiveLimits) -> str:
    return f"the limit is {limits.max_bytes / 2**30:,.0f} GiB"


def _nested(name: str) -> str:
    return (
        f"a nested archive, {name!r}: not opened (unsupported; depth limit 1). Pass "
        "limits=ArchiveLimits(allow_nested=True) to write it as it is"
    )


def _not_a_file(source: Path) -> str:
    if source.is_dir():
        return "a folder, not an archive"
    return "not a regular file" if source.exists() else "cannot be opened: no such file"
