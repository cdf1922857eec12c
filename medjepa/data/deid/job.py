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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from medjepa.data.deid.one import Outcome, clean_one, pending_file
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels.ocr import find_program
from medjepa.data.deid.pixels.regions import catalogue_text, read_rules
from medjepa.data.deid.pseudonyms import Pseudonyms
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

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
_FILE_BYTES = 8 << 30
_TWICE = "another file with the same SOPInstanceUID but other content is in the output"


@dataclass
class AnonymizeReport:
    """written + quarantined + skipped == found, always.

    Attributes:
        out: the output folder.
        found: files below the input.
        written: files in the output.
        known: those of them that an earlier run had written.
        patients: how many different pseudonyms.
        without_patient: files without a PatientID, whose study counts as a patient.
        quarantined: (path below the input, reason) of what stayed behind.
        skips: how many were skipped, by reason.
        doubts: how many files have a doubt, by its text.
    """

    out: Path
    found: int = 0
    written: int = 0
    known: int = 0
    patients: int = 0
    without_patient: int = 0
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    skips: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)


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
        pseudonyms: set[str] = set()
        with closing(results), (progress or _silent)("de-identifying", len(self.todo)) as advance:
            for entry in self.found:
                if entry.relative in waiting:
                    outcome = self._settle(entry, next(results))
                    advance(1)
                else:
                    outcome = self.done[entry.relative][1]
                    self.report.known += outcome.status == "written"
                self._count(entry, outcome, pseudonyms)
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

    def _settle(self, entry: Found, outcome: Outcome) -> Outcome:
        """Give a cleaned file its place, and write down what became of it."""
        waiting = pending_file(str(self.pending), str(self._path(entry)))
        if outcome.status == "written":
            owner = self.places.setdefault(outcome.place, entry.relative)
            if owner == entry.relative:
                target = self.out / outcome.place
                target.parent.mkdir(parents=True, exist_ok=True)
                waiting.replace(target)
            elif self.done[owner][1].digest == outcome.digest:
                outcome = Outcome("skipped", reason="the same image as another file")
            else:
                outcome = Outcome("quarantined", reason=_TWICE)
        waiting.unlink(missing_ok=True)
        self.done[entry.relative] = (_stamp(entry), outcome)
        line = {"path": entry.relative, **_stamp(entry), **asdict(outcome)}
        descriptor = os.open(
            self.private / "journal.jsonl",
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            PRIVATE_FILE_MODE,
        )
        with os.fdopen(descriptor, "ab") as journal:
            journal.write(json.dumps(line).encode() + b"\n")
        return outcome

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
            if outcome.status == "written":
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
        return outcome.status != "written" or (self.out / outcome.place).is_file()

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
