"""Files that `prepare` could not take in, as whoever computes numbers from a store has to say."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medjepa.data.labels import FOLDER_LABEL
from medjepa.data.private_map import PRIVATE
from medjepa.data.store import Store
from medjepa.data.survey.findings import counted, pattern_of
from medjepa.data.table_columns import MISSING
from medjepa.data.tables import FileMatcher, read_table
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.utils.logging import CONSOLE_ONLY, get_logger

FAILURES = "failures.json"
"""In a store's private folder: path and reason of each file that could not be read."""

_MOST_REASONS = 3
_logger = get_logger(__name__)


def unread_files(store: Path) -> list[tuple[str, str]]:
    """(path below its source, why it could not be read); none for a copy without private folder.

    Raises:
        DataError: the list is damaged.
    """
    path = store / PRIVATE / FAILURES
    try:
        return [(entry["path"], entry["reason"]) for entry in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, PermissionError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def tell_unread(
    stores: Sequence[Store] | Sequence[VolumeStore] | Sequence[Store | VolumeStore],
    labels: Sequence[str] = (),
    *,
    table: str | Path | None = None,
    aloud: bool = True,
) -> tuple[str, ...]:
    """Say what is missing from numbers, as notes without any name; none if every file was read.

    The terminal is told where the names are. It does not matter when a store was prepared.

    Args:
        stores: that the numbers are computed from.
        labels: columns of the table, to count the labelled cases that are missing.
        table: with these columns, if it is not beside the images.
        aloud: whether the terminal is told.

    Raises:
        DataError: a list of unread files is damaged.
    """
    reasons: Counter[str] = Counter()
    labelled: int | None = 0
    for store in stores:
        unread = unread_files(store.path)
        if not unread:
            continue
        reasons.update(pattern_of(reason) for _, reason in unread)
        own = _num_labelled(store, {path for path, _ in unread}, labels, table) if labels else None
        labelled = None if own is None or labelled is None else labelled + own
        if aloud:
            _logger.warning(
                "%s could not be read and %s left out; which and why: %s",
                counted(len(unread), "file"),
                "was" if len(unread) == 1 else "were",
                store.path / PRIVATE / FAILURES,
                extra=CONSOLE_ONLY,
            )
    if not reasons:
        return ()
    return (_worded(reasons, labelled),)


def _worded(reasons: Counter[str], labelled: int | None) -> str:
    num = reasons.total()
    first = [f"{reason} ({count:,})" for reason, count in reasons.most_common(_MOST_REASONS)]
    if more := len(reasons) - len(first):
        first.append(counted(more, "other reason"))
    text = (
        f"{counted(num, 'file')} could not be read and {'was' if num == 1 else 'were'} left out: "
        f"{'; '.join(first)}. The list is {PRIVATE}/{FAILURES} of the store."
    )
    if labelled:
        are = "case is" if labelled == 1 else "cases are"
        text += f" {labelled:,} labelled {are} missing from the numbers for that reason."
    return text


def _num_labelled(
    store: Store | VolumeStore,
    unread: set[str],
    labels: Sequence[str],
    table: str | Path | None,
) -> int | None:
    """How many cases have a label and no readable file; None where that cannot be known."""
    private, is_3d = store.private_map(), isinstance(store, VolumeStore)
    if len(private.sources) != 1:  # the list does not say which source a file is of
        return None
    if FOLDER_LABEL in labels and table is None:
        return None if is_3d else len(unread)
    copies = [store.path / PRIVATE / copy for _, _, copy in private.tables]
    keys = set(store.keys)
    good = {record.path for record in private.files if record.key in keys}
    matcher = FileMatcher([*good, *(unread - good)], folders=is_3d)
    missing: set[frozenset[str]] = set()
    for path in [Path(table)] if table is not None else copies:
        rows = read_table(path, check=False)
        column = matcher.match_column(rows)
        asked = [name for name in labels if name in rows.columns]
        if column is None or not asked:
            continue
        for row in rows:
            files = frozenset(matcher.find_all(row[column]))
            has_label = any(row[name].lower() not in MISSING for name in asked)
            if has_label and files & unread and not files & good:
                missing.add(files)
    return len(missing)
