"""What a model of volumes is given, checked: silent nonsense is dearer than an error."""

from typing import Any

import torch
from torch import Tensor

MOST = 16.0
"""No image in [0, 1], and none standardised, holds more; grey levels and Hounsfield units do."""


def checked_volumes(volumes: Tensor, like: Tensor) -> Tensor:
    """Return volumes (B, C, z, y, x) in the dtype of the model's own numbers, `like`.

    Values are looked at only outside of `torch.compile` and `torch.export`.

    Raises:
        ValueError: another number of axes, whole numbers, NaN or infinity, or values that are no
            grey levels in [0, 1] but stored ones.
    """
    if volumes.ndim != 5:
        raise ValueError(
            "volumes are (batch, channels, z, y, x), clips (batch, channels, t, y, x); got the "
            f"shape {tuple(volumes.shape)}"
        )
    if not volumes.is_floating_point():
        raise ValueError(
            f"volumes must be floating point in [0, 1], got {volumes.dtype}: bring them there with "
            "their window (medjepa.data.preprocessing.VolumetricPreprocessor does)"
        )
    volumes = volumes.to(like.dtype)
    if torch.compiler.is_compiling() or not volumes.numel():
        return volumes
    low, high = (float(end) for end in volumes.detach().aminmax())
    if not (low >= -MOST and high <= MOST):  # also NaN
        raise ValueError(
            f"volumes must lie in [0, 1], got values from {low:g} to {high:g}: NaN and infinity "
            "are no grey levels, Hounsfield units and stored ones are scaled first"
        )
    return volumes


def checked_spacing(spacing: Any, num_volumes: int) -> Tensor | None:  # noqa: ANN401 - as torch
    """Return the spacing of each volume's voxels as a tensor (B, 3), NaN where it is unknown.

    Raises:
        ValueError: not three lengths for each volume (or for all), or one that is not positive.
    """
    if spacing is None:
        return None
    lengths = torch.as_tensor(spacing, dtype=torch.float32)
    if tuple(lengths.shape) not in ((3,), (1, 3), (num_volumes, 3)):
        raise ValueError(
            f"spacing is three lengths (mm; of frames s) for each of {num_volumes} volumes, got "
            f"the shape {tuple(lengths.shape)}"
        )
    lengths = lengths.expand(num_volumes, 3)
    if not torch.compiler.is_compiling() and bool((lengths <= 0).any()):
        raise ValueError(f"spacing is positive, NaN where unknown; got {lengths.tolist()[:4]}")
    return lengths
