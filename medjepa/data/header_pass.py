"""What the headers say before any pixel is decoded; these functions run in decoding processes."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from medjepa.data.decode.sniff import sniff
from medjepa.data.files import Found
from medjepa.data.prepare_report import Progress
from medjepa.data.worker_process import Limits
from medjepa.data.workers import map_in_processes
from medjepa.errors import DataError, InputError

if TYPE_CHECKING:
    from medjepa.data.selection import Selection

Result = TypeVar("Result")
_NUM_NAMED = 10


@dataclass(frozen=True)
class Looked:
    """What one file's header says.

    Attributes:
        is_dicom: by its content.
        identifying: keywords of attributes that name the patient.
        left_out: why it was not asked for, "" if it was.
    """

    is_dicom: bool = False
    identifying: tuple[str, ...] = ()
    left_out: str = ""


@dataclass(frozen=True)
class Grouped:
    """One series among the DICOM files of a folder.

    Attributes:
        files: numbers of its files in the list that was given, along the normal.
        problem: why they are no volume, "" if they are.
    """

    files: tuple[int, ...]
    problem: str = ""


def look(path: str, gate: bool, selection: "Selection | None") -> Looked:
    """Read the header of a DICOM file; what cannot be read is named by the decoder, later."""
    try:
        if sniff(path) != "DICOM":
            return Looked()
        from medjepa.data.decode.dicom_header import read_dataset
        from medjepa.data.privacy import PRIVACY_TAGS, identifying_in
        from medjepa.data.selection import SELECTION_TAGS, facts_in

        # Parsed once for both: for small files that is most of the work.
        dataset = read_dataset(path, header_only=True, tags=PRIVACY_TAGS + SELECTION_TAGS)
        identifying = identifying_in(dataset) if gate else ()
        left_out = "" if selection is None else selection.why_not(facts_in(path, dataset))
    except InputError:
        return Looked()
    return Looked(True, tuple(identifying), left_out)


def group(paths: tuple[str, ...]) -> list[Grouped]:
    """Sort the DICOM files of one folder into series, by their headers alone."""
    from medjepa.data.decode.series import group_series

    numbers = {path: number for number, path in enumerate(paths)}
    return [
        Grouped(tuple(numbers[str(p)] for p in series.paths), "; ".join(series.problems))
        for series in group_series(paths)
    ]


@dataclass(frozen=True)
class Unit:
    """Files that are decoded together: one, or the slices of one series.

    Attributes:
        files: in order.
        problem: why they are not decoded at all.
    """

    files: tuple[Found, ...]
    problem: str = ""


class HeaderPass:
    """Reads headers in decoding processes."""

    def __init__(self, num_workers: int, timeout_s: float, progress: Progress) -> None:
        self._num_workers, self._timeout_s, self._progress = num_workers, timeout_s, progress

    def look(
        self, paths: Sequence[str], *, gate: bool, selection: "Selection | None"
    ) -> list[Looked]:
        """Look at every file.

        Raises:
            DataError: a header identifies a patient, and `gate` is set.
        """
        seen = run_tasks(
            look,
            paths,
            (gate, selection),
            on_death=lambda reason: Looked(),
            num_workers=self._num_workers,
            timeout_s=self._timeout_s,
            results=(Looked,),
        )
        result: list[Looked] = []
        with closing(seen), self._progress("reading headers", len(paths)) as advance:
            for looked in seen:
                result.append(looked)
                advance(1)
        naming = [(p, x.identifying) for p, x in zip(paths, result, strict=True) if x.identifying]
        if naming:
            raise DataError(_refusal(naming, len(paths)))
        return result

    def series(self, dicom: Mapping[str, Found]) -> list[Unit]:
        """Put the DICOM files of each folder together by series."""
        folders: dict[PurePath, list[str]] = {}
        for path in dicom:
            folders.setdefault(PurePath(path).parent, []).append(path)
        tasks = [tuple(paths) for paths in folders.values()]
        grouped = run_tasks(
            group,
            tasks,
            (),
            on_death=lambda reason: [Grouped((), f"the headers of its folder: {reason}")],
            num_workers=self._num_workers,
            timeout_s=self._timeout_s,
            results=(list, Grouped),
        )
        units = []
        for paths, series in zip(tasks, grouped, strict=True):
            named = set()
            for entry in series:
                # No files: a folder whose headers could not be read at all.
                files = [paths[n] for n in entry.files] or [p for p in paths if p not in named]
                named.update(files)
                units.append(Unit(tuple(dicom[path] for path in files), entry.problem))
            # What is in no series is decoded by itself, which tells what is wrong with it.
            units += [Unit((dicom[path],)) for path in paths if path not in named]
        return units


def with_series(units: Sequence[Unit], series: Sequence[Unit]) -> list[Unit]:
    """Replace single files by the series that they are in, each at the place of its first file."""
    owner = {entry: unit for unit in series for entry in unit.files}
    result: list[Unit] = []
    placed: set[int] = set()
    for unit in units:
        whole = owner.get(unit.files[0], unit)
        if id(whole) not in placed:
            placed.add(id(whole))
            result.append(whole)
    return result


def _refusal(naming: list[tuple[str, tuple[str, ...]]], num_files: int) -> str:
    from medjepa.data.privacy import refusal

    path, keywords = naming[0]
    # The command is for the folder that holds them all.
    folder = os.path.commonpath([str(PurePath(path).parent) for path, _ in naming])
    text = refusal(path, list(keywords), folder)
    if len(naming) == 1:
        return text
    others = "".join(f"\n  {path}" for path, _ in naming[1:_NUM_NAMED])
    return f"{text}\n{len(naming)} of {num_files} files identify a patient, also:{others}"


def run_tasks(
    function: Callable[..., Result],
    tasks: Sequence[Any],
    arguments: tuple[Any, ...],
    *,
    on_death: Callable[[str], Result],
    num_workers: int,
    timeout_s: float,
    results: Sequence[type],
) -> Generator[Result, None, None]:
    """`map_in_processes`, or in this process for `num_workers=0`."""
    if num_workers and tasks:
        return map_in_processes(
            function,
            tasks,
            arguments,
            on_death=on_death,
            num_workers=num_workers,
            limits=Limits(timeout_s=timeout_s),
            results=results,
        )
    return (partial(function, task)(*arguments) for task in tasks)
