"""Planes of a volume, frames of a clip: what 2-D encoders and plain baselines see of them.

At most `MOST_PLANES` planes, evenly over the first axis, each read once. The down-sampled voxels
are for principal components, gradients and 2-D embeddings are means over the planes.

Legend: P planes, C channels, D features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.duplicates import fingerprints, thumbnail
from medjepa.data.intensity import match_channels
from medjepa.data.store_dataset import resize_images
from medjepa.evaluation.baselines import GRADIENT_SIZE, area_resize, oriented_gradients
from medjepa.evaluation.results import GRADIENTS, PIXELS

MOST_PLANES = 32
VOXEL_PLANES, VOXEL_SIZE = 16, 16
"""A volume is down-sampled to 16 planes of 16 x 16."""

PRINTS = "prints"
_PRINT_PLANES = 8

Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class PlaneEncoder:
    """A 2-D encoder of planes of any size: brought to its size, grey as colour or the reverse.

    Attributes:
        encode: images (P, channels, *size) in [0, 1] to (P, D).
        size: (H, W) that it sees.
        channels: that it takes.
    """

    encode: Callable[[Tensor], Tensor]
    size: tuple[int, int]
    channels: int

    def ready(self, plane: Floats32) -> Tensor:
        """A plane (C, H, W) as the encoder takes it; of several contrasts each, (n, c, h, w)."""
        parts = plane[None] if len(plane) in (1, 3) else plane[:, None]
        matched = np.ascontiguousarray(match_channels(parts, self.channels, axis=1))
        return resize_images(torch.from_numpy(matched), self.size)

    def mean(self, planes: Sequence[Tensor]) -> Floats32:
        """The mean embedding of planes, contrasts side by side; (n * D,)."""
        with torch.inference_mode():
            rows = self.encode(torch.cat(list(planes)))
        return np.asarray(rows.reshape(len(planes), -1).float().mean(0).cpu().numpy())


def plane_numbers(length: int, most: int = MOST_PLANES) -> list[int]:
    """Which planes of an axis are looked at: all, or so many in the middle of equal parts."""
    if length <= most:
        return list(range(length))
    return [int((place + 0.5) * length / most) for place in range(most)]


def describe_planes(
    planes: Iterable[Floats32], encoders: Mapping[str, PlaneEncoder]
) -> dict[str, Floats32]:
    """Every description that is made of planes (C, H, W) of one volume or clip.

    Args:
        planes: in order, one at a time in memory.
        encoders: 2-D encoders by name.

    Returns:
        Name -> (D,): PIXELS the down-sampled voxels, GRADIENTS the mean histograms, PRINTS a
        fingerprint to find copies by, and the mean of each encoder.
    """
    small, outlines, prints = [], [], []
    ready: dict[str, list[Tensor]] = {name: [] for name in encoders}
    for plane in planes:
        small.append(area_resize(plane[None], VOXEL_SIZE)[0])
        # A contrast has gradients of its own; three colours are one picture.
        parts = plane[None] if len(plane) in (1, 3) else plane[:, None]
        outlines.append(area_resize(parts, GRADIENT_SIZE))
        prints.append(thumbnail(plane))
        for name, encoder in encoders.items():
            ready[name].append(encoder.ready(plane))
    # Of all planes at once, now that they are small: one by one takes several times as long.
    gradients = oriented_gradients(np.concatenate(outlines)).reshape(len(outlines), -1)
    stack = np.stack(small)  # (P, C, 16, 16)
    along = area_resize(stack.reshape(1, 1, len(stack), -1), VOXEL_PLANES, stack[0].size)
    places = plane_numbers(len(prints), _PRINT_PLANES)
    chosen = [prints[place] for place in places]
    chosen += [chosen[-1]] * (_PRINT_PLANES - len(chosen))
    bands = fingerprints(np.stack(chosen)).reshape(-1)
    length = np.float32(np.linalg.norm(bands))
    return {
        PIXELS: along.reshape(-1),
        GRADIENTS: np.asarray(gradients.mean(0), np.float32),
        PRINTS: np.asarray(bands / (length if length > 0 else 1), np.float32),
        **{name: encoder.mean(ready[name]) for name, encoder in encoders.items()},
    }
