"""`embed`: from a checkpoint and a folder to rows of features, with a table of what they are."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medjepa.checkpoint import load_encoder
from medjepa.config import Config
from medjepa.data.cache import ensure_store
from medjepa.data.files import check_out, write_atomic
from medjepa.data.preprocessing import Pipeline
from medjepa.data.private_map import PRIVATE, write_private
from medjepa.data.selection import selection_of
from medjepa.data.store import Store
from medjepa.data.store_dataset import StoreDataset, check_intensity
from medjepa.data.unread import tell_unread
from medjepa.data.volume_cache import ensure_volumes
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import VolumeStore
from medjepa.encoders import Encoder, VolumeEncoder
from medjepa.errors import DataError
from medjepa.evaluation.embed import Encode, embed, encoder_of, gradients, pixels, untrained_twin
from medjepa.evaluation.material_volumes import Volumes
from medjepa.evaluation.planes import describe_planes
from medjepa.evaluation.results import GRADIENTS, PIXELS, UNTRAINED
from medjepa.evaluation.volume_encoders import Encoder3D

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
OWN = ("items.csv", PRIVATE, *(f"embeddings.{end}" for end in ("npz", "csv", "safetensors")))
COLUMNS = ("row", "key", "part", "patient", "num_windows")


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Rows of features, and what each is of.

    Attributes:
        features: (N, D).
        items: (N,) of key of the content, part (slice or frame) of it, keyed pseudonym of the
            patient ("" where none is known), number of windows or clips.
        paths: (N,) the file below its source; private.
        stores: where they lie.
        places: (N,) number of each row's item, counted through the stores in turn.
        baselines: name -> (N, D) of what needs no training, where asked.
        notes: which files are missing.
    """

    features: NDArray[np.float32]
    items: tuple[tuple[str, int, str, int], ...]
    paths: tuple[str, ...]
    stores: Sequence[Store] | Sequence[VolumeStore] = field(default=(), repr=False)
    places: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    baselines: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def embed_sources(config: Config, *, progress: Progress, baselines: bool = False) -> Embedded:
    """Open or prepare the sources, and embed everything in them that the checkpoint takes.

    Args:
        config: the settings.
        progress: shows how far the work is.
        baselines: also describe everything by an untrained encoder, by pixels and by gradients.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        DataError: a source cannot be used.
    """
    assert isinstance(config.checkpoint, str)
    encoder = load_encoder(config.checkpoint, device=config.hardware.device)
    if isinstance(encoder, VolumeEncoder):
        return _volumes(encoder, config, progress, baselines)
    return _images(encoder, config, progress, baselines)


def write_embeddings(found: Embedded, out: str | Path, kind: str) -> Path:
    """Write features, items.csv and private/files.csv into a new folder; returns the features.

    Raises:
        DataError: the folder holds other things.
    """
    out = Path(out)
    name = f"embeddings.{kind}"
    check_out(out, own=OWN)
    out.mkdir(parents=True, exist_ok=True)
    rows = [(number, *item) for number, item in enumerate(found.items)]
    write_private(out, "files.csv", table_bytes(("row", "file"), enumerate(found.paths)))
    write_atomic(out / "items.csv", table_bytes(COLUMNS, rows))
    write_atomic(out / name, _features(found.features, kind))
    return out / name


def image_stores(pipeline: Pipeline, config: Config, progress: Progress) -> list[Store]:
    """Open or prepare `data=` as an encoder of images takes it.

    Raises:
        DataError: a source cannot be used.
    """
    data = config.data
    height, width = pipeline.size
    stores = ensure_store(
        data.sources,
        size=height if height == width else (height, width),
        fit=pipeline.fit,
        frames_per_clip=data.frames_per_clip,
        intensity=replace(pipeline.intensity, modality=None),
        selection=selection_of(data),
        privacy=config.privacy,
        modality=_modality(config) or pipeline.intensity.modality,
        table=data.table,
        image_column=data.image_column,
        group_column=data.one_group_column,
        pattern=data.pattern,
        cache_dir=data.cache_dir or None,
        num_workers=data.num_workers,
        progress=progress,
    )
    check_intensity(stores, pipeline.intensity)
    return stores


def _images(encoder: Encoder, config: Config, progress: Progress, baselines: bool) -> Embedded:
    pipeline = encoder.pipeline
    stores = image_stores(pipeline, config, progress)
    images = StoreDataset(
        stores,
        image_size=pipeline.image_size or pipeline.size,
        channels=1 if pipeline.channels == 1 else 3,
    )
    with progress("embed images", len(images)) as advance:
        encode: dict[str, Encode] = {"": encoder_of(encoder.model, encoder.device)}
        if baselines:
            twin = untrained_twin(encoder.model, seed=config.seed)
            encode[UNTRAINED] = encoder_of(twin, encoder.device)
            encode |= {PIXELS: pixels, GRADIENTS: gradients}
        rows = embed(images, encode, batch_size=config.evaluation.batch_size, advance=advance)
    items = [(i.key, i.part, i.group, 1) for store in stores for i in store.items]
    return Embedded(
        features=rows.pop(""),
        items=tuple(items),
        paths=_paths(stores),
        stores=stores,
        places=np.arange(len(items)),
        baselines=rows,
        notes=_unread(stores, config),
    )


def volume_stores(
    pipeline: VolumePipeline, config: Config, progress: Progress
) -> list[VolumeStore]:
    """Open or prepare `data=` as an encoder of volumes or clips takes it.

    Raises:
        DataError: a source cannot be used.
    """
    data = config.data
    stores = ensure_volumes(
        data.sources,
        spacing=pipeline.spacing,
        frame_size=pipeline.frame_size,
        fit=pipeline.fit,
        contrasts=pipeline.contrasts,
        fourth_axis=pipeline.fourth_axis,
        intensity=replace(pipeline.intensity, modality=None),
        selection=selection_of(data),
        privacy=config.privacy,
        modality=_modality(config) or pipeline.intensity.modality,
        table=data.table,
        image_column=data.image_column,
        group_column=data.one_group_column,
        pattern=data.pattern,
        cache_dir=data.cache_dir or None,
        num_workers=data.num_workers,
        progress=progress,
    )
    check_intensity(stores, pipeline.intensity)
    return stores


def _volumes(
    encoder: VolumeEncoder, config: Config, progress: Progress, baselines: bool
) -> Embedded:
    pipeline = encoder.pipeline
    stores = volume_stores(pipeline, config, progress)
    asked = config.evaluation
    volumes = Volumes(stores, pipeline, clips=asked.clips, overlap=asked.overlap)
    device = torch.device(encoder.device)
    encoders = {"": Encoder3D(encoder.model, device)}
    if baselines:
        twin = untrained_twin(encoder.model, seed=config.seed)
        encoders[UNTRAINED] = Encoder3D(twin, device)
    found = [(store, index) for store in stores for index in range(len(store))]
    rows: dict[str, list[NDArray[np.float32]]] = {"": []}
    items, kept, numbers = [], [], []
    paths = _paths(stores)
    with progress("embed volumes and clips", len(found)) as advance:
        for number, (store, index) in enumerate(found):
            if volumes.takes(number):
                for part, place in enumerate(volumes.places(number)):
                    means, weighed = volumes.embed_place(place, encoders, asked.batch_size)
                    if baselines:
                        plain = describe_planes(volumes.planes_of_place(place), {})
                        means |= {name: plain[name] for name in (PIXELS, GRADIENTS)}
                    for name, row in means.items():
                        rows.setdefault(name, []).append(row)
                    item = store.items[index]
                    items.append((item.key, part, item.group, len(weighed)))
                    kept.append(paths[number])
                    numbers.append(number)
            advance(1)
    if not items:
        raise DataError(f"nothing here is a {pipeline.kind}, which is what this checkpoint takes")
    arrays = {name: np.stack(row) for name, row in rows.items()}
    return Embedded(
        features=arrays.pop(""),
        items=tuple(items),
        paths=tuple(kept),
        stores=stores,
        places=np.asarray(numbers, np.int64),
        baselines=arrays,
        notes=_unread(stores, config),
    )


def _unread(stores: list[Store] | list[VolumeStore], config: Config) -> tuple[str, ...]:
    labels = () if config.label is None else (config.label,)
    return tell_unread(stores, labels, table=config.data.table)


def _modality(config: Config) -> tuple[str | None, ...] | None:
    return None if config.data.modality == "auto" else config.data.kinds_of_image


def _paths(stores: list[Store] | list[VolumeStore]) -> tuple[str, ...]:
    """The file of every item, below its source; "" where a store has no private folder."""
    paths = []
    for store in stores:
        known: dict[str, str] = {}
        try:
            for record in store.private_map().files:
                known.setdefault(record.key, record.path)
        except DataError:
            known = {}
        paths += [known.get(key, "") for key in store.keys]
    return tuple(paths)


def _features(features: NDArray[np.float32], kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "npz":
        np.savez(buffer, embeddings=features)
        return buffer.getvalue()
    if kind == "safetensors":
        from safetensors.numpy import save

        return bytes(save({"embeddings": np.ascontiguousarray(features)}))
    names = ["row", *(f"f{n}" for n in range(features.shape[1]))]
    return table_bytes(names, ([n, *(f"{v:.9g}" for v in row)] for n, row in enumerate(features)))


def table_bytes(header: Iterable[object], rows: Iterable[Iterable[object]]) -> bytes:
    """A CSV file with a header."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return text.getvalue().encode(errors="replace")
