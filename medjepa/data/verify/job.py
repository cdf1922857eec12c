"""The check of a whole output against its originals; nothing is written to either."""

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medjepa.data.files import PRIVATE_FILE_MODE, write_atomic
from medjepa.data.verify.attributes import ALLOWED
from medjepa.data.verify.elements import Walked, looks_like_dicom, walk
from medjepa.data.verify.harvest import Harvest
from medjepa.data.verify.index import Index
from medjepa.data.verify.relations import (
    Original,
    Relations,
    identity_of,
    original_of,
    pixel_digest,
)
from medjepa.data.verify.scan import content_of, in_dicom, in_name, in_other
from medjepa.data.verify.structure import problems_of
from medjepa.errors import ConfigError, DataError

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
_MOST_LISTED = 10_000


@dataclass(frozen=True)
class Finding:
    """Something that should not be in the output.

    Attributes:
        file: below the output.
        where: the attribute, or the place in the file.
        what: the kind of string, or what is wrong.
        text: the string itself; private.
    """

    file: str
    where: str
    what: str
    text: str = ""


@dataclass
class VerifyReport:
    """What was looked for, where, and what was found.

    Attributes:
        out: the output.
        num_originals: DICOM files of the input.
        num_other_originals: its other files; only their names were looked for.
        num_files: files of the output.
        num_bytes: of them.
        num_strings: different strings that were looked for.
        num_allowed: strings that were not, because they may stay.
        num_matched: outputs that are one original, by their pixels or by place and number.
        num_unmatched: outputs of which it is not known which original they are.
        num_missing: originals without an output that are not in quarantine either.
        not_searched: why strings were not looked for, and how many.
        findings: at most 10,000.
        counts: findings by what they are.
    """

    out: Path
    num_originals: int = 0
    num_other_originals: int = 0
    num_files: int = 0
    num_bytes: int = 0
    num_strings: int = 0
    num_allowed: int = 0
    num_matched: int = 0
    num_unmatched: int = 0
    num_missing: int = 0
    not_searched: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def num_findings(self) -> int:
        """All of them, the unlisted ones too."""
        return self.counts.total()

    def to_dict(self, *, show: bool = False) -> dict[str, Any]:
        """Plain values; the strings themselves only with `show`."""
        values = {
            name: value
            for name, value in vars(self).items()
            if name.startswith("num_") or name in ("not_searched", "counts")
        }
        listed = [
            {"file": f.file, "where": f.where, "what": f.what, **({"text": f.text} if show else {})}
            for f in self.findings
        ]
        return {**values, "num_findings": self.num_findings, "findings": listed}

    def write(self, path: Path, *, show: bool = False) -> None:
        """Write it so that only its owner can read it."""
        text = json.dumps(self.to_dict(show=show), indent=1, ensure_ascii=True)
        write_atomic(path, text.encode(), mode=PRIVATE_FILE_MODE)


def verify(
    source: str | Path,
    out: str | Path,
    *,
    allow: Collection[str] = (),
    quarantine: str | Path | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Look for everything that identifies in the originals below `source` in the files of `out`.

    `allow` names what was kept on purpose (`ALLOWED`). `quarantine` is the list of what must not
    be in the output, by default `OUT.quarantine/quarantine.json`.

    Raises:
        ConfigError: `allow` names something else.
        DataError: a folder is missing, IN holds no DICOM file, or OUT no file.
    """
    job = _Job(Path(source), Path(out), frozenset(allow), progress or _silent)
    job.read_originals()
    listed = Path(quarantine) if quarantine is not None else _beside(job.out)
    job.read_quarantine(listed, must_exist=quarantine is not None)
    job.search()
    return job.finish()


class _Job:
    def __init__(self, source: Path, out: Path, allow: frozenset[str], progress: Progress) -> None:
        for place in (source, out):
            if not place.exists():
                raise DataError(f"{place}: no such file or folder")
        unknown = sorted(allow - set(ALLOWED))
        if unknown:
            raise ConfigError(f"allow: {unknown[0]!r} is unknown; some of {', '.join(ALLOWED)}")
        self.source, self.out, self.allow, self.progress = source, out, allow, progress
        self.report = VerifyReport(out)
        self.harvest = Harvest()
        self.relations = Relations(allow)
        self.patients: dict[tuple[str, ...], int] = {}
        self.originals: list[Original] = []
        self.quarantined: set[str] = set()
        self.covered: set[str] = set()
        self._instances: dict[str, str] = {}
        self._seen: set[tuple[str, str, str, str]] = set()

    def read_originals(self) -> None:
        """Harvest every file of the input."""
        files = sorted(path for path in _walk(self.source) if path.is_file())
        with self.progress("reading the originals", len(files)) as advance:
            for path in files:
                name = _below(path, self.source)
                content = content_of(path)
                if looks_like_dicom(content):
                    self._read_original(walk(content), name)
                else:
                    self.report.num_other_originals += 1
                    self.harvest.path(name, -1)
                advance(1)
        if not self.originals:
            raise DataError(f"{self.source}: holds no DICOM file to compare with")

    def _read_original(self, walked: Walked, name: str) -> None:
        patient = self.patients.setdefault(identity_of(walked, name), len(self.patients))
        self.report.num_originals += 1
        self.harvest.file(walked, name, patient)
        original = original_of(walked, name, patient)
        self.originals.append(original)
        self.relations.add(original)
        if walked.problems:
            self.harvest.left_out["originals that could not be read to their end"] += 1

    def read_quarantine(self, path: Path, *, must_exist: bool) -> None:
        """Read which files stayed behind."""
        if not path.is_file():
            if must_exist:
                raise DataError(f"{path}: no such file (quarantine=)")
            return
        try:
            self.quarantined = {entry["path"] for entry in json.loads(path.read_bytes())}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not a list of {{path, reason}}: {error}") from error

    def search(self) -> None:
        """Search every file of the output, and the names of its files and folders."""
        index = Index(self.harvest, self.allow)
        self.report.num_strings, self.report.num_allowed = index.num_strings, index.num_allowed
        paths = sorted(_walk(self.out))
        with self.progress("searching the output", len(paths)) as advance:
            for path in paths:
                self._search_one(index, path)
                advance(1)

    def _search_one(self, index: Index, path: Path) -> None:
        name = _below(path, self.out)
        for where, sought in in_name(index, path.name):
            self._add(name, where, f"{sought.kind} of the originals", sought.text)
        if path.is_symlink():
            self._add(name, "its name", "a link, not a file")
        if not path.is_file() or path.is_symlink():
            return
        content = content_of(path)
        self.report.num_files += 1
        self.report.num_bytes += len(content)
        if not looks_like_dicom(content):
            self._add(name, "", "not a DICOM file")
            for where, sought in in_other(index, content):
                self._add(name, where, f"{sought.kind} of the originals", sought.text)
            return
        walked = walk(content)
        for where, what in problems_of(walked, self.allow):
            self._add(name, where, what)
        instance = walked.text("0008,0018")
        if instance and self._instances.setdefault(instance, name) != name:
            self._add(name, "0008,0018", "another file has the same SOPInstanceUID")
        owners = self._compare(name, walked)
        same_pixels = pixel_digest(walked) in self.relations.by_pixels
        for where, sought in in_dicom(index, walked, content, same_pixels=same_pixels):
            # A day of another patient is one of many that a shifted date may become.
            if sought.kind != "date" or not owners or sought.found.owners & {*owners, -1}:
                self._add(name, where, f"{sought.kind} of the originals", sought.text)

    def _compare(self, name: str, walked: Walked) -> set[int]:
        """Compare with the original; returns the patients that it may be of."""
        candidates = self.relations.originals_of(walked)
        self.covered |= {original.path for original in candidates}
        if candidates and all(original.path in self.quarantined for original in candidates):
            self._add(name, "", "its original is in quarantine")
        if len(candidates) == 1:
            self.report.num_matched += 1
            for where, what in self.relations.compare(walked, candidates[0]):
                self._add(name, where, what)
        else:
            self.report.num_unmatched += 1
        return {original.patient for original in candidates}

    def finish(self) -> VerifyReport:
        """Count what is missing and what was not searched.

        Raises:
            DataError: there is no output at all, although originals were not kept back.
        """
        report = self.report
        left = {original.path for original in self.originals} - self.covered - self.quarantined
        report.num_missing = len(left)
        report.not_searched = self.harvest.left_out
        if not report.num_files and left:
            # Zero findings in an empty folder would be read as "free of its originals".
            raise DataError(
                f"{self.out}: holds no file, so nothing was verified; is it the right folder? "
                f"{len(left)} originals have no output and are not in quarantine"
            )
        return report

    def _add(self, file: str, where: str, what: str, text: str = "") -> None:
        key = (file, where, what, text.lower())
        if key in self._seen:
            return
        self._seen.add(key)
        self.report.counts[what] += 1
        if len(self.report.findings) < _MOST_LISTED:
            self.report.findings.append(Finding(file, where, what, text))


def _walk(root: Path) -> Iterator[Path]:
    """Every file and folder below, links to folders named and not followed."""
    if not root.is_dir():
        yield root
        return
    for folder, subfolders, names in os.walk(root):
        yield from (Path(folder) / name for name in (*names, *subfolders))


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else path.name


def _beside(out: Path) -> Path:
    return out.with_name(out.name + ".quarantine") / "quarantine.json"


@contextmanager
def _silent(description: str, total: int) -> Iterator[Callable[[int], object]]:
    yield lambda count: None
