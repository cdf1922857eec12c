"""From the settings of `finetune` to its images: stores, masks, patients, parts."""

from collections.abc import Sequence
from pathlib import Path

from medjepa.config import Config
from medjepa.data.image_files import ImageFiles
from medjepa.data.image_label_maps import open_image_labels
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.store_dataset import per_store
from medjepa.data.unread import tell_unread
from medjepa.errors import DataError
from medjepa.evaluation.segmentation_data import share_out
from medjepa.evaluation.segmentation_images import ImageCases
from medjepa.evaluation.segmentation_labels import look_at_labels
from medjepa.evaluation.segmentation_open import Opened, notes_of, parts_and_patients
from medjepa.evaluation.segmentation_volumes import regions_from, structures_from
from medjepa.types import MODALITIES
from medjepa.utils.progress import progress


def open_image_cases(
    config: Config, stores: Sequence[Store], pipeline: Pipeline, window: Sequence[int]
) -> Opened:
    """Join images with their masks and their table.

    Args:
        config: sections data and finetune.
        stores: prepared images.
        pipeline: as pre-training saw them.
        window: (H, W) of the networks' input, for the notes.

    Raises:
        ConfigError: a setting does not fit the data.
        DataError: no mask fits, or the table has not the column.
        InputError: a mask cannot be read, or has another size than its image.
    """
    asked = config.finetune
    regions = regions_from(asked.regions)
    files = ImageFiles(stores, pipeline, longer_side=asked.longer_side)
    maps = [
        open_image_labels(
            files,
            number,
            asked.labels or None,
            table=config.data.table,
            regions=regions,
            background=asked.background,
        )
        for number in range(len(stores))
    ]
    places = [place for place in files.places if place[1] in maps[place[0]]]
    if not places:
        raise DataError("no image has a mask (labels=)")
    column, parts, groups = parts_and_patients(config, stores, places)
    cases = share_out(
        [stores[store].keys[index] for store, index in places],
        groups,
        parts,
        column=column,
        seed=config.seed,
    )
    seen = look_at_labels(maps, Path(config.out), progress=progress)
    kinds = per_store(config.data.kinds_of_image, len(stores))
    volumes = ImageCases(
        files,
        places,
        maps,
        structures_from(maps, seen.values, asked.names, regions),
        modality=[
            MODALITIES.index(kinds[store] or stores[store].items[index].modality)
            for store, index in places
        ],
        regions=regions is not None,
    )
    notes = [*tell_unread(stores), *notes_of(sum(map(len, stores)), cases, len(volumes), "images")]
    notes.append(_scale_note(volumes, pipeline, window))
    return Opened(cases=cases, volumes=volumes, notes=tuple(notes), labels=seen)


def _scale_note(volumes: ImageCases, pipeline: Pipeline, window: Sequence[int]) -> str:
    """How much finer the windows are than what pre-training saw; the reader has to know."""
    shapes = [volumes.shape(case) for case in range(len(volumes))]
    longest = sorted(max(shape) for shape in shapes)[len(shapes) // 2]
    seen = pipeline.image_size or pipeline.size
    return (
        f"Images are segmented at {longest:,} pixels on the longer side (median) in windows of "
        f"{window[0]} x {window[1]}; pre-training saw whole images at {seen[0]} x {seen[1]}, and "
        "parts of them enlarged. longer_side= sets the size; scores are of that size."
    )
