"""Planes through a case with its truth filled and its prediction outlined, as one picture each."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from medjepa.evaluation.segmentation_planes import Plane

NUM_COLOURS = 8
"""Colours of structures; more of them start again from the first."""

_JPEG_QUALITY = 88
_AXES = "zyx"


def picture(plane: Plane, values: Sequence[Sequence[int]], title: str) -> Markup:
    """One plane in its physical proportions.

    Args:
        plane: what is shown.
        values: of each structure in the label map; regions come one for each structure.
        title: for screen readers.
    """
    height, width = plane.image.shape
    down, right = plane.spacing
    parts = []
    for number, own in enumerate(values):
        style = f"s{number % NUM_COLOURS}"
        truth = _mask(plane.truth, number, own)
        if truth.any():
            parts.append(Markup('<path d="{}" class="truth {}"/>').format(_area(truth), style))
    for number, own in enumerate(values):
        found = _mask(plane.prediction, number, own)
        if found.any():
            parts.append(
                Markup('<path d="{}" class="found s{}"/>').format(
                    _outline(found), number % NUM_COLOURS
                )
            )
    return Markup(
        '<svg viewBox="0 0 {:g} {:g}" role="img" aria-label="{}" class="plane"><title>{}</title>'
        '<image href="data:image/jpeg;base64,{}" width="{:g}" height="{:g}" '
        'preserveAspectRatio="none"/><g transform="scale({:g} {:g})">{}</g></svg>'
    ).format(
        width * right,
        height * down,
        title,
        title,
        _jpeg(plane.image),
        width * right,
        height * down,
        right,
        down,
        Markup("").join(parts),
    )


def plane_name(plane: Plane) -> str:
    """Which plane it is: "z 17"; nothing for an image."""
    return "" if plane.axis < 0 else f"{_AXES[plane.axis]} {plane.place}"


def structure_legend(names: Sequence[str]) -> Markup:
    """Which colour is which structure, and what is truth."""
    keys = Markup("").join(
        Markup('<span class="key"><i class="s{}"></i>{}</span>').format(i % NUM_COLOURS, name)
        for i, name in enumerate(names)
    )
    return Markup(
        '<p class="legend">{}<span class="soft">filled: the truth · line: the prediction</span></p>'
    ).format(keys)


def _mask(labels: NDArray[Any], number: int, values: Sequence[int]) -> NDArray[np.bool_]:
    return labels[number] > 0 if labels.ndim == 3 else np.isin(labels, values)


def _area(mask: NDArray[np.bool_]) -> str:
    """A path that fills the mask, row by row."""
    return "".join(f"M{x} {y}h{n}v1h-{n}z" for y, x, n in _runs(mask))


def _outline(mask: NDArray[np.bool_]) -> str:
    """A path along the sides of the mask's voxels: as coarse as the voxels are."""
    padded = np.pad(mask, 1)
    level = padded[1:, 1:-1] != padded[:-1, 1:-1]
    upright = (padded[1:-1, 1:] != padded[1:-1, :-1]).T
    return "".join(f"M{x} {y}h{n}" for y, x, n in _runs(level)) + "".join(
        f"M{x} {y}v{n}" for x, y, n in _runs(upright)
    )


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """(row, first column, length) of every run of a mask's rows."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    rows, first = np.nonzero(change == 1)
    last = np.nonzero(change == -1)[1]
    return [(int(r), int(f), int(e - f)) for r, f, e in zip(rows, first, last, strict=True)]


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
