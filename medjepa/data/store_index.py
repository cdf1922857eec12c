"""What both kinds of store have in common: the public index and the list of shards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medjepa.errors import DataError

FORMAT = "medjepa-store"
VERSION = 4
INDEX_NAME = "index.json"


@dataclass(frozen=True)
class Shard:
    """A safetensors file of the store, and what it holds."""

    name: str
    rows: int
    channels: int
    dtype: str


def is_store(path: Path) -> bool:
    """True for a folder with a store's index."""
    return (path / INDEX_NAME).is_file()


def read_index(path: Path) -> dict[str, Any]:
    """Read a store's index.

    Raises:
        DataError: there is none, it is damaged, or of another version; or shards are missing.
    """
    try:
        index: dict[str, Any] = json.loads((path / INDEX_NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{path}: not a prepared store (no {INDEX_NAME}); "
            f"make one with: medjepa prepare data=FOLDER out={path}"
        ) from None
    except ValueError as error:
        raise DataError(f"{path}: {INDEX_NAME} is damaged: {error}; prepare it again") from error
    if index.get("format") != FORMAT or index.get("version") != VERSION:
        raise DataError(
            f"{path}: made by another version "
            f"({index.get('format')} {index.get('version')}); prepare it again"
        )
    _check(path, index)
    return index


def _check(path: Path, index: Mapping[str, Any]) -> None:
    lengths = {name: len(column) for name, column in index["items"].items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path}: the index is damaged, its columns differ: {lengths}")
    missing = [s["name"] for s in index["shards"] if not (path / s["name"]).is_file()]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} shards are missing ({missing[0]}, ...); "
            "copy the whole folder, or prepare it again"
        )
