"""`finetune task=point`: do maps of what is unusual point at lesions? Nothing is trained."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medjepa.config import Config
from medjepa.data.files import write_atomic
from medjepa.data.image_files import ImageFiles, Place
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store_dataset import resize_images
from medjepa.data.unread import tell_unread
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.detection_data import BoxCases, open_boxes
from medjepa.evaluation.embed import untrained_twin
from medjepa.evaluation.lesion_maps import (
    NormalPatches,
    grid_of,
    patch_tokens,
    received_attention,
)
from medjepa.evaluation.pointing import PointingResult, pointing_game
from medjepa.evaluation.results import plain_json
from medjepa.evaluation.segmentation_task import image_stores, pretrained_runs
from medjepa.models.image_model import ImageModel
from medjepa.utils.device import choose_device
from medjepa.utils.progress import progress

NUMBERS = "results.json"
_MOST_NORMALS = 500


@dataclass(frozen=True, kw_only=True)
class PointingReport:
    """What the maps reached, and on what.

    Attributes:
        result: of the game.
        num_normals: images whose patches count as normal.
        longer_side: pixels to which images were brought.
        notes: what a reader should know.
        run: the command.
    """

    result: PointingResult
    num_normals: int
    longer_side: int
    notes: tuple[str, ...]
    run: dict[str, str]


def run_pointing(config: Config, command: str) -> PointingReport:
    """Draw maps of every image that has a box, play the game, and write `results.json`.

    Args:
        config: `data` are the images with `finetune.boxes`, `finetune.normals` the normal ones.
        command: what the user typed, for the record.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ConfigError: no normals are named, several checkpoints, or a model that is not of images.
        DataError: an image is among both, or the data do not hold together.
    """
    asked = config.finetune
    if not asked.normals:
        raise ConfigError(
            "finetune.normals: a folder or table of images that hold nothing to be found is needed"
        )
    seeds, runs = pretrained_runs(config)
    run = runs[seeds[0]]
    if len(seeds) > 1 or not isinstance(run.pipeline, Pipeline):
        raise ConfigError("checkpoint: task=point takes one model of images")
    assert isinstance(run.model, ImageModel)
    side = asked.longer_side or max(run.pipeline.image_size or run.pipeline.size)
    stores = image_stores(config, run.pipeline)
    cases, boxes = open_boxes(config, stores, run.pipeline, longer_side=side)
    others = replace(
        config, data=replace(config.data, data_dir=asked.normals, table=None, group_column=None)
    )
    normals = ImageFiles(image_stores(others, run.pipeline), run.pipeline, longer_side=side)
    chosen = _drawn(normals.places, config.seed)
    keys = {normals.stores[store].keys[index] for store, index in chosen}
    if both := keys & set(cases.keys):
        raise DataError(
            f"finetune.normals: {len(both)} of its images have a row in the boxes, too; a map must "
            "not have seen the image that it is of"
        )
    device = choose_device(config.hardware.device)
    models = {
        "pre-trained": run.model,
        "untrained": untrained_twin(run.model, seed=seeds[0]),
    }
    maps: dict[str, list[np.ndarray]] = {}
    for name, model in models.items():
        maps |= _maps(name, model.to(device).eval(), normals, chosen, boxes, seed=config.seed)
    result = pointing_game(
        maps,
        [boxes.corners(case) for case in range(len(boxes))],
        [boxes.files.original(place) for place in boxes.places],
        cases.patients.tolist() if cases.known else None,
        num_resamples=config.evaluation.num_bootstrap,
        seed=config.seed,
    )
    notes = [
        *boxes.notes,
        *(f"Of the normal images: {note}" for note in tell_unread(normals.stores)),
        "Patients of the normal images are not compared with those of the boxes.",
    ]
    if not cases.known:
        notes.append("Patients are unknown: every image counts as its own in the intervals.")
    report = PointingReport(
        result=result,
        num_normals=len(chosen),
        longer_side=side,
        notes=tuple(notes),
        run={"command": command},
    )
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain_json(asdict(report)), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(out / NUMBERS, (text + "\n").encode())
    return report


def _drawn(places: Sequence[Place], seed: int) -> list[Place]:
    """Some hundred of the normal images, at random."""
    if not places:
        raise DataError("finetune.normals: holds no image")
    order = np.random.default_rng(seed).permutation(len(places))[:_MOST_NORMALS]
    return [places[number] for number in sorted(order.tolist())]


def _maps(
    name: str,
    model: ImageModel,
    normals: ImageFiles,
    chosen: Sequence[Place],
    boxes: BoxCases,
    *,
    seed: int,
) -> dict[str, list[np.ndarray]]:
    """Both maps of every image under one encoder."""
    with progress(f"normal patches, {name}", len(chosen)) as advance:
        tokens = []
        for place in chosen:
            tokens.append(patch_tokens(model.encoder, _pixels(model, normals, place)).cpu())
            advance(1)
    bank = NormalPatches.of(tokens, seed=seed)
    unusual, attended = [], []
    with progress(f"maps, {name}", len(boxes)) as advance:
        for place in boxes.places:
            pixels = _pixels(model, boxes.files, place)
            grid = grid_of(model.encoder, pixels)
            far = bank.distance(patch_tokens(model.encoder, pixels).cpu())
            unusual.append(far[0].reshape(grid).numpy())
            seen = received_attention(model.encoder, pixels)
            attended.append(seen[0].reshape(grid).cpu().numpy())
            advance(1)
    return {
        f"{name}, distance to normal patches": unusual,
        f"{name}, attention received": attended,
    }


def _pixels(model: ImageModel, files: ImageFiles, place: Place) -> Tensor:
    """One image (1, C, H, W), standardised, its sides brought to whole patches."""
    image = torch.from_numpy(np.array(files.read(place)))[None]
    patch = model.encoder.patch_embedding.patch_size
    height, width = (
        max(1, round(side / p)) * int(p) for side, p in zip(image.shape[2:], patch, strict=True)
    )
    whole = resize_images(image, (height, width)).to(model.pixel_mean.device)
    with torch.no_grad():
        return model.standardise(whole)
