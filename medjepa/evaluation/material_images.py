"""Labelled images of the checkpoint's size, embedded by everything that an evaluation compares."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.altered import Altered
from medjepa.data.cache import ensure_store
from medjepa.data.duplicates import SIDE, thumbnail
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store_dataset import StoreDataset, check_intensity
from medjepa.evaluation.embed import Encode, embed, gradients, pixels, untrained_twin
from medjepa.evaluation.kept import Kept, digest_of_items, digest_of_model
from medjepa.evaluation.labelled_data import gather
from medjepa.evaluation.last_blocks import NUM_BLOCKS, last_blocks_of
from medjepa.evaluation.material import Material, check_tokens
from medjepa.evaluation.request import Request
from medjepa.evaluation.results import GRADIENTS, PIXELS, PRETRAINED, TIMM, UNTRAINED
from medjepa.evaluation.runs import Run
from medjepa.models.image_model import ImageModel
from medjepa.models.timm_encoder import TimmEncoder, timm_encoder
from medjepa.utils.device import choose_device


def embed_images(runs: Sequence[Run], request: Request) -> Material:
    """Open or prepare the images, join them with their labels, and embed them.

    Raises:
        DataError: labels, split or images do not hold together.
    """
    pipeline = runs[0].pipeline
    assert isinstance(pipeline, Pipeline)
    height, width = pipeline.size
    stores = ensure_store(
        request.sources,
        size=height if height == width else (height, width),  # as pre-training writes it
        fit=pipeline.fit,
        frames_per_clip=request.frames_per_clip,
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
    images = StoreDataset(
        stores,
        image_size=pipeline.image_size or pipeline.size,
        channels=1 if pipeline.channels == 1 else 3,
        indices=labelled.indices,
    )
    encoders = image_encoders(runs, request)
    kept = Kept(request.cache_dir)
    seen = seen_images(images, request.batch_size, request.device)
    depends = _depends(runs, request, seen)
    notes = []
    if isinstance(timm := encoders.get(TIMM), TimmEncoder):
        depends[TIMM] = {"model": digest_of_model(timm), **seen}
        notes.append(timm.note(images.image_size))
    if request.attentive:
        model = runs[0].model.encoder
        check_tokens(len(images), model.num_patches, model.embed_dim, 2 * len(runs))
    tokens: dict[str, NDArray[Any]] = {}

    def compute(missing: list[str]) -> dict[str, NDArray[Any]]:
        wanted = {name: encoders[name] for name in missing}
        with request.progress("embed images", len(images)) as advance:
            return embed(images, wanted, batch_size=request.batch_size, advance=advance)

    arrays = kept.rows(depends, compute)
    if request.attentive:  # tokens are too many to be kept
        looking = _token_encoders(runs, request.device)
        with request.progress("tokens of images", len(images)) as advance:
            tokens = embed(images, looking, batch_size=request.batch_size, advance=advance)
    small = arrays[PIXELS]
    thumbnails = [thumbnail(row) for row in small.reshape(len(small), -1, SIDE, SIDE)]
    altered = Altered.of(np.stack(thumbnails))
    return Material(
        stores=stores,
        labelled=labelled,
        arrays=arrays,
        tokens=tokens,
        # The same picture saved as another file has another content hash, so pixels are compared.
        pictures=[hashlib.sha256(row.tobytes()).hexdigest() for row in np.rint(small * 255)],
        prints=altered.whole,
        altered=altered,
        notes=(*notes, *([kept.trouble] if kept.trouble else [])),
        facts={
            "image_size": "{} x {}".format(*images.image_size),
            "channels": str(images.channels),
            "features": request.features,
        },
    )


def seen_images(images: StoreDataset, batch_size: int, device: str) -> dict[str, object]:
    """What the features of images depend on, beside the encoder."""
    return {
        "images": digest_of_items(images.stores, images.indices.tolist()),
        "size": list(images.image_size),
        "channels": images.channels,
        "batch": batch_size,
        "device": choose_device(device).type,
    }


def rows_of(model: ImageModel, num_blocks: int, seen: dict[str, object]) -> dict[str, object]:
    """What the features by one encoder depend on."""
    return {"model": digest_of_model(model), "blocks": num_blocks, **seen}


def _depends(
    runs: Sequence[Run], request: Request, seen: dict[str, object]
) -> dict[str, dict[str, object]]:
    """What the rows of `image_encoders` depend on, by name."""
    depends = {name: {"baseline": name, **seen} for name in (PIXELS, GRADIENTS)}
    for number, run in enumerate(runs):
        assert isinstance(run.model, ImageModel)
        own = rows_of(run.model, NUM_BLOCKS[request.features], seen)
        depends[f"{PRETRAINED} {number}"] = own
        depends[f"{UNTRAINED} {number}"] = {**own, "untrained": run.seed}
    return depends


def image_encoders(runs: Sequence[Run], request: Request) -> dict[str, Encode]:
    """Everything that looks at an image, by name: both encoders of each run, all baselines."""
    chosen, num_blocks = choose_device(request.device), NUM_BLOCKS[request.features]
    encoders: dict[str, Encode] = {PIXELS: pixels, GRADIENTS: gradients}
    for number, run in enumerate(runs):
        assert isinstance(run.model, ImageModel)
        twin = untrained_twin(run.model, seed=run.seed)
        for key, model in ((PRETRAINED, run.model), (UNTRAINED, twin)):
            encoders[f"{key} {number}"] = last_blocks_of(model, chosen, num_blocks)
    if request.timm:
        encoders[TIMM] = timm_encoder(request.timm, request.timm_weights).to(chosen)
    return encoders


def _token_encoders(runs: Sequence[Run], device: str) -> dict[str, Encode]:
    chosen = choose_device(device)
    encoders: dict[str, Encode] = {}
    for number, run in enumerate(runs):
        twin = untrained_twin(run.model, seed=run.seed)
        for key, model in ((PRETRAINED, run.model), (UNTRAINED, twin)):
            encoders[f"{key} {number}"] = _tokens_of(model.to(chosen).eval(), chosen)
    return encoders


def _tokens_of(model: Any, device: torch.device) -> Encode:  # noqa: ANN401 - ImageModel or VJEPA
    def encode(images: Tensor) -> NDArray[np.float16]:
        tokens = model.encoder(model.standardise(images.to(device)))
        return np.asarray(tokens.half().cpu().numpy())

    return encode
