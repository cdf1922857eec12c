"""Runs of pre-training as an evaluation sees them: a model, and what its folder says of it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medjepa.checkpoint import find_checkpoint, load_checkpoint, pipeline_of, rebuild_model
from medjepa.data.preprocessing import Pipeline
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import ConfigError
from medjepa.evaluation.results import LossCurve
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA

PRETRAINING_KEYS = "pretraining_keys.json"
"""In the run folder: a list of the content hashes of the images that pre-training used."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pre-trained model.

    Attributes:
        model: with its weights, in evaluation mode.
        seed: of the run.
        pipeline: how a file becomes what the model sees.
        config_hash: of the run's settings, so that two reports can be told apart.
        loss_curve: None if the folder holds no metrics.
        used_keys: content hashes of the images it was trained on; None if not recorded.
        folder: the run folder, or that of the checkpoint file.
    """

    model: ImageModel | VJEPA
    seed: int
    pipeline: Pipeline | VolumePipeline
    config_hash: str
    loss_curve: LossCurve | None
    used_keys: frozenset[str] | None
    folder: Path


def load_runs(checkpoints: str | Path | Sequence[str | Path]) -> list[Run]:
    """Load checkpoints (files or run folders) that are to be judged together.

    Raises:
        CheckpointError: one cannot be read.
        ConfigError: none is given, or they see images differently.
    """
    paths = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    if not paths or not all(str(path) for path in paths):
        raise ConfigError("checkpoint: none given; checkpoint=runs/NAME (or a .pt file, or [a,b])")
    runs = [_load(Path(path)) for path in paths]
    for run, path in zip(runs, paths, strict=True):
        if run.pipeline != runs[0].pipeline:
            raise ConfigError(
                f"checkpoint: {paths[0]} and {path} see images differently ({runs[0].pipeline} and "
                f"{run.pipeline}); seeds that are averaged must differ in nothing else: evaluate "
                "them one by one"
            )
    return runs


def _load(path: Path) -> Run:
    file = find_checkpoint(path)
    checkpoint = load_checkpoint(file)
    payload = checkpoint.payload
    model = rebuild_model(checkpoint)
    folder = run_folder(file)
    seed = int(payload.get("seed") or 0)
    pipeline = pipeline_of(checkpoint)
    settings = json.dumps(payload.get("config") or {}, sort_keys=True, default=str)
    return Run(
        model=model,
        seed=seed,
        pipeline=pipeline,
        config_hash=hashlib.sha256(settings.encode()).hexdigest()[:12],
        loss_curve=_loss_curve(folder / "metrics.jsonl", seed),
        used_keys=_used_keys(folder / PRETRAINING_KEYS),
        folder=folder,
    )


def run_folder(checkpoint: Path) -> Path:
    """The folder of the run that wrote a checkpoint: the file's own, or the one above it."""
    own = checkpoint.parent
    if own.name == "checkpoints" and not (own / "config.yaml").is_file():
        return own.parent
    return own


def _used_keys(path: Path) -> frozenset[str] | None:
    if not path.is_file():
        return None
    return frozenset(json.loads(path.read_text(encoding="utf-8")))


def _loss_curve(path: Path, seed: int) -> LossCurve | None:
    """Read a run's metrics: epoch means where there are enough of them, else single steps."""
    if not path.is_file():
        return None
    rows = [row for line in path.read_text(encoding="utf-8").splitlines() if (row := _row(line))]
    ends = [{**row, "total_loss": row["train_loss"]} for row in rows if "train_loss" in row]
    rows = ends if len(ends) >= 3 else rows
    if len(rows) < 2:
        return None
    return LossCurve(
        seed=seed,
        step=tuple(int(row["step"]) for row in rows),
        total_loss=tuple(float(row["total_loss"]) for row in rows),
        prediction_loss=tuple(float(row["prediction_loss"]) for row in rows),
        regularization_loss=tuple(float(row["regularization_loss"]) for row in rows),
    )


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:  # a crash may have cut the last line short
        return None
    needed = ("step", "total_loss", "prediction_loss", "regularization_loss")
    return row if isinstance(row, dict) and all(key in row for key in needed) else None
