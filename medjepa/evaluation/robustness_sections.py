"""Spoilt test images and images of another kind, as tables of the report.

Legend: N images, n test images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.cache import ensure_store
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset, check_intensity
from medjepa.data.unread import tell_unread
from medjepa.errors import ConfigError
from medjepa.evaluation import label_efficiency
from medjepa.evaluation.baselines import fit_components
from medjepa.evaluation.bootstrap import estimate
from medjepa.evaluation.context import Context, Origin
from medjepa.evaluation.corruptions import CORRUPTIONS, NUM_SEVERITIES, corrupt
from medjepa.evaluation.embed import Encode, embed
from medjepa.evaluation.folds import group_index
from medjepa.evaluation.material_images import image_encoders
from medjepa.evaluation.metrics import Floats, Integers, macro_auc
from medjepa.evaluation.ood_overlap import overlap_warning
from medjepa.evaluation.outliers import SCORES, told_apart
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import split_folds, widen
from medjepa.evaluation.results import GRADIENTS, PIXELS, PRETRAINED, TIMM, TITLES, UNTRAINED
from medjepa.evaluation.sections import Cell, Section

ROWS = {PRETRAINED: f"{PRETRAINED} 0", UNTRAINED: f"{UNTRAINED} 0", PIXELS: PIXELS,
        GRADIENTS: GRADIENTS, TIMM: TIMM}  # fmt: skip
"""Methods that are tried, where they are there, and the name of their features: of several seeds
the first."""

CHUNK = 256
"""Images that are held in memory at once."""

Arrays = dict[str, NDArray[np.float32]]
AsLearnt = Callable[[str, NDArray[np.float32]], Floats]


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of an evaluation, and what looks at them."""

    stores: Sequence[Store]
    image_size: tuple[int, int]
    channels: int
    encoders: Mapping[str, Encode]
    batch_size: int
    seed: int

    def features(self, indices: NDArray[np.int64] | None = None) -> Arrays:
        """Features of the images at `indices`, as they are; (n, D) each."""
        return embed(self._dataset(indices), self.encoders, batch_size=self.batch_size)

    def spoilt(self, indices: NDArray[np.int64]) -> dict[tuple[str, int], Arrays]:
        """Features of the images at `indices` under every corruption at every severity."""
        parts: dict[tuple[str, int], list[Arrays]] = {}
        for start in range(0, len(indices), CHUNK):
            rows = indices[start : start + CHUNK]
            clean = embed(self._dataset(rows), {"": _same}, batch_size=self.batch_size)[""]
            for place, name in enumerate(CORRUPTIONS):
                for severity in range(1, NUM_SEVERITIES + 1):
                    changed = [
                        torch.from_numpy(
                            corrupt(image, name, severity, seed=(self.seed, place, int(row)))
                        )
                        for image, row in zip(clean, rows, strict=True)
                    ]
                    found = embed(changed, self.encoders, batch_size=self.batch_size)
                    parts.setdefault((name, severity), []).append(found)
        return {
            key: {name: np.concatenate([one[name] for one in several]) for name in self.encoders}
            for key, several in parts.items()
        }

    def _dataset(self, indices: NDArray[np.int64] | None) -> StoreDataset:
        channels: Any = self.channels
        return StoreDataset(
            list(self.stores), image_size=self.image_size, channels=channels, indices=indices
        )


def _same(images: Tensor) -> NDArray[np.float32]:
    return np.asarray(images.cpu().numpy(), np.float32)


def robustness_sections(context: Context) -> list[Section]:
    """Spoilt images (`evaluation.corruptions`) and images of another kind (`evaluation.ood`).

    Raises:
        ConfigError: the checkpoint is one of volumes or clips.
    """
    asked = context.settings
    if not (asked.corruptions or asked.ood) or context.origin is None:
        return []
    origin = context.origin
    pipeline = origin.runs[0].pipeline
    if not isinstance(pipeline, Pipeline):
        raise ConfigError(
            "evaluation.corruptions and evaluation.ood are for checkpoints of images; "
            f"{origin.runs[0].folder} is one of volumes or clips"
        )
    stores = [store for store in origin.material.stores if isinstance(store, Store)]
    height, width = pipeline.image_size or pipeline.size
    images = Images(
        stores=stores,
        image_size=(height, width),
        channels=1 if pipeline.channels == 1 else 3,
        encoders=image_encoders(origin.runs[:1], origin.request),
        batch_size=origin.request.batch_size,
        seed=context.seed,
    )
    test = context.tasks[0].test
    clean: Arrays = {
        name: array[test] for name, array in origin.material.arrays.items() if name in ROWS.values()
    }
    spoilt = images.spoilt(origin.material.labelled.indices[test]) if asked.corruptions else {}
    as_learnt = _learnt(context, origin)
    sections = [_corrupted(context, as_learnt, clean, spoilt)] if spoilt else []
    return [*sections, _outliers(context, as_learnt, images, origin, pipeline, clean, spoilt)]


def _corrupted(
    context: Context,
    as_learnt: AsLearnt,
    clean: Arrays,
    spoilt: Mapping[tuple[str, int], Arrays],
) -> Section:
    task, part = context.tasks[0], context.resamples.parts[0]
    labels = task.target[task.test]
    folds = split_folds(task, np.arange(len(task.train)))
    rows: list[tuple[Cell, ...]] = []
    for key, name in _there(clean):
        features = context.of(key)
        array = features.of(task)[0][task.train]
        probe = LogisticProbe(c_grid=label_efficiency.COARSE_GRID)
        probe.fit(array, task.target[task.train], folds=folds)

        def scores(given: Arrays, key: str = key, name: str = name,
                   probe: LogisticProbe = probe) -> Floats:  # fmt: skip
            x = as_learnt(key, given[name])
            return widen(probe.predict_proba(x), probe.classes_, len(task.class_names))

        whole = scores(clean)
        value, samples = macro_auc(labels, whole)[0], part.samples("auc", labels, whole)
        rows.append(
            (TITLES[key], "none", estimate(float(value), samples), *[None] * NUM_SEVERITIES)
        )
        for kind in CORRUPTIONS:
            cells: list[Cell] = []
            for severity in range(1, NUM_SEVERITIES + 1):
                given = scores(spoilt[kind, severity])
                area = macro_auc(labels, given)[0]
                drop = part.samples("auc", labels, given) - samples
                cells.append(estimate(float(area - value), drop))
                if severity == NUM_SEVERITIES:
                    worst = estimate(float(area), drop + samples)
            rows.append((TITLES[key], kind, worst, *cells))
    columns = ("Features", "Corruption", "AUC at severity 5 (or clean)",
               *(f"Drop at {severity}" for severity in range(1, NUM_SEVERITIES + 1)))  # fmt: skip
    return Section(
        key="corruptions",
        title="Spoilt test images",
        note=(
            f"{len(labels):,} test images, spoilt at five severities; a linear probe learnt from "
            "images as they are, and was not told (its C is one of 12, the main table's one of 45: "
            "their AUC may differ a little). Drop: AUC minus that of the images as they are, "
            "paired (same patients, same resamples), 95 % interval by bootstrap over patients. "
            f"First seed of pre-training; seed {context.seed} of what is drawn."
        ),
        columns=columns,
        rows=tuple(rows),
        signed=columns[3:],
    )


def _there(arrays: Arrays) -> list[tuple[str, str]]:
    """The methods whose features are there, and the names of these."""
    return [(key, name) for key, name in ROWS.items() if name in arrays]


def _learnt(context: Context, origin: Origin) -> AsLearnt:
    """What makes features as the probe knows them: pixels become components of the training's."""
    components = fit_components(origin.material.arrays[PIXELS][context.tasks[0].train])

    def as_learnt(key: str, given: NDArray[np.float32]) -> Floats:
        return components(given) if key == PIXELS else given.astype(np.float64)

    return as_learnt


def _outliers(
    context: Context,
    as_learnt: AsLearnt,
    images: Images,
    origin: Origin,
    pipeline: Pipeline,
    clean: Arrays,
    spoilt: Mapping[tuple[str, int], Arrays],
) -> Section:
    task = context.tasks[0]
    own = group_index(len(task.test), task.test_groups)
    others: dict[str, tuple[Arrays, Integers]] = {
        f"{kind} at severity {NUM_SEVERITIES}": (spoilt[kind, NUM_SEVERITIES], own)
        for kind in CORRUPTIONS
        if spoilt
    }
    unread: tuple[str, ...] = ()
    overlap = ""
    if folder := context.settings.ood:
        stores = _open(folder, origin, pipeline)
        unread = tell_unread(stores)
        groups = [
            name or f"image {n}" for n, name in enumerate(g for s in stores for g in s.groups)
        ]
        strangers = group_index(len(groups), groups) + own.max() + 1
        name = f"another folder ({len(groups):,} images)"
        features = replace(images, stores=stores).features()
        others[name] = features, strangers
        keys = [f"{item.key}" for store in stores for item in store.items]
        overlap = overlap_warning(
            task,
            (origin.material.labelled.keys, origin.material.arrays[PIXELS]),
            (keys, features[PIXELS]),
        )
    rows: list[tuple[Cell, ...]] = []
    for key, name in _there(clean):
        train = context.of(key).of(task)[0][task.train]
        inside = as_learnt(key, clean[name])
        fitted = [kind().fit(train) for kind in SCORES.values()]
        for title, (arrays, theirs) in others.items():
            outside, patients = as_learnt(key, arrays[name]), np.concatenate([own, theirs])
            areas = [told_apart(one.score(inside), one.score(outside), patients) for one in fitted]
            rows.append((TITLES[key], title, len(inside), len(outside), *areas))
    return Section(
        key="outliers",
        title="Can images of another kind be told from the test's?",
        note=(
            "AUROC of telling test images as they are from others, by their distance to the "
            "training images' features, without any label: Mahalanobis with a shrunken "
            "covariance, and the 10th nearest training image on unit length. .500: they cannot be "
            "told apart, and nothing warns of them. 95 % intervals: clustered DeLong, by patients "
            "(an image and its spoilt self are one patient's); none where all are told apart."
            + "".join(f" Of the other folder: {note}" for note in unread)
            + (f" {overlap}" if overlap else "")
        ),
        columns=("Features", "Others", "Test images", "Other images", *SCORES),
        rows=tuple(rows),
        warnings=(overlap,) if overlap else (),
    )


def _open(folder: str, origin: Origin, pipeline: Pipeline) -> list[Store]:
    """The other images, prepared as those of the evaluation are; no table is needed."""
    request = origin.request
    height, width = pipeline.size
    stores = ensure_store(
        (folder,),
        size=height if height == width else (height, width),
        fit=pipeline.fit,
        frames_per_clip=request.frames_per_clip,
        intensity=replace(pipeline.intensity, modality=None),
        selection=request.selection,
        privacy=request.privacy,
        modality=request.modality or pipeline.intensity.modality,
        cache_dir=request.cache_dir,
        num_workers=request.num_workers,
        progress=request.progress,
    )
    check_intensity(stores, pipeline.intensity)
    return stores
