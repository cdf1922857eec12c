"""A set as one table that `prepare` and `evaluate` take: file, label, group, part of the split."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from medjepa.data.catalog.checks import crossing_groups
from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.items import Item
from medjepa.data.files import PRIVATE_FILE_MODE, write_atomic
from medjepa.errors import DataError

FILE, LABEL, GROUP, SPLIT, PUBLISHED, MASK = (
    "filename", "label", "group", "split", "published_split", "mask",
)  # fmt: skip


def write_table(
    entry: Entry, items: Sequence[Item], path: str | Path, *, overwrite: bool = False
) -> list[str]:
    """Write a row for every image; returns the columns.

    Columns without any value are left out. `filename` is below the folder that was read; a set of
    several labels has a column of 0, 1 or nothing for each class; a split that groups cross is
    called `published_split`, so that it is not used unasked.

    Raises:
        DataError: the images lie inside arrays, or another file would be overwritten.
    """
    if any(item.array is not None for item in items):
        raise DataError(
            f"{entry.title}: its images lie inside arrays; unpack=FOLDER writes them as files, "
            "with their table"
        )
    leaks = bool(crossing_groups(list(items)))
    findings = list(entry.classes) if any(item.findings for item in items) else []
    columns = {
        FILE: [item.path for item in items],
        LABEL: [item.label for item in items],
        GROUP: [item.group or "" for item in items],
        PUBLISHED if leaks else SPLIT: [item.split or "" for item in items],
        **{name: [item.findings.get(name, "") for item in items] for name in findings},
        MASK: ["|".join(item.masks) for item in items],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(kept)
    writer.writerows(zip(*kept.values(), strict=True))
    content, target = text.getvalue().encode("utf-8"), Path(path)
    if target.exists() and not overwrite and target.read_bytes() != content:
        raise DataError(f"{target}: is there already; overwrite=true replaces it")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, content, mode=PRIVATE_FILE_MODE)
    return list(kept)
