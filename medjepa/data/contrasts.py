"""Several contrasts of one scan as the channels of one volume, each with its own grey scale."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medjepa.data.decode import read
from medjepa.data.intensity import window_of
from medjepa.data.modality import IntensityPlan
from medjepa.data.placement import Placement, distance_mm
from medjepa.errors import InputError
from medjepa.types import MedicalImage

CONTRASTS = "contrasts"
"""Key of `MedicalImage.facts`: the names of the channels, separated by commas."""
MOST_CONTRASTS = 16
_WHITE = 65535
_TOLERANCE = 0.1


def read_contrasts(paths: Sequence[str | Path], names: Sequence[str]) -> MedicalImage:
    """Read one file for each contrast and put them together as channels (C, Z, Y, X).

    Raises:
        InputError: one cannot be read, is no grey volume, or lies on another grid than the first.
    """
    images = [read(path) for path in paths]
    first = images[0]
    for image, name in zip(images, names, strict=True):
        if image.axes != "zyx" or image.array.shape[0] != 1:
            raise InputError(
                image.source, f"contrast {name}: a grey volume is needed, axes are {image.axes}"
            )
        if image.array.shape != first.array.shape:
            raise InputError(
                image.source,
                f"contrast {name} has the shape {image.array.shape[1:]}, {names[0]} has "
                f"{first.array.shape[1:]}: all contrasts of a case must lie on one grid",
            )
        apart = distance_mm(Placement.of(image), Placement.of(first))
        if apart is not None and apart > _TOLERANCE * min(s or 1.0 for s in first.spacing):
            raise InputError(
                image.source,
                f"contrast {name} lies {apart:.1f} mm from {names[0]}: all contrasts of a case "
                "must lie on one grid",
            )
    dtype = np.result_type(*(image.array.dtype for image in images))
    array = np.empty((len(images), *first.array.shape[1:]), dtype)
    for channel, image in zip(array, images, strict=True):
        channel[:] = image.array[0]
    return replace(
        first,
        array=array,
        display_range=None,
        facts={**first.facts, CONTRASTS: ",".join(names)},
    )


def axis_as_contrasts(image: MedicalImage) -> MedicalImage:
    """The volumes of a 4-D file as channels: (1, T, Z, Y, X) to (T, Z, Y, X).

    Raises:
        InputError: there are more volumes than contrasts can be.
    """
    count = image.array.shape[1]
    if image.array.shape[0] != 1 or count > MOST_CONTRASTS:
        raise InputError(
            image.source,
            f"its 4th axis has {count} volumes, more than {MOST_CONTRASTS} contrasts: "
            "data.fourth_axis=time takes it for a cine stack",
        )
    return replace(
        image,
        array=image.array[0],
        axes="zyx",
        spacing=image.spacing[1:],
        times=None,
        facts={**image.facts, CONTRASTS: ",".join(str(n) for n in range(count))},
    )


def shown_by_contrast(image: MedicalImage, plan: IntensityPlan) -> MedicalImage:
    """Apply the steps to each contrast by itself and show it in 16 bits: 0 black, 65535 white."""
    shown = np.empty(image.array.shape, np.uint16)
    for number in range(len(shown)):
        one = plan(replace(image, array=image.array[number : number + 1]))
        low, high = window_of(one)
        if high <= low:
            shown[number] = 0
            continue
        for source, out in zip(one.array[0], shown[number], strict=True):  # plane by plane
            values = (source.astype(np.float32) - np.float32(low)) / np.float32(high - low)
            out[:] = np.rint(np.clip(values, 0, 1) * _WHITE)
    return replace(
        image,
        array=shown,
        modality=plan.kind_of(image),
        display_range=(0.0, float(_WHITE)),
        history=(*image.history, "each contrast shown by its own grey scale"),
    )
