"""The images, volumes or clips on which checkpoints are scored without labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.config import Config
from medjepa.data.labels import AUTO_SPLIT
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.unread import tell_unread
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.evaluation.embed_files import image_stores, volume_stores
from medjepa.evaluation.kept import digest_of_items
from medjepa.evaluation.material_volumes import Volumes
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.positive_pairs import (
    Embeddings,
    ViewSettings,
    embed_image_views,
    embed_volume_views,
)
from medjepa.evaluation.request import Progress
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA
from medjepa.training.parts import parts_of, train_and_val
from medjepa.utils.device import choose_device

MIN_IMAGES, MOST_IMAGES = 20, 5000
FEW_VALIDATION = 200
"""A validation part of fewer images is joined by the training part."""

Model = ImageModel | VJEPA
Embed = Callable[[Model], Embeddings]


@dataclass(frozen=True, kw_only=True)
class ScoredImages:
    """The images that every checkpoint is scored on.

    Attributes:
        embed: embeds them with a model, whole and in views.
        groups: (n,) patient of each; where none is known its content.
        known: whether patients are known.
        images_from: which images these are, in words.
        depends: what their embeddings depend on, beside the model.
        notes: which files are missing.
    """

    embed: Embed
    groups: tuple[str, ...]
    known: bool
    images_from: str
    depends: dict[str, object]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Items:
    """Every item of the stores: its part of the split, its patient ("" unknown), its content."""

    parts: np.ndarray
    patients: Sequence[str]
    keys: Sequence[str]
    numbers: Sequence[int]


def open_material(
    pipeline: Pipeline | VolumePipeline,
    config: Config,
    views: ViewSettings,
    *,
    most: int,
    tested: frozenset[int],
    progress: Progress,
) -> ScoredImages:
    """Open or prepare `data=` and choose what is scored.

    Args:
        pipeline: of the checkpoints.
        config: the settings.
        views: how views are drawn.
        most: images.
        tested: numbers of items of a test part, counted through the stores in turn.
        progress: shows how far the work is.

    Raises:
        DataError: a source cannot be used, or holds too few images without a test role.
    """
    if isinstance(pipeline, Pipeline):
        return _images(pipeline, config, views, most, tested, progress)
    return _volumes(pipeline, config, views, most, tested, progress)


def choose_items(
    parts: np.ndarray, groups: Sequence[str], tested: np.ndarray, config: Config, most: int
) -> tuple[Integers, str]:
    """Which items are scored, ascending, and in words which these are.

    The validation part, if it is large enough; else everything without a test role.

    Args:
        parts: (N,) as `parts_of` names them.
        groups: (N,) patients.
        tested: (N,) bool, what a probe is measured on.
        config: settings of the split.
        most: of more, so many are drawn by `config.seed`.

    Raises:
        DataError: too few.
    """
    train, val = train_and_val(parts, groups, config)
    train, val = train & ~tested, val & ~tested
    told, taken = "the validation part", val
    if np.count_nonzero(val) < FEW_VALIDATION:
        taken = train | val
        left_out = len(parts) - np.count_nonzero(taken)
        told = "all images that are not for testing" if left_out else "all images"
    places = np.flatnonzero(taken)
    if len(places) < MIN_IMAGES:
        raise DataError(
            f"select: {len(places)} images have no test role, {MIN_IMAGES} are needed for any "
            "score; give more with data=[a,b]"
        )
    if len(places) > most:
        rng = np.random.default_rng(config.seed)
        places = np.sort(rng.choice(places, size=most, replace=False))
        told = f"{most:,} drawn from {told}"
    return places.astype(np.int64), told


def _images(
    pipeline: Pipeline,
    config: Config,
    views: ViewSettings,
    most: int,
    tested: frozenset[int],
    progress: Progress,
) -> ScoredImages:
    stores = image_stores(pipeline, config, progress)
    items = _Items(
        parts=np.concatenate([_parts(store, config) for store in stores]),
        patients=[group for store in stores for group in store.groups],
        keys=[key for store in stores for key in store.keys],
        numbers=range(sum(map(len, stores))),
    )
    chosen, groups, known, told = _chosen(items, tested, config, most)
    images = StoreDataset(
        stores,
        image_size=pipeline.size,
        channels=1 if pipeline.channels == 1 else 3,
        indices=chosen,
        modality=_kinds(config, pipeline),
    )
    device = choose_device(config.hardware.device)

    def embed(model: Model) -> Embeddings:
        assert isinstance(model, ImageModel)
        with progress("embed images and views", len(images)) as advance:
            return embed_image_views(
                model, images, views, seed=config.seed, device=device, advance=advance
            )

    depends: dict[str, object] = {
        "images": digest_of_items(stores, chosen.tolist()),
        "size": list(images.image_size),
        "channels": images.channels,
        **_drawn(config, pipeline, views),
    }
    return ScoredImages(
        embed=embed,
        groups=groups,
        known=known,
        images_from=told,
        depends=depends,
        notes=_unread(stores, config),
    )


def _volumes(
    pipeline: VolumePipeline,
    config: Config,
    views: ViewSettings,
    most: int,
    tested: frozenset[int],
    progress: Progress,
) -> ScoredImages:
    stores = volume_stores(pipeline, config, progress)
    everything = _crops(stores, pipeline, config)
    by_store = [_parts(store, config) for store in stores]
    starts = np.cumsum([0, *(len(store) for store in stores)])
    places = everything.items
    items = _Items(
        parts=np.asarray([by_store[p.store][p.index] for p in places], dtype=object),
        patients=[stores[p.store].groups[p.index] for p in places],
        keys=[stores[p.store].keys[p.index] for p in places],
        numbers=[int(starts[p.store]) + p.index for p in places],
    )
    chosen, groups, known, told = _chosen(items, tested, config, most)
    crops = _crops(stores, pipeline, config, chosen)
    asked = config.evaluation
    whole = Volumes(stores, pipeline, clips=asked.clips, overlap=asked.overlap)
    device = choose_device(config.hardware.device)

    def embed(model: Model) -> Embeddings:
        assert isinstance(model, VJEPA)
        with progress(f"embed {pipeline.kind}s and views", len(crops)) as advance:
            return embed_volume_views(
                model,
                whole,
                crops,
                views,
                seed=config.seed,
                device=device,
                batch_size=asked.batch_size,
                advance=advance,
            )

    depends: dict[str, object] = {
        "volumes": digest_of_items(stores, [items.numbers[i] for i in chosen]),
        "crops": chosen.tolist(),
        "windows": [asked.clips, asked.overlap, asked.batch_size, config.data.foreground],
        **_drawn(config, pipeline, views),
    }
    told = told.replace("images", f"{pipeline.kind}s")
    return ScoredImages(
        embed=embed,
        groups=groups,
        known=known,
        images_from=told,
        depends=depends,
        notes=_unread(stores, config),
    )


def _unread(stores: list[Store] | list[VolumeStore], config: Config) -> tuple[str, ...]:
    labels = () if config.label is None else (config.label,)
    # With a label the probe, which opened the same sources before, has told the terminal.
    return tell_unread(stores, labels, table=config.data.table, aloud=config.label is None)


def _drawn(
    config: Config, pipeline: Pipeline | VolumePipeline, views: ViewSettings
) -> dict[str, object]:
    """What views depend on."""
    return {
        "views": [list(views.scale), views.strength, views.num],
        "kinds": repr(_kinds(config, pipeline)),
        "pipeline": repr(pipeline),
        "seed": config.seed,
        "device": choose_device(config.hardware.device).type,
    }


def _chosen(
    items: _Items, tested: frozenset[int], config: Config, most: int
) -> tuple[Integers, tuple[str, ...], bool, str]:
    # Without a known patient an image is its own group; copies of a file share theirs.
    groups = [patient or key for patient, key in zip(items.patients, items.keys, strict=True)]
    is_tested = np.isin(np.asarray(items.numbers), sorted(tested))
    chosen, told = choose_items(items.parts, groups, is_tested, config, most)
    known = all(items.patients[i] for i in chosen)
    return chosen, tuple(groups[i] for i in chosen), known, told


def _parts(store: Store | VolumeStore, config: Config) -> np.ndarray:
    """Parts as pre-training sees them; split=auto means that the table's split is not used."""
    if config.data.split_column == AUTO_SPLIT:
        return np.full(len(store), "train", dtype=object)
    return parts_of(store, config)


def _crops(
    stores: Sequence[VolumeStore],
    pipeline: VolumePipeline,
    config: Config,
    indices: Integers | None = None,
) -> VolumeDataset:
    """Crops as pre-training draws them."""
    return VolumeDataset(
        stores,
        crop=pipeline.crop,
        channels=pipeline.channels,
        indices=indices,
        modality=_kinds(config, pipeline),
        seed=config.seed,
        foreground=config.data.foreground,
        kind=pipeline.kind,
        frame_step=pipeline.frame_step,
        frame_seconds=pipeline.frame_seconds,
    )


def _kinds(
    config: Config, pipeline: Pipeline | VolumePipeline
) -> str | tuple[str | None, ...] | None:
    """The kind of image, by which a view may be changed."""
    given = config.data.modality != "auto"
    return config.data.kinds_of_image if given else pipeline.intensity.modality
