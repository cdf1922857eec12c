"""From `data=` to the images that are trained on, and those kept for a validation loss."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medjepa.config import Config
from medjepa.data.cache import ensure_store
from medjepa.data.labels import labelled
from medjepa.data.prepare_report import PrepareReport
from medjepa.data.private_map import PRIVATE
from medjepa.data.selection import selection_of
from medjepa.data.splits import check_no_group_crosses, grouped_stratified_split
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.tables import read_table, split_column
from medjepa.errors import ConfigError, DataError
from medjepa.objectives.distributed import world
from medjepa.training.distributed import wait_for_all
from medjepa.utils.logging import CONSOLE_ONLY, get_logger
from medjepa.utils.progress import progress

TRAIN_NAMES = ("train", "training", "tr", "development", "dev", "")
USED_PARTS = ("train", "val")
VALIDATION_NAMES = ("val", "valid", "validation", "tune")
_logger = get_logger(__name__)


@dataclass(frozen=True)
class Sources:
    """What a run trains on.

    Attributes:
        train: the images that are learned from.
        val: images of other patients for a validation loss, None without.
        pipeline: how a file becomes a tensor, in plain values.
        used_keys: content hashes of these images, so that an evaluation can look for leaks.
    """

    train: StoreDataset
    val: StoreDataset | None
    pipeline: dict[str, Any]
    used_keys: list[str]


def open_sources(config: Config) -> Sources:
    """Open or prepare the sources, and leave out what is meant for testing.

    Raises:
        ConfigError: no `data=`.
        DataError: a source cannot be used, or a patient is in two parts of its split.
    """
    stores = _stores(config)
    parts = np.concatenate([_parts(store, config) for store in stores])
    train, val = parts == "train", parts == "val"
    if config.data.val_fraction and not val.any():
        train, val = _hold_out(stores, train, config)
    if not train.any():
        raise DataError(
            "data: no image is marked for training in the table's split column; "
            "name another with data.split_column, or set data.use_all=true"
        )
    options: dict[str, Any] = {
        "image_size": config.data.target_size,
        "channels": config.model.in_channels,
        "modality": config.data.kinds_of_image,
    }
    dataset = StoreDataset(stores, indices=np.flatnonzero(train), **options)
    held = StoreDataset(stores, indices=np.flatnonzero(val), **options) if val.any() else None
    counted = Counter(parts.tolist())
    left_out = ", ".join(
        f"{n} {name}" for name, n in counted.items() if name not in ("train", "val")
    )
    _logger.info(
        "training on %d images%s%s",
        len(dataset),
        f", validation loss on {len(held)}" if held else "",
        f"; not used: {left_out} (data.use_all=true would)" if left_out else "",
    )
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

    # One process decodes; the others find the result in the cache.
    if world()[0] > 0:
        wait_for_all()
        return prepare()
    stores = prepare()
    wait_for_all()
    for report in reports:
        _logger.info(
            "prepared: %d files found, %d good, %d skipped, %d failed",
            report.found, report.good, report.skipped, report.failed,
        )  # fmt: skip
        for line in report.intensity:
            _logger.info("intensity of %s", line)
        for path, reason in report.failures[:10]:
            _logger.warning("left out: %s: %s", path, reason, extra=CONSOLE_ONLY)
    return stores


def _parts(store: Store, config: Config) -> np.ndarray:
    """Name the part of each image: train, val, or whatever else the table's split column says."""
    everything = np.full(len(store), "train", dtype=object)
    if config.data.use_all:
        return everything
    column = config.data.split_column or _split_column(store, config.data.table)
    if column is None:
        return everything
    given = labelled(store, column, split=column, table=config.data.table)
    parts = np.full(len(store), "unmarked", dtype=object)
    parts[given.indices] = [_part(name) for name in given.labels]
    return parts


def _part(name: str) -> str:
    lowered = name.strip().lower()
    if lowered in TRAIN_NAMES:
        return "train"
    return "val" if lowered in VALIDATION_NAMES else name


def _split_column(store: Store, table: str | None) -> str | None:
    """Return the column of a given split in the asked table or the store's copies, if any."""
    if table is not None:
        return split_column(read_table(table, check=False).columns)
    try:
        copies = [copy for _, _, copy in store.private_map().tables]
    except DataError:
        _logger.info(
            "%s came without its private folder: no split is known, all images are used", store.path
        )
        return None
    for copy in copies:
        if name := split_column(read_table(store.path / PRIVATE / copy, check=False).columns):
            return name
    return None


def _hold_out(
    stores: Sequence[Store], train: np.ndarray, config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Keep a share of the patients for a validation loss."""
    chosen = np.flatnonzero(train)
    # Without a known patient an image is its own group; copies of a file share theirs.
    names = [group or key for s in stores for group, key in zip(s.groups, s.keys, strict=True)]
    share = config.data.val_fraction
    fit, held = grouped_stratified_split(
        ["image"] * len(chosen), [names[i] for i in chosen], [1 - share, share], config.seed
    )
    check_no_group_crosses(
        [names[chosen[i]] for i in (*fit, *held)], ["train"] * len(fit) + ["val"] * len(held)
    )
    val = np.zeros_like(train)
    val[chosen[held]] = True
    return train & ~val, val
