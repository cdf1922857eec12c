"""`finetune task=classify`: from the settings to the report of a study."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from medjepa.checkpoint import find_checkpoint
from medjepa.config import Config, to_dict
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError
from medjepa.evaluation.classify_data import ImageItems, Items, VolumeItems
from medjepa.evaluation.classify_networks import check_methods, classifier_of, settings_of
from medjepa.evaluation.classify_report import build_report
from medjepa.evaluation.classify_results import FROZEN, ClassifyReport
from medjepa.evaluation.classify_run import ClassifyPlan, check_task, run_parts
from medjepa.evaluation.leak_list import write_leak_list
from medjepa.evaluation.leaks import check_splits
from medjepa.evaluation.material import Material
from medjepa.evaluation.material_images import embed_images
from medjepa.evaluation.material_volumes import Volumes, embed_volumes
from medjepa.evaluation.part_files import PARTS
from medjepa.evaluation.pretraining_images import pretraining_images
from medjepa.evaluation.request import request_of
from medjepa.evaluation.results import PRETRAINED, Check
from medjepa.evaluation.runs import Run, load_runs
from medjepa.evaluation.segmentation_files import settings_hash
from medjepa.evaluation.task import Task
from medjepa.training.interrupts import interrupts
from medjepa.utils.device import choose_device
from medjepa.utils.progress import progress


def run_classification(config: Config, command: str) -> ClassifyReport:
    """Train and measure every classifier that is asked for and not there yet, and report on all.

    Args:
        config: all settings.
        command: what the user typed, for the record.

    Raises:
        KeyboardInterrupt: the user asked to stop; the same command goes on.
        CheckpointError: the checkpoint cannot be read.
        ConfigError: settings that contradict each other.
        DataError: data that do not hold together, or a folder with other parts.
    """
    run = _run(config)
    asked, out = config.finetune, Path(config.out)
    _check_out(out)
    methods = check_methods(config, len(run.model.encoder.blocks))
    # Fitted in seconds, and the least that fine-tuning has to beat.
    methods = methods if FROZEN in methods else (*methods, FROZEN)
    recipe = settings_of(config)
    request = request_of(config, progress, overlap=config.finetune.overlap)
    is_volume = isinstance(run.pipeline, VolumePipeline)
    material = embed_volumes([run], request) if is_volume else embed_images([run], request)
    task, checks = _checked(run, material, config)
    fractions = tuple(sorted(set(asked.fractions)))
    check_task(task, fractions)
    device = choose_device(config.hardware.device)
    plan = ClassifyPlan(
        methods=methods,
        fractions=fractions,
        num_draws=asked.draws,
        seed=config.seed,
        recipe=recipe,
        scratch_rate=asked.scratch_rate,
        identity=hashlib.sha256(_file(config).read_bytes()).hexdigest()[:12],
        settings={
            "label": task.label,
            "classes": list(task.class_names),
            "last_blocks": asked.last_blocks,
            "rank": asked.rank,
            "clips": request.clips,
            "overlap": request.overlap,
            "foreground": config.data.foreground,
        },
        device=device,
    )
    out.mkdir(parents=True, exist_ok=True)
    with interrupts() as wish:
        parts = run_parts(
            plan,
            task,
            material.labelled.keys,
            _items(run, material, config, device),
            material.arrays[f"{PRETRAINED} 0"].astype(np.float64),
            lambda method, seed: classifier_of(
                method,
                run.model,
                len(task.class_names),
                seed=seed,
                last_blocks=asked.last_blocks,
                rank=asked.rank,
            ),
            out,
            wish=wish,
        )
    return build_report(
        parts,
        task,
        material,
        checks=checks,
        budget=f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.minutes:g} minutes",
        num_resamples=config.evaluation.num_bootstrap,
        seed=config.seed,
        run={"command": command, "config_hash": settings_hash(to_dict(config)), **material.facts},
    )


def _file(config: Config) -> Path:
    given = config.checkpoint
    return find_checkpoint(given if isinstance(given, str) else given[0])


def _run(config: Config) -> Run:
    given = config.checkpoint
    if not isinstance(given, str) and len(given) != 1:
        raise ConfigError(
            f"checkpoint: task=classify takes one, got {len(given)}; fine-tune them one by one, "
            "each into its own out="
        )
    if not config.label:
        raise ConfigError(
            "finetune: label= missing; for example medjepa finetune task=classify "
            "checkpoint=runs/a data=DIR label=diagnosis out=runs/a-diagnosis"
        )
    if config.evaluation.num_splits != 1:
        raise ConfigError("evaluation.num_splits: task=classify takes one split; draws= repeats")
    if config.finetune.seeds:
        raise ConfigError("finetune.seeds: task=classify repeats by draws=, from seed= on")
    if config.finetune.folds != ("test",):
        raise ConfigError(
            "finetune.fold: task=classify tests what the split column calls test; split=auto "
            "makes a split"
        )
    return load_runs(given)[0]


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out}: is a file; give a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / PARTS).is_dir():
        raise ConfigError(
            f"out={out}: holds other files, which are never overwritten; give a new folder, or "
            "that of an earlier `medjepa finetune`, which then goes on"
        )


def _checked(run: Run, material: Material, config: Config) -> tuple[Task, Sequence[Check]]:
    """The split without training copies of test images, and what was looked for."""
    labelled = material.labelled
    before = None
    if run.used_keys is not None and isinstance(run.pipeline, Pipeline):
        before = pretraining_images(run.used_keys, [run.folder], config.data.cache_dir or None)
    tasks, checks, pairs = check_splits(
        [labelled.task],
        material.pictures,
        material.prints,
        labelled.keys,
        run.used_keys,
        before,
        labelled.num_in_both,
        material.altered,
    )
    test = labelled.task.test
    again = (
        before.near(material.prints, labelled.keys, test, material.altered)
        if before is not None
        else []
    )
    again += [(labelled.keys[i], int(i)) for i in test if labelled.keys[i] in (run.used_keys or ())]
    write_leak_list(material.stores, labelled.keys, pairs, again)
    return tasks[0], checks


def _items(run: Run, material: Material, config: Config, device: torch.device) -> Items:
    pipeline, asked = run.pipeline, config.evaluation
    indices = material.labelled.indices
    if isinstance(pipeline, VolumePipeline):
        volumes = [store for store in material.stores if isinstance(store, VolumeStore)]
        return VolumeItems(
            Volumes(volumes, pipeline, clips=asked.clips, overlap=config.finetune.overlap),
            indices,
            seed=config.seed,
            foreground=config.data.foreground,
            device=device,
            batch_size=asked.batch_size,
        )
    images = StoreDataset(
        [store for store in material.stores if isinstance(store, Store)],
        image_size=pipeline.image_size or pipeline.size,
        channels=1 if pipeline.channels == 1 else 3,
        indices=indices,
    )
    return ImageItems(images, device, asked.batch_size)
