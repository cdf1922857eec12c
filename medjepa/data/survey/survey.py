"""Look at every file of a folder once, at some twice, and put together what was found."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.files import scan
from medjepa.data.header_pass import run_tasks
from medjepa.data.prepare_report import Progress
from medjepa.data.selection import Selection
from medjepa.data.source_tables import tables_beside
from medjepa.data.survey.arrangement import broken_series, left_out, series_of
from medjepa.data.survey.closer import Closer, look_closer_task
from medjepa.data.survey.contents import Patients, Spacing, Tally, patients, spacings, tallies
from medjepa.data.survey.copies import copies
from medjepa.data.survey.examine import Seen, examine_task
from medjepa.data.survey.findings import LEVELS, Finding, by_pattern, refused
from medjepa.data.survey.next_steps import Step, next_steps
from medjepa.data.survey.oddities import empty_images, inverted, outliers
from medjepa.data.survey.private_findings import burned_in, naming
from medjepa.data.survey.shown import shown
from medjepa.data.survey.tables import Labels, crossing_copies, labels_of
from medjepa.errors import DataError

TEXT_LOOKS = 500
"""Images in which text is looked for by default: that takes ten times as long as reading one."""

_FILES_PER_WORKER = 16
_NUM_REASONS = 3


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        found: files, hidden ones among them.
        good: that are images.
        skipped: that are not meant to be images.
        broken: that should be images and cannot be read.
        num_bytes: of all files.
        stopped: whether the user ended it early; files that were not looked at count nowhere.
        seconds: that the first look took.
        seed: of the samples.
        tallies: what there is.
        spacings: steps between pixels.
        patients: images of each patient, None if nobody says.
        labels: what the table says.
        findings: what to look at, the worst first.
        steps: what to do next.
        samples: numbers of the files on the contact sheet.
        pictures: number of a file -> its picture.
        paths: number of a file -> path below the folder; private.
        reasons: number of a file -> (status, why it cannot be read, what was doubtful).
    """

    found: int
    good: int
    skipped: int
    broken: int
    num_bytes: int
    stopped: bool
    seconds: float
    seed: int
    tallies: tuple[Tally, ...]
    spacings: tuple[Spacing, ...]
    patients: Patients | None
    labels: Labels
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    samples: tuple[int, ...]
    pictures: Mapping[int, Closer] = field(default_factory=dict, repr=False)
    paths: Mapping[int, str] = field(default_factory=dict, repr=False)
    reasons: Mapping[int, tuple[str, str]] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything but pictures, paths and rows of the table."""
        labels = {
            "columns": dict(self.labels.columns),
            "parts": list(self.labels.parts),
            "num_rows": self.labels.num_rows,
            "counts": {
                name: [{"images": images, "patients": groups} for images, groups in parts]
                for name, parts in self.labels.counts.items()
            },
        }
        plain = ("found", "good", "skipped", "broken", "num_bytes", "stopped", "seconds", "seed")
        return {
            **{name: getattr(self, name) for name in plain},
            "contents": {t.kind: dict(t.rows) for t in self.tallies},
            "spacings": [asdict(entry) for entry in self.spacings],
            "patients": None if self.patients is None else asdict(self.patients),
            "labels": labels,
            "findings": [asdict(finding) for finding in self.findings],
            "next_steps": [asdict(step) for step in self.steps],
            "samples": list(self.samples),
        }


def survey(
    folder: str | Path,
    *,
    table: str | Path | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    num_samples: int = 48,
    text_looks: int | None = TEXT_LOOKS,
    pictures: bool = True,
    seed: int = 0,
    num_workers: int | None = None,
    timeout_s: float = 120.0,
    progress: Progress | None = None,
) -> Survey:
    """Read every file below `folder` in decoding processes and say what is there and what is wrong.

    Files count from 1, in the order of their paths. `text_looks` is the number of images in which
    burned-in text is looked for, None: all. An interrupt ends the first look; what was seen so far
    is reported, and `stopped` is set. Without `pictures` nothing in the result shows a patient.

    Raises:
        DataError: there is no such folder, no readable image in it, or no such column.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{folder}: {'a file, not a' if root.exists() else 'no such'} folder")
    entries = list(scan(0, root.resolve()))
    tables = tables_beside(
        0, root, entries, table=None if table is None else Path(table), group_column=group
    )
    paths = {number: entry.relative for number, entry in enumerate(entries, start=1)}
    # Before hours of looking: a column that is not there is an error.
    labels, of_table = labels_of(tables, paths, label, split)
    full = {number: str(root.resolve() / relative) for number, relative in paths.items()}
    report = progress or _silent
    workers = _default_workers(len(paths)) if num_workers is None else num_workers
    seen, seconds, stopped = _look_at_all(paths, full, workers, timeout_s, report)
    good = {n: one for n, one in seen.items() if one.status == "good"}
    if not good:
        raise DataError(_nothing_readable(folder, seen))
    series = series_of(full, good, workers, report)
    same = copies(good, [files for files, _ in series])
    findings = [
        *refused(seen), *naming(seen, paths), *of_table, *crossing_copies(labels, same),
        *empty_images(good), *inverted(good), *same, *outliers(good), *broken_series(series),
        *left_out(good),
    ]  # fmt: skip
    rng = np.random.default_rng(seed)
    samples = _drawn([n for n, one in good.items() if not one.constant], num_samples, rng)
    texts = sorted(good) if text_looks is None else _drawn(sorted(good), text_looks, rng)
    wanted = {*samples, *(n for one in findings for group in shown(one) for n in group)}
    pictured = wanted & set(good) if pictures else set()
    tasks = {n: (full[n], n in pictured, good[n].at_risk) for n in sorted({*pictured, *texts})}
    closer = _look_closer(tasks, workers, timeout_s, report)
    findings += burned_in({n: closer[n] for n in texts}, len(good))
    findings.sort(key=lambda one: LEVELS.index(one.level))
    names = [labels.of_file.get(n, {}).get(labels.column("group") or "", "") for n in good]
    has_volumes = any(len(one.axes) > 2 for one in good.values())
    num_volumes = sum(len(files) > 1 and not problem for files, problem in series)
    return Survey(
        found=len(entries),
        good=len(good),
        skipped=sum(one.status == "skipped" for one in seen.values()),
        broken=sum(one.status == "broken" for one in seen.values()),
        num_bytes=sum(max(entry.size, 0) for entry in entries),
        stopped=stopped,
        seconds=seconds,
        seed=seed,
        tallies=tuple(tallies(seen, len(series), num_volumes)),
        spacings=tuple(spacings(seen)),
        patients=patients(names, "table") or patients((o.patient for o in good.values()), "header"),
        labels=labels,
        findings=tuple(findings),
        steps=tuple(
            next_steps(
                findings,
                labels,
                target_size=_target_size(good),
                has_volumes=has_volumes or any(len(files) > 1 for files, _ in series),
                with_table=table is not None,
            )
        ),
        samples=samples,
        pictures={n: closer[n] for n in pictured},
        paths=paths,
        reasons={n: (one.status, one.reason or "; ".join(one.warnings)) for n, one in seen.items()},
    )


def _look_at_all(
    paths: Mapping[int, str],
    full: Mapping[int, str],
    num_workers: int,
    timeout_s: float,
    progress: Progress,
) -> tuple[dict[int, Seen], float, bool]:
    """(what was seen, seconds, whether the user ended it)."""
    seen = {
        n: Seen("skipped", "hidden file")
        for n, relative in paths.items()
        if any(part.startswith(".") for part in relative.split("/"))
    }
    todo = [n for n in paths if n not in seen]
    results = run_tasks(
        examine_task,
        [(full[n], paths[n]) for n in todo],
        # Who is who matters within this look only: the key is not kept.
        (secrets.token_hex(32),),
        on_death=lambda reason: Seen("broken", reason),
        num_workers=num_workers,
        timeout_s=timeout_s,
        results=(Seen,),
    )
    begin, stopped = time.perf_counter(), False
    with closing(results), progress("looking at files", len(todo)) as advance:
        try:
            for number, one in zip(todo, results, strict=True):
                seen[number] = one
                advance(1)
        except KeyboardInterrupt:
            stopped = True
    return dict(sorted(seen.items())), time.perf_counter() - begin, stopped


def _look_closer(
    tasks: Mapping[int, tuple[str, bool, bool]],
    num_workers: int,
    timeout_s: float,
    progress: Progress,
) -> dict[int, Closer]:
    results = run_tasks(
        look_closer_task,
        list(tasks.values()),
        (),
        on_death=lambda reason: Closer(),
        num_workers=num_workers,
        timeout_s=timeout_s,
        results=(Closer,),
    )
    closer = {}
    with closing(results), progress("looking closer", len(tasks)) as advance:
        for number, one in zip(tasks, results, strict=True):
            closer[number] = one
            advance(1)
    return closer


def _drawn(numbers: Sequence[int], count: int, rng: np.random.Generator) -> tuple[int, ...]:
    if len(numbers) <= count:
        return tuple(numbers)
    chosen = rng.choice(len(numbers), size=count, replace=False)
    return tuple(numbers[i] for i in sorted(chosen))


def _target_size(good: Mapping[int, Seen]) -> int:
    """Of the resolutions that models are made for, the one that fits most of what is prepared."""
    usual = Selection()
    taken = [one for one in good.values() if not usual.why_not(one.facts)] or list(good.values())
    side = float(np.median([min(one.shape[-2:]) for one in taken]))
    return 64 if side < 100 else 224


def _nothing_readable(folder: str | Path, seen: Mapping[int, Seen]) -> str:
    groups = by_pattern({n: [one.reason] for n, one in seen.items()})
    reasons = [f"{len(files):,} × {text}" for text, files in groups.items()][:_NUM_REASONS]
    told = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{folder}: no readable image among {len(seen):,} files{told}; is it the right folder?"


def _default_workers(num_files: int) -> int:
    return min(os.cpu_count() or 1, 1 + num_files // _FILES_PER_WORKER)


@contextmanager
def _silent(description: str, total: int) -> Iterator[Callable[[int], object]]:
    yield lambda count: None
