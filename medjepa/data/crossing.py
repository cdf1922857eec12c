"""A given split that patients cross is refused: who they are is written for the owner of the store.

A patient may seem to cross only because two spellings are taken for one (`spellings`): then these
are named, as the table writes them. What only a file's header says is never shown.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medjepa.data.private_map import PRIVATE, write_private
from medjepa.data.splits import check_no_group_crosses
from medjepa.errors import DataError

CROSSING = "crossing.csv"
"""In a store's private folder: who is in several parts of a split that was refused."""

# An image that lies in several parts under different names belongs to the last of these.
_PART_ORDER = ("train", "val", "test")
_NUM_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An image, whose it is, and its part.

    Attributes:
        name: of the patient, as it is written.
        in_table: whether the user's table says it, and no file's header alone.
        file: path below its source.
        group: pseudonym of the patient, one for all spellings.
        part: of the split.
    """

    name: str
    in_table: bool
    file: str
    group: str
    part: str


def part_rank(name: str) -> int:
    """Place of a part in the order train, val, test; of any other name that of training."""
    lowered = name.strip().lower()
    return next((i for i, part in enumerate(_PART_ORDER) if lowered.startswith(part)), 0)


def refuse_crossing(folder: Path, placed: Sequence[Placed], columns: str) -> None:
    """Refuse a split that patients cross; images without a part are in none.

    Args:
        folder: of the store.
        placed: its images.
        columns: that name the patient, for the reader: patient, or site | patient.

    Raises:
        DataError: names the patients, and where only their spellings cross, these.
    """
    used = [(one, part) for one in placed if (part := _plain_part(one.part))]
    try:
        check_no_group_crosses([one.group for one, _ in used], [part for _, part in used])
    except DataError as error:
        parts: dict[str, set[str]] = {}
        for one, part in used:
            parts.setdefault(one.group, set()).add(part)
        crossing = [(one, part) for one, part in used if len(parts[one.group]) > 1]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow((columns, "part", "file"))
        table.writerows(sorted((one.name, part, one.file) for one, part in crossing))
        write_private(folder, CROSSING, text.getvalue().encode())
        raise DataError(
            f"{error}{_spellings(crossing, columns)} Who they are: {folder / PRIVATE / CROSSING}"
        ) from error


def _spellings(crossing: Sequence[tuple[Placed, str]], columns: str) -> str:
    """Which patients cross as two spellings of one name only, as sentences; "" if none does."""
    of_group: dict[str, dict[str, set[str]]] = {}
    hidden = set()
    for one, part in crossing:
        of_group.setdefault(one.group, {}).setdefault(one.name, set()).add(part)
        hidden |= set() if one.in_table else {one.group}
    alike = {
        group: names
        for group, names in of_group.items()
        if len(names) > 1 and all(len(parts) == 1 for parts in names.values())
    }
    if not alike:
        return ""
    shown = [
        " and ".join(f"{name!r} in {min(parts)}" for name, parts in sorted(names.items()))
        for group, names in sorted(alike.items(), key=lambda item: sorted(item[1]))
        if group not in hidden
    ]
    named = f" ({'; '.join(shown[:_NUM_NAMED])})" if shown else ""
    are = "1 of them is" if len(alike) == 1 else f"{len(alike)} of them are"
    return (
        f" {are} in two parts only because the name is written in two ways{named}, which count as "
        f"one patient. If it is one, write {columns} alike in the table; if these are different "
        "people, say so by a second column, such as group=[site,patient]."
    )


def _plain_part(name: str) -> str:
    """A part by one name: Train and training are one."""
    is_known = name.strip().lower().startswith(_PART_ORDER)
    return _PART_ORDER[part_rank(name)] if is_known else name.strip().lower()
