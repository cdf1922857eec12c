"""What labels say of checkpoints, to check the scores that need none: a linear probe of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medjepa.config import Config
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError
from medjepa.evaluation.baselines import principal_components
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.candidates import Candidate
from medjepa.evaluation.embed import embed
from medjepa.evaluation.kept import Kept, digest_of_items, digest_of_model
from medjepa.evaluation.kept_probes import kept_measure
from medjepa.evaluation.last_blocks import last_blocks_of
from medjepa.evaluation.leaks import check_splits
from medjepa.evaluation.looks import count_look
from medjepa.evaluation.material import Material
from medjepa.evaluation.material_images import embed_images, rows_of, seen_images
from medjepa.evaluation.material_volumes import Volumes, embed_volumes
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.pretraining_images import pretraining_images
from medjepa.evaluation.protocol import Features, Measured, measure_majority
from medjepa.evaluation.request import Progress, request_of
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import (
    GRADIENTS,
    MAJORITY,
    PIXELS,
    PRETRAINED,
    UNTRAINED,
    Check,
    MethodResult,
)
from medjepa.evaluation.runs import load_runs
from medjepa.evaluation.verdict import MIN_CLASS_PATIENTS, MIN_PATIENTS
from medjepa.evaluation.volume_encoders import Encoder3D
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA
from medjepa.utils.device import choose_device


@dataclass(frozen=True, kw_only=True)
class Probed:
    """Linear probes of M checkpoints on one test part.

    Attributes:
        values: for each, metric -> value with its interval.
        auc: (M,).
        samples: (R, M) of the AUC on the same resamples of test patients; R = 0 where these are too
            few for an interval.
        baselines: the same probe on what needs no pre-training.
        checks: for leaks.
        test: the test part in words.
        tested: numbers of the test items, counted through the stores in turn.
    """

    values: tuple[dict[str, Estimate], ...]
    auc: Floats
    samples: Floats
    baselines: tuple[MethodResult, ...]
    checks: tuple[Check, ...]
    test: str
    tested: frozenset[int]


def probe(candidates: Sequence[Candidate], config: Config, progress: Progress) -> Probed:
    """Fit the linear probe of `medjepa evaluate` on every checkpoint's frozen features.

    Raises:
        ConfigError: what is asked is no set of classes.
        DataError: labels, split and images do not hold together.
    """
    if config.evaluation.target != "classes" or config.evaluation.num_splits > 1:
        raise ConfigError("select: label= is a column of classes, on one split")
    request = request_of(config, progress, overlap=config.evaluation.overlap)
    first = load_runs(candidates[0].file)
    of_volumes = isinstance(candidates[0].pipeline, VolumePipeline)
    material = embed_volumes(first, request) if of_volumes else embed_images(first, request)
    labelled = material.labelled
    recorded = [one.used_keys for one in candidates if one.used_keys is not None]
    used = frozenset().union(*recorded) if len(recorded) == len(candidates) else None
    folders = dict.fromkeys(one.folder for one in candidates)
    before = None
    if used is not None and not of_volumes:
        before = pretraining_images(used, folders, request.cache_dir)
    tasks, checks, _ = check_splits(
        [labelled.task],
        material.pictures,
        material.prints,
        labelled.keys,
        used,
        before,
        labelled.num_in_both,
        material.altered,
    )
    tested = labelled.task.test
    checks = [count_look(folders, [labelled.keys[i] for i in tested]), *checks]
    drawn = Resamples.draw(tasks, num_resamples=config.evaluation.num_bootstrap, seed=config.seed)
    balanced = config.evaluation.class_weight == "balanced"

    kept = Kept(request.cache_dir)

    def fit(features: Features) -> Measured:
        return kept_measure(kept, features, tasks, drawn, balanced=balanced)

    pixels = material.arrays[PIXELS]

    def components(train: Integers) -> Floats:
        return principal_components(pixels, train)

    rows = {
        UNTRAINED: Features(key=UNTRAINED, arrays=(_wide(material.arrays[f"{UNTRAINED} 0"]),)),
        PIXELS: Features(key=PIXELS, arrays=(components(tasks[0].train),), fitted=components),
        GRADIENTS: Features(key=GRADIENTS, arrays=(_wide(material.arrays[GRADIENTS]),)),
    }
    baselines = [fit(rows[key]).result for key in rows]
    baselines.append(measure_majority(MAJORITY, tasks, drawn).result)
    found = []
    with progress("probe checkpoints", len(candidates)) as advance:
        for number, one in enumerate(candidates):
            name = f"{PRETRAINED} 0"
            array = material.arrays[name] if number == 0 else _embed(one, material, config, kept)
            found.append(fit(Features(key=PRETRAINED, arrays=(_wide(array),), seeds=(one.seed,))))
            advance(1)
    samples = np.stack([one.samples[0] for one in found], axis=1)
    patients, fewest = _patients(tasks[0].test_groups, tasks[0].target[tasks[0].test])
    if patients < MIN_PATIENTS or fewest < MIN_CLASS_PATIENTS:
        samples = samples[:0]
    unit = "patients" if labelled.task.groups is not None else "images (no patients are known)"
    return Probed(
        values=tuple(
            {
                "auc": one.result.probe.auc,
                "balanced_accuracy": one.result.probe.balanced_accuracy,
            }
            for one in found
        ),
        auc=np.array([one.auc[0] for one in found]),
        samples=samples,
        baselines=tuple(baselines),
        checks=tuple(checks),
        test=f"{len(tested):,} test images of {patients:,} {unit}, {len(tasks[0].train):,} to fit "
        f"on; {labelled.split}",
        tested=frozenset(int(i) for i in labelled.indices[tested]),
    )


def _embed(candidate: Candidate, material: Material, config: Config, kept: Kept) -> NDArray[Any]:
    """Features of the labelled images by one checkpoint; (N, D)."""
    model = load_runs(candidate.file)[0].model
    pipeline, chosen = candidate.pipeline, material.labelled.indices
    device, asked = choose_device(config.hardware.device), config.evaluation
    if isinstance(pipeline, Pipeline):
        assert isinstance(model, ImageModel)
        stores = [one for one in material.stores if isinstance(one, Store)]
        images = StoreDataset(
            stores,
            image_size=pipeline.image_size or pipeline.size,
            channels=1 if pipeline.channels == 1 else 3,
            indices=chosen,
        )
        seen = seen_images(images, asked.batch_size, config.hardware.device)
        depends = {"": rows_of(model, 1, seen)}  # as `embed_images` keeps them

        def compute(_: list[str]) -> dict[str, NDArray[Any]]:
            return embed(
                images, {"": last_blocks_of(model, device, 1)}, batch_size=asked.batch_size
            )

        return kept.rows(depends, compute)[""]
    assert isinstance(model, VJEPA)
    volumes = Volumes(
        [one for one in material.stores if isinstance(one, VolumeStore)],
        pipeline,
        clips=asked.clips,
        overlap=asked.overlap,
    )

    def compute_volumes(_: list[str]) -> dict[str, NDArray[Any]]:
        encoder = {"": Encoder3D(model, device)}
        rows = [volumes.embed(int(i), encoder, asked.batch_size)[0][""] for i in chosen]
        return {"": np.stack(rows)}

    return kept.rows({"": _seen_volumes(model, material, config)}, compute_volumes)[""]


def _seen_volumes(model: VJEPA, material: Material, config: Config) -> dict[str, object]:
    """What the features of volumes or clips depend on."""
    asked = config.evaluation
    return {
        "model": digest_of_model(model),
        "volumes": digest_of_items(material.stores, material.labelled.indices.tolist()),
        "windows": [asked.clips, asked.overlap, asked.batch_size],
        "device": choose_device(config.hardware.device).type,
    }


def _patients(groups: tuple[str, ...] | None, labels: Integers) -> tuple[int, int]:
    """How many patients there are, and how many the rarest class has."""
    names = np.arange(len(labels)).astype(str) if groups is None else np.asarray(groups)
    fewest = min(len(np.unique(names[labels == label])) for label in np.unique(labels))
    return len(np.unique(names)), fewest


def _wide(rows: NDArray[Any]) -> Floats:
    return np.asarray(rows, np.float64)
