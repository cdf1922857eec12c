"""`evaluate`: from checkpoints and labelled images to a report."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from medjepa.data.cache import ensure_store
from medjepa.data.duplicates import SIDE, fingerprints, thumbnail
from medjepa.data.selection import Selection
from medjepa.data.store_dataset import StoreDataset, check_intensity
from medjepa.errors import DataError
from medjepa.evaluation.assess import assess
from medjepa.evaluation.baselines import principal_components
from medjepa.evaluation.embed import Encode, embed, encoder_of, gradients, pixels, untrained_twin
from medjepa.evaluation.label_efficiency import FRACTIONS
from medjepa.evaluation.labelled_data import LabelledImages, gather
from medjepa.evaluation.leak_list import write_leak_list
from medjepa.evaluation.leaks import (
    check_patients,
    check_pretraining,
    drop_copies,
    drop_near_copies,
)
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import GRADIENTS, PIXELS, PRETRAINED, UNTRAINED, Check, Report
from medjepa.evaluation.runs import Run, load_runs
from medjepa.utils.device import choose_device

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress(description, total) as advance: advance(1)`"""


def evaluate(
    checkpoint: str | Path | Sequence[str | Path],
    data: str | Path | Sequence[str | Path],
    label: str,
    *,
    group: str | None = None,
    split: str | None = None,
    table: str | Path | None = None,
    pattern: str | None = None,
    modality: str | Sequence[str | None] | None = None,
    frames_per_clip: int = 8,
    selection: Selection | None = None,
    privacy: Literal["refuse", "allow"] = "refuse",
    num_classes: int | None = None,
    test_fraction: float = 0.3,
    seed: int = 0,
    num_resamples: int = 1000,
    fractions: Sequence[float] = FRACTIONS,
    num_draws: int = 5,
    batch_size: int = 64,
    device: str = "auto",
    cache_dir: str | Path | None = None,
    num_workers: int | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """Judge frozen features of pre-trained encoders on labelled images, against their baselines.

    Args:
        checkpoint: a file, a run folder, or several that differ only in their seed.
        data: a store, a folder of images with a table, or several.
        label: column of the table.
        group: column of patients (lesions, studies), who are never split.
        split: column of a given split; None takes "split" if there is one; "auto" makes one.
        table: a CSV with these columns, if it does not lie beside the images.
        pattern: only files whose name fits ("*.jpg").
        modality: kind of image, where it is another than in pre-training.
        frames_per_clip: most images taken from one clip.
        selection: of DICOM files.
        privacy: "allow" takes DICOM whose header identifies its patient.
        num_classes: refuse labels that name another number of classes.
        test_fraction: of a split that is made here.
        seed: of a split that is made here, and of resamples and draws.
        num_resamples: of the bootstrap over test patients.
        fractions: of the label-efficiency curve; empty leaves it out.
        num_draws: of the label-efficiency curve.
        batch_size: images embedded at once.
        device: auto, cuda, mps or cpu.
        cache_dir: where raw folders are prepared.
        num_workers: processes that decode raw folders.
        command: what the user typed, for the record.
        progress: shows how far the work is.

    Raises:
        CheckpointError: a checkpoint cannot be read.
        ConfigError: checkpoints that do not belong together.
        DataError: labels, split or images do not hold together.
    """
    show = progress or _silent
    runs = load_runs(checkpoint)
    pipeline = runs[0].pipeline
    height, width = pipeline.size
    sources = [data] if isinstance(data, str | Path) else list(data)
    stores = ensure_store(
        sources,
        size=height if height == width else (height, width),  # as pre-training writes it
        fit=pipeline.fit,
        frames_per_clip=frames_per_clip,
        intensity=replace(pipeline.intensity, modality=None),
        selection=selection,
        privacy=privacy,
        modality=modality or pipeline.intensity.modality,
        table=table,
        pattern=pattern,
        group_column=group,
        cache_dir=cache_dir,
        num_workers=num_workers,
        progress=progress,
    )
    check_intensity(stores, pipeline.intensity)
    labelled = gather(
        stores,
        label,
        group=group,
        split=split,
        table=table,
        test_fraction=test_fraction,
        seed=seed,
        folders=sources,
    )
    names = labelled.task.class_names
    if num_classes not in (None, len(names)):
        raise DataError(
            f"label {label!r} names {len(names)} classes ({', '.join(names[:10])}), "
            f"not {num_classes}"
        )
    images = StoreDataset(
        stores,
        image_size=pipeline.image_size or pipeline.size,
        channels=1 if pipeline.channels == 1 else 3,
        indices=labelled.indices,
    )
    with show("embed images", len(images)) as advance:
        arrays = embed(images, _encoders(runs, device), batch_size=batch_size, advance=advance)
    task, checks, pairs = _checked(labelled, runs, arrays[PIXELS])
    write_leak_list(stores, labelled.keys, pairs)
    methods = _methods(runs, arrays, task)
    with show("evaluate", 3) as advance:
        return assess(
            methods,
            task,
            checks=checks,
            split=labelled.split,
            num_unlabelled=labelled.num_unlabelled,
            notes=labelled.notes,
            num_resamples=num_resamples,
            fractions=fractions,
            num_draws=num_draws,
            seed=seed,
            synthetic=labelled.synthetic,
            loss_curves=[run.loss_curve for run in runs if run.loss_curve is not None],
            run={
                "command": command,
                "config_hash": ", ".join(run.config_hash for run in runs),
                "image_size": "{} x {}".format(*images.image_size),
                "channels": str(images.channels),
            },
            progress=lambda _: advance(1),
        )


def _encoders(runs: Sequence[Run], device: str) -> dict[str, Encode]:
    """Everything that looks at an image, by name: both encoders of each run, both baselines."""
    chosen = choose_device(device)
    encoders: dict[str, Encode] = {PIXELS: pixels, GRADIENTS: gradients}
    for number, run in enumerate(runs):
        twin = untrained_twin(run.model, seed=run.seed)
        encoders[f"{PRETRAINED} {number}"] = encoder_of(run.model, chosen)
        encoders[f"{UNTRAINED} {number}"] = encoder_of(twin, chosen)
    return encoders


def _checked(
    labelled: LabelledImages, runs: Sequence[Run], small: np.ndarray
) -> tuple[Task, list[Check], list[tuple[int, int]]]:
    """Look for leaks first; the task comes back without training copies of test images."""
    task = labelled.task
    patients = check_patients(task)
    # The same picture saved as another file has another content hash, so pixels are compared.
    pictures = [hashlib.sha256(row.tobytes()).hexdigest() for row in np.rint(small * 255)]
    train, copies = drop_copies(pictures, task.train, task.test)
    shape = (len(small), -1, SIDE, SIDE)
    prints = fingerprints(np.stack([thumbnail(row) for row in small.reshape(shape)]))
    train, near, pairs = drop_near_copies(prints, train, task.test)
    recorded = [run.used_keys for run in runs if run.used_keys is not None]
    used = frozenset().union(*recorded) if len(recorded) == len(runs) else None
    seen = check_pretraining(
        labelled.keys, task.test, used, prints=prints, groups=labelled.task.groups
    )
    clean = Task(
        label=task.label,
        target=task.target,
        class_names=task.class_names,
        groups=task.groups,
        train=train,
        test=task.test,
    )
    return clean, [patients, copies, near, seen], pairs


def _methods(runs: Sequence[Run], arrays: dict[str, np.ndarray], task: Task) -> list[Features]:
    """The rows of the table, in its order, as float64 features."""
    seeds = tuple(run.seed for run in runs)
    encoders = [
        Features(
            key=key,
            arrays=tuple(arrays[f"{key} {n}"].astype(np.float64) for n in range(len(runs))),
            seeds=seeds,
        )
        for key in (PRETRAINED, UNTRAINED)
    ]
    components = principal_components(arrays[PIXELS], task.train)
    return [
        *encoders,
        Features(key=PIXELS, arrays=(components,)),
        Features(key=GRADIENTS, arrays=(arrays[GRADIENTS].astype(np.float64),)),
    ]


def _silent(description: str, total: int) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)
