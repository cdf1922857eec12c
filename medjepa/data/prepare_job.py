"""One run of `prepare`: survey the sources, take in the files in order, publish."""

import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from medjepa.data.files import Found, check_free_space, scan
from medjepa.data.ingest import Ingested, IngestSettings, StoredImage, ingest
from medjepa.data.prepare_report import PrepareReport
from medjepa.data.private_map import (
    FileRecord,
    PrivateMap,
    group_key,
    keyed_hash,
    write_private,
)
from medjepa.data.source_tables import SourceTable, groups_of_files, named_files, tables_beside
from medjepa.data.store import is_store
from medjepa.data.store_writer import StoreWriter
from medjepa.data.tables import is_table
from medjepa.data.worker_process import Limits
from medjepa.data.workers import map_in_processes
from medjepa.errors import DataError

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress(description, total) as advance: advance(1)`"""


class PrepareJob:
    """The state of one run; call `survey`, `run` and `finish` in turn."""

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
        self.records = {(r.source, r.path): r for r in before.files}
        self.header_patients = {r.key: r.header_patient for r in before.files}
        self.found: list[Found] = []
        self.todo: list[Found] = []
        self.pattern: str | None = None
        self.tables: list[SourceTable] = []
        self.table_groups: dict[tuple[int, str], str] = {}
        self.key = group_key(out)

    def survey(
        self,
        table: Path | None,
        *,
        image_column: str | None,
        group_column: str | None,
        pattern: str | None,
    ) -> None:
        """List the files, read the tables, and sort out what need not be decoded."""
        self.pattern = pattern
        for number, root in zip(self.numbers, self.roots, strict=True):
            own_table = root if is_table(root) else table
            folder = Path(self.map.sources[number])
            found = list(scan(number, folder, leave_out=(self.out.resolve(),)))
            tables = tables_beside(
                number,
                folder,
                found,
                table=own_table,
                image_column=image_column,
                group_column=group_column,
            )
            if own_table is root:
                found = named_files(tables, found)
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
        results: Generator[Ingested, None, None] = (
            map_in_processes(
                ingest,
                paths,
                arguments,
                on_death=lambda reason: Ingested("failed", reason=reason),
                num_workers=num_workers,
                limits=Limits(timeout_s=timeout_s),
                results=(Ingested, StoredImage),
            )
            if num_workers and paths
            else (ingest(path, *arguments) for path in paths)
        )
        waiting = {(entry.source, entry.relative) for entry in self.todo}
        owners: set[str] = set()
        # Closed whatever happens: the decoding processes must not outlive an error here.
        with closing(results), progress("decoding images", len(self.todo)) as advance:
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
        # The same content has the same header, whichever copy was decoded.
        header_patient = self.header_patients.setdefault(result.key, result.group)
        if result.status == "good" and result.key not in self.writer.keys:
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
