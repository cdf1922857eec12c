"""Planes of a volume, frames of a clip: what 2-D encoders and plain baselines see of them.

At most `MOST_PLANES` planes, evenly over the first axis, each read once. The down-sampled voxels
are for principal components, gradients and 2-D embeddings are means over the planes.

Legend: P planes, C channels, D features.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.duplicates import fingerprints, thumbnail
from medjepa.data.intensity import match_channels
from medjepa.data.store_dataset import resize_images
from medjepa.evaluation.baselines import area_resize, oriented_gradients
from medjepa.evaluation.results import GRADIENTS, PIXELS

MOST_PLANES = 32
VOXEL_PLANES, VOXEL_SIZE = 16, 16
"""A volume is down-sampled to 16 planes of 16 x 16."""

PRINTS = "prints"
_PRINT_PLANES = 8

Floats32 = NDArray[np.float32]
EncodePlanes = Callable[[Tensor], Tensor]
"""Planes (P, C, H, W) in [0, 1] to (P, D)."""


def plane_numbers(length: int, most: int = MOST_PLANES) -> list[int]:
    """Which planes of an axis are looked at: all, or so many in the middle of equal parts."""
    if length <= most:
        return list(range(length))
    return [int((place + 0.5) * length / most) for place in range(most)]


def describe_planes(
    planes: Iterable[Floats32], encoders: Mapping[str, EncodePlanes]
) -> dict[str, Floats32]:
    """Every description that is made of planes (C, H, W) of one volume or clip.

    Args:
        planes: in order, one at a time in memory.
        encoders: 2-D encoders by name, called with one plane each.

    Returns:
        Name -> (D,): PIXELS the down-sampled voxels, GRADIENTS the mean histograms, PRINTS a
        fingerprint to find copies by, and the mean of each encoder.
    """
    small, gradients, prints = [], [], []
    embedded: dict[str, list[Floats32]] = {name: [] for name in encoders}
    for plane in planes:
        small.append(area_resize(plane[None], VOXEL_SIZE)[0])
        # A contrast has gradients of its own; three colours are one picture.
        parts = [plane] if len(plane) in (1, 3) else list(plane[:, None])
        gradients.append(np.concatenate([oriented_gradients(part[None])[0] for part in parts]))
        prints.append(thumbnail(plane))
        with torch.inference_mode():
            for name, encode in encoders.items():
                rows = [encode(torch.from_numpy(part[None]))[0] for part in parts]
                embedded[name].append(torch.cat(rows).float().cpu().numpy())
    stack = np.stack(small)  # (P, C, 16, 16)
    along = area_resize(stack.reshape(1, 1, len(stack), -1), VOXEL_PLANES, stack[0].size)
    places = plane_numbers(len(prints), _PRINT_PLANES)
    chosen = [prints[place] for place in places]
    chosen += [chosen[-1]] * (_PRINT_PLANES - len(chosen))
    bands = fingerprints(np.stack(chosen)).reshape(-1)
    length = np.float32(np.linalg.norm(bands))
    return {
        PIXELS: along.reshape(-1),
        GRADIENTS: np.asarray(np.mean(gradients, axis=0), np.float32),
        PRINTS: np.asarray(bands / (length if length > 0 else 1), np.float32),
        **{name: np.asarray(np.mean(rows, axis=0), np.float32) for name, rows in embedded.items()},
    }


def plane_encoder(
    encode: Callable[[Tensor], Tensor], size: tuple[int, int], channels: int
) -> EncodePlanes:
    """A 2-D encoder on planes of any size: brought to its size, grey as colour or the reverse."""

    def embed(planes: Tensor) -> Tensor:
        matched = match_channels(planes.numpy(), channels, axis=1)
        return encode(resize_images(torch.from_numpy(np.ascontiguousarray(matched)), size))

    return embed
