"""`finetune task=segment`: from the settings to the report of a study."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.checkpoint import find_checkpoint, load_checkpoint, rebuild_model
from medjepa.config import Config, to_dict
from medjepa.data.cache import ensure_store
from medjepa.data.preprocessing import Pipeline
from medjepa.data.private_map import write_private
from medjepa.data.selection import selection_of
from medjepa.data.store import Store
from medjepa.data.volume_cache import ensure_volumes
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError
from medjepa.evaluation.leaks import check_patients, check_pretraining
from medjepa.evaluation.part_files import PARTS
from medjepa.evaluation.results import Check
from medjepa.evaluation.runs import PRETRAINING_KEYS, run_folder
from medjepa.evaluation.segmentation_data import Cases
from medjepa.evaluation.segmentation_files import settings_hash
from medjepa.evaluation.segmentation_networks import (
    check_methods,
    learner,
    network_of,
    num_outputs,
    recipe_settings,
    settings_of,
)
from medjepa.evaluation.segmentation_open import open_cases
from medjepa.evaluation.segmentation_open_images import open_image_cases
from medjepa.evaluation.segmentation_report import ShownCase, build_report, shown_cases
from medjepa.evaluation.segmentation_results import SegmentationReport
from medjepa.evaluation.segmentation_run import Plan, run_study
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA
from medjepa.training.interrupts import interrupts
from medjepa.utils.device import choose_device
from medjepa.utils.progress import progress


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A pre-trained model, and what a study needs to know of it.

    Attributes:
        model: with its weights; of volumes, or of images.
        pipeline: how a file became what it saw.
        identity: of its file, so that parts made from another one are not mixed in.
        used_keys: content hashes of what it was trained on; None if not recorded.
    """

    model: ImageModel | VJEPA
    pipeline: Pipeline | VolumePipeline
    identity: str
    used_keys: frozenset[str] | None


def run_segmentation(config: Config, command: str) -> tuple[SegmentationReport, list[ShownCase]]:
    """Train and test every network that is asked for and not there yet, and report on all.

    Args:
        config: all settings.
        command: what the user typed, for the record.

    Raises:
        KeyboardInterrupt: the user asked to stop; the same command goes on.
        CheckpointError: a checkpoint cannot be read, or is no model of volumes.
        ConfigError: settings that contradict each other.
        DataError: data that do not hold together, or a folder with other parts.
    """
    out = Path(config.out)
    check_out(out)
    seeds, pretrained = pretrained_runs(config)
    first = next(iter(pretrained.values()))
    window = first.model.image_size
    stores: Sequence[Store | VolumeStore]
    if isinstance(first.pipeline, Pipeline):
        stores = images = image_stores(config, first.pipeline)
        opened = open_image_cases(config, images, first.pipeline, window)
    else:
        stores = volumes = _stores(config, first.pipeline)
        opened = open_cases(config, volumes, first.pipeline)
    asked = config.finetune
    folds = opened.cases.folds(asked.folds)
    recipe = settings_of(config)
    budget: dict[str, float] = {}
    if recipe.steps is not None:
        budget["steps"] = recipe.steps
    elif recipe.minutes is not None:
        budget["minutes"] = recipe.minutes
    check_methods(asked.methods, first.model, num_outputs(opened.volumes))
    device = choose_device(config.hardware.device)
    plan = Plan(
        methods=asked.methods,
        fractions=tuple(sorted(set(asked.fractions), reverse=True)),
        folds=folds,
        seeds=seeds,
        window=window,
        overlap=asked.overlap,
        budget=budget,
        checkpoints={seed: pretrained[seed].identity for seed in seeds},
        settings={
            "structures": [[s.name, *s.values] for s in opened.volumes.structures],
            "split": opened.cases.split,
            **recipe_settings(recipe),
            **_image_settings(config, first.pipeline),
        },
        device=device,
    )
    checks = study_checks(opened.cases, folds, list(pretrained.values()))
    out.mkdir(parents=True, exist_ok=True)
    write_case_list(out, opened.cases, opened.volumes.store_of, stores)
    opened.labels.save(out)
    with interrupts() as wish:
        parts = run_study(
            plan,
            opened.cases,
            opened.volumes,
            lambda method, seed: network_of(
                method, pretrained[seed].model, num_outputs(opened.volumes), seed=seed
            ),
            learner(recipe, opened.volumes, window=plan.window, device=device, wish=wish),
            out,
            progress=progress,
            wish=wish,
        )
    report = build_report(
        parts,
        opened.volumes.structures,
        split=f"{opened.cases.split}, tested: {', '.join(folds)}",
        budget=budget_text(budget),
        checks=checks,
        warnings=opened.notes,
        num_resamples=config.evaluation.num_bootstrap,
        seed=config.seed,
        patients_known=opened.cases.known,
        distance_unit=opened.volumes.distance_unit,
        run={"command": command, "config_hash": settings_hash(to_dict(config))},
    )
    return report, shown_cases(report, out)


def check_out(out: Path) -> None:
    """Refuse a folder that holds other things than a study.

    Raises:
        ConfigError: saying what to do.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out}: is a file; give a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / PARTS).is_dir():
        raise ConfigError(
            f"out={out}: holds other files, which are never overwritten; give a new folder, or "
            "that of an earlier `medjepa finetune`, which then goes on"
        )


def budget_text(budget: Mapping[str, float]) -> str:
    """The budget in words."""
    return ", ".join(f"{value:g} {name}" for name, value in budget.items())


def pretrained_runs(config: Config) -> tuple[tuple[int, ...], dict[int, Pretrained]]:
    """The seeds, and the pre-trained model of each: one for all, or as many as seeds.

    Raises:
        CheckpointError: one cannot be read.
        ConfigError: not one for each seed, or they see images differently.
    """
    given = config.checkpoint
    paths = [given] if isinstance(given, str) else list(given)
    seeds = config.finetune.seeds
    if not seeds:
        seeds = tuple(config.seed + number for number in range(len(paths)))
    if len(paths) > 1 and len(paths) != len(seeds):
        raise ConfigError(
            f"finetune.seeds: {len(seeds)} seeds for {len(paths)} checkpoints; give one for each"
        )
    loaded = [load_pretrained(path) for path in paths]
    for other in loaded[1:]:
        if other.pipeline != loaded[0].pipeline:
            raise ConfigError(
                "checkpoint: they see images differently; seeds of one table differ in nothing "
                "else: fine-tune them one by one"
            )
    return seeds, {
        seed: loaded[place if len(loaded) > 1 else 0] for place, seed in enumerate(seeds)
    }


def load_pretrained(path: str | Path) -> Pretrained:
    """Load a model of images or volumes from a run folder or a checkpoint file.

    Raises:
        CheckpointError: it cannot be read.
        ConfigError: it is a model of clips, or says not how a file is read.
    """
    file = find_checkpoint(path)
    checkpoint = load_checkpoint(file)
    model = rebuild_model(checkpoint)
    is_image = not isinstance(model, VJEPA)
    is_volume = isinstance(model, VJEPA) and model.kind == "volume"
    if not (is_image or is_volume):
        raise ConfigError(
            f"checkpoint={path}: a model of clips, but label maps are of images or volumes; "
            "task=classify takes clips"
        )
    if checkpoint.pipeline is None:
        raise ConfigError(
            f"checkpoint={path}: not a model of volumes or of images that says how it reads a "
            "file, which is needed here; pre-train one (model.type=vjepa for volumes)"
        )
    kind: type[Pipeline] | type[VolumePipeline] = Pipeline if is_image else VolumePipeline
    keys = run_folder(file) / PRETRAINING_KEYS
    return Pretrained(
        model=model,
        pipeline=kind.from_dict(checkpoint.pipeline),
        identity=hashlib.sha256(file.read_bytes()).hexdigest()[:12],
        used_keys=frozenset(json.loads(keys.read_text(encoding="utf-8")))
        if keys.is_file()
        else None,
    )


def _stores(config: Config, pipeline: VolumePipeline) -> list[VolumeStore]:
    """The volumes, prepared as pre-training saw them."""
    data = config.data
    return ensure_volumes(
        data.sources,
        spacing=pipeline.spacing,
        contrasts=pipeline.contrasts,
        fourth_axis=pipeline.fourth_axis,
        **_reading(config, pipeline),
    )


def image_stores(config: Config, pipeline: Pipeline) -> list[Store]:
    """The images, prepared as pre-training saw them; their files are read beside the stores.

    Raises:
        DataError: a source does not exist, holds no image, or identifies a patient.
    """
    data = config.data
    height, width = pipeline.size
    return ensure_store(
        data.sources,
        size=height if height == width else (height, width),
        fit=pipeline.fit,
        frames_per_clip=data.frames_per_clip,
        **_reading(config, pipeline),
    )


def _image_settings(config: Config, pipeline: Pipeline | VolumePipeline) -> dict[str, object]:
    """What numbers of images depend on beside; of volumes nothing more."""
    if not isinstance(pipeline, Pipeline):
        return {}
    asked = config.finetune
    return {"longer_side": asked.longer_side, "background": asked.background}


def study_checks(
    cases: Cases, folds: Sequence[str], pretrained: Sequence[Pretrained]
) -> list[Check]:
    """Patients on both sides, and what pre-training has seen; over all folds together."""
    recorded = [run.used_keys for run in pretrained if run.used_keys is not None]
    used = frozenset().union(*recorded) if len(recorded) == len(pretrained) else None
    tasks = [cases.task(fold) for fold in folds]
    tested = np.unique(np.concatenate([task.test for task in tasks]))
    patients = check_patients(tasks[0])
    if len(tasks) > 1 and patients.passed:
        patients = Check(
            passed=True,
            text=f"No patient is on both sides, in none of {len(tasks)} folds; "
            f"{len(set(cases.patients[tested].tolist())):,} patients are tested, each once.",
        )
    return [patients, check_pretraining(cases.keys, tested, used, groups=tasks[0].groups)]


def write_case_list(
    out: Path,
    cases: Cases,
    store_of: Callable[[int], int],
    stores: Sequence[Store | VolumeStore],
) -> None:
    """For the owner alone: which file a number of the report is."""
    paths = {
        (number, record.key): record.path
        for number, store in enumerate(stores)
        for record in store.private_map().files
    }
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("case", "patient", "file"))
    for case, (key, patient) in enumerate(zip(cases.keys, cases.patients, strict=True)):
        name = paths.get((store_of(case), key), "")
        table.writerow((case, int(patient), f"./{name}" if name[:1] in "=+-@" else name))
    write_private(out, "cases.csv", text.getvalue().encode())


def _reading(config: Config, pipeline: Pipeline | VolumePipeline) -> dict[str, Any]:
    """How files are read, for images and volumes alike."""
    data = config.data
    return {
        "intensity": replace(pipeline.intensity, modality=None),
        "selection": selection_of(data),
        "privacy": config.privacy,
        "modality": (
            pipeline.intensity.modality if data.modality == "auto" else data.kinds_of_image
        ),
        "table": data.table,
        "image_column": data.image_column,
        "group_column": data.group_column if isinstance(data.group_column, str) else None,
        "pattern": data.pattern,
        "cache_dir": data.cache_dir or None,
        "num_workers": data.num_workers,
        "progress": progress,
    }
