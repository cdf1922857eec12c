"""Labels from a table, joined with the images of a store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from medjepa.config.columns import no_column
from medjepa.data.crossing import Placed, part_rank, refuse_crossing
from medjepa.data.files import Found
from medjepa.data.private_map import (
    PRIVATE,
    FileRecord,
    PrivateMap,
    group_key,
    keyed_hash,
)
from medjepa.data.source_tables import SourceTable, tables_beside
from medjepa.data.spellings import one_code_each
from medjepa.data.store import Store
from medjepa.data.table_columns import MISSING, group_cell
from medjepa.data.tables import FileMatcher, class_names, read_table, split_column
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError

FOLDER_LABEL = "folder"
"""`label=folder` takes the name of the folder that an image lies in."""
AUTO_SPLIT = "auto"


@dataclass(frozen=True)
class LabelledSet:
    """Images of a store with their labels; all lists are as long as `indices`.

    Attributes:
        indices: (n,) int64 into the store, ascending.
        labels: the class of each image, as the table writes it.
        class_names: the classes in a fixed order (numbers by value, else by name).
        groups: hashed patient of each image, None where nobody says.
        split: the part that the table gives to each image, None if there is no such column.
        notes: what a reader of the results should know about the data.
        cells: every column of the table for these images, as the table writes it; private.
        num_in_both: images whose copies the split puts into the test and elsewhere; in the test.
    """

    indices: np.ndarray
    labels: list[str]
    class_names: list[str]
    groups: list[str] | None
    split: list[str] | None
    notes: list[str] = field(default_factory=list)
    cells: Mapping[str, list[str]] = field(default_factory=dict, repr=False)
    num_in_both: int = 0

    @property
    def targets(self) -> np.ndarray:
        """(n,) int64: the number of each image's class in `class_names`."""
        numbers = {name: i for i, name in enumerate(self.class_names)}
        return np.asarray([numbers[label] for label in self.labels], dtype=np.int64)


def labelled(
    store: Store | VolumeStore,
    label: str,
    *,
    group: str | Sequence[str] | None = None,
    split: str | None = None,
    table: str | Path | None = None,
) -> LabelledSet:
    """Join a store with the column `label` of its table.

    `group` names the column of patients, or several that name them together (else what `prepare`
    found); `split` names the column of a given split, None takes the column "split" if there is
    one, and "auto" takes none, for those who want to split by patient themselves.

    Raises:
        DataError: a column is missing, nothing matches, or a group lies in two parts of the split.
    """
    private = store.private_map()
    if label == FOLDER_LABEL and table is None:
        rows = [
            _Row(record, {FOLDER_LABEL: PurePosixPath(record.path).parent.name})
            for record in private.files
        ]
        columns: tuple[str, ...] = (FOLDER_LABEL,)
        notes: list[str] = []
    else:
        rows, columns, notes = _joined_rows(store, private, label, table)
    split_name = None if split == AUTO_SPLIT else split or split_column(columns)
    group_names = (group,) if isinstance(group, str) else group or ()
    asked = [(name, "group") for name in group_names] + [(split_name, "split")]
    for name, purpose in asked:
        if name is not None and name not in columns:
            raise DataError(
                f"no column {name!r} for {purpose}=; {no_column(name, columns, key=purpose)}"
            )
    by_key, repeated, num_in_both = _one_row_per_image(rows, label, split_name)
    notes += _left_out(rows, label) + repeated
    found = _build(store, by_key, label, group, split_name, notes)
    return replace(found, num_in_both=num_in_both)


@dataclass(frozen=True)
class _Row:
    record: FileRecord
    values: dict[str, str]


def _joined_rows(
    store: Store | VolumeStore, private: PrivateMap, label: str, table: str | Path | None
) -> tuple[list[_Row], tuple[str, ...], list[str]]:
    found = _tables(store, private, label, table)
    notes: list[str] = []
    rows: list[_Row] = []
    columns: dict[str, None] = {}
    for entry in found:
        records = {r.path: r for r in private.files if r.source == entry.source}
        matcher = FileMatcher(list(records), folders=isinstance(store, VolumeStore))
        unmatched = 0
        for values in entry.table:
            # The files of a volume, in a folder that the row names, are one item: one row for it.
            items = {records[p].key: p for p in matcher.find_all(values[entry.file_column])}
            rows += [_Row(records[path], dict(values)) for path in items.values()]
            unmatched += not items
        columns |= dict.fromkeys(entry.table.columns)
        if unmatched:
            notes.append(f"{unmatched} of {len(entry.table)} rows name no image of the store")
    for row in rows:  # a column may be in one of several tables only
        row.values.update({name: "" for name in columns if name not in row.values})
    if not rows:
        raise DataError(f"{found[0].table.path}: no row names an image of the store {store.path}")
    return rows, tuple(columns), notes


def _tables(
    store: Store | VolumeStore, private: PrivateMap, label: str, table: str | Path | None
) -> list[SourceTable]:
    """The tables with the label column: the asked one, or the copies in the store."""
    entries: list[SourceTable] = []
    seen: set[str] = set()
    for source, root in enumerate(private.sources):
        files = [
            Found(source, r.path, r.size, r.mtime_ns) for r in private.files if r.source == source
        ]
        copies = [copy for number, _, copy in private.tables if number == source]
        paths = [Path(table)] if table is not None else [store.path / PRIVATE / c for c in copies]
        for path in paths:
            asked = read_table(path, check=False)
            seen |= set(asked.columns)
            if label not in asked.columns:
                continue
            try:
                is_3d = isinstance(store, VolumeStore)
                entries += tables_beside(source, Path(root), files, table=path, folders=is_3d)
            except DataError:
                continue  # with several sources a table need not name files of each
    if not entries and label not in seen:
        there = no_column(label, sorted(seen), key="label") if seen else _no_table(private)
        raise DataError(
            f"no label column {label!r}: {there} Name a table with data.table=FILE.csv, or use "
            f"label={FOLDER_LABEL} for the name of each image's folder"
        )
    if not entries:
        raise DataError(f"no row of the table names an image of the store {store.path}")
    return entries


def _no_table(private: PrivateMap) -> str:
    """Why there are no columns: no table lies beside the images, or none names them."""
    roots = [Path(root) for root in private.sources]
    beside = [path for root in roots if root.is_dir() for path in sorted(root.glob("*.csv"))]
    if not beside:
        return "no table was found."
    return (
        f"{beside[0]} names hardly any of the images, or by names that several files have: its "
        "column of files needs their paths below that folder, as in a/0001.png."
    )


def _one_row_per_image(
    rows: Sequence[_Row], label: str, split: str | None
) -> tuple[dict[str, _Row], list[str], int]:
    """Choose a row for each image where a file occurs several times, and say what was chosen.

    Copies in several parts of the split count for the one that must not be trained on: else the
    test would hold an image of the training. Copies with contradictory labels are left out.
    """
    copies: dict[str, list[_Row]] = {}
    for row in rows:
        if row.values[label].lower() not in MISSING:
            copies.setdefault(row.record.key, []).append(row)
    by_key: dict[str, _Row] = {}
    moved = in_both = contradictory = 0
    for key, same in copies.items():
        if label != split and len({row.values[label] for row in same}) > 1:
            contradictory += 1
            continue
        if split is not None:
            same.sort(key=lambda row: part_rank(row.values[split]))
            lowest, highest = (part_rank(same[place].values[split]) for place in (0, -1))
            moved += lowest < highest
            in_both += lowest < highest == part_rank("test")
        by_key[key] = same[-1]
    notes = []
    if moved:
        notes.append(
            f"{_images(moved)} in several parts of the split under different names: counted for "
            "the test, else for validation, else for training"
        )
    if contradictory:
        notes.append(
            f"{_images(contradictory)} several times with contradictory labels; they count for none"
        )
    return by_key, notes, in_both


def _images(num: int) -> str:
    return "1 image occurs" if num == 1 else f"{num:,} images occur"


def _left_out(rows: Sequence[_Row], label: str) -> list[str]:
    empty = sum(row.values[label].lower() in MISSING for row in rows)
    return [f"{empty} images have no {label} and are left out"] if empty else []


def _build(
    store: Store | VolumeStore,
    by_key: dict[str, _Row],
    label: str,
    group: str | Sequence[str] | None,
    split: str | None,
    notes: list[str],
) -> LabelledSet:
    indices = [i for i, key in enumerate(store.keys) if key in by_key]
    rows = [by_key[store.keys[i]] for i in indices]
    if not rows:
        raise DataError(f"no image of the store {store.path} has a value for {label!r}")
    labels = [row.values[label] for row in rows]
    unlabelled = len(store) - len(indices)
    if unlabelled:
        notes.append(f"{unlabelled} images of the store have no label and are left out")
    secret = group_key(store.path)
    groups = (
        [
            "" if row.record.patient.lower() in MISSING else store.groups[i]
            for i, row in zip(indices, rows, strict=True)
        ]
        if group is None
        else [keyed_hash(secret, group_cell(row.values, group)) for row in rows]
    )
    parts = None if split is None else [row.values[split] for row in rows]
    names = [group_cell(row.values, group) if group else row.record.patient for row in rows]
    names = [name if code else "" for code, name in zip(groups, names, strict=True)]
    groups, respelled = one_code_each(groups, names)
    known_groups, group_notes = _complete(groups, [store.keys[i] for i in indices])
    if respelled:
        notes.append(
            f"{respelled} patients are written in several ways (case, spaces, signs, zeros before "
            "a number): each was taken for one"
        )
    if parts is not None and known_groups is not None:
        placed = [
            Placed(
                name=name,
                in_table=name in row.values.values() or group is not None,
                file=row.record.path,
                group=known,
                part=part,
            )
            for name, row, known, part in zip(names, rows, known_groups, parts, strict=True)
        ]
        columns = group if isinstance(group, str) else " | ".join(group or ("patient",))
        refuse_crossing(store.path, placed, columns)
    if parts is not None:
        notes.append(f"split: the table's column {split!r}, {_counted(parts)}")
    return LabelledSet(
        indices=np.asarray(indices, dtype=np.int64),
        labels=labels,
        class_names=class_names(labels),
        groups=known_groups,
        split=parts,
        notes=notes + group_notes,
        cells={name: [row.values[name] for row in rows] for name in rows[0].values},
    )


def _complete(groups: list[str], keys: list[str]) -> tuple[list[str] | None, list[str]]:
    without = sum(not name for name in groups)
    if without == len(groups):
        return None, ["no groups: intervals too narrow"]
    if without:
        note = f"{without} images without a group count as independent: intervals too narrow"
        return [g or key for g, key in zip(groups, keys, strict=True)], [note]
    return groups, []


def _counted(parts: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(parts).items()))
