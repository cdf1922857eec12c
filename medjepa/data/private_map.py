"""The private folder of a store: the key of its hashes, and which file and patient an item is."""

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from medjepa.data.files import PRIVATE_FILE_MODE, make_private_folder, write_atomic
from medjepa.errors import DataError

PRIVATE = "private"
_GROUP_DIGITS = 16


@dataclass(frozen=True)
class FileRecord:
    """One file that was found, and what became of it.

    Attributes:
        source: which of the prepared folders.
        path: below that folder, with forward slashes.
        size: in bytes.
        mtime_ns: when it was last changed.
        key: hash of its content, "" if it was not read.
        header_patient: as the file itself names it.
        patient: as the table names it, else the file.
    """

    source: int
    path: str
    size: int
    mtime_ns: int
    key: str
    header_patient: str = ""
    patient: str = ""


@dataclass
class PrivateMap:
    """What must never leave its owner: source folders, files and patients of a store."""

    sources: list[str] = field(default_factory=list)
    files: list[FileRecord] = field(default_factory=list)
    tables: list[tuple[int, str, str]] = field(default_factory=list)
    """(source, the table's path as it was given, its copy in the private folder)"""
    gated: bool = True
    """whether every file was looked at before it came in: does its header name the patient?"""

    @classmethod
    def read(cls, store: Path) -> "PrivateMap":
        """Read the map of a store.

        Raises:
            DataError: it is not there, or is damaged.
        """
        path = store / PRIVATE / "map.json"
        try:
            content = json.loads(path.read_bytes())
            return cls(
                sources=content["sources"],
                files=[FileRecord(**record) for record in content["files"]],
                tables=[(s, path, copy) for s, path, copy in content["tables"]],
                gated=content["gated"],
            )
        except FileNotFoundError:
            raise DataError(
                f"{store}: no private map here: the store was copied without it, so its images "
                "cannot be joined with a table; use the original, or prepare again"
            ) from None
        except (ValueError, KeyError, TypeError, PermissionError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error

    def write(self, store: Path) -> None:
        """Write the map so that only its owner can read it."""
        write_private(store, "map.json", json.dumps(asdict(self)).encode())


def write_private(store: Path, name: str, content: bytes) -> None:
    """Put one file into the store's private folder."""
    make_private_folder(store / PRIVATE)
    write_atomic(store / PRIVATE / name, content, mode=PRIVATE_FILE_MODE)


def group_key(store: Path) -> bytes:
    """The store's own secret, made on first use: without it a group's hash says nothing."""
    path = store / PRIVATE / "key"
    if not path.is_file():
        write_private(store, "key", secrets.token_bytes(32))
    return path.read_bytes()


def keyed_hash(key: bytes, group: str) -> str:
    """HMAC-SHA256 of a group's name, the first 16 hexadecimal digits; "" stays ""."""
    if not group:
        return ""
    return hmac.new(key, group.encode(), hashlib.sha256).hexdigest()[:_GROUP_DIGITS]
