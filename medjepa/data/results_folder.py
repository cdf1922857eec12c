"""Whose results a folder holds: a verb overwrites its own and nobody else's."""

import json
from pathlib import Path

from medjepa.errors import DataError

RESULTS = "results.json"
_BY_NAME = {"select.json": "select", "inspection.json": "inspect", "parts": "finetune"}
"""What only one verb writes."""


def refuse_others_results(folder: Path, verb: str) -> None:
    """Refuse a folder whose results are those of another verb, which would be overwritten.

    Args:
        folder: where `verb` is to write; it need not be there.
        verb: as on the command line: evaluate, finetune, predict or select.

    Raises:
        DataError: naming whose results they are and what to do.
    """
    owner = _owner(folder)
    if owner not in (verb, None):
        raise DataError(
            f"{folder}: holds the results of {owner}, which {verb} would overwrite; choose another "
            "folder with out="
        )


def _owner(folder: Path) -> str | None:
    """Whose results they are; None where there are none, or where they do not say."""
    for name, verb in _BY_NAME.items():
        if (folder / name).exists():
            return verb
    path = folder / RESULTS
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "something else"
    if not isinstance(found, dict) or not isinstance(found.get("run"), dict):
        return "something else"
    words = f"{found['run'].get('command', '')}".split()
    return words[1] if words[:1] == ["medjepa"] and len(words) > 1 else None
