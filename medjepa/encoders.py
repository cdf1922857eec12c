"""Frozen encoders with the way from a file to an embedding: of images, of volumes and clips."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.crop_places import FrameClock, fill_box
from medjepa.data.decode.frames import uneven
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store_dataset import resize_images
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import InputError
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA
from medjepa.models.volume_embedding import covering_starts, embed_windows
from medjepa.types import MedicalImage
from medjepa.utils.device import choose_device

Floats = NDArray[np.float32]
Times = tuple[float, ...] | None
"""Of the frames of a clip in s, where they lie unevenly."""


class Encoder:
    """A frozen encoder with the way from a file to its input.

    Attributes:
        model: in evaluation mode, on its device.
        pipeline: how a file becomes the tensor that the model sees.
        embed_dim: length of an embedding.
    """

    def __init__(self, model: ImageModel, pipeline: Pipeline, *, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.pipeline = pipeline
        embed_dim = model.config["embed_dim"]
        assert isinstance(embed_dim, int)
        self.embed_dim = embed_dim

    def embed(
        self,
        images: str | Path | Tensor | NDArray[Any] | Sequence[str | Path | Tensor | NDArray[Any]],
        *,
        batch_size: int = 64,
    ) -> NDArray[np.float32]:
        """Embed n images; returns (n, embed_dim).

        Paths and single arrays, (H, W) or (C, H, W) in any unit, go through `pipeline` as a file
        does. One array or tensor of four axes (n, C, H, W) is taken for images in [0, 1].

        Raises:
            InputError: a file cannot be read, or an array is no image.
        """
        if isinstance(images, (str, Path)):
            images = [images]
        rows = [np.empty((0, self.embed_dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = self._tensor(images[start : start + batch_size]).to(self.device)
                rows.append(self.model.encode(batch).float().cpu().numpy())
        return np.concatenate(rows)

    def _tensor(self, images: Any) -> Tensor:  # noqa: ANN401 - as `embed`
        """Return images (B, C, H, W) in [0, 1] of the size that the model sees."""
        if not isinstance(images, (np.ndarray, Tensor)):
            read = [self.pipeline(_image(item, self.pipeline)) for item in images]
            return torch.stack([torch.from_numpy(image) for image in read])
        batch = torch.as_tensor(images)
        channels = self.pipeline.channels
        if batch.ndim != 4 or batch.shape[1] != channels or not batch.is_floating_point():
            raise InputError(
                "array",
                f"images must be floating point (n, {channels}, H, W) in [0, 1], got {batch.dtype} "
                f"of shape {tuple(batch.shape)}; for images in other units give a list of arrays",
            )
        batch = batch.float()
        if not bool(((batch >= 0) & (batch <= 1)).all()):
            raise InputError("array", "a batch of images must lie in [0, 1]")
        return resize_images(batch, self.pipeline.image_size or self.pipeline.size)


class VolumeEncoder:
    """A frozen encoder of volumes or clips with the way from a file to its input.

    Attributes:
        model: in evaluation mode, on its device.
        pipeline: how a file becomes the volume or clip that the model sees parts of.
        embed_dim: length of an embedding.
    """

    def __init__(self, model: VJEPA, pipeline: VolumePipeline, *, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.pipeline = pipeline
        self.embed_dim = model.encoder.embed_dim

    def embed(
        self,
        volumes: str | Path | NDArray[Any] | Tensor | Sequence[Any],
        *,
        batch_size: int = 64,
        overlap: float = 0.25,
        num_clips: int = 4,
    ) -> Floats:
        """Embed n volumes or clips of any size; returns (n, embed_dim).

        A volume is covered by windows, of a clip `num_clips` parts evenly over its length are
        taken; their embeddings are averaged by how much of a window is there. A stack through time
        is the mean of its slices' clips. Paths are files, or folders with one DICOM series; where
        the model takes several contrasts, a path is a list of their files. Arrays (z, y, x),
        (t, y, x) or (C, ...) go through `pipeline` as a file without a known spacing does; one
        float array of five axes (n, C, ...) is taken for volumes in [0, 1].

        Raises:
            InputError: a file cannot be read, or an array is no volume.
        """
        if isinstance(volumes, str | Path):
            volumes = [volumes]
        if isinstance(volumes, np.ndarray | Tensor) and volumes.ndim != 5:
            raise InputError(
                "array",
                f"a batch of volumes is (n, C, z, y, x), got {tuple(volumes.shape)}; give single "
                "volumes as a list of arrays",
            )
        rows = [np.empty((0, self.embed_dim), np.float32)]
        for item in volumes:
            parts = self._read(item, ready=isinstance(volumes, np.ndarray | Tensor))
            own = [self._embed(v, s, t, batch_size, overlap, num_clips) for v, s, t in parts]
            rows.append(np.mean(own, axis=0, keepdims=True, dtype=np.float32))
        return np.concatenate(rows)

    def _embed(
        self,
        values: Floats,
        spacing: Floats,
        times: Times,
        batch_size: int,
        overlap: float,
        num_clips: int,
    ) -> Floats:
        scale = torch.from_numpy(spacing)[None].to(self.device)

        def encode(windows: Tensor) -> Tensor:
            return self.model.encode(
                windows.to(self.device), spacing=scale.expand(len(windows), -1)
            )

        windows = self._windows(values, overlap, num_clips, float(spacing[0]), times)
        return embed_windows(windows, {"": encode}, batch_size=batch_size)[0][""]

    def _windows(
        self, values: Floats, overlap: float, num_clips: int, seconds: float, times: Times
    ) -> Iterator[Floats]:
        size, shape = self.pipeline.crop, values.shape[1:]
        if self.pipeline.kind == "volume":
            for start in covering_starts(shape, size, overlap=overlap):
                yield _box(values, start, size)
            return
        clock = clip_clock(self.pipeline, shape[0], seconds, times)
        for frames in clip_frames(clock, num_clips):
            chosen = values[:, list(frames)]
            for start in covering_starts(shape[1:], size[1:], overlap=overlap):
                yield _box(chosen, (0, *start), size)

    def _read(
        self,
        item: Any,  # noqa: ANN401
        *,
        ready: bool,
    ) -> list[tuple[Floats, Floats, Times]]:
        """The whole volume or clips of one item, in [0, 1], with spacing and uneven times."""
        is_array = isinstance(item, np.ndarray | Tensor)
        if not is_array:
            image = self.pipeline.read(item)
            return [(*part, uneven(image.times)) for part in self.pipeline.all(image)]
        array = item.numpy() if isinstance(item, Tensor) else np.asarray(item)
        array = array if array.ndim == 4 else array[None]
        if array.ndim != 4:
            raise InputError("array", f"a volume is (z, y, x) or (C, z, y, x), got {item.shape}")
        if not np.isfinite(array).all():
            raise InputError("array", "holds values that are not numbers (NaN or infinite)")
        if ready:
            if not np.issubdtype(array.dtype, np.floating) or array.min() < 0 or array.max() > 1:
                raise InputError("array", "a batch of volumes must be floats in [0, 1]")
            return [(array.astype(np.float32), np.full(3, np.nan, np.float32), None)]
        axes = "zyx" if self.pipeline.kind == "volume" else "tyx"
        image = MedicalImage(array=array, axes=axes, spacing=(None,) * 3, source="array")
        return [(*part, None) for part in self.pipeline.all(image)]


def clip_clock(pipeline: VolumePipeline, length: int, seconds: float, times: Times) -> FrameClock:
    """Which frames of a clip of `length` the model sees; `seconds` lie between two on average.

    Raises:
        InputError: the model's frames are so many seconds apart, and the clip's rate is unknown.
    """
    count, apart = pipeline.crop[0], pipeline.frame_seconds
    if apart is None:
        return FrameClock(length, count, float(pipeline.frame_step))
    if times is not None:
        return FrameClock(length, count, apart, times)
    if not seconds > 0:
        raise InputError(
            "clip",
            f"the model sees frames {apart:g} s apart, and the time between this "
            "clip's frames is not known",
        )
    return FrameClock(length, count, apart / seconds)


def clip_frames(clock: FrameClock, num_clips: int) -> list[tuple[int, ...]]:
    """The frames of clips that lie evenly over a video; fewer where they would be the same."""
    slack = clock.last_first
    if slack == 0 or num_clips == 1:
        return [clock.draw(None)]
    firsts = sorted({round(n * slack / (num_clips - 1)) for n in range(num_clips)})
    return [clock.frames(first) for first in firsts]


def _box(values: Floats, start: Sequence[int], size: Sequence[int]) -> Floats:
    """A part of a volume; outside of it is 0."""
    out = np.zeros((len(values), *size), np.float32)

    def read(first: Sequence[int], extent: Sequence[int]) -> Floats:
        inside = tuple(slice(f, f + n) for f, n in zip(first, extent, strict=True))
        return values[(slice(None), *inside)]

    fill_box(out, read, values.shape[1:], start)
    return out


def _image(item: object, pipeline: Pipeline) -> MedicalImage:
    """Read a file, or take an array (H, W) or (C, H, W) for one."""
    if isinstance(item, (str, Path)):
        return pipeline.read(item)
    array = item.numpy() if isinstance(item, Tensor) else np.asarray(item)
    if array.ndim == 3 and array.shape[0] not in (1, 3) and array.shape[-1] in (1, 3):
        array = np.moveaxis(array, -1, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[0] not in (1, 3)):
        raise InputError("array", f"an image is (H, W) or (C, H, W), C 1 or 3, got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError("array", "holds values that are not numbers (NaN or infinite)")
    array = array if array.ndim == 3 else array[None]
    return MedicalImage(array=array, axes="yx", spacing=(None, None), source="array")
