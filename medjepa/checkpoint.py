"""Checkpoints that describe themselves: written whole or not, loaded strictly or not at all."""

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.preprocessing import Pipeline
from medjepa.data.store_dataset import resize_images
from medjepa.errors import CheckpointError, InputError
from medjepa.models.lejepa import LeJEPA
from medjepa.models.vjepa import VJEPA
from medjepa.types import MedicalImage
from medjepa.utils.device import choose_device

FORMAT = 1
REQUIRED = ("format", "model_state_dict", "model_config")
# The order in which a run folder is searched.
FILE_NAMES = ("best_model.pt", "last.pt")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: where it was read.
        payload: all keys, the guide's (epoch, model_state_dict, optimizer_state_dict,
            scheduler_state_dict, loss, config) and ours.
    """

    path: Path
    payload: dict[str, Any]

    @property
    def model_config(self) -> dict[str, Any]:
        """The model's arguments: LeJEPA(**model_config), or VJEPA, fits the weights."""
        return dict(self.payload["model_config"])

    @property
    def pipeline(self) -> dict[str, Any] | None:
        """How a file becomes the tensor that the model saw; None where training did not know."""
        return self.payload.get("pipeline")


def save_checkpoint(path: str | Path, payload: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a crash leaves either the old file or the new one, never half."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **payload}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot write the checkpoint: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint without running anything that it may contain.

    Raises:
        CheckpointError: no such file, cut short, not a checkpoint, or of a later format.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file")
    try:
        with warnings.catch_warnings():
            # About pickles that torch did not write: those are refused below.
            warnings.simplefilter("ignore")
            payload = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: not a MedJEPA checkpoint: it is damaged or holds Python objects, which are "
            "not loaded because they could run code; use files that `medjepa pretrain` wrote"
        ) from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint: cut short or another kind of file "
            f"({type(error).__name__})"
        ) from error
    if not isinstance(payload, dict) or any(key not in payload for key in REQUIRED):
        raise CheckpointError(
            f"{path}: not a MedJEPA checkpoint: one of the keys {', '.join(REQUIRED)} is missing"
        )
    if payload["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: has format {payload['format']}, this version of MedJEPA reads {FORMAT}; "
            "update MedJEPA"
        )
    return Checkpoint(path, payload)


def find_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint file of a run folder (best, else last), or the file itself.

    Raises:
        CheckpointError: there is none; the message lists where it was looked for.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    tried = [folder / name for folder in (path / "checkpoints", path) for name in FILE_NAMES]
    for candidate in tried:
        if candidate.is_file():
            return candidate
    raise CheckpointError(
        f"{path}: no checkpoint in this folder; looked for {', '.join(str(t) for t in tried)}"
    )


def rebuild_model(checkpoint: Checkpoint) -> LeJEPA | VJEPA:
    """Build the model that a checkpoint describes and load its weights, in evaluation mode.

    Raises:
        CheckpointError: naming missing and unexpected weights.
    """
    kinds: dict[str, type[LeJEPA] | type[VJEPA]] = {"LeJEPA": LeJEPA, "VJEPA": VJEPA}
    name = checkpoint.payload.get("model_type", "LeJEPA")  # older files hold images' models only
    if name not in kinds:
        raise CheckpointError(
            f"{checkpoint.path}: holds a {name}, known here are {' and '.join(kinds)}; "
            "update MedJEPA"
        )
    try:
        model = kinds[name](**checkpoint.model_config)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: describes no model known here: {error}"
        ) from error
    load_weights(model, checkpoint)
    return model.eval()


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Load a checkpoint's weights into a model, all of them or none.

    Raises:
        CheckpointError: naming missing and unexpected weights and those of another shape.
    """
    given: dict[str, Any] = checkpoint.payload["model_state_dict"]
    wanted = model.state_dict()
    problems = []
    if missing := [name for name in wanted if name not in given]:
        problems.append(f"missing: {_some(missing)}")
    if unexpected := [name for name in given if name not in wanted]:
        problems.append(f"unexpected: {_some(unexpected)}")
    for name in wanted:
        old, new = getattr(given.get(name), "shape", None), getattr(wanted[name], "shape", None)
        if name in given and old != new:
            problems.append(f"{name} has shape {_shape(old)}, the model needs {_shape(new)}")
    if problems:
        raise CheckpointError(
            f"{checkpoint.path}: fits another model; {'; '.join(problems[:6])}. "
            "Set the model's sizes as they were in that run's config.yaml"
        )
    model.load_state_dict(given)


class Encoder:
    """A frozen encoder with the way from a file to its input.

    Attributes:
        model: in evaluation mode, on its device.
        pipeline: how a file becomes the tensor that the model sees.
        embed_dim: length of an embedding.
    """

    def __init__(self, model: LeJEPA, pipeline: Pipeline, *, device: str = "auto") -> None:
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


def load_encoder(path: str | Path, *, device: str = "auto") -> Encoder:
    """Load a frozen encoder from a checkpoint file, a run folder, or the name of a run in runs/.

    Raises:
        CheckpointError: there is none, or it cannot be used.
    """
    path = Path(path)
    if not path.exists() and (Path("runs") / path).is_dir():
        path = Path("runs") / path
    checkpoint = load_checkpoint(find_checkpoint(path))
    model = rebuild_model(checkpoint)
    return Encoder(model, pipeline_of(checkpoint), device=device)


def pipeline_of(checkpoint: Checkpoint) -> Pipeline:
    """Return how a file becomes the model's input; without a record, stretched to its size.

    Raises:
        CheckpointError: the record makes no sense.
    """
    try:
        if checkpoint.pipeline is not None:
            return Pipeline.from_dict(checkpoint.pipeline)
        size, channels = (
            checkpoint.model_config["image_size"],
            checkpoint.model_config["in_channels"],
        )
        pair = (size, size) if isinstance(size, int) else (size[0], size[1])
        return Pipeline(size=pair, channels=channels)
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: its image pipeline is unknown: {error}"
        ) from error


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


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _shape(shape: object) -> str:
    return "none" if shape is None else str(tuple(shape))  # type: ignore[arg-type]
