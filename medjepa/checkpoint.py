"""Checkpoints that describe themselves: written whole or not, loaded strictly or not at all."""

import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medjepa.data.preprocessing import Pipeline
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.encoders import Encoder, VolumeEncoder
from medjepa.errors import CheckpointError, ConfigError, refused_by_the_machine
from medjepa.models.image_model import ImageModel
from medjepa.models.lejepa import LeJEPA
from medjepa.models.methods import METHODS
from medjepa.models.patches import as_shape
from medjepa.models.vjepa import VJEPA

__all__ = [
    "Checkpoint", "Encoder", "VolumeEncoder", "find_checkpoint", "load_checkpoint", "load_encoder",
    "load_weights", "pipeline_of", "rebuild_model", "save_checkpoint",
]  # fmt: skip

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
        """The model's arguments: its class, such as LeJEPA, with them fits the weights."""
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
    except (OSError, RuntimeError) as error:
        # What torch says when it closes a file that the disk had no room for hides the reason.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        why = refused_by_the_machine(cause) or str(cause)
        raise CheckpointError(f"{path}: cannot write the checkpoint: {why}") from error
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


def rebuild_model(checkpoint: Checkpoint) -> ImageModel | VJEPA:
    """Build the model that a checkpoint describes and load its weights, in evaluation mode.

    `model_type` names the class, which says what trained it: LeJEPA, VJEPA, MAE, DINO, ...

    Raises:
        CheckpointError: naming missing and unexpected weights.
    """
    kinds: dict[str, type[ImageModel] | type[VJEPA]] = {
        "LeJEPA": LeJEPA,
        "VJEPA": VJEPA,
        **{method.__name__: method for method in METHODS.values()},
    }
    name = checkpoint.payload.get("model_type", "LeJEPA")  # older files hold images' models only
    if name not in kinds:
        raise CheckpointError(
            f"{checkpoint.path}: holds a {name}, known here are {', '.join(kinds)}; update MedJEPA"
        )
    try:
        build: Callable[..., ImageModel | VJEPA] = kinds[name]
        model = build(**checkpoint.model_config)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: describes no model known here: {error}"
        ) from error
    load_weights(model, checkpoint)
    model.finish()
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


def load_encoder(path: str | Path, *, device: str = "auto") -> Encoder | VolumeEncoder:
    """Load a frozen encoder from a checkpoint file, a run folder, or the name of a run in runs/.

    Raises:
        CheckpointError: there is none, or it cannot be used.
    """
    path = Path(path)
    if not path.exists() and (Path("runs") / path).is_dir():
        path = Path("runs") / path
    checkpoint = load_checkpoint(find_checkpoint(path))
    model, pipeline = rebuild_model(checkpoint), pipeline_of(checkpoint)
    if isinstance(model, VJEPA) and isinstance(pipeline, VolumePipeline):
        return VolumeEncoder(model, pipeline, device=device)
    if isinstance(model, ImageModel) and isinstance(pipeline, Pipeline):
        return Encoder(model, pipeline, device=device)
    raise CheckpointError(
        f"{checkpoint.path}: holds a {type(model).__name__} with a {type(pipeline).__name__}; "
        "it was not written by `medjepa pretrain`"
    )


def pipeline_of(checkpoint: Checkpoint) -> Pipeline | VolumePipeline:
    """Return how a file becomes the model's input; without a record, stretched to its size.

    Raises:
        CheckpointError: the record makes no sense.
    """
    try:
        given = checkpoint.pipeline
        if given is not None and given.get("dimensions", 2) == 3:
            return VolumePipeline.from_dict(given)
        if given is not None:
            return Pipeline.from_dict(given)
        config = checkpoint.model_config
        channels = config["in_channels"]
        if checkpoint.payload.get("model_type") == "VJEPA":
            size = as_shape(config["volume_size"], 3)
            return VolumePipeline(
                crop=(size[0], size[1], size[2]), channels=channels, kind=config["kind"]
            )
        size = as_shape(config["image_size"], 2)
        return Pipeline(size=(size[0], size[1]), channels=channels)
    except (TypeError, KeyError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: its image pipeline is unknown: {error}"
        ) from error


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _shape(shape: object) -> str:
    return "none" if shape is None else str(tuple(shape))  # type: ignore[arg-type]
