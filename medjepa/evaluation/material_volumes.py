"""Labelled volumes or clips, embedded by everything that an evaluation compares.

A labelled item is what a store holds under one file: a volume, a video, or a stack through time
(a clip for each slice). Its embedding is the mean over its windows or clips. Nothing is in memory
but a batch of windows and one plane.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.checkpoint import find_checkpoint
from medjepa.data.crop_places import Crop
from medjepa.data.store_dataset import check_intensity
from medjepa.data.volume_cache import ensure_volumes
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_pipeline import VolumePipeline, known_spacing
from medjepa.data.volume_store import VolumeStore
from medjepa.encoders import clip_clock, clip_frames
from medjepa.errors import ConfigError
from medjepa.evaluation.kept import (
    Arrays,
    Kept,
    digest_of_file,
    digest_of_items,
    digest_of_model,
)
from medjepa.evaluation.labelled_data import gather
from medjepa.evaluation.material import Material, check_tokens
from medjepa.evaluation.planes import (
    MOST_PLANES,
    PRINTS,
    describe_planes,
    plane_numbers,
)
from medjepa.evaluation.request import Request
from medjepa.evaluation.results import PIXELS
from medjepa.evaluation.runs import Run
from medjepa.evaluation.volume_encoders import Encoder3D, plane_encoders, window_encoders
from medjepa.models.timm_encoder import timm_encoder
from medjepa.models.volume_embedding import covering_starts, embed_windows
from medjepa.utils.device import choose_device

Floats32 = NDArray[np.float32]
_COUNTS = "windows"


def embed_volumes(runs: Sequence[Run], request: Request) -> Material:
    """Open or prepare the volumes or clips, join them with their labels, and embed them.

    Raises:
        ConfigError: a 2-D run that was given as a baseline does not fit.
        DataError: labels, split or volumes do not hold together.
    """
    pipeline = runs[0].pipeline
    assert isinstance(pipeline, VolumePipeline)
    stores = ensure_volumes(
        request.sources,
        spacing=pipeline.spacing,
        frame_size=pipeline.frame_size,
        fit=pipeline.fit,
        contrasts=pipeline.contrasts,
        fourth_axis=pipeline.fourth_axis,
        intensity=replace(pipeline.intensity, modality=None),
        selection=request.selection,
        privacy=request.privacy,
        modality=request.modality or pipeline.intensity.modality,
        table=request.table,
        image_column=request.image_column,
        pattern=request.pattern,
        group_column=request.group_column,
        cache_dir=request.cache_dir,
        num_workers=request.num_workers,
        progress=request.progress,
    )
    check_intensity(stores, pipeline.intensity)
    labelled = gather(
        stores,
        request.label,
        group=request.group,
        split=request.split,
        table=request.table,
        test_fraction=request.test_fraction,
        seed=request.seed,
        classes=request.classes,
        num_splits=request.num_splits,
        study=request.study,
        folders=request.sources,
    )
    volumes = Volumes(stores, pipeline, clips=request.clips, overlap=request.overlap)
    encoders = window_encoders(runs, request)
    timm = timm_encoder(request.timm, request.timm_weights) if request.timm else None
    planes = plane_encoders(request, timm)
    tokens: dict[str, list[NDArray[np.float16]]] = {}
    if request.attentive:
        model = runs[0].model.encoder
        num_tokens = request.clips * model.num_patches
        check_tokens(len(labelled.keys), num_tokens, model.embed_dim, 2 * len(runs))

    def compute() -> Arrays:
        arrays: dict[str, list[Floats32]] = {}
        counts = []
        with request.progress("embed volumes and clips", len(labelled.keys)) as advance:
            for item in labelled.indices:
                rows, weighed = volumes.embed(int(item), encoders, request.batch_size)
                rows |= describe_planes(volumes.planes(int(item)), planes)
                for name, row in rows.items():
                    arrays.setdefault(name, []).append(row)
                counts.append(len(weighed))
                if request.attentive:
                    for name, of_item in volumes.tokens(int(item), weighed, encoders).items():
                        tokens.setdefault(name, []).append(of_item)
                advance(1)
        stacked = {name: np.stack(rows) for name, rows in arrays.items()}
        return {**stacked, _COUNTS: np.asarray(counts, np.int64)}

    kept = Kept(request.cache_dir)
    depends = _depends(runs, request, digest_of_items(stores, labelled.indices.tolist()))
    if timm is not None:
        depends["timm"] = digest_of_model(timm)
    # Tokens are too many to be kept.
    given = compute() if request.attentive else kept.of(depends, compute)
    counts = given.pop(_COUNTS).astype(np.int64)
    found = {name: rows.astype(np.float32, copy=False) for name, rows in given.items()}
    prints = found.pop(PRINTS)
    return Material(
        stores=stores,
        labelled=labelled,
        arrays=found,
        tokens={name: np.stack(rows) for name, rows in tokens.items()},
        pictures=[
            hashlib.sha256(row.tobytes()).hexdigest() for row in np.rint(found[PIXELS] * 4095)
        ],
        prints=prints,
        num_clips=counts,
        notes=(
            *_notes(pipeline, counts.tolist()),
            *([] if timm is None else [timm.note(None)]),
            *([kept.trouble] if kept.trouble else []),
        ),
        facts={
            "image_size": " x ".join(str(n) for n in pipeline.crop),
            "channels": str(pipeline.channels),
            "kind": pipeline.kind,
        },
    )


def _depends(runs: Sequence[Run], request: Request, volumes: str) -> dict[str, object]:
    """What all features of volumes or clips depend on."""
    given = {"slices": request.slices, "inflated": request.inflated}
    return {
        "volumes": volumes,
        "models": [[digest_of_model(run.model), run.seed] for run in runs],
        "windows": [request.clips, request.overlap, request.batch_size],
        "device": choose_device(request.device).type,
        **{key: digest_of_file(find_checkpoint(path)) for key, path in given.items() if path},
    }


class Volumes:
    """Stores of volumes or clips, read window by window and plane by plane.

    Args:
        stores: prepared.
        pipeline: of the encoder: the size of a window, the kind, the rate of frames.
        clips: of a video, how many parts are taken.
        overlap: share of a window that its neighbour sees too.
        modality: as for `VolumeDataset`.
    """

    def __init__(
        self,
        stores: Sequence[VolumeStore],
        pipeline: VolumePipeline,
        *,
        clips: int,
        overlap: float,
    ) -> None:
        self.pipeline, self.clips, self.overlap = pipeline, clips, overlap
        self.dataset = VolumeDataset(
            list(stores),
            crop=pipeline.crop,
            channels=pipeline.channels,
            kind=pipeline.kind,
            frame_step=pipeline.frame_step,
        )
        starts = np.cumsum([0, *(len(store) for store in stores)])
        self._places: dict[int, list[int]] = {}
        for number, place in enumerate(self.dataset.items):
            item = int(starts[place.store]) + place.index
            self._places.setdefault(item, []).append(number)

    def places(self, item: int) -> list[int]:
        """The dataset's items that are one item of the stores: a stack's slices, else one.

        Raises:
            ConfigError: it is of another kind than the encoder takes.
        """
        if item not in self._places:
            raise ConfigError(
                f"item {item} is no {self.pipeline.kind}, which is what this checkpoint takes"
            )
        return self._places[item]

    def crops(self, number: int) -> Iterator[Crop]:
        """The windows of one volume, or the clips of one video (frame area by windows too)."""
        place, size = self.dataset.items[number], self.pipeline.crop
        if self.pipeline.kind == "volume":
            for start in covering_starts(place.shape, size, overlap=self.overlap):
                yield Crop(number, (start[0], start[1], start[2]), size)
            return
        seconds = place.spacing[0] or 0.0
        clock = clip_clock(self.pipeline, place.shape[0], seconds, place.times)
        for frames in clip_frames(clock, self.clips):
            for start in covering_starts(place.shape[1:], size[1:], overlap=self.overlap):
                yield Crop(number, (frames[0], start[0], start[1]), size, frames)

    def spacing(self, number: int) -> Tensor:
        """(3,) of what a window of it shows, in mm or s; NaN unknown."""
        steps = known_spacing("zyx", self.dataset.items[number].spacing)
        if self.pipeline.kind == "clip":
            seconds = self.pipeline.frame_seconds
            steps[0] = steps[0] * self.pipeline.frame_step if seconds is None else seconds
        return torch.from_numpy(steps)

    def takes(self, item: int) -> bool:
        """Whether an item of the stores is of the encoder's kind."""
        return item in self._places

    def embed_place(
        self, number: int, encoders: dict[str, Encoder3D], batch_size: int
    ) -> tuple[dict[str, Floats32], list[tuple[Crop, int]]]:
        """As `embed`, of one item of the dataset (of a stack: one slice)."""
        spacing, crops = self.spacing(number), list(self.crops(number))
        functions = {name: _with_spacing(one, spacing) for name, one in encoders.items()}
        windows = (self.dataset.read_crop(crop) for crop in crops)
        rows, weights = embed_windows(windows, functions, batch_size=batch_size)
        return rows, list(zip(crops, weights, strict=True))

    def embed(
        self, item: int, encoders: dict[str, Encoder3D], batch_size: int
    ) -> tuple[dict[str, Floats32], list[tuple[Crop, int]]]:
        """The mean embedding of one item by every encoder; its windows, and what is in each."""
        parts: list[dict[str, Floats32]] = []
        weighed: list[tuple[Crop, int]] = []
        for number in self.places(item):
            rows, own = self.embed_place(number, encoders, batch_size)
            parts.append(rows)
            weighed += own
        means = {
            name: np.asarray(np.mean([part[name] for part in parts], axis=0), np.float32)
            for name in encoders
        }
        return means, weighed

    def tokens(
        self,
        item: int,
        weighed: Sequence[tuple[Crop, int]],
        encoders: dict[str, Encoder3D],
    ) -> dict[str, NDArray[np.float16]]:
        """Tokens of the fullest windows, one after another: (clips * N, D) by every encoder.

        Fewer windows than `clips` are repeated, which changes no attention.
        """
        fullest = sorted(weighed, key=lambda pair: -pair[1])[: self.clips]
        chosen = [fullest[place % len(fullest)][0] for place in range(self.clips)]
        found: dict[str, list[NDArray[np.float16]]] = {name: [] for name in encoders}
        with torch.inference_mode():
            for crop in chosen:
                window = torch.from_numpy(self.dataset.read_crop(crop))[None]
                for name, encoder in encoders.items():
                    tokens = encoder.tokens(window, self.spacing(crop.item))[0]
                    found[name].append(tokens.half().cpu().numpy())
        return {name: np.concatenate(rows) for name, rows in found.items()}

    def planes(self, item: int) -> Iterator[Floats32]:
        """Planes or frames (C, H, W) of one item, evenly over its first axis; of all its slices."""
        places = self.places(item)
        for number in places:
            yield from self.planes_of_place(number, max(1, MOST_PLANES // len(places)))

    def planes_of_place(self, number: int, most: int = MOST_PLANES) -> Iterator[Floats32]:
        """As `planes`, of one item of the dataset (of a stack: one slice)."""
        length, height, width = self.dataset.items[number].shape
        for plane in plane_numbers(length, most):
            yield self.dataset.read_crop(Crop(number, (plane, 0, 0), (1, height, width)))[:, 0]


def _with_spacing(encoder: Encoder3D, spacing: Tensor) -> Callable[[Tensor], Tensor]:
    def encode(windows: Tensor) -> Tensor:
        return encoder.encode(windows, spacing)

    return encode


def _notes(pipeline: VolumePipeline, counts: Sequence[int]) -> tuple[str, ...]:
    what = ("window", "a volume") if pipeline.kind == "volume" else ("clip", "a video")
    low, high = min(counts), max(counts)
    each = f"{low}" if low == high else f"{low} to {high}"
    plural = "" if high == 1 else "s"
    return (f"An embedding is the mean over {each} {what[0]}{plural} of {what[1]}.",)
