"""From `data=` to the images that are trained on, and those kept for a validation loss."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medjepa.config import Config
from medjepa.data.cache import ensure_store
from medjepa.data.labelled_dataset import LabelledDataset
from medjepa.data.prepare_report import PrepareReport
from medjepa.data.selection import selection_of
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.errors import ConfigError
from medjepa.training.parts import (
    TRAIN_NAMES,
    VALIDATION_NAMES,
    log_parts,
    parts_of,
    train_and_val,
)
from medjepa.training.preparing import first_process_first
from medjepa.utils.progress import progress

__all__ = ["TRAIN_NAMES", "VALIDATION_NAMES", "Sources", "open_sources"]


@dataclass(frozen=True)
class Sources:
    """What a run trains on.

    Attributes:
        train: the images that are learned from.
        val: images of other patients for a validation loss, None without.
        pipeline: how a file becomes a tensor, in plain values.
        used_keys: content hashes of these images, so that an evaluation can look for leaks.
    """

    train: StoreDataset | VolumeDataset | LabelledDataset
    val: StoreDataset | VolumeDataset | LabelledDataset | None
    pipeline: dict[str, Any]
    used_keys: list[str]


def open_sources(config: Config) -> Sources:
    """Open or prepare the sources, and leave out what is meant for testing.

    Raises:
        ConfigError: no `data=`.
        DataError: a source cannot be used, or a patient is in two parts of its split.
    """
    stores = _stores(config)
    parts = np.concatenate([parts_of(store, config) for store in stores])
    # Without a known patient an image is its own group; copies of a file share theirs.
    groups = [group or key for s in stores for group, key in zip(s.groups, s.keys, strict=True)]
    train, val = train_and_val(parts, groups, config)
    options: dict[str, Any] = {
        "image_size": config.data.target_size,
        "channels": config.model.in_channels,
        "modality": config.data.kinds_of_image,
    }
    dataset = StoreDataset(stores, indices=np.flatnonzero(train), **options)
    held = StoreDataset(stores, indices=np.flatnonzero(val), **options) if val.any() else None
    log_parts("images", parts, len(dataset), 0 if held is None else len(held))
    keys = [key for store in stores for key in store.keys]
    used = sorted({keys[i] for i in np.flatnonzero(train | val)})
    # Views are rendered at the model's size from images that may be larger; an embedding is of it.
    size = config.model.image_size
    seen = replace(dataset.pipeline, image_size=(size, size) if isinstance(size, int) else size[:2])
    return Sources(dataset, held, seen.to_dict(), used)


def _stores(config: Config) -> list[Store]:
    if not config.data.sources:
        raise ConfigError("data: what to train on? give data=FOLDER (or a prepared store)")
    reports: list[PrepareReport] = []

    def prepare() -> list[Store]:
        return ensure_store(
            config.data.sources,
            size=config.data.target_size,
            channels="auto",
            fit=config.data.fit,
            frames_per_clip=config.data.frames_per_clip,
            intensity=config.data.intensity,
            selection=selection_of(config.data),
            privacy=config.privacy,
            modality=config.data.kinds_of_image,
            table=config.data.table,
            image_column=config.data.image_column,
            group_column=config.data.one_group_column,
            pattern=config.data.pattern,
            cache_dir=config.data.cache_dir or None,
            progress=progress,
            reports=reports,
        )

    return first_process_first(prepare, reports)
