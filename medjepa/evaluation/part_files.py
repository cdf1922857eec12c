"""The file of one network of a study: settings and what it found; complete or not there."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from medjepa.data.files import PUBLIC_FILE_MODE, write_atomic
from medjepa.errors import DataError
from medjepa.evaluation.results import plain_json

PARTS = "parts"
Found = TypeVar("Found")


def save_found(
    path: Path, found: object, settings: Mapping[str, object], *, mode: int = PUBLIC_FILE_MODE
) -> None:
    """Write what one network found, when all of it is there: this file says that it is done.

    Args:
        path: of the file, in the folder of the network.
        found: plain values, as JSON has them.
        settings: what it depends on; the next run compares them.
        mode: of the file; another one where it is for its owner alone.
    """
    content = plain_json({"settings": dict(settings), "part": found})
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    write_atomic(path, (text + "\n").encode(), mode=mode)


def load_found(
    path: Path, settings: Mapping[str, object], build: Callable[[dict[str, Any]], Found]
) -> Found | None:
    """Read what a network found; None if it has not got so far.

    Args:
        path: of the file.
        settings: of this run.
        build: makes it from the plain values.

    Raises:
        DataError: it was trained under other settings, which are named, or cannot be read.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        given, found = content["settings"], build(content["part"])
        keys = {*given}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); remove the folder {path.parent} and run again"
        ) from error
    asked = json.loads(json.dumps(dict(settings), default=str))
    differing = sorted(k for k in {*keys, *asked} if given.get(k) != asked.get(k))
    if differing:
        named = "; ".join(f"{k} was {given.get(k)}, now {asked.get(k)}" for k in differing[:4])
        raise DataError(
            f"{path.parent}: was made with other settings ({named}); "
            "give another out=, or remove it"
        )
    return found
