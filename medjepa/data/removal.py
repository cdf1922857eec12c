"""A patient leaves a store: images, index, private map and copies of tables; the rest stays as is.

The list of who is forgotten is written first. From then on `prepare` takes nothing of them, and the
same command, after an interruption anywhere, ends what was begun.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.files import check_free_space, write_atomic
from medjepa.data.forgotten import Forgotten, Removal, csv_bytes
from medjepa.data.lock import locked
from medjepa.data.private_map import (
    PRIVATE,
    FileRecord,
    PrivateMap,
    group_key,
    keyed_hash,
    write_private,
)
from medjepa.data.shard_files import TensorFile, write_tensors
from medjepa.data.store import TENSOR_NAME
from medjepa.data.store_index import INDEX_NAME, Shard, is_store, read_index
from medjepa.data.tables import FileMatcher, group_column, read_table
from medjepa.errors import CheckpointError

RECORD = "removed.json"
"""In the store, public: how many images were taken out, and when."""
_OTHERS = "contents that another store removed"
"""Stands for a patient in the list of the forgotten, whose name is not known here."""


@dataclass(frozen=True)
class RemovalReport:
    """What left one store.

    Attributes:
        store: its folder.
        known: the patients asked for that it held, now or before.
        num_items: images or volumes that left, in an earlier run too.
        num_left: those that are still there.
        keys: content hashes of the patients' files.
    """

    store: Path
    known: frozenset[str]
    num_items: int
    num_left: int
    keys: frozenset[str]


@dataclass(frozen=True)
class RunThatSaw:
    """A run of pre-training that used an image of a patient.

    Attributes:
        folder: of the run.
        num_files: how many of the patients' files it used.
        checkpoints: its weights.
    """

    folder: Path
    num_files: int
    checkpoints: tuple[Path, ...]


def forget(
    store: str | Path, patients: Collection[str], *, keys: Collection[str] = ()
) -> RemovalReport:
    """Take patients, named as the table or the header names them, out of a store of any kind.

    `keys` are contents that must go too, whosever they are. Other images stay bit for bit, in their
    order. A run that reads the store should be stopped first: its shards are replaced.

    Raises:
        DataError: no store, or it came without its private folder.
    """
    store = Path(store)
    read_index(store)
    PrivateMap.read(store)
    with locked(store / PRIVATE / "lock"):
        return _Removal(store, patients, keys).run()


class _Removal:
    def __init__(self, store: Path, patients: Collection[str], keys: Collection[str]) -> None:
        self.store, self.patients = store, frozenset(p.strip() for p in patients if p.strip())
        self.more = frozenset(keys)
        self.map = PrivateMap.read(store)
        self.index: dict[str, Any] = read_index(store)
        self.forgotten = Forgotten.read(store)
        self.secret = group_key(store)

    def run(self) -> RemovalReport:
        known, num_others = self._remember()
        mine = [self.forgotten.removals[keyed_hash(self.secret, name)] for name in known]
        gone = self.forgotten.keys
        records = [record for record in self.map.files if record.key in gone]
        self._rewrite_shards(gone)
        # Before the map, which alone knows the names of the files in a table's rows.
        self._clean_tables(records, self.map.files)
        self.map.files = [record for record in self.map.files if record.key not in gone]
        self.map.write(self.store)
        self._clean_failures(records)
        self._remove_old_shards()
        self._write_record()
        return RemovalReport(
            store=self.store,
            known=frozenset(known),
            num_items=num_others + sum(removal.num_items for removal in mine),
            num_left=len(self.index["items"]["key"]),
            keys=frozenset(key for removal in mine for key in removal.keys),
        )

    def _remember(self) -> tuple[list[str], int]:
        """Write down who goes; returns who is or was here, and how many items go besides."""
        here = Counter(self.index["items"]["key"])
        known = []
        for name in sorted(self.patients):
            keys = {r.key for r in self.map.files if name in _names(r)}
            hashed = keyed_hash(self.secret, name)
            if keys:
                self._note(hashed, keys, here)
            if hashed in self.forgotten.removals:
                known.append(name)
        others = self.more.intersection(here) - self.forgotten.keys
        if others:
            self._note(keyed_hash(self.secret, _OTHERS), others, here)
        self.forgotten.write(self.store)
        return known, sum(here[key] for key in others)

    def _note(self, name: str, keys: Collection[str], here: Mapping[str, int]) -> None:
        before = self.forgotten.removals.get(name, Removal("", 0, []))
        # After an interruption the same items may still be here: they are counted once.
        count = sum(here.get(key, 0) for key in set(keys) - set(before.keys))
        merged = sorted({*before.keys, *keys})
        self.forgotten.removals[name] = Removal(_today(), before.num_items + count, merged)

    def _rewrite_shards(self, gone: Collection[str]) -> None:
        """Write shards anew that hold something that no item of the index will name."""
        items = self.index["items"]
        kept = [number for number, key in enumerate(items["key"]) if key not in gone]
        columns = {name: [column[n] for n in kept] for name, column in items.items()}
        by_shard: dict[int, list[int]] = {}
        for place, shard in enumerate(columns["shard"]):
            by_shard.setdefault(shard, []).append(place)
        shards = [Shard(**shard) for shard in self.index["shards"]]
        for number, shard in enumerate(shards):
            places = by_shard.get(number, [])
            if len(places) < shard.rows:
                rows = [columns["row"][place] for place in places]
                shards[number], new_rows = self._rewritten(shard, rows)
                for place, row in zip(places, new_rows, strict=True):
                    columns["row"][place] = row
        self.index |= {"items": columns, "shards": [asdict(shard) for shard in shards]}
        text = json.dumps(self.index, separators=(",", ":"))
        write_atomic(self.store / INDEX_NAME, text.encode())

    def _rewritten(self, shard: Shard, rows: list[int]) -> tuple[Shard, list[int]]:
        """A new file with the wanted rows, and where they are in it."""
        name = _next_name(self.store, shard.name)
        if not rows:
            # Its place in the list stays taken, so that the numbers of the others stay.
            write_tensors(self.store / name, {})
            return Shard(name=name, rows=0, channels=1, dtype="uint8"), []
        old = TensorFile(self.store / shard.name)
        check_free_space(self.store, (self.store / shard.name).stat().st_size)
        if self.index["settings"]["dimensions"] == 2:
            tensors = {TENSOR_NAME: np.ascontiguousarray(old.tensors[TENSOR_NAME][rows])}
            new_rows = list(range(len(rows)))
        else:
            tensors, new_rows = {str(row): old.tensors[str(row)] for row in rows}, rows
        write_tensors(self.store / name, tensors)
        return replace(shard, name=name, rows=len(rows)), new_rows

    def _remove_old_shards(self) -> None:
        named = {shard["name"] for shard in self.index["shards"]}
        for path in [*self.store.glob("shard-*.safetensors"), *self.store.glob(".*.tmp")]:
            if path.name not in named:
                path.unlink()

    def _clean_tables(self, records: Sequence[FileRecord], before: Sequence[FileRecord]) -> None:
        """Drop the rows of the copied tables that are of a patient who goes, or of their files."""
        patients = set(self.patients).union(*(_names(record) for record in records))
        is_3d = self.index["settings"]["dimensions"] == 3  # there a row may name a folder
        for source, _, copy in self.map.tables:
            paths = [record.path for record in before if record.source == source]
            gone = {record.path for record in records if record.source == source}
            if (self.store / PRIVATE / copy).is_file():
                matcher = FileMatcher(paths, folders=is_3d)
                _drop_rows(self.store, copy, matcher, gone, patients)

    def _clean_failures(self, records: Sequence[FileRecord]) -> None:
        """Files that could not be read lie in folders that name their patient, too."""
        path = self.store / PRIVATE / "failures.json"
        if not path.is_file():
            return
        names = {name for record in records for name in _names(record)} | self.patients
        entries = json.loads(path.read_bytes())
        kept = [e for e in entries if not any(name in e["path"] for name in names)]
        if len(kept) < len(entries):
            write_private(self.store, path.name, json.dumps(kept, indent=1).encode())

    def _write_record(self) -> None:
        days: dict[str, int] = {}
        for removal in self.forgotten.removals.values():
            days[removal.day] = days.get(removal.day, 0) + removal.num_items
        removed = [{"day": day, "num_items": count} for day, count in sorted(days.items())]
        if removed:
            write_atomic(self.store / RECORD, json.dumps(removed, indent=1).encode())


def stores_below(folder: Path) -> list[Path]:
    """The stores in a folder of prepared caches."""
    return sorted(path for path in folder.glob("*") if is_store(path)) if folder.is_dir() else []


def runs_that_saw(
    folder: Path, keys: Collection[str], record: str
) -> tuple[list[RunThatSaw], list[Path]]:
    """Runs below `folder` that used one of the contents, and checkpoints without a `record`.

    `record` is the name of the file in which a run lists the contents that it was trained on.

    Raises:
        CheckpointError: a record is damaged.
    """
    wanted, runs = set(keys), []
    recorded: set[Path] = set()
    for path in sorted(folder.rglob(record)):
        checkpoints = tuple(sorted(path.parent.rglob("*.pt")))
        recorded.update(checkpoints)
        try:
            used = wanted.intersection(json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error
        if used:
            runs.append(RunThatSaw(path.parent, len(used), checkpoints))
    return runs, sorted(set(folder.rglob("*.pt")) - recorded)


def _names(record: FileRecord) -> set[str]:
    return {name for name in (record.patient, record.header_patient) if name}


def _next_name(store: Path, name: str) -> str:
    """A name that no file of the store has: shard-00003-1, -2, ..."""
    stem = name.removesuffix(".safetensors").rsplit("-", name.count("-") - 1)[0]
    number = 1
    while (store / f"{stem}-{number}.safetensors").exists():
        number += 1
    return f"{stem}-{number}.safetensors"


def _drop_rows(
    store: Path, copy: str, files: FileMatcher, gone: set[str], patients: set[str]
) -> None:
    table = read_table(store / PRIVATE / copy, check=False)
    image, group = files.match_column(table), group_column(table.columns)
    rows = [
        row
        for row in table.rows
        if not (group is not None and row[group] in patients)
        and not (image is not None and files.find(row[image]) in gone)
    ]
    if len(rows) < len(table.rows):
        write_private(store, copy, csv_bytes(table, rows))


def _today() -> str:
    return date.today().isoformat()
