"""Checkpoints between which a user chooses: where they lie, what they are, what may be compared."""

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medjepa.checkpoint import find_checkpoint, load_checkpoint, pipeline_of
from medjepa.data.preprocessing import Pipeline
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import CheckpointError, ConfigError
from medjepa.evaluation.runs import PRETRAINING_KEYS, run_folder

Keep = Literal["all", "last", "best"]
FILES = {"last": "last.pt", "best": "best_model.pt"}
_RECORDS = 10
"""Logged steps over which the loss is averaged where no epoch has ended."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One checkpoint.

    Attributes:
        name: of its run, with that of the file where a run has several; no path.
        file: where it lies.
        folder: of its run.
        step: steps trained; None if not recorded.
        seed: of the run.
        method: what trained it, for people.
        arguments: of its model, without the seed.
        pipeline: how a file becomes what it sees.
        loss: its last training loss; None if not recorded.
        loss_of: what that loss is the mean of.
        used_keys: content hashes of the images it was trained on; None if not recorded.
    """

    name: str
    file: Path
    folder: Path
    step: int | None
    seed: int
    method: str
    arguments: dict[str, Any]
    pipeline: Pipeline | VolumePipeline
    loss: float | None
    loss_of: str
    used_keys: frozenset[str] | None


def find_candidates(runs: Sequence[str | Path], keep: Keep = "all") -> list[Candidate]:
    """Read what the checkpoints of runs say of themselves.

    Args:
        runs: run folders, names of runs in runs/, or .pt files.
        keep: of a folder every kept checkpoint (one for each step), the last, or the best by loss.

    Raises:
        CheckpointError: there is none, or one cannot be read.
        ConfigError: fewer than two, or they do not see the same images.
    """
    found: list[Candidate] = []
    for run in runs:
        path = _existing(Path(run))
        files = _files(path, keep) if path.is_dir() else [path]
        of_run = [_read(file) for file in files]
        if path.is_dir() and keep == "all":
            of_run = _one_a_step(of_run)
        alone = path.is_dir() and len(of_run) == 1
        found += [_named(one, one.folder.resolve().name, alone=alone) for one in of_run]
    places = [one.file.resolve() for one in found]
    found = [one for n, one in enumerate(found) if places[n] not in places[:n]]
    if len(found) < 2:
        raise ConfigError(
            f"runs: {len(found)} checkpoint, between which there is nothing to choose; give several"
            " runs as runs=[runs/a,runs/b], or a run that kept several (logging.save_every)"
        )
    first = found[0]
    for one in found[1:]:
        if one.pipeline != first.pipeline:
            raise ConfigError(
                f"runs: {first.name} and {one.name} do not see the same images "
                f"({_seen(first.pipeline)}, and {_seen(one.pipeline)}), so their scores cannot be "
                "compared; give checkpoints of one image size, number of channels and intensity"
            )
    return _with_unique_names(found)


def loss_differs(candidates: Sequence[Candidate]) -> str:
    """Why training losses cannot be compared, as half a sentence; "" if they can."""
    first = candidates[0]
    for one in candidates[1:]:
        if one.method != first.method:
            return f"{first.name} and {one.name} have different objectives"
        keys = sorted({*first.arguments, *one.arguments})
        other = [k for k in keys if first.arguments.get(k) != one.arguments.get(k)]
        if other:
            return f"{first.name} and {one.name} differ in {', '.join(other[:3])}"
        if first.used_keys != one.used_keys:
            return f"{first.name} and {one.name} were trained on different images"
    if missing := [one.name for one in candidates if one.loss is None]:
        return f"{missing[0]} has no recorded loss"
    if endless := [one.name for one in candidates if not math.isfinite(one.loss or 0.0)]:
        return f"the loss of {endless[0]} is no number"
    return ""


def run_of(run: str | Path) -> Path:
    """The folder of a run that is given as `find_candidates` takes it.

    Raises:
        CheckpointError: there is none.
    """
    path = _existing(Path(run))
    return path if path.is_dir() else run_folder(path)


def _existing(path: Path) -> Path:
    if path.exists():
        return path
    if (Path("runs") / path).is_dir():
        return Path("runs") / path
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"; did you mean {path.parent / near[0]}?" if near else ""
    raise CheckpointError(f"runs: {path}: no such run folder or checkpoint file{hint}")


def _files(folder: Path, keep: Keep) -> list[Path]:
    own = folder / "checkpoints"
    where = own if any(own.glob("*.pt")) else folder
    if keep != "all":
        if (where / FILES[keep]).is_file():
            return [where / FILES[keep]]
        raise CheckpointError(f"runs: {folder} has no {FILES[keep]} (checkpoints={keep})")
    files = sorted(where.glob("*.pt"))
    return files or [find_checkpoint(folder)]  # which says where it looked


def _read(file: Path) -> Candidate:
    checkpoint = load_checkpoint(file)
    payload, arguments = checkpoint.payload, checkpoint.model_config
    folder = run_folder(file)
    step = payload.get("step")
    loss, loss_of = _last_loss(folder, step, payload)
    method = str(payload.get("model_type", "LeJEPA"))
    if "objective" in arguments:
        method += f", {arguments['objective']}"
    keys = folder / PRETRAINING_KEYS
    return Candidate(
        name=file.stem,
        file=file,
        folder=folder,
        step=None if step is None else int(step),
        seed=int(payload.get("seed") or 0),
        method=method,
        arguments={key: value for key, value in arguments.items() if key != "seed"},
        pipeline=pipeline_of(checkpoint),
        loss=loss,
        loss_of=loss_of,
        used_keys=frozenset(json.loads(keys.read_bytes())) if keys.is_file() else None,
    )


def _last_loss(folder: Path, step: int | None, payload: dict[str, Any]) -> tuple[float | None, str]:
    """The loss before a step: of the last whole epoch, else of the last logged steps."""
    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [row for line in lines if (row := _row(line)) and row["step"] <= (step or row["step"])]
    ends = [row for row in rows if "train_loss" in row]
    if ends:
        return float(ends[-1]["train_loss"]), f"epoch {ends[-1]['epoch']}"
    if rows:
        last = [float(row["total_loss"]) for row in rows[-_RECORDS:]]
        return sum(last) / len(last), f"logged steps, the last {len(last)}"
    history = (payload.get("history") or {}).get("train_loss") or []
    return (float(history[-1]), f"epoch {len(history)}") if history else (None, "not recorded")


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:  # a crash may have cut the last line short
        return None
    return row if isinstance(row, dict) and {"step", "epoch", "total_loss"} <= set(row) else None


def _one_a_step(candidates: Sequence[Candidate]) -> list[Candidate]:
    """last.pt and best_model.pt are often another name for the file of an epoch."""
    special = {FILES["best"]: 0, FILES["last"]: 1}
    ordered = sorted(candidates, key=lambda one: special.get(one.file.name, 2))
    by_step: dict[object, Candidate] = {}
    for one in ordered:
        by_step[one.file if one.step is None else one.step] = one
    return sorted(by_step.values(), key=lambda one: one.step or 0)


def _named(candidate: Candidate, run: str, *, alone: bool) -> Candidate:
    name = run if alone else f"{run}/{candidate.file.stem}"
    return Candidate(**{**vars(candidate), "name": name})


def _with_unique_names(candidates: Sequence[Candidate]) -> list[Candidate]:
    seen: dict[str, int] = {}
    renamed = []
    for one in candidates:
        seen[one.name] = seen.get(one.name, 0) + 1
        name = one.name if seen[one.name] == 1 else f"{one.name} ({seen[one.name]})"
        renamed.append(Candidate(**{**vars(one), "name": name}))
    return renamed


def _seen(pipeline: Pipeline | VolumePipeline) -> str:
    if isinstance(pipeline, VolumePipeline):
        size = " x ".join(map(str, pipeline.crop))
        return f"{pipeline.kind}s of {size}, {_channels(pipeline.channels)}"
    size = " x ".join(map(str, pipeline.image_size or pipeline.size))
    return f"images of {size}, {_channels(pipeline.channels)}, fit {pipeline.fit}"


def _channels(num: int) -> str:
    return f"{num} channel{'' if num == 1 else 's'}"
