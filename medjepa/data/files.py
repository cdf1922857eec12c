"""Folders and files: a complete scan, atomic writes, and what only the owner may read."""

import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from medjepa.errors import DataError, refused_by_the_machine

PRIVATE_FOLDER_MODE = 0o700
PRIVATE_FILE_MODE = 0o600
PUBLIC_FILE_MODE = 0o644
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True, order=True)
class Found:
    """One directory entry that is not a folder; `relative` is written with forward slashes."""

    source: int
    relative: str
    size: int
    mtime_ns: int


def scan(source: int, root: Path, *, leave_out: tuple[Path, ...] = ()) -> Iterator[Found]:
    """Every file below `root` in a fixed order; links to folders are named, not followed.

    So are folders that cannot be opened: their files are not known, but not nothing.
    """
    if not root.is_dir():
        status = root.stat()
        yield Found(source, root.name, status.st_size, status.st_mtime_ns)
        return
    shut: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=shut.append):
        here = Path(folder)
        linked = [n for n in subfolders if (here / n).is_symlink()]
        subfolders[:] = sorted(
            n for n in subfolders if n not in linked and (here / n).resolve() not in leave_out
        )
        for name in sorted([*names, *linked]):
            path = here / name
            try:
                status = path.stat()
                size, mtime_ns = status.st_size, status.st_mtime_ns
            except OSError:  # a dangling link: found, and named by the reader
                size, mtime_ns = -1, -1
            yield Found(source, path.relative_to(root).as_posix(), size, mtime_ns)
    for name in sorted(str(error.filename) for error in shut):
        yield Found(source, Path(name).relative_to(root).as_posix(), -1, -1)


def write_atomic(
    path: Path,
    content: bytes | Iterable[bytes | memoryview],
    *,
    mode: int = PUBLIC_FILE_MODE,
) -> None:
    """Write so that a reader, or a power cut, sees the old file or the new one and nothing else.

    Raises:
        DataError: the disk is full, or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _named_failures(path.parent):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines((content,) if isinstance(content, bytes) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)  # the umask may have taken more away, or an old file given more
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, or close an open one.

    Raises:
        DataError: it cannot be made.
    """
    with _named_failures(path.parent):
        path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER_MODE)
        path.chmod(PRIVATE_FOLDER_MODE)


@contextmanager
def _named_failures(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        told = OSError(error.errno, error.strerror)  # the folder says more than a temporary name
        why = refused_by_the_machine(told) or f"{error.strerror}; choose another folder"
        raise DataError(f"{folder}: cannot be written to: {why}") from error


def check_out(folder: Path, *, own: Collection[str] | None = None) -> None:
    """Refuse a folder for results before the work is done, and not after it.

    Args:
        folder: where something is to be written; it need not be there.
        own: names that it may hold already; None: any.

    Raises:
        DataError: it is a file, holds other things, or cannot be written to.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise DataError(f"{existing}: a file, not a folder; choose another out=")
    if own is not None and existing == folder and {path.name for path in folder.iterdir()} - {*own}:
        raise DataError(f"{folder}: this folder holds other things; choose a new one with out=")
    if not os.access(existing, os.W_OK | os.X_OK):
        why = refused_by_the_machine(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        raise DataError(f"{folder}: cannot be written to: {why}")


def check_free_space(folder: Path, num_bytes: int) -> None:
    """Refuse to begin, or to go on, where the disk cannot take `num_bytes` and a little more."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if num_bytes + _SPARE_BYTES > free:
        raise DataError(
            f"{folder}: not enough free space: about {_megabytes(num_bytes)} are needed, "
            f"{_megabytes(free)} are free; choose another folder or a smaller data.size"
        )


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.0f} MiB"
