"""Several frames in one DICOM file: a clip, a volume, or volumes through time."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medjepa.data.decode.dicom_geometry import normal_of, plane_of, position_of, positive, vector
from medjepa.data.decode.dicom_header import Header
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.stacking import Layout, arrange, unequal
from medjepa.errors import InputError, InputWarning

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

# Macros of the functional groups (PS3.3 section C.7.6.16.2) that place and scale a frame.
_MACROS = (
    "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence",
    "PixelValueTransformationSequence", "FrameVOILUTSequence", "FrameContentSequence",
    "CardiacSynchronizationSequence", "MREchoSequence", "MRDiffusionSequence",
)  # fmt: skip
SCALING = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence",
           "WindowCenter", "WindowWidth", "VOILUTFunction")  # fmt: skip
"""Attributes by which frames may be scaled differently."""
_TIME_KEYS = (
    "TemporalPositionIndex", "NominalCardiacTriggerDelayTime", "EffectiveEchoTime",
    "DiffusionBValue", "FrameReferenceDateTime", "FrameAcquisitionDateTime",
)  # fmt: skip
_TIMED = (1,)
_TILED = "1.2.840.10008.5.1.4.1.1.77.1.6"


@dataclass(frozen=True)
class Placed:
    """How the frames of a file are arranged.

    Attributes:
        order: frame numbers in the order of the axes before y.
        axes: "tyx", "zyx" or "tzyx".
        shape: lengths of the axes before y.
        spacing: of all axes, mm, s for t.
        directions: of z, y, x; None if unknown.
        position: of the first voxel.
        times: of the frames or volumes, s from the first.
    """

    order: tuple[int, ...]
    axes: str
    shape: tuple[int, ...]
    spacing: tuple[float | None, ...]
    directions: tuple[tuple[float, float, float], ...] | None = None
    position: tuple[float, float, float] | None = None
    times: tuple[float, ...] | None = None


def frame_headers(header: Header) -> list[Header]:
    """One header for each frame, its functional groups (its own, else the shared) on top."""
    dataset = header.dataset
    shared = _first(dataset.get("SharedFunctionalGroupsSequence"))
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if shared is None and not per_frame:
        return [header] * header.frames
    if per_frame and len(per_frame) < header.frames:
        raise InputError(
            header.path,
            f"{len(per_frame)} functional groups for {header.frames} frames",
            format="DICOM",
        )
    if len(per_frame) > header.frames:
        warnings.warn(
            f"{header.path}: {len(per_frame)} functional groups for {header.frames} frames, the "
            "first are used",
            InputWarning,
            stacklevel=4,
        )
    common = _flattened(shared)
    headers = []
    for number in range(header.frames):
        own = _flattened(per_frame[number]) if per_frame else {}
        view = pydicom().Dataset()
        for name in ("Modality", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelSpacing",
                     "ImageOrientationPatient", "DoseGridScaling", *SCALING):  # fmt: skip
            if name in dataset:
                view[name] = dataset[name]
        for element in {**common, **own}.values():
            view[element.keyword] = element
        headers.append(replace(header, dataset=view))
    return headers


def place_one(header: Header) -> Placed:
    """A single frame with its spacing, directions of y and x, and position."""
    dataset = header.dataset
    plane, position = plane_of(dataset), position_of(dataset)
    return Placed(
        (0,),
        "yx",
        (),
        _in_plane(header),
        None if plane is None else (vector(plane[0]), vector(plane[1])),
        None if plane is None or position is None else vector(position),
    )


def place_frames(header: Header, headers: list[Header]) -> Placed:
    """Decide whether frames are slices or moments, and their order.

    Slices have different positions along the normal, by their functional groups or, for a dose, by
    GridFrameOffsetVector. Everything else is a clip.

    Raises:
        InputError: the frames are tiles of a slide, or slices that make no grid.
    """
    dataset = header.dataset
    if str(dataset.get("SOPClassUID") or "") == _TILED:
        raise InputError(
            header.path, "a slide in tiles: read it by region, not as an image", format="DICOM"
        )
    positions = _positions(header, headers)
    steps = _in_plane(headers[0])
    if positions is None:
        times = frame_times(dataset, header.frames)
        return Placed(
            tuple(range(header.frames)), "tyx", (header.frames,), (_step(times), *steps),
            times=times,
        )  # fmt: skip
    planes = [plane_of(h.dataset) for h in headers]
    if unequal([None if p is None else np.concatenate(p) for p in planes], 1e-3):
        raise InputError(
            header.path, "its frames have different orientations: several stacks, no volume",
            format="DICOM",
        )  # fmt: skip
    plane = planes[0]
    assert plane is not None
    keys = [_moment(h.dataset) for h in headers]
    layout = arrange(header.path, positions, normal_of(plane), keys, "frame", timed=_TIMED)
    return placed(layout, positions, plane, steps)


def placed(
    layout: Layout,
    positions: np.ndarray,
    plane: tuple[np.ndarray, np.ndarray],
    steps: tuple[float | None, float | None],
    thickness: float | None = None,
) -> Placed:
    """Axes, spacing and directions of a stack of slices."""
    stacked = layout.stacked if layout.stacked is not None else normal_of(plane)
    directions = (vector(stacked), vector(plane[0]), vector(plane[1]))
    first = vector(positions[layout.order[0]])
    slice_step = layout.step if layout.step is not None else thickness
    if layout.step is not None:
        # Slices of a tilted gantry are shifted sideways, too: from voxel to voxel it is further
        # than along the normal, and `directions` go that way.
        slice_step = layout.step / float(stacked @ normal_of(plane))
    if layout.num_moments == 1:
        return Placed(
            layout.order, "zyx", (layout.num_slices,), (slice_step, *steps), directions, first
        )
    times = layout.times
    return Placed(
        layout.order, "tzyx", (layout.num_moments, layout.num_slices),
        (_step(times), slice_step, *steps), directions, first, times,
    )  # fmt: skip


def frame_times(dataset: Dataset, num_frames: int) -> tuple[float, ...] | None:
    """Seconds from the first frame: FrameTimeVector, FrameTime, CineRate (PS3.3 C.7.6.5)."""
    vector_ms = dataset.get("FrameTimeVector")
    if (
        vector_ms is not None
        and not isinstance(vector_ms, str | float)
        and (len(vector_ms) == num_frames)
    ):
        times = np.cumsum([float(v) for v in vector_ms]) / 1000
        if np.isfinite(times).all():
            return tuple(float(t - times[0]) for t in times)
    step = positive(dataset.get("FrameTime"))
    if step is None:
        for name in ("CineRate", "RecommendedDisplayFrameRate"):
            rate = positive(dataset.get(name))
            if rate is not None:
                step = 1000 / rate
                break
    if step is None:
        return None
    return tuple(number * step / 1000 for number in range(num_frames))


def _positions(header: Header, headers: list[Header]) -> np.ndarray | None:
    """(frames, 3) in mm, None where the frames do not lie at different places."""
    plane = plane_of(headers[0].dataset)
    offsets = header.dataset.get("GridFrameOffsetVector")
    start = position_of(header.dataset)
    if offsets is not None and plane is not None and start is not None:
        if len(offsets) != header.frames:
            raise InputError(
                header.path, f"{len(offsets)} grid offsets for {header.frames} frames",
                format="DICOM",
            )  # fmt: skip
        along = np.array([float(v) for v in offsets])
        along -= along[0]  # either from the first frame, or absolute positions
        return np.asarray(start + along[:, None] * normal_of(plane))
    found = [position_of(h.dataset) for h in headers]
    if plane is None or any(p is None for p in found):
        return None
    positions = np.array(found, dtype=np.float64)
    spread = float(np.ptp(positions @ normal_of(plane)))
    return positions if spread > 1e-3 else None


def _moment(dataset: Dataset) -> tuple[Any, ...]:
    return tuple(_plain(dataset.get(name)) for name in _TIME_KEYS)


def _plain(value: object) -> object:
    if value is None:
        return ""
    try:
        return float(str(value))
    except ValueError:
        return str(value)


def _in_plane(header: Header) -> tuple[float | None, float | None]:
    value = header.dataset.get("PixelSpacing")
    if value is not None and len(value) == 2:
        down, across = positive(value[0]), positive(value[1])
        if down is None or across is None:
            raise InputError(
                header.path, "PixelSpacing: spacing must be two positive numbers", format="DICOM"
            )
        return down, across
    return header.spacing


def _step(times: tuple[float, ...] | None) -> float | None:
    """Mean step between moments in s."""
    if times is None or len(times) < 2:
        return None
    step = (times[-1] - times[0]) / (len(times) - 1)
    return step if math.isfinite(step) and step > 0 else None


def _flattened(item: Dataset | None) -> dict[int, Any]:
    """The elements of the known macros of a functional group, by tag."""
    elements: dict[int, Any] = {}
    if item is None:
        return elements
    for name in _MACROS:
        inner = _first(item.get(name))
        for element in inner or ():
            elements[element.tag] = element
    return elements


def _first(sequence: object) -> Dataset | None:
    return sequence[0] if sequence else None  # type: ignore[index]
