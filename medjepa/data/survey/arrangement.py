"""DICOM files as series, and what the usual selection leaves out of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import PurePath

from medjepa.data.header_pass import Grouped, group, run_tasks
from medjepa.data.prepare_report import Progress
from medjepa.data.selection import Selection
from medjepa.data.survey.examine import Seen
from medjepa.data.survey.findings import Finding, by_pattern, counted, single

_FOLDER_SECONDS = 3600.0


def series_of(
    paths: Mapping[int, str], seen: Mapping[int, Seen], num_workers: int, progress: Progress
) -> list[tuple[tuple[int, ...], str]]:
    """(files along the normal, why they make no volume or "") for each series of each folder."""
    folders: dict[PurePath, list[int]] = {}
    for number, one in seen.items():
        if one.format == "DICOM":
            folders.setdefault(PurePath(paths[number]).parent, []).append(number)
    if not folders:
        return []
    numbers = list(folders.values())
    grouped = run_tasks(
        group,
        [tuple(paths[n] for n in files) for files in numbers],
        (),
        on_death=lambda reason: [Grouped((), f"the headers of its folder: {reason}")],
        num_workers=num_workers,
        timeout_s=_FOLDER_SECONDS,
        results=(list, Grouped),
    )
    series = []
    with closing(grouped), progress("sorting series", len(numbers)) as advance:
        for files, found in zip(numbers, grouped, strict=True):
            for entry in found:
                chosen = tuple(files[i] for i in entry.files) or tuple(files)
                series.append((chosen, _without_paths(entry.problem, [paths[n] for n in files])))
            advance(1)
    return series


def _without_paths(problem: str, paths: Sequence[str]) -> str:
    """A problem names the files that it lies between; names of files are private."""
    if problem:
        for name in sorted({PurePath(path).name for path in paths}, key=len, reverse=True):
            problem = problem.replace(name, "#")
    return problem


def broken_series(series: Sequence[tuple[tuple[int, ...], str]]) -> list[Finding]:
    """Missing and duplicate slices, mixed geometry, by problem."""
    problems = {i: [problem] for i, (_, problem) in enumerate(series) if problem}
    if not problems:
        return []
    groups = by_pattern(problems)
    title = f"{len(problems):,} DICOM series that make no volume"
    text = (
        "With data.dimensions=3 `prepare` names them and leaves them out; as single images "
        "(data.dimensions=2) they can be used."
    )
    files = tuple(tuple(n for i in numbers for n in series[i][0]) for numbers in groups.values())
    details = tuple(
        f"{counted(len(numbers), 'series')}: {pattern}" for pattern, numbers in groups.items()
    )
    return [Finding("series", "unsure", title, text, files, details)]


def left_out(seen: Mapping[int, Seen]) -> list[Finding]:
    """What `prepare` leaves out unless asked otherwise: scouts, derived and secondary captures."""
    usual = Selection()
    reasons = {n: usual.why_not(one.facts) for n, one in seen.items()}
    numbers = [n for n, reason in reasons.items() if reason]
    if not numbers:
        return []
    tally = Counter(reasons[n] for n in numbers)
    title = f"{counted(len(numbers), 'DICOM image')} left out by the usual selection"
    text = "; ".join(f"{count:,} × {reason}" for reason, count in tally.most_common()) + "."
    return [Finding("selection", "note", title, text, single(numbers))]
