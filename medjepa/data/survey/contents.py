"""What there is, counted: formats, kinds, modalities, sizes, value types, spacings."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medjepa.data.survey.examine import Seen

_MOST_ROWS = 10
_DEPTHS = (1, 10, 30, 100, 300, 1000)
_KINDS = {
    "yx": "images", "zyx": "volumes", "tyx": "clips", "tzyx": "volumes through time",
}  # fmt: skip


@dataclass(frozen=True)
class Tally:
    """How many files have which property, the commonest first.

    Attributes:
        kind: a word for programs.
        title: what is counted.
        rows: (value, files).
    """

    kind: str
    title: str
    rows: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Spacing:
    """The steps between pixels of one kind of image along one axis, mm (s along t).

    Attributes:
        modality: kind of image.
        axis: "x", "y", "z" or "t".
        known: files whose header says it.
        unknown: files whose header does not.
        least: of those known.
        median: likewise.
        greatest: likewise.
    """

    modality: str
    axis: str
    known: int
    unknown: int
    least: float
    median: float
    greatest: float


@dataclass(frozen=True)
class Patients:
    """How many images each patient has.

    Attributes:
        source: "table" or "header".
        num_patients: different ones.
        num_images: that belong to one of them.
        least: images of a patient.
        median: likewise.
        most: likewise.
    """

    source: str
    num_patients: int
    num_images: int
    least: int
    median: float
    most: int


def tallies(seen: Mapping[int, Seen], num_series: int, num_volumes: int) -> list[Tally]:
    """Count the readable files by what they are."""
    good = [one for one in seen.values() if one.status == "good"]
    dicom = [one for one in good if one.format == "DICOM"]
    kinds = Counter(_KINDS.get(one.axes, one.axes) for one in good)
    if num_series:
        kinds["DICOM series"] = num_series
        kinds["… of several files, a volume"] = num_volumes
    found = [
        Tally("formats", "Formats", _rows(one.format for one in good)),
        Tally("kinds", "Images, volumes, clips", tuple((k, n) for k, n in kinds.items())),
        Tally("modalities", "Kind of image", _rows(one.modality for one in good)),
        Tally("sizes", "Sizes, x × y", _rows(_size(one) for one in good)),
        Tally("depths", "Slices or frames of a file", _depths(good)),
        Tally("values", "Values", _rows(_values(one) for one in good)),
        Tally("channels", "Channels", _rows(_channels(one) for one in good)),
        Tally("dicom_modalities", "DICOM Modality", _facts(dicom, "modality")),
        Tally("views", "View", _facts(dicom, "view")),
        Tally("body_parts", "Body part", _facts(dicom, "body_part")),
        Tally("image_kinds", "DICOM kind", _facts(dicom, "kind")),
        Tally("series_kinds", "Series", _facts(dicom, "series_kind")),
        Tally("syntaxes", "Transfer syntax", _rows(one.syntax for one in dicom)),
        Tally("photometric", "Photometric", _rows(one.photometric for one in dicom)),
        Tally("skipped", "Left aside", _rows(one.reason for one in seen.values()
                                              if one.status == "skipped")),
    ]  # fmt: skip
    return [tally for tally in found if tally.rows]


def spacings(seen: Mapping[int, Seen]) -> list[Spacing]:
    """Spread of the spacing for each kind of image and axis, where any header says it."""
    steps: dict[tuple[str, str], list[float]] = {}
    for one in seen.values():
        if one.status == "good":
            for axis, step in zip(one.axes, one.spacing, strict=True):
                steps.setdefault((one.modality, axis), []).append(step)
    result = []
    for (modality, axis), values in sorted(steps.items()):
        known = [value for value in values if value > 0]
        if known:
            low, median, high = (float(f(known)) for f in (min, np.median, max))
            unknown = len(values) - len(known)
            result.append(Spacing(modality, axis, len(known), unknown, low, median, high))
    return result


def patients(names: Iterable[str], source: str) -> Patients | None:
    """Images of each patient, from one name for each image; None if no image has a name."""
    counts = np.array(sorted(Counter(name for name in names if name).values()))
    if not len(counts):
        return None
    return Patients(
        source=source,
        num_patients=len(counts),
        num_images=int(counts.sum()),
        least=int(counts[0]),
        median=float(np.median(counts)),
        most=int(counts[-1]),
    )


def _rows(values: Iterable[str]) -> tuple[tuple[str, int], ...]:
    tally = Counter(value for value in values if value).most_common()
    if len(tally) <= _MOST_ROWS:
        return tuple(tally)
    rest = tally[_MOST_ROWS - 1 :]
    others = (f"{len(rest):,} others", sum(count for _, count in rest))
    return (*tally[: _MOST_ROWS - 1], others)


def _facts(dicom: Sequence[Seen], name: str) -> tuple[tuple[str, int], ...]:
    if not any(one.facts.get(name) for one in dicom):
        return ()
    return _rows(one.facts.get(name) or "not given" for one in dicom)


def _size(one: Seen) -> str:
    return f"{one.shape[-1]} × {one.shape[-2]}"


def _depths(good: Sequence[Seen]) -> tuple[tuple[str, int], ...]:
    depths = [math.prod(one.shape[1:-2]) for one in good if len(one.axes) > 2]
    counts = np.histogram(depths, bins=[*_DEPTHS, np.inf])[0]
    names = [f"{a} to {b - 1}" for a, b in pairwise(_DEPTHS)] + [f"{_DEPTHS[-1]} and more"]
    return tuple((name, int(count)) for name, count in zip(names, counts, strict=True) if count)


def _values(one: Seen) -> str:
    fits = one.used_bits in (0, 8 * np.dtype(one.dtype).itemsize)
    return one.dtype if fits else f"{one.dtype}, {one.used_bits} bits used"


def _channels(one: Seen) -> str:
    known = {1: "1 (grey)", 3: "3 (colour)" if one.coloured else "3, all equal (grey)"}
    return known.get(one.shape[0], str(one.shape[0]))
