"""A folder of DICOM in; a folder that names nobody, a quarantine and a private folder out.

OUT                 PATIENT/STUDY/SERIES/INSTANCE.dcm, all of them pseudonyms
OUT.private/        secret.key, journal.jsonl, devices.csv, patients.csv: for their owner only
OUT.quarantine/     quarantine.json: which files stayed behind, and why
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from medjepa.data.deid.defacing import command_of, remove_face
from medjepa.data.deid.identity import Quarantined
from medjepa.data.deid.one import Outcome, clean_one, pending_file
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels.faces import FACE
from medjepa.data.deid.pixels.ocr import find_program
from medjepa.data.deid.pixels.regions import catalogue_text, read_rules
from medjepa.data.deid.pseudonyms import Pseudonyms
from medjepa.data.deid.report import AnonymizeReport
from medjepa.data.deid.secret import project_secret
from medjepa.data.deid.single import DEVICE_COLUMNS
from medjepa.data.files import (
    PRIVATE_FILE_MODE,
    Found,
    check_free_space,
    make_private_folder,
    scan,
    write_atomic,
)
from medjepa.data.lock import locked
from medjepa.data.worker_process import Limits
from medjepa.data.workers import map_in_processes
from medjepa.errors import ConfigError, DataError

__all__ = ["AnonymizeReport", "anonymize"]

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
_FILE_BYTES = 8 << 30
_PLACED = ("written", "waiting")
_TWICE = "another file with the same SOPInstanceUID but other content is in the output"


def anonymize(
    source: str | Path,
    out: str | Path,
    *,
    options: Options | None = None,
    secret: str | Path | None = None,
    num_workers: int | None = None,
    timeout_s: float = 300.0,
    progress: Progress | None = None,
) -> AnonymizeReport:
    """De-identify every DICOM file below `source` into `out`; originals are only read.

    `secret` is the project's secret file; without one it is made in `OUT.private`. Again with the
    same arguments, only what is new or changed is done.

    Raises:
        ConfigError: input and output overlap, or the options differ from an earlier run's.
        DataError: the input does not exist, or the output holds something else.
    """
    job = _Job(Path(source), Path(out), options or Options())
    make_private_folder(job.private)
    with locked(job.private / "lock"):
        key = job.private / "secret.key" if secret is None else Path(secret)
        job.open(Pseudonyms(project_secret(key)))
        num_workers = (
            min(os.cpu_count() or 1, len(job.todo)) if num_workers is None else num_workers
        )
        try:
            job.run(num_workers, timeout_s, progress)
        finally:
            job.write_lists()
        return job.report


class _Job:
    def __init__(self, source: Path, out: Path, options: Options) -> None:
        self.source, self.out, self.options = source, out, options
        if not source.exists():
            raise DataError(f"{source}: no such file or folder")
        inside, outside = source.resolve(), out.resolve()
        if inside == outside or inside in outside.parents or outside in inside.parents:
            raise ConfigError(f"{out}: input and output must not lie one in the other")
        self.regions = options.regions and catalogue_text(options.regions)
        if options.regions:
            read_rules(options.regions)
        if options.ocr:
            find_program()
        if options.clean_faces:
            command_of(options.clean_faces)
        self.private = out.with_name(out.name + ".private")
        self.quarantine = out.with_name(out.name + ".quarantine")
        if out.exists() and not out.is_dir():
            raise DataError(f"{out}: is a file; a folder is needed")
        if out.is_dir() and any(out.iterdir()) and not (self.private / "journal.jsonl").is_file():
            raise DataError(f"{out}: holds files that are not of this job; choose a new folder")
        self.report = AnonymizeReport(out)
        self.done: dict[str, tuple[dict[str, int], Outcome]] = {}
        self.places: dict[str, str] = {}
        self.found: list[Found] = []
        self.todo: list[Found] = []

    def open(self, pseudonyms: Pseudonyms) -> None:
        """Read what an earlier run has done, and list what is to do."""
        self.pseudonyms = pseudonyms
        self.pending = self.private / "pending"
        shutil.rmtree(self.pending, ignore_errors=True)
        make_private_folder(self.pending)
        self.out.mkdir(parents=True, exist_ok=True)
        self._read_journal()
        own = tuple(p.resolve() for p in (self.out, self.private, self.quarantine))
        self.found = list(scan(0, self.source, leave_out=own))
        self.report.found = len(self.found)
        for entry in self.found:
            known = self.done.get(entry.relative)
            if known is None or known[0] != _stamp(entry) or not self._is_there(known[1]):
                self.todo.append(entry)
        check_free_space(self.out, sum(max(entry.size, 0) for entry in self.todo))

    def run(self, num_workers: int, timeout_s: float, progress: Progress | None) -> None:
        """Clean what is to do, in order; a file that kills its process stays behind."""
        paths = [str(self._path(entry)) for entry in self.todo]
        arguments = (self.pseudonyms, self.options, str(self.pending))
        results = (
            map_in_processes(
                clean_one, paths, arguments,
                on_death=lambda reason: Outcome("quarantined", reason=reason),
                num_workers=num_workers,
                limits=Limits(timeout_s=timeout_s, file_bytes=_FILE_BYTES),
                results=(Outcome,),
            )
            if num_workers and paths
            else (clean_one(path, *arguments) for path in paths)
        )  # fmt: skip
        waiting = {entry.relative for entry in self.todo}
        show = progress or _silent
        with closing(results), show("de-identifying", len(self.todo)) as advance:
            for entry in self.found:
                if entry.relative in waiting:
                    self._settle(entry, next(results))
                    advance(1)
                else:
                    self.report.known += self.done[entry.relative][1].status == "written"
        if self.options.clean_faces:
            self._remove_faces(show)
        pseudonyms: set[str] = set()
        for entry in self.found:
            self._count(entry, self.done[entry.relative][1], pseudonyms)
        self.report.patients = len(pseudonyms)
        self._drop_what_is_gone()
        assert self.report.found == (
            self.report.written + len(self.report.quarantined) + self.report.skips.total()
        )

    def write_lists(self) -> None:
        """Write the quarantine's list and the private tables, also after an interruption."""
        make_private_folder(self.quarantine)
        held = [
            {"path": path, "reason": outcome.reason}
            for path, (_, outcome) in sorted(self.done.items())
            if outcome.status == "quarantined"
        ]
        write_atomic(
            self.quarantine / "quarantine.json",
            json.dumps(held, indent=1).encode(),
            mode=PRIVATE_FILE_MODE,
        )
        written = [(p, o) for p, (_, o) in sorted(self.done.items()) if o.status == "written"]
        self._table(
            "devices.csv",
            ("file", "patient", *DEVICE_COLUMNS),
            [(o.place, o.pseudonym, *o.device) for _, o in written],
        )
        self._table(
            "files.csv", ("original", "file"), [(path, outcome.place) for path, outcome in written]
        )
        patients = sorted(
            {(o.patient.replace("\0", "|"), o.pseudonym, o.known_by) for _, o in written}
        )
        self._table("patients.csv", ("patient", "pseudonym", "known_by"), patients)

    def _settle(self, entry: Found, outcome: Outcome) -> None:
        """Give a cleaned file its place, and write down what became of it."""
        waiting = pending_file(str(self.pending), str(self._path(entry)))
        if outcome.status in _PLACED:
            owner = self.places.setdefault(outcome.place, entry.relative)
            if owner == entry.relative:
                target = self._file_of(outcome)
                target.parent.mkdir(parents=True, exist_ok=True)
                waiting.replace(target)
            elif self.done[owner][1].digest == outcome.digest:
                outcome = Outcome("skipped", reason="the same image as another file")
            else:
                outcome = Outcome("quarantined", reason=_TWICE)
        waiting.unlink(missing_ok=True)
        self._record(entry.relative, _stamp(entry), outcome)

    def _record(self, relative: str, stamp: dict[str, int], outcome: Outcome) -> None:
        self.done[relative] = (stamp, outcome)
        line = {"path": relative, **stamp, **asdict(outcome)}
        descriptor = os.open(
            self.private / "journal.jsonl",
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            PRIVATE_FILE_MODE,
        )
        with os.fdopen(descriptor, "ab") as journal:
            journal.write(json.dumps(line).encode() + b"\n")

    def _remove_faces(self, progress: Progress) -> None:
        """What waits goes through the tool, a series at a time, and only then to the output."""
        series: dict[Path, list[str]] = {}
        for relative, (_, outcome) in sorted(self.done.items()):
            if outcome.status == "waiting":
                series.setdefault(self._file_of(outcome).parent, []).append(relative)
        with progress("removing faces", len(series)) as advance:
            for folder, members in series.items():
                done, part = (folder.with_name(folder.name + end) for end in (".done", ".part"))
                reason = ""
                try:
                    if not done.is_dir():  # else a run was stopped while it moved the files
                        shutil.rmtree(part, ignore_errors=True)
                        remove_face(sorted(folder.iterdir()), self.options.clean_faces, part)
                        part.rename(done)
                except Quarantined as error:
                    reason = str(error)
                for relative in members:
                    self._settle_face(relative, done, reason)
                shutil.rmtree(folder)
                shutil.rmtree(done, ignore_errors=True)
                advance(1)

    def _settle_face(self, relative: str, done: Path, reason: str) -> None:
        stamp, outcome = self.done[relative]
        if reason:
            self.places.pop(outcome.place)
            self._record(relative, stamp, Outcome("quarantined", reason=reason))
            return
        content = (done / Path(outcome.place).name).read_bytes()
        clean = replace(
            outcome,
            status="written",
            digest=hashlib.sha256(content).hexdigest(),
            steps=(*outcome.steps, "face removed"),
            doubts=tuple(doubt for doubt in outcome.doubts if doubt != FACE),
        )
        target = self.out / outcome.place
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, content)
        self._record(relative, stamp, clean)

    def _file_of(self, outcome: Outcome) -> Path:
        """Where the cleaned file lies: in the output, or with the owner until its face is gone."""
        whole = outcome.status == "written"
        return (self.out if whole else self.private / "faces") / outcome.place

    def _count(self, entry: Found, outcome: Outcome, pseudonyms: set[str]) -> None:
        if outcome.status == "written":
            self.report.written += 1
            pseudonyms.add(outcome.pseudonym)
            self.report.without_patient += outcome.known_by != "patient"
            self.report.doubts.update(outcome.doubts)
        elif outcome.status == "skipped":
            self.report.skips[outcome.reason] += 1
        else:
            self.report.quarantined.append((entry.relative, outcome.reason))

    def _read_journal(self) -> None:
        """Lines of earlier runs, the last one of a file counts; a line that was cut is left out."""
        path = self.private / "journal.jsonl"
        settings = repr((self.options, self.pseudonyms.secret, self.regions))
        digest = hashlib.sha256(settings.encode()).hexdigest()
        head = json.dumps({"settings": digest}).encode()
        if not path.is_file():
            write_atomic(path, head + b"\n", mode=PRIVATE_FILE_MODE)
            return
        lines = path.read_bytes().splitlines()
        if not lines or lines[0] != head:
            raise ConfigError(
                f"{self.out}: was made with another secret or other options; files of both would "
                "not fit together: choose a new folder, or the same arguments"
            )
        for line in lines[1:]:
            try:
                values = json.loads(line)
            except ValueError:
                continue
            stamp = {name: values.pop(name) for name in ("size", "mtime_ns")}
            relative = values.pop("path")
            for name in ("device", "steps", "doubts"):
                values[name] = tuple(values[name])
            outcome = Outcome(**values)
            self.done[relative] = (stamp, outcome)
            if outcome.status in _PLACED:
                self.places[outcome.place] = relative

    def _drop_what_is_gone(self) -> None:
        """What has left the input, or may no longer be written, leaves the output."""
        present = {entry.relative for entry in self.found}
        for relative in [path for path in self.done if path not in present]:
            del self.done[relative]
        kept = {outcome.place for _, outcome in self.done.values() if outcome.status == "written"}
        for place in set(self.places) - kept:
            (self.out / place).unlink(missing_ok=True)
        shutil.rmtree(self.pending, ignore_errors=True)

    def _is_there(self, outcome: Outcome) -> bool:
        return outcome.status not in _PLACED or self._file_of(outcome).is_file()

    def _path(self, entry: Found) -> Path:
        return self.source / entry.relative if self.source.is_dir() else self.source

    def _table(self, name: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        write_atomic(self.private / name, text.getvalue().encode(), mode=PRIVATE_FILE_MODE)


def _stamp(entry: Found) -> dict[str, int]:
    return {"size": entry.size, "mtime_ns": entry.mtime_ns}


@contextmanager
def _silent(description: str, total: int) -> Iterator[Callable[[int], object]]:
    yield lambda number: None
