"""`evaluate`: from checkpoints and labelled images to a report."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import numpy as np

from medjepa.config.evaluation import EvaluationConfig
from medjepa.data.selection import Selection
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.assess import assess
from medjepa.evaluation.baselines import principal_components
from medjepa.evaluation.class_rule import ClassRule
from medjepa.evaluation.columns import find_columns
from medjepa.evaluation.context import Origin
from medjepa.evaluation.label_efficiency import FRACTIONS
from medjepa.evaluation.labelled_data import LabelledImages
from medjepa.evaluation.leak_list import write_leak_list
from medjepa.evaluation.leaks import check_splits
from medjepa.evaluation.looks import count_look
from medjepa.evaluation.material import Material
from medjepa.evaluation.material_images import embed_images
from medjepa.evaluation.material_volumes import embed_volumes
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.pretraining_images import (
    check_names,
    patient_names,
    pretraining_images,
)
from medjepa.evaluation.protocol import Features
from medjepa.evaluation.request import Progress, Request
from medjepa.evaluation.results import (
    GRADIENTS,
    INFLATED,
    PIXELS,
    PRETRAINED,
    SLICES,
    SLICES_UNTRAINED,
    TIMM,
    UNTRAINED,
    Report,
)
from medjepa.evaluation.runs import Run, load_runs
from medjepa.evaluation.target import target_rule
from medjepa.evaluation.target_report import assess_target
from medjepa.evaluation.tells import (
    Tell,
    deciding_columns,
    file_traits,
    find_tells,
    tell_checks,
    tell_section,
)


def evaluate(
    checkpoint: str | Path | Sequence[str | Path],
    data: str | Path | Sequence[str | Path],
    label: str | Sequence[str],
    *,
    positive: Sequence[str] | None = None,
    negative: Sequence[str] | None = None,
    group: str | Sequence[str] | None = None,
    split: str | None = None,
    table: str | Path | None = None,
    image_column: str | None = None,
    pattern: str | None = None,
    modality: str | Sequence[str | None] | None = None,
    frames_per_clip: int = 8,
    selection: Selection | None = None,
    privacy: Literal["refuse", "allow"] = "refuse",
    num_classes: int | None = None,
    test_fraction: float = 0.3,
    num_splits: int = 1,
    shortcuts: Sequence[str] | None = None,
    study: str | None = None,
    clips: int = 4,
    overlap: float = 0.25,
    attentive: bool = False,
    slices: str | Path = "",
    inflated: str | Path = "",
    seed: int = 0,
    num_resamples: int = 1000,
    fractions: Sequence[float] = FRACTIONS,
    num_draws: int = 5,
    batch_size: int = 64,
    device: str = "auto",
    cache_dir: str | Path | None = None,
    num_workers: int | None = None,
    command: str = "",
    settings: EvaluationConfig | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge frozen features of pre-trained encoders on labelled images, against their baselines.

    Args:
        checkpoint: a file, a run folder, or several that differ only in their seed; of images,
            or of volumes or clips.
        data: a store, a folder of images with a table, or several.
        label: column of the table; several for findings, or for time and event.
        positive: values of the label that form one class; None takes each value for a class.
        negative: values of the other class; None takes all others.
        group: column of patients (lesions, studies), who are never split; or several together.
        split: column of a given split; None takes "split" if there is one; "auto" makes one.
        table: a CSV with these columns, if it does not lie beside the images.
        image_column: its column of image names; None finds it.
        pattern: only files whose name fits ("*.jpg").
        modality: kind of image, where it is another than in pre-training.
        frames_per_clip: most images taken from one clip.
        selection: of DICOM files.
        privacy: "allow" takes DICOM whose header identifies its patient.
        num_classes: refuse labels that name another number of classes.
        test_fraction: of a split that is made here.
        num_splits: splits drawn here, over which every number is averaged.
        shortcuts: columns that might give the label away; None finds them, () looks at none.
        study: column of studies, over whose clips scores are averaged; None takes the patients.
        clips: of a video, how many parts are embedded and averaged.
        overlap: share of a window that its neighbour in a volume sees too.
        attentive: also fit an attentive probe on the tokens.
        slices: a 2-D run whose encoder, averaged over planes, is a baseline for volumes and clips.
        inflated: a 2-D run whose encoder, inflated, is a baseline for volumes and clips.
        seed: of a split that is made here, and of resamples and draws.
        num_resamples: of the bootstrap over test patients.
        fractions: of the label-efficiency curve; empty leaves it out.
        num_draws: of the label-efficiency curve.
        batch_size: images embedded at once.
        device: auto, cuda, mps or cpu.
        cache_dir: where raw folders are prepared.
        num_workers: processes that decode raw folders.
        command: what the user typed, for the record.
        settings: the kind of target, and which further sections are asked; None: the defaults.
        progress: shows how far the work is.

    Raises:
        CheckpointError: a checkpoint cannot be read.
        ConfigError: checkpoints that do not belong together.
        DataError: labels, split or images do not hold together.
    """
    show = progress or _silent
    settings = settings or EvaluationConfig()
    rule = target_rule(label, settings)
    if rule is not None and (positive or num_classes is not None or num_splits > 1):
        raise ConfigError(
            f"evaluation.target={rule.kind}: evaluation.positive, num_classes and num_splits are "
            "for classes"
        )
    named = rule.label if rule is not None else _only(label)
    runs = load_runs(checkpoint)
    request = Request(
        sources=(data,) if isinstance(data, str | Path) else tuple(data),
        label=named,
        group=group if isinstance(group, str | None) else tuple(group),
        split=split,
        table=table,
        image_column=image_column,
        pattern=pattern,
        modality=modality,
        frames_per_clip=frames_per_clip,
        selection=selection,
        privacy=privacy,
        test_fraction=test_fraction,
        seed=seed,
        classes=rule or (ClassRule(tuple(positive), tuple(negative or ())) if positive else None),
        num_splits=num_splits,
        study=study,
        clips=clips,
        overlap=overlap,
        attentive=attentive,
        features=settings.features,
        slices=slices,
        inflated=inflated,
        timm=settings.timm,
        timm_weights=settings.timm_weights,
        batch_size=batch_size,
        device=device,
        cache_dir=cache_dir,
        num_workers=num_workers,
        progress=show,
    )
    is_volume = isinstance(runs[0].pipeline, VolumePipeline)
    if (slices or inflated) and not is_volume:
        raise ConfigError(
            "evaluation.slices and evaluation.inflated: for a checkpoint of volumes or clips; "
            f"{runs[0].folder} is one of images"
        )
    if settings.features != "last" and is_volume:
        raise ConfigError(
            f"evaluation.features={settings.features}: for a checkpoint of images; of volumes and "
            "clips the last block is taken"
        )
    material = embed_volumes(runs, request) if is_volume else embed_images(runs, request)
    labelled = material.labelled
    names = labelled.task.class_names
    if num_classes not in (None, len(names)):
        raise DataError(
            f"label {named!r} names {len(names)} classes ({', '.join(names[:10])}), "
            f"not {num_classes}"
        )
    recorded = [run.used_keys for run in runs if run.used_keys is not None]
    used = frozenset().union(*recorded) if len(recorded) == len(runs) else None
    splits = [labelled.task, *labelled.further]
    before = None
    if used is not None and not is_volume:
        before = pretraining_images(used, [run.folder for run in runs], cache_dir)
    tasks, checks, pairs = check_splits(
        splits,
        material.pictures,
        material.prints,
        labelled.keys,
        used,
        before,
        labelled.num_in_both,
        material.altered,
    )
    tested = np.unique(np.concatenate([task.test for task in splits]))
    again = (
        before.near(material.prints, labelled.keys, tested, material.altered)
        if before is not None
        else []
    )
    again += [(labelled.keys[i], int(i)) for i in tested if labelled.keys[i] in (used or ())]
    write_leak_list(material.stores, labelled.keys, pairs, again)
    if before is not None:
        patients = patient_names(material.stores)
        checks += check_names(before, patients, labelled.keys, tested)
    folders = dict.fromkeys(run.folder for run in runs)
    checks = [count_look(folders, [labelled.keys[i] for i in tested]), *checks]
    not_asked = [named, study or "", split or "", *_columns_of(request)]
    columns = find_columns(
        labelled.cells, labelled.task.groups, asked=shortcuts, leave_out=not_asked
    )
    tells: list[Tell] = []
    if rule is None and shortcuts != ():
        traits = file_traits(material)
        tells = find_tells(
            labelled.task,
            labelled.cells,
            traits,
            None if is_volume else material.arrays[PIXELS],
            leave_out=[*not_asked, *(column.name for column in columns)],
            seed=seed,
        )
        columns += deciding_columns(tells, traits, labelled.task)
        checks += tell_checks(tells)
    facts = {
        "command": command,
        "config_hash": ", ".join(run.config_hash for run in runs),
        **material.facts,
        "class_weight": settings.class_weight,
    }
    curves = [run.loss_curve for run in runs if run.loss_curve is not None]
    if rule is not None:
        with show("evaluate", 3) as advance:
            return assess_target(
                _methods(runs, material, tasks[0].train),
                tasks[0],
                rule.read(labelled.cells),
                checks=checks,
                split=labelled.split,
                num_unlabelled=labelled.num_unlabelled,
                notes=[*rule.notes, *labelled.notes, *material.notes],
                num_resamples=num_resamples,
                seed=seed,
                synthetic=labelled.synthetic,
                loss_curves=curves,
                run=facts,
                progress=lambda _: advance(1),
            )
    with show("evaluate", 4) as advance:
        return assess(
            _methods(runs, material, tasks[0].train),
            tasks,
            columns=columns,
            study_names=_named(labelled) if material.num_clips is not None else None,
            num_clips=material.num_clips,
            checks=checks,
            split=labelled.split,
            num_unlabelled=labelled.num_unlabelled,
            notes=[*labelled.notes, *material.notes],
            num_resamples=num_resamples,
            # A curve over labels is of one split: of several only the table is averaged.
            fractions=fractions if len(tasks) == 1 else (),
            num_draws=num_draws,
            seed=seed,
            synthetic=labelled.synthetic,
            loss_curves=curves,
            run=facts,
            cells=labelled.cells,
            settings=settings,
            further=tell_section(tells, labelled.task),
            origin=Origin(runs=tuple(runs), material=material, request=request),
            progress=lambda _: advance(1),
        )


def _only(label: str | Sequence[str]) -> str:
    return label if isinstance(label, str) else label[0]


def _columns_of(request: Request) -> tuple[str, ...]:
    if request.group is None:
        return ()
    # Of several columns that name a patient together, the first ones say where he was seen.
    return (request.group,) if isinstance(request.group, str) else request.group[-1:]


def _named(labelled: LabelledImages) -> list[str]:
    """A name for every study: its pseudonym, or a number where no patient is known."""
    return [code or f"item {number}" for number, code in enumerate(labelled.studies)]


def _methods(runs: Sequence[Run], material: Material, train: Integers) -> list[Features]:
    """The rows of the table, in its order, as float64 features."""
    seeds = tuple(run.seed for run in runs)
    arrays, tokens = material.arrays, material.tokens

    def row(key: str, numbered: Sequence[str], seeds: tuple[int, ...] = ()) -> Features:
        return Features(
            key=key,
            arrays=tuple(arrays[name].astype(np.float64) for name in numbered),
            seeds=seeds,
            tokens=tuple(tokens[name] for name in numbered if name in tokens),
        )

    pixels = arrays[PIXELS]

    def components(train: Integers) -> Floats:
        return principal_components(pixels, train)

    everything = [row(key, [f"{key} {n}" for n in range(len(runs))], seeds) for key in ENCODERS]
    everything += [row(key, [key]) for key in OTHERS if key in arrays]
    everything.append(Features(key=PIXELS, arrays=(components(train),), fitted=components))
    everything.append(row(GRADIENTS, [GRADIENTS]))
    return everything


ENCODERS = (PRETRAINED, UNTRAINED)
OTHERS = (SLICES, SLICES_UNTRAINED, INFLATED, TIMM)


def _silent(description: str, total: int) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)
