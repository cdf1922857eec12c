"""`prepare`: decode every image of a folder once, into a store."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import Literal

from medjepa.data.files import Found, check_free_space, make_private_folder, scan
from medjepa.data.ingest import Ingested, IngestSettings, ingest
from medjepa.data.lock import locked
from medjepa.data.private_map import (
    PRIVATE,
    FileRecord,
    PrivateMap,
    group_key,
    keyed_hash,
    write_private,
)
from medjepa.data.resize import FITS, Fit
from medjepa.data.source_tables import SourceTable, groups_of_files, tables_beside
from medjepa.data.store import is_store
from medjepa.data.store_writer import StoreWriter
from medjepa.data.workers import map_in_processes
from medjepa.errors import ConfigError, DataError
from medjepa.types import MODALITIES

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress(description, total) as advance: advance(1)`"""

_SHARD_BYTES = 64 << 20
_FLUSH_SECONDS = 30.0
_FILES_PER_WORKER = 16


@dataclass
class PrepareReport:
    """What became of the files: good + skipped + failed == found, always.

    Attributes:
        out: the store.
        found: files below the sources.
        good: files whose images are in the store.
        skipped: files that are no images, or are identical to another.
        failed: files that should be images and cannot be read.
        failures: (path below its source, reason) of the failed ones.
        skips: how many were skipped, by reason.
        doubts: (path below its source, what was assumed) of good ones that were repaired.
        num_known: good files that were in the store already and were not decoded again.
        num_images: images in the store; a volume gives one for each slice.
        num_constant_slices: slices left out because they show nothing.
        num_dropped: images taken out because their file is gone or has changed.
        group_columns: (table, column) that names the patients, as found or asked.
        grouped: "table", "header" or "none": where the patients come from.
    """

    out: Path
    found: int = 0
    good: int = 0
    skipped: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)
    doubts: list[tuple[str, str]] = field(default_factory=list)
    num_known: int = 0
    num_images: int = 0
    num_constant_slices: int = 0
    num_dropped: int = 0
    group_columns: list[tuple[str, str]] = field(default_factory=list)
    grouped: str = "none"

    def skip(self, reason: str) -> None:
        """Count one skipped file."""
        self.skipped += 1
        self.skips[reason] = self.skips.get(reason, 0) + 1


def prepare(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    size: int | tuple[int, int],
    channels: Literal["auto", 1, 3] = "auto",
    fit: Fit = "stretch",
    modality: str | Sequence[str | None] | None = None,
    table: str | Path | None = None,
    group_column: str | None = None,
    pattern: str | None = None,
    num_workers: int | None = None,
    timeout_s: float = 120.0,
    shard_bytes: int = _SHARD_BYTES,
    flush_seconds: float = _FLUSH_SECONDS,
    progress: Progress | None = None,
) -> PrepareReport:
    """Decode the images below `sources` (folders, or tables that name files) into the store `out`.

    What the store holds already is not decoded again, and what has gone from a source leaves the
    store. `size` is (H, W) or one number for both; `channels` "auto" keeps grey as 1 and colour as
    3; `pattern` ("*.jpg") chooses files by name; `num_workers=0` decodes in this process.

    Raises:
        ConfigError: a setting makes no sense.
        DataError: no image could be read, the disk is too full, or `out` holds something else.
    """
    roots = [Path(s) for s in ([sources] if isinstance(sources, str | Path) else sources)]
    settings = IngestSettings(_pair(size), channels, fit)
    kinds = _check(roots, settings, modality)
    out = Path(out)
    _check_out(out)
    make_private_folder(out / PRIVATE)
    with locked(out / PRIVATE / "lock"):
        job = _Job(out, roots, settings, kinds, StoreWriter(
            out, settings, shard_bytes=shard_bytes, flush_seconds=flush_seconds
        ))
        job.survey(None if table is None else Path(table), group_column, pattern)
        num_workers = _default_workers(len(job.todo)) if num_workers is None else num_workers
        job.run(num_workers, timeout_s, progress or _silent)
        return job.finish()


class _Job:
    """One run: survey the sources, take in the files in order, publish."""

    def __init__(
        self,
        out: Path,
        roots: list[Path],
        settings: IngestSettings,
        modality: list[str | None],
        writer: StoreWriter,
    ) -> None:
        self.out, self.settings, self.writer = out, settings, writer
        self.report = PrepareReport(out)
        before = PrivateMap.read(out) if is_store(out) else PrivateMap()
        self.map = before
        self.numbers = []
        for root in roots:
            name = str((root.parent if root.suffix.lower() == ".csv" else root).resolve())
            if name not in before.sources:
                before.sources.append(name)
            self.numbers.append(before.sources.index(name))
        self.roots = roots
        self.modality = dict(zip(self.numbers, modality, strict=True))
        self.records = {(r.source, r.path): r for r in before.files}
        self.found: list[Found] = []
        self.todo: list[Found] = []
        self.pattern: str | None = None
        self.tables: list[SourceTable] = []
        self.table_groups: dict[tuple[int, str], str] = {}
        self.key = group_key(out)

    def survey(self, table: Path | None, group: str | None, pattern: str | None) -> None:
        """List the files, read the tables, and sort out what need not be decoded."""
        self.pattern = pattern
        for number, root in zip(self.numbers, self.roots, strict=True):
            own_table = root if root.suffix.lower() == ".csv" and root.is_file() else table
            folder = Path(self.map.sources[number])
            found = list(scan(number, folder, leave_out=(self.out.resolve(),)))
            tables = tables_beside(number, folder, found, table=own_table, group=group)
            if own_table is root:
                found = _named_in(tables, found)
            self.found += found
            self.tables += tables
            groups = groups_of_files(tables, found)
            self.table_groups |= {(number, path): name for path, name in groups.items()}
        self.report.found = len(self.found)
        self.report.group_columns = [
            (t.table.path.name, t.group_column) for t in self.tables if t.group_column
        ]
        self.todo = [f for f in self.found if not self._is_left_out(f) and not self._is_known(f)]
        height, width = self.settings.size
        depth = 1 if self.settings.channels == 1 else 3
        check_free_space(self.out, len(self.todo) * height * width * depth)

    def run(self, num_workers: int, timeout_s: float, progress: Progress) -> None:
        """Take in every file, in the order in which they were found."""
        paths = [str(self._path(entry)) for entry in self.todo]
        arguments = (self.settings, frozenset(self.writer.keys))
        results: Iterator[Ingested] = (
            map_in_processes(
                ingest,
                paths,
                arguments,
                on_death=lambda reason: Ingested("failed", reason=reason),
                num_workers=num_workers,
                timeout_s=timeout_s,
            )
            if num_workers and paths
            else (ingest(path, *arguments) for path in paths)
        )
        waiting = {(entry.source, entry.relative) for entry in self.todo}
        owners: set[str] = set()
        with progress("decoding images", len(self.todo)) as advance:
            for entry in self.found:
                place = (entry.source, entry.relative)
                if place in waiting:
                    result = next(results)
                    advance(1)
                    self._take(entry, result, owners)
                elif self._is_left_out(entry):
                    self.report.skip(_left_out_because(entry, self.pattern))
                else:
                    self._count_good(self.records[place].key, owners, known=True)
                if self.writer.is_due:
                    self._publish()
        # Exhausted, so that the processes are stopped now and not by the garbage collector.
        assert next(chain(results, [None])) is None

    def finish(self) -> PrepareReport:
        """Drop what is gone, write everything, and check the sum."""
        places = {(entry.source, entry.relative) for entry in self.found}
        scanned = set(self.numbers)
        self.records = {
            place: record
            for place, record in self.records.items()
            if record.source not in scanned or place in places
        }
        report = self.report
        self.writer.write_shards()
        report.num_dropped = self.writer.drop_unknown({r.key for r in self.records.values()})
        self._copy_tables()
        self._publish()
        failures = [{"path": path, "reason": reason} for path, reason in report.failures]
        write_private(self.out, "failures.json", json.dumps(failures, indent=1).encode())
        report.num_images = len(self.writer)
        assert report.good + report.skipped + report.failed == report.found
        if report.num_images == 0:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in report.failures[:3])
            raise DataError(
                f"no readable image among {report.found} files"
                + (f" ({reasons}, ...)" if reasons else "; is it the right folder?")
            )
        return report

    def _take(self, entry: Found, result: Ingested, owners: set[str]) -> None:
        if result.status == "skipped":
            self.report.skip(result.reason)
            return
        if result.status == "failed":
            self.report.failed += 1
            self.report.failures.append((entry.relative, result.reason))
            return
        place = (entry.source, entry.relative)
        header_patient = result.group
        if result.status == "known" or result.key in owners:
            header_patient = next(
                (r.header_patient for r in self.records.values() if r.key == result.key), ""
            )
        elif result.key not in self.writer.keys:
            asked = self.modality[entry.source]
            self.writer.add(result, source=entry.source, modality=asked or result.modality)
            self.report.num_constant_slices += result.num_constant
        self.report.doubts += [(entry.relative, text) for text in result.warnings]
        self.records[place] = FileRecord(
            source=entry.source,
            path=entry.relative,
            size=entry.size,
            mtime_ns=entry.mtime_ns,
            key=result.key,
            header_patient=header_patient,
        )
        self._count_good(result.key, owners, known=result.status == "known")

    def _count_good(self, key: str, owners: set[str], *, known: bool) -> None:
        if key in owners:
            self.report.skip("identical to another file; its image is kept once")
            return
        owners.add(key)
        self.report.good += 1
        self.report.num_known += known

    def _publish(self) -> None:
        """Shards, then the private map, then the index that names both."""
        self.writer.write_shards()
        groups: dict[str, str] = {}
        records = []
        for place, record in self.records.items():
            patient = self.table_groups.get(place) or record.header_patient
            records.append(replace(record, patient=patient))
            if patient:
                groups.setdefault(record.key, keyed_hash(self.key, patient))
        with_table = bool(self.table_groups)
        self.report.grouped = "table" if with_table else "header" if groups else "none"
        for key in self.writer.volumes - set(groups):
            # The slices of one volume belong together even where nobody says whose they are.
            groups[key] = keyed_hash(self.key, f"volume {key}")
        self.map.files = records
        self.map.write(self.out)
        self.writer.write_index(groups)

    def _copy_tables(self) -> None:
        kept = [t for t in self.map.tables if t[0] not in set(self.numbers)]
        for number, entry in enumerate(self.tables, start=len(kept)):
            copy = f"table-{number}.csv"
            write_private(self.out, copy, entry.table.path.read_bytes())
            kept.append((entry.source, str(entry.table.path), copy))
        self.map.tables = kept

    def _path(self, entry: Found) -> Path:
        root = Path(self.map.sources[entry.source])
        return root / entry.relative if root.is_dir() else root

    def _is_known(self, entry: Found) -> bool:
        record = self.records.get((entry.source, entry.relative))
        return record is not None and (
            (record.size, record.mtime_ns) == (entry.size, entry.mtime_ns)
            and record.key in self.writer.keys
        )

    def _is_left_out(self, entry: Found) -> bool:
        return bool(_left_out_because(entry, self.pattern))


def _left_out_because(entry: Found, pattern: str | None) -> str:
    if any(part.startswith(".") for part in entry.relative.split("/")):
        return "hidden file"
    if pattern is not None and not fnmatch(entry.relative, pattern):
        return f"name does not match {pattern}"
    return ""


def _named_in(tables: list[SourceTable], found: list[Found]) -> list[Found]:
    from medjepa.data.tables import FileMatcher

    matcher = FileMatcher([entry.relative for entry in found])
    named = {matcher.find(row[t.file_column]) for t in tables for row in t.table}
    return [entry for entry in found if entry.relative in named]


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _check(
    roots: list[Path], settings: IngestSettings, modality: str | Sequence[str | None] | None
) -> list[str | None]:
    if not roots:
        raise ConfigError("data: name at least one folder of images")
    missing = [str(root) for root in roots if not root.exists()]
    if missing:
        raise DataError(f"{missing[0]}: no such folder")
    if min(settings.size) < 1:
        raise ConfigError(f"data.size: at least 1 pixel, got {settings.size}")
    if settings.channels not in ("auto", 1, 3):
        raise ConfigError(f"data.channels: auto, 1 or 3, got {settings.channels!r}")
    if settings.fit not in FITS:
        raise ConfigError(f"data.fit: {' or '.join(FITS)}, got {settings.fit!r}")
    kinds: list[str | None] = (
        [modality] * len(roots)
        if modality is None or isinstance(modality, str)
        else list(modality)
    )
    if len(kinds) != len(roots):
        raise ConfigError(f"data.modality names {len(kinds)} kinds for {len(roots)} sources")
    for kind in kinds:
        if kind is not None and kind not in MODALITIES:
            raise ConfigError(f"data.modality: {kind!r} is unknown; one of {', '.join(MODALITIES)}")
    return kinds


def _check_out(out: Path) -> None:
    if out.is_dir() and not is_store(out):
        alien = [p.name for p in out.iterdir() if p.name not in (PRIVATE,) and not p.name.startswith((".", "shard-"))]
        if alien:
            raise DataError(f"{out}: this folder holds other things ({alien[0]}); choose a new one")
    elif out.exists() and not out.is_dir():
        raise DataError(f"{out}: a file, not a folder; choose another out=")


def _default_workers(num_files: int) -> int:
    available = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(available, -(-num_files // _FILES_PER_WORKER)))


@contextmanager
def _silent(description: str, total: int) -> Iterator[Callable[[int], object]]:  # noqa: ARG001
    yield lambda count: None  # noqa: ARG005
