"""One run of `prepare`: survey the sources, take in the files in order, publish."""

import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.data.files import Found, check_free_space, scan
from medjepa.data.forgotten import REASON, Forgotten
from medjepa.data.header_pass import HeaderPass, Unit, run_tasks, with_series
from medjepa.data.ingest import Ingested, IngestSettings, IngestTask, ingest
from medjepa.data.planes import StoredImage
from medjepa.data.prepare_report import PrepareReport, Progress
from medjepa.data.private_map import (
    FileRecord,
    PrivateMap,
    group_key,
    keyed_hash,
    write_private,
)
from medjepa.data.source_tables import SourceTable, groups_of_files, named_files, tables_beside
from medjepa.data.store_index import is_store
from medjepa.data.store_writer import StoreWriter
from medjepa.data.tables import is_table
from medjepa.data.volume_items import StoredVolume
from medjepa.data.volume_units import images_among, volume_units
from medjepa.errors import DataError

if TYPE_CHECKING:
    from medjepa.data.selection import Selection

Place = tuple[int, str]


class PrepareJob:
    """The state of one run; call `survey`, `look`, `run` and `finish` in turn."""

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
            name = str((root.parent if is_table(root) else root).resolve())
            if name not in before.sources:
                before.sources.append(name)
            self.numbers.append(before.sources.index(name))
        self.roots = roots
        self.modality = dict(zip(self.numbers, modality, strict=True))
        self._check_modality()
        self.records = {(r.source, r.path): r for r in before.files}
        self.header_patients = {r.key: r.header_patient for r in before.files}
        self.found: list[Found] = []
        self.units: list[Unit] = []
        self.left_out: dict[Place, str] = {}
        self.tables: list[SourceTable] = []
        self.table_groups: dict[Place, str] = {}
        self.key = group_key(out)
        self.forgotten = Forgotten.read(out)

    def survey(
        self,
        table: Path | None,
        *,
        image_column: str | None,
        group_column: str | None,
        pattern: str | None,
    ) -> None:
        """List the files, read the tables, and sort out what need not be decoded."""
        is_3d = self.settings.dimensions == 3
        for number, root in zip(self.numbers, self.roots, strict=True):
            own_table = root if is_table(root) else table
            folder = Path(self.map.sources[number])
            found = list(scan(number, folder, leave_out=(self.out.resolve(),)))
            # A label map often has its image's name: a row of a table means the image.
            images = images_among(found, self.settings.dimensions, pattern)
            tables = tables_beside(
                number,
                folder,
                images,
                table=own_table,
                image_column=image_column,
                group_column=group_column,
                folders=is_3d,
            )
            if own_table is root:
                found = images = named_files(tables, images, folders=is_3d)
            self.found += found
            self.tables += tables
            groups = groups_of_files(tables, images, folders=is_3d)
            self.table_groups |= {(number, path): name for path, name in groups.items()}
        self.report.found = len(self.found)
        self.report.group_columns = [
            (t.table.path.name, t.group_column) for t in self.tables if t.group_column
        ]
        reasons = {_place(entry): _left_out_because(entry, pattern) for entry in self.found}
        self.left_out = {place: reason for place, reason in reasons.items() if reason}
        self.units = [Unit((e,)) for e in self.found if _place(e) not in self.left_out]
        if is_3d:
            self.units, others = volume_units(self.units, self.settings.contrasts, pattern)
            self.left_out |= others

    def look(
        self,
        num_workers: int,
        timeout_s: float,
        progress: Progress,
        *,
        gate: bool,
        selection: "Selection | None",
    ) -> None:
        """Read the headers: refuse files that name a patient, leave out, find the series.

        Raises:
            DataError: a header identifies a patient, and `gate` is set.
        """
        is_3d = self.settings.dimensions == 3
        # What came in under the same selection, and was looked at, is not looked at again.
        anew = is_3d or (gate and not self.map.gated)
        everything = anew and set(self.numbers) == set(range(len(self.map.sources)))
        self.map.gated = gate and (self.map.gated or everything)
        if not (gate or selection or is_3d):
            return
        units = self.units if anew else [u for u in self.units if not self._is_known(u)]
        paths = [self._path(unit.files[0]) for unit in units]
        headers = HeaderPass(num_workers, timeout_s, progress)
        seen = headers.look(paths, gate=gate, selection=selection)
        dicom = {}
        for path, unit, looked in zip(paths, units, seen, strict=True):
            if looked.left_out:
                self.left_out[_place(unit.files[0])] = looked.left_out
            elif looked.is_dicom:
                dicom[path] = unit.files[0]
        self.units = [u for u in self.units if _place(u.files[0]) not in self.left_out]
        if is_3d:
            self.units = with_series(self.units, headers.series(dicom))

    def run(self, num_workers: int, timeout_s: float, progress: Progress) -> None:
        """Take in every file, in the order in which they were found."""
        begin = time.perf_counter()
        todo = [u for u in self.units if not u.problem and not self._is_known(u)]
        self._check_space(todo)
        results = run_tasks(
            ingest,
            [self._task(unit) for unit in todo],
            (self.settings, frozenset(self.writer.keys) | self.forgotten.keys),
            on_death=lambda reason: Ingested("failed", reason=reason),
            num_workers=num_workers,
            timeout_s=timeout_s,
            results=(Ingested, StoredImage, StoredVolume),
        )
        for reason in self.left_out.values():
            self.report.skip(reason)
        waiting = set(map(id, todo))
        owners: set[str] = set()
        # Closed whatever happens: the decoding processes must not outlive an error here.
        with closing(results), progress("decoding images", len(todo)) as advance:
            for unit in self.units:
                if id(unit) in waiting:
                    self._take(unit, next(results), owners)
                    advance(1)
                    self.report.num_decoded += len(unit.files)
                elif unit.problem:
                    self._take(unit, Ingested("failed", reason=unit.problem), owners)
                else:
                    self._count_good(unit, self._record(unit).key, owners, known=True)
                if self.writer.is_due:
                    self._publish()
        self.report.seconds = time.perf_counter() - begin

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
        report.intensity = self.settings.intensity.describe(self.writer.modalities)
        assert report.good + report.skipped + report.failed == report.found
        if report.num_images == 0:
            where = ", ".join(map(str, self.roots))
            raise DataError(f"{where}: no readable image among {report.found} files{_why(report)}")
        return report

    def _check_space(self, todo: list[Unit]) -> None:
        height, width = self.settings.size
        num_bytes = len(todo) * height * width * (1 if self.settings.channels == 1 else 3)
        if self.settings.dimensions == 3:
            num_bytes = sum(max(f.size, 0) for unit in todo for f in unit.files)
        check_free_space(self.out, num_bytes)

    def _take(self, unit: Unit, result: Ingested, owners: set[str]) -> None:
        if result.status == "skipped" or self._is_forgotten(unit, result):
            for _ in unit.files:
                self.report.skip(result.reason if result.status == "skipped" else REASON)
            return
        names = [entry.relative for entry in unit.files]
        if result.status == "failed":
            self.report.failed += len(names)
            self.report.failures += [(name, result.reason) for name in names]
            for entry in unit.files:  # what it was before it was damaged is not what is there
                self.records.pop(_place(entry), None)
            return
        # The same content has the same header, whichever copy was decoded.
        header_patient = self.header_patients.setdefault(result.key, result.group)
        if result.status == "good" and result.key not in self.writer.keys:
            self.writer.add(result, source=unit.files[0].source, modality=result.modality)
            self.report.num_constant_slices += result.num_constant
        self.report.doubts += [(names[0], text) for text in result.warnings]
        for entry in unit.files:
            self.records[_place(entry)] = FileRecord(
                source=entry.source,
                path=entry.relative,
                size=entry.size,
                mtime_ns=entry.mtime_ns,
                key=result.key,
                header_patient=header_patient,
            )
        self._count_good(unit, result.key, owners, known=result.status == "known")

    def _is_forgotten(self, unit: Unit, result: Ingested) -> bool:
        patients = [result.group, *(self.table_groups.get(_place(e), "") for e in unit.files)]
        return result.key in self.forgotten.keys or self.forgotten.covers(self.key, patients)

    def _count_good(self, unit: Unit, key: str, owners: set[str], *, known: bool) -> None:
        if key in owners:
            for _ in unit.files:
                self.report.skip("identical to another file; its image is kept once")
            return
        owners.add(key)
        self.report.good += len(unit.files)
        self.report.num_known += known * len(unit.files)

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
        self.report.num_groups = len(set(groups.values()))
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
            rows = self.forgotten.rows_left(entry.table, entry.group_column, self.key)
            write_private(self.out, copy, rows)
            kept.append((entry.source, str(entry.table.path), copy))
        self.map.tables = kept

    def _check_modality(self) -> None:
        """What a source was said to hold decided how it was stored, so it stays."""
        before = self.writer.asked
        for number, asked in self.modality.items():
            if before.get(str(number), asked) != asked:
                raise DataError(
                    f"{self.out}: prepared with data.modality={before[str(number)] or 'auto'}, "
                    f"not {asked or 'auto'}; use another out= or the same modality"
                )
            before[str(number)] = asked

    def _task(self, unit: Unit) -> IngestTask:
        paths = tuple(self._path(entry) for entry in unit.files)
        return IngestTask(paths, self.modality[unit.files[0].source])

    def _path(self, entry: Found) -> str:
        root = Path(self.map.sources[entry.source])
        return str(root / entry.relative if root.is_dir() else root)

    def _record(self, unit: Unit) -> FileRecord:
        return self.records[_place(unit.files[0])]

    def _is_known(self, unit: Unit) -> bool:
        """True if the files of a unit, and no others of its folder, gave an item before."""
        records = [self.records.get(_place(entry)) for entry in unit.files]
        if not all(
            record is not None and (record.size, record.mtime_ns) == (entry.size, entry.mtime_ns)
            for entry, record in zip(unit.files, records, strict=True)
        ):
            return False
        first = self._record(unit)
        if first.key not in self.writer.keys or any(r.key != first.key for r in records if r):
            return False
        return self.settings.dimensions == 2 or self._members[_folder_key(first)] == len(records)

    @cached_property
    def _members(self) -> Counter[tuple[int, str, str]]:
        """How many files of a folder gave an item, before this run."""
        return Counter(map(_folder_key, self.map.files))


def _why(report: PrepareReport) -> str:
    """The first few reasons why nothing was taken in."""
    common = sorted(report.skips.items(), key=lambda item: -item[1])[:3]
    skipped = [f"{count} skipped: {reason}" for reason, count in common]
    reasons = [f"{path}: {reason}" for path, reason in report.failures[:3]] or skipped
    return f" ({'; '.join(reasons)})" if reasons else "; is it the right folder?"


def _place(entry: Found) -> Place:
    return entry.source, entry.relative


def _folder_key(record: FileRecord) -> tuple[int, str, str]:
    return record.source, record.path.rpartition("/")[0], record.key


def _left_out_because(entry: Found, pattern: str | None) -> str:
    if any(part.startswith(".") for part in entry.relative.split("/")):
        return "hidden file"
    if pattern is not None and not fnmatch(entry.relative, pattern):
        return f"name does not match {pattern}"
    return ""
