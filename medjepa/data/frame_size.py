"""Frames of a clip at the working size."""

from dataclasses import replace

import numpy as np

from medjepa.data.intensity import window_of
from medjepa.data.preprocessing import fill_value
from medjepa.data.resize import Fit, fit_to
from medjepa.types import MedicalImage


def resize_frames(image: MedicalImage, size: tuple[int, int], fit: Fit) -> MedicalImage:
    """Bring each frame of (C, T, [Z,] Y, X) to (H, W) by itself, antialiased."""
    window = window_of(image)
    height, width = image.array.shape[-2:]
    if (height, width) == size:
        return image
    steps = (image.spacing[-2], image.spacing[-1])
    fill = fill_value(image.array, window)
    planes = image.array.reshape(image.array.shape[0], -1, height, width)
    resized = np.empty((*planes.shape[:2], *size), planes.dtype)
    for number in range(planes.shape[1]):
        resized[:, number] = fit_to(planes[:, number], size, fit=fit, spacing=steps, fill=fill)
    return replace(
        image,
        array=resized.reshape(*image.array.shape[:-2], *size),
        spacing=(*image.spacing[:-2], *_steps((height, width), steps, size, fit)),
        position=None,  # the first voxel is another one now
        # A window from the file's own values must not move with them.
        display_range=window,
    )


def _steps(
    shape: tuple[int, int], steps: tuple[float | None, ...], size: tuple[int, int], fit: Fit
) -> tuple[float | None, ...]:
    """Spacing of the resized frames; unknown stays unknown."""
    extent = [None if step is None else n * step for n, step in zip(shape, steps, strict=True)]
    new = [None if e is None else e / n for e, n in zip(extent, size, strict=True)]
    if fit == "stretch" or new[0] is None or new[1] is None:
        return tuple(new)
    # Padded: one factor for both, the greater of the two, for the frame just fits.
    step = max(new[0], new[1])
    return step, step
