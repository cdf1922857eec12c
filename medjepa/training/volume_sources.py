"""From `data=` to the volumes or clips that are trained on (model.type=vjepa)."""

from typing import Any

import numpy as np

from medjepa.config import Config
from medjepa.config.volumes import crop_of, frame_size_of
from medjepa.data.prepare_report import PrepareReport
from medjepa.data.selection import selection_of
from medjepa.data.volume_cache import ensure_volumes
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError
from medjepa.training.parts import log_parts, parts_of, train_and_val
from medjepa.training.preparing import first_process_first
from medjepa.training.sources import Sources
from medjepa.utils.progress import progress


def open_volume_sources(config: Config) -> Sources:
    """Open or prepare the sources, and leave out what is meant for testing.

    Raises:
        ConfigError: no `data=`, or a setting makes no sense.
        DataError: a source cannot be used, holds nothing of `model.kind`, or a patient is in two
            parts of its split.
    """
    stores = open_stores(config)
    options: dict[str, Any] = {
        "crop": crop_of(config),
        "channels": config.model.in_channels,
        "modality": config.data.kinds_of_image,
        "seed": config.seed,
        "foreground": config.data.foreground,
        "kind": config.model.kind,
        "frame_step": config.data.frame_step,
        "frame_seconds": config.data.frame_seconds,
    }
    everything = VolumeDataset(stores, **options)
    by_store = [parts_of(store, config) for store in stores]
    # A slice of a stack through time is of the part, and of the patient, of its stack.
    parts = np.asarray([by_store[i.store][i.index] for i in everything.items], dtype=object)
    groups = [
        stores[i.store].groups[i.index] or stores[i.store].keys[i.index] for i in everything.items
    ]
    train, val = train_and_val(parts, groups, config)
    dataset = VolumeDataset(stores, indices=np.flatnonzero(train), **options)
    held = VolumeDataset(stores, indices=np.flatnonzero(val), **options) if val.any() else None
    log_parts(f"{config.model.kind}s", parts, len(dataset), 0 if held is None else len(held))
    chosen = [everything.items[i] for i in np.flatnonzero(train | val)]
    used = sorted({stores[item.store].keys[item.index] for item in chosen})
    return Sources(dataset, held, dataset.pipeline.to_dict(), used)


def open_stores(config: Config) -> list[VolumeStore]:
    """Open each source that is a store of volumes, and prepare each that is a folder or a table.

    Raises:
        ConfigError: no `data=`.
        DataError: as `ensure_volumes`.
    """
    if not config.data.sources:
        raise ConfigError("data: what to train on? give data=FOLDER (or a prepared store)")
    reports: list[PrepareReport] = []

    def prepare() -> list[VolumeStore]:
        return ensure_volumes(
            config.data.sources,
            spacing=config.data.spacing or None,
            frame_size=frame_size_of(config),
            fit=config.data.fit,
            contrasts=config.data.contrasts,
            fourth_axis=config.data.fourth_axis,
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
