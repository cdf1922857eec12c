"""Slices into a grid: sorted along the normal; one missing or there twice is refused by name."""

import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medjepa.errors import InputError, InputWarning

_SAME_PLACE_MM = 0.01
_GAP = 1.5
_UNEVEN, _REFUSED_UNEVEN = 0.01, 0.1
_SHEAR = 0.01


@dataclass(frozen=True)
class Layout:
    """The order of slices, moments outside, places inside.

    Attributes:
        order: numbers of the slices.
        num_moments: 1, or how often each place is there.
        num_slices: places along the normal.
        step: between places in mm; None for a single one.
        stacked: unit vector from the first slice to the last, None for a single one.
        times: of the moments in s from the first, where they are known.
    """

    order: tuple[int, ...]
    num_moments: int
    num_slices: int
    step: float | None
    stacked: np.ndarray | None
    times: tuple[float, ...] | None = None


def arrange(
    path: str,
    positions: np.ndarray,
    normal: np.ndarray,
    keys: Sequence[tuple[Any, ...]],
    noun: str,
    names: Sequence[str] | None = None,
    timed: Collection[int] = (),
) -> Layout:
    """Sort (n, 3) positions along the normal; the `keys` of slices at one place tell moments apart.

    `timed` are the numbers of those keys that are times in ms.

    Raises:
        InputError: a slice is missing or there twice, or the steps between slices differ.
    """
    names = names or [f"{noun} {number + 1}" for number in range(len(positions))]
    along = positions @ normal
    places = _places(along)
    num_slices = len(places)
    counts = Counter(len(place) for place in places)
    if set(counts) == {1}:
        moments = [[place[0] for place in places]]
        times = None
    else:
        moments, times = _moments(path, places, keys, noun, names, timed)
    first = moments[0]
    step, stacked = None, None
    if num_slices > 1:
        step = _step(path, along[first], [names[i] for i in first], noun)
        stacked = _stacked(path, positions[first], normal)
    order = tuple(number for moment in moments for number in moment)
    return Layout(order, len(moments), num_slices, step, stacked, times)


def unequal(values: Sequence[np.ndarray | None], tolerance: float) -> bool:
    """True if one is missing among others, or differs from the first by more than a tolerance."""
    first = values[0]
    if first is None:
        return any(value is not None for value in values)
    return any(value is None or np.abs(value - first).max() > tolerance for value in values)


def _places(along: np.ndarray) -> list[list[int]]:
    """Numbers of the slices at each place, sorted by place."""
    order = np.argsort(along, kind="stable")
    places: list[list[int]] = []
    for number in order:
        if places and abs(along[number] - along[places[-1][0]]) <= _SAME_PLACE_MM:
            places[-1].append(int(number))
        else:
            places.append([int(number)])
    return places


def _moments(
    path: str,
    places: list[list[int]],
    keys: Sequence[tuple[Any, ...]],
    noun: str,
    names: Sequence[str],
    timed: Collection[int],
) -> tuple[list[list[int]], tuple[float, ...] | None]:
    """Slices at one place are moments if an attribute tells them apart, the same one everywhere."""
    several = next(place for place in places if len(place) > 1)
    twice = ", ".join(names[number] for number in several[:3])
    if len({len(place) for place in places}) > 1:
        raise InputError(
            path,
            f"duplicate position: {twice} lie at one place, other places have "
            f"{min(len(place) for place in places)} {noun}",
            format="DICOM",
        )
    for column in range(len(keys[0])):
        sorted_places = [_by(place, keys, column) for place in places]
        values = [[keys[n][column] for n in place] for place in sorted_places]
        if all(len(set(row)) == len(row) for row in values):
            moments = [list(moment) for moment in zip(*sorted_places, strict=True)]
            return moments, _times(values) if column in timed else None
    raise InputError(
        path,
        f"duplicate position: {twice} lie at one place, and nothing tells them apart",
        format="DICOM",
    )


def _by(place: list[int], keys: Sequence[tuple[Any, ...]], column: int) -> list[int]:
    """Sort slices by one attribute; numbers come before texts, which cannot be compared to them."""
    return sorted(place, key=lambda n: (isinstance(keys[n][column], str), keys[n][column]))


def _times(values: list[list[object]]) -> tuple[float, ...] | None:
    """Moments in s from the first, the mean over the places; None if a value is no number."""
    rows = [row for row in values if all(isinstance(v, float) for v in row)]
    if len(rows) != len(values):
        return None
    mean = np.mean(np.array(rows, dtype=np.float64), axis=0)
    return tuple(float(v - mean[0]) / 1000 for v in mean)


def _step(path: str, along: np.ndarray, names: list[str], noun: str) -> float:
    gaps = np.diff(along)
    least = float(gaps.min())
    worst = int(gaps.argmax())
    if gaps[worst] > _GAP * least:
        raise InputError(
            path,
            f"missing {noun}: {gaps[worst]:.3g} mm between {names[worst]} and {names[worst + 1]}, "
            f"{least:.3g} mm elsewhere",
            format="DICOM",
        )
    uneven = float(np.ptp(gaps)) / float(np.median(gaps))
    if uneven > _REFUSED_UNEVEN:
        raise InputError(
            path,
            f"spacing between slices is uneven: {least:.4g} to {gaps[worst]:.4g} mm",
            format="DICOM",
        )
    if uneven > _UNEVEN:
        warnings.warn(
            f"{path}: spacing between slices varies by {uneven:.1%}, its mean is used",
            InputWarning,
            stacklevel=2,
        )
    return float(along[-1] - along[0]) / (len(along) - 1)


def _stacked(path: str, positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    shift = positions[-1] - positions[0]
    length = float(np.linalg.norm(shift))
    sideways = float(np.linalg.norm(shift - (shift @ normal) * normal))
    if sideways > _SHEAR * length:
        warnings.warn(
            f"{path}: slices are shifted sideways by {sideways:.3g} mm in {length:.3g} mm (gantry "
            "tilt): the volume is sheared",
            InputWarning,
            stacklevel=2,
        )
        return np.asarray(shift / length)
    return normal
