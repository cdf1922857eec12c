"""From the settings of `finetune` to its cases: stores, label maps, patients, parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medjepa.config import Config
from medjepa.data.label_maps import open_label_maps
from medjepa.data.labels import LabelledSet, labelled
from medjepa.data.private_map import PRIVATE
from medjepa.data.store import Store
from medjepa.data.tables import read_table, split_column
from medjepa.data.unread import tell_unread
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.segmentation_data import Cases, share_out, split_asked
from medjepa.evaluation.segmentation_images import ImageCases
from medjepa.evaluation.segmentation_labels import LabelsSeen, look_at_labels
from medjepa.evaluation.segmentation_volumes import VolumeCases, regions_from, structures_from
from medjepa.utils.progress import progress


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a study is made on.

    Attributes:
        cases: who is trained on and tested.
        volumes: their images and label maps.
        notes: what a reader of the results should know.
        labels: what all label maps hold.
    """

    cases: Cases
    volumes: VolumeCases | ImageCases
    notes: tuple[str, ...]
    labels: LabelsSeen


def open_cases(config: Config, stores: Sequence[VolumeStore], pipeline: VolumePipeline) -> Opened:
    """Join volumes with their label maps and their table.

    Args:
        config: sections data and finetune.
        stores: prepared volumes.
        pipeline: as pre-training saw them.

    Raises:
        ConfigError: a setting does not fit the data.
        DataError: no label map fits, or the table has not the column.
        InputError: a label map cannot be read, or does not lie on its image.
    """
    asked = config.finetune
    regions = regions_from(asked.regions)
    if asked.background or asked.longer_side:
        raise ConfigError("finetune.background and finetune.longer_side: of images, not of volumes")
    maps = [
        open_label_maps(store, asked.labels or None, table=config.data.table, regions=regions)
        for store in stores
    ]
    everything = VolumeDataset(stores, crop=pipeline.crop, channels=pipeline.channels)
    numbers = [
        number
        for number, item in enumerate(everything.items)
        if item.plane is None and item.index in maps[item.store]
    ]
    if not numbers:
        raise DataError("no volume has a label map (labels=)")
    images = VolumeDataset(
        stores,
        crop=pipeline.crop,
        channels=pipeline.channels,
        indices=np.asarray(numbers, np.int64),
        modality=config.data.kinds_of_image,
        seed=config.seed,
    )
    items = [everything.items[number] for number in numbers]
    places = [(item.store, item.index) for item in items]
    column, parts, groups = parts_and_patients(config, stores, places)
    cases = share_out(
        [stores[store].keys[index] for store, index in places],
        groups,
        parts,
        column=column,
        seed=config.seed,
    )
    seen = look_at_labels(maps, Path(config.out), progress=progress)
    volumes = VolumeCases(
        images,
        maps,
        structures_from(maps, seen.values, asked.names, regions),
        regions=regions is not None,
    )
    return Opened(
        cases=cases,
        volumes=volumes,
        notes=(
            *tell_unread(stores),
            *notes_of(len(everything.items), cases, len(volumes), "volumes"),
        ),
        labels=seen,
    )


def notes_of(num_items: int, cases: Cases, num_cases: int, kind: str) -> tuple[str, ...]:
    """Which of so many volumes or images (`kind`) were left out, and why."""
    notes = []
    if without := num_items - num_cases:
        notes.append(f"{without:,} {kind} have no label map and were left out.")
    if nowhere := sum(not part for part in cases.parts):
        notes.append(f"{nowhere:,} {kind} belong to no part of the split and were left out.")
    return tuple(notes)


def parts_and_patients(
    config: Config, stores: Sequence[Store | VolumeStore], places: Sequence[tuple[int, int]]
) -> tuple[str | None, list[str] | None, list[str]]:
    """(split column, its value for each place or None, patient of each place).

    Raises:
        DataError: the table has not the column.
    """
    column = split_asked(config.data.split_column or _column_of(config, stores) or "auto")
    if column is None and config.data.group_column is None:
        return None, None, [stores[store].groups[index] for store, index in places]
    found: list[dict[int, tuple[str, str]]] = []
    for store in stores:
        given = _labelled(config, store, column)
        groups = given.groups or [""] * len(given.labels)
        found.append(
            {
                int(index): (label, group)
                for index, label, group in zip(given.indices, given.labels, groups, strict=True)
            }
        )
    rows = [found[store].get(index, ("", "")) for store, index in places]
    parts = None if column is None else [part for part, _ in rows]
    # Two stores may give one hash to two patients: each store has a secret of its own.
    names = [
        f"{store}.{group}" if group else ""
        for (store, _), (_, group) in zip(places, rows, strict=True)
    ]
    return column, parts, names


def _labelled(config: Config, store: Store | VolumeStore, column: str | None) -> LabelledSet:
    group = config.data.group_column
    label = column or (group if isinstance(group, str) else (group or ("",))[0])
    return labelled(store, label, group=group, split="auto", table=config.data.table)


def _column_of(config: Config, stores: Sequence[Store | VolumeStore]) -> str | None:
    """The column of a given split, by its usual names."""
    if config.data.table is not None:
        return split_column(read_table(config.data.table, check=False).columns)
    for store in stores:
        for _, _, copy in store.private_map().tables:
            table = read_table(store.path / PRIVATE / copy, check=False)
            if name := split_column(table.columns):
                return name
    return None
